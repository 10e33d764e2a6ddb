// What the fuzz entries claim, so that the plain suite can claim it too: whatever is accepted
// encodes again to the same bytes. A broken claim is a failed check.
#ifndef AQMESH_TESTS_FUZZ_TARGETS_H_
#define AQMESH_TESTS_FUZZ_TARGETS_H_

#include "core/authority/armour.h"
#include "core/authority/codec.h"
#include "core/authority/render.h"
#include "core/authority/slot_book.h"
#include "core/base/check.h"

namespace aqmesh::fuzz {

template <class T>
void Body(ByteView body) {
  const auto object = authority::ParseBody<T>(body);
  if (!object.ok()) {
    AQ_CHECK(wire::RefusedByte(object.status()).has_value());
    return;
  }
  const auto again =
      authority::TryEncodeBody(*object);  // may be too large for its kind, never different
  if (again.ok()) AQ_CHECK(Equal(*again, body));
}

// The bytes as an envelope, and as each kind of body.
inline void FuzzSigned(ByteView bytes) {
  using namespace authority;  // NOLINT(google-build-using-namespace)
  const auto envelope = Signed::Parse(bytes);
  if (envelope.ok()) {
    AQ_CHECK(Equal(envelope->bytes(), bytes));
    AQ_CHECK(!Render(*envelope).empty());
    AQ_CHECK(RenderJson(*envelope).ends_with('}'));
  }
  const ByteView body = envelope.ok() ? envelope->body() : bytes;
  Body<Charter>(body);
  Body<Grant>(body);
  Body<Fragment>(body);
  Body<Keybind>(body);
  Body<Rotate>(body);
  Body<Attest>(body);
  Body<Revoke>(body);
  Body<Cosign>(body);
  Body<Observe>(body);
  Body<Treaty>(body);
  Body<Pardon>(body);
  Body<Presentation>(body);
  Body<Invite>(body);
  Body<Request>(body);
  Body<Approve>(body);
  Body<Announce>(body);
  Body<Retention>(body);
}

inline void FuzzArmour(ByteView bytes) {
  const auto blocks = authority::ParseArmour(AsText(bytes));
  if (!blocks.ok()) return;
  for (const authority::Signed& s : *blocks) {
    const auto again = authority::ParseArmourOne(authority::Armour(s));
    AQ_CHECK(again.ok());
    AQ_CHECK(again->bytes() == s.bytes());
  }
}

inline void FuzzSlotBook(ByteView bytes) {
  const auto book = authority::SlotBook::Decode(bytes);
  if (book.ok()) AQ_CHECK(Equal(book->Encode(), bytes));
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_TARGETS_H_
