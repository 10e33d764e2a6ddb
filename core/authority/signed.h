// The envelope of every signed object: exact bytes kept, signature checked over PAE, oid without
// signature.
// Spec:   spec/objects.md §1 (Signed, PAE, oid, kid, strict subset of protobuf).
// Wire:   Signed: 1! ctx u8; 2! suite u16; 3! kid b16; 4! body b1-16384; 5! sig b1-4096.
// Errors: InvalidArgument naming the rule and the byte where it broke (see ParseError);
//         Unauthenticated for a signature. Cost: parse ~1 us, verify 39 us.
#ifndef AQMESH_CORE_AUTHORITY_SIGNED_H_
#define AQMESH_CORE_AUTHORITY_SIGNED_H_

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/authority/objects.h"
#include "core/authority/suites.h"
#include "core/crypto/keys.h"

namespace aqmesh::authority {

std::string_view CtxName(Ctx ctx);                   // "grant"
std::optional<Ctx> CtxNamed(std::string_view name);  // in either case
Kid KidOf(Suite suite, ByteView public_key);         // H128("aqmesh/1/kid" || BE16(suite) || key)
Digest NextKeyOf(Suite suite, ByteView public_key);  // H256("aqmesh/1/next" || ...)
ScopeId ScopeOf(ByteView genesis_body);              // H128("aqmesh/1/scope" || body)

// A parsed envelope. Immutable; the received bytes are kept and everything is a view of them.
class Signed {
 public:
  // Strict: rules 1-5 of §1 for the envelope alone (total size first). The body is parsed by
  // Parse<T>.
  static absl::StatusOr<Signed> Parse(ByteView bytes);

  Ctx ctx() const { return ctx_; }
  Suite suite() const { return suite_; }
  const Kid& kid() const { return kid_; }  // of the signer
  ByteView body() const { return ByteView(bytes_).subspan(body_at_, body_size_); }
  ByteView sig() const { return ByteView(bytes_).subspan(sig_at_, sig_size_); }
  const Bytes& bytes() const { return bytes_; }  // as received: what is hashed, stored, forwarded
  const Oid& oid() const { return oid_; }
  Ref16 ref() const { return RefOf(oid_); }

 private:
  Signed() = default;
  Bytes bytes_;
  size_t body_at_ = 0, body_size_ = 0, sig_at_ = 0, sig_size_ = 0;
  Ctx ctx_{};
  Suite suite_{};
  Kid kid_;
  Oid oid_;
};

Bytes Pae(std::string_view ctx_label,
          Suite suite,
          const Kid& kid,
          ByteView body);  // label: "aqmesh/1/grant"

inline constexpr size_t kBodyBytesMax = 16'384;
inline constexpr size_t kSigBytesMax = 4'096;
inline constexpr size_t kLeafGrantBytesMax = 640;  // a grant without an issue bit travels by value

// Largest Signed of this kind under a suite, in bytes. A larger suite's signature comes on top, but
// not of what always travels by value: presentation, request, invite.
size_t SignedBytesMax(Ctx ctx, Suite suite);
// Bytes of the Signed around a body under a suite. `body_size` is 1..kBodyBytesMax.
size_t SignedSize(size_t body_size, Suite suite);
// Whether a key of this suite can present itself: its signatures fit where suite 1's do.
bool SignsPresentations(Suite suite);

// True iff `key` is the signer named by kid, in the envelope's suite, and its signature over PAE is
// right by that suite.
[[nodiscard]] bool VerifySignature(const Signed& s, const Ed25519Key& key);
[[nodiscard]] bool VerifySignature(const Signed& s, const KeyVerifier& key);

// A seed and the suite that it is used in, borrowed for a call.
struct SuiteKey {
  Suite suite{};
  const SuiteSeed& seed;
};
// Signs body under ctx; the result parses back to the same bytes. A seed or a pair by itself is of
// suite 1.
Signed Sign(Ctx ctx, ByteView body, const SuiteKey& key);
Signed Sign(Ctx ctx, ByteView body, const crypto::Ed25519Seed& seed);
Signed Sign(Ctx ctx, ByteView body, const crypto::Ed25519Pair& pair);

// Strict parse of a body, and its one encoding. Refusals name the field, the rule and the byte
// offset within the body. Instantiated for every object in objects.h.
template <class T>
absl::StatusOr<T> ParseBody(ByteView body);
template <class T>
Bytes EncodeBody(const T& object);  // AQ_CHECKs that the object obeys its own rules
template <class T, class Key>       // Key: SuiteKey, Ed25519Seed or Ed25519Pair
Signed SignObject(const T& object, const Key& key) {
  return Sign(T::kCtx, EncodeBody(object), key);
}

// An object with the envelope it came in. What the rooms pass around; the signature may not be
// checked yet.
template <class T>
struct Held {
  std::shared_ptr<const Signed> envelope;
  T body;
  const Oid& oid() const { return envelope->oid(); }
  const Kid& signer() const { return envelope->kid(); }
};
// Parses envelope and body; refuses another ctx and an object over its own size limit.
template <class T>
absl::StatusOr<Held<T>> ParseObject(ByteView bytes);
template <class T>
absl::StatusOr<Held<T>> ParseObject(Signed envelope);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_SIGNED_H_
