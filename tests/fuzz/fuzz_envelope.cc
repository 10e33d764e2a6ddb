// Whatever comes as a governed datagram: no step reads past it, and what opens is what was sealed.
#include <algorithm>

#include "core/base/check.h"
#include "transport/frame/envelope.h"
#include "transport/frame/frame.h"
#include "transport/frame/notice.h"

using namespace aqmesh;         // NOLINT: one file, one entry
using namespace aqmesh::frame;  // NOLINT

namespace {

void FuzzHandshake(ByteView in, Handshake kind, const StaticKeys& keys) {
  if (CheckOuter(in, kind) != Drop::kNone) return;
  (void)CheckMac1(in, keys);
  (void)CheckMac2(in, Mac1Of(in));
  (void)CheckInner(in, kind, keys);
  Bundle bundle;
  (void)OpenBundle(in, kind, ByteView(in).first(32), bundle);
}

void FuzzBefore(ByteView in) {
  Before kind{};
  if (CheckBefore(in, kind) != Drop::kNone) return;
  const ByteView key = in.first(32);
  Want want;
  GivePlain plain;
  Piece piece;
  Notice notice;
  OpenedTicket ticket;
  switch (kind) {
    case Before::kWant: (void)OpenWant(in, key, want); return;
    case Before::kGive:
      (void)OpenTicket(GiveTicket(in), key, 0, ticket);
      (void)OpenGive(in, key, plain, piece);
      return;
    case Before::kNotice: (void)OpenNotice(in, key, notice); return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView in(data, size);
  const StaticKeys keys = StaticKeysOf(X25519Key{});
  FuzzHandshake(in, Handshake::kInitiation, keys);
  FuzzHandshake(in, Handshake::kResponse, keys);
  FuzzBefore(in);
  Secret<16> cookie;
  if (CheckCookie(in) == Drop::kNone) (void)OpenCookie(in, keys, in.first(16), cookie);
  const FrameKey key(Bytes(16, 1));
  if (CheckFrameSize(in) == Drop::kNone) (void)CheckFrame(in, key);

  // As the bundle that an authenticated peer sealed: items lie inside, in order, and pack to the
  // same bytes.
  Bundle bundle;
  if (ParseBundle(in, bundle) != Drop::kNone) return 0;
  Bytes again;
  for (size_t i = 0; i < bundle.size(); ++i) {
    AppendLe(again, static_cast<uint16_t>(bundle[i].size()));
    Append(again, bundle[i]);
  }
  AQ_CHECK(again.size() <= in.size());
  again.resize(in.size());
  AQ_CHECK(Equal(again, in));
  return 0;
}
