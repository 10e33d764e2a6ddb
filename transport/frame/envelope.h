// The governed handshake on the wire: a1 and a2, a WireGuard message with a sealed bundle of signed
// objects beside it, and a3, the cookie. Bytes only: who may be admitted is decided elsewhere.
// Spec:   spec/objects.md §4; spec/wire.md 1.1 (HASH, MAC, KDF, AEAD), 1.4 (cookies).
// Wire:   a1, a2: @0 type, 01 version, LE16 1 suite, 4 zeros; @8 WireGuard type 1 (148) or 2 (92);
//         @156|100 bundle 1,028|1,084 + tag 16; @1200 AQ-mac1 16; @1216 AQ-mac2 16 or zeros.
//         Bundle: items LE16 length || Signed, then zeros. a3: a3 01 00 00, u32 index, nonce
//         24, 32.
// Bounds: kItemsMax items. Nothing is allocated.
// Errors: a Drop for what came in; absl::Status if our own objects do not fit.
// Thread: pure functions. Cost: AQ-mac1 over 1.2 kB ~2 us, the bundle ~1 us.
//
// The order at a responder (§4) calls, one by one:
//   (1) CheckOuter  (2) CheckMac1  (3) CheckMac2, else BuildCookie  (5) CheckInner
//   (6-8) Noise over Inner()  (9) OpenBundle  (10) CheckCitation ...
#ifndef AQMESH_TRANSPORT_FRAME_ENVELOPE_H_
#define AQMESH_TRANSPORT_FRAME_ENVELOPE_H_

#include <absl/status/statusor.h>

#include <array>
#include <span>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret.h"
#include "core/crypto/hash.h"
#include "transport/frame/drop.h"

namespace aqmesh::frame {

// First bytes of our datagrams; none is a WireGuard type or can begin a STUN message.
enum class Type : uint8_t {
  kInitiation = 0xa1,
  kResponse = 0xa2,
  kCookie = 0xa3,
  kFrame = 0xa4,
  kBefore = 0xa5
};
constexpr bool IsGoverned(uint8_t first_byte) { return first_byte >= 0xa1 && first_byte <= 0xa5; }

enum class Handshake : uint8_t { kInitiation = 0xa1, kResponse = 0xa2 };

inline constexpr size_t kEnvelopeBytes = 1232;
inline constexpr size_t kInnerAt = 8;
inline constexpr size_t kMac1At = 1200;
inline constexpr size_t kMac2At = 1216;
inline constexpr size_t kMacBytes = 16;
inline constexpr size_t kCookieBytes = 64;  // of an a3
inline constexpr size_t kBundleRoomMax = 1084;
// A presentation and twelve cited objects: refs hold no more.
inline constexpr size_t kItemsMax = 13;

struct Layout {
  size_t inner_bytes, bundle_at, bundle_room;
};
constexpr Layout LayoutOf(Handshake kind) {
  return kind == Handshake::kInitiation ? Layout{148, 156, 1028} : Layout{92, 100, kBundleRoomMax};
}
static_assert(LayoutOf(Handshake::kInitiation).bundle_at + 1028 + 16 == kMac1At);
static_assert(LayoutOf(Handshake::kResponse).bundle_at + 1084 + 16 == kMac1At);

using Envelope = std::array<uint8_t, kEnvelopeBytes>;
using CookieReply = std::array<uint8_t, kCookieBytes>;
using Nonce24 = std::array<uint8_t, 24>;

// What follows from one static public key: the MAC keys of datagrams to its owner, and the key of
// the cookies that its owner hands out. Public values; derived once per key.
struct StaticKeys {
  crypto::Hash32 outer_mac1;  // HASH("aq1-mac1" || S)
  crypto::Hash32 inner_mac1;  // HASH("mac1----" || S)
  crypto::Hash32 cookie;      // HASH("aq1-cook" || S)
};
StaticKeys StaticKeysOf(const X25519Key& static_public);

// ck: 32 bytes, after ss for an initiation, after psk for a response.
Secret<32> BundleKeyOf(Handshake kind, ByteView ck);  // K_init, K_resp
Secret<32> PreKeyOf(ByteView ck);                     // K_pre
// What a frame's tag commits to: the oid of the first item of its sender's bundle.
Digest AuthDigestOf(const Oid& first_item);

// ---- a1 and a2, outward ----
struct EnvelopeParts {
  Handshake kind;
  ByteView inner;                   // 148 or 92 bytes, its mac1 right, its mac2 zero
  std::span<const ByteView> items;  // each a Signed; the first a presentation or a live request
  ByteView ck;
  const StaticKeys& receiver;
  ByteView cookie = {};  // 16 bytes, or empty: AQ-mac2 stays zero (it covers what is before it,
                         // so a cookie keeper may also fill it in afterwards)
};
// 2 + size for each item.
size_t BundleBytes(std::span<const ByteView> items);
// InvalidArgument without items or with an empty one; ResourceExhausted if they are too many or too
// long.
absl::StatusOr<Envelope> BuildEnvelope(const EnvelopeParts& parts);

// ---- a1 and a2, inward; each step may assume the ones before it ----
// (1) Size, then bytes 0-7.
Drop CheckOuter(ByteView datagram, Handshake kind);
// (2) and (3). The receiver's keys; the cookie that its source would have been given.
Drop CheckMac1(ByteView datagram, const StaticKeys& receiver);
Drop CheckMac2(ByteView datagram, ByteView cookie16);
// (5) Type, mac1 and zero mac2 of the WireGuard message inside.
Drop CheckInner(ByteView datagram, Handshake kind, const StaticKeys& receiver);
ByteView Inner(ByteView datagram, Handshake kind);
uint32_t InnerSender(ByteView datagram);    // sender index of the message inside
uint32_t InnerReceiver(ByteView response);  // receiver index of an a2's

// The opened bundle; views of its items are good while it lives and stays.
class Bundle {
 public:
  size_t size() const { return count_; }
  ByteView operator[](size_t i) const {
    return ByteView(plain_).subspan(items_[i].at, items_[i].bytes);
  }

 private:
  friend Drop OpenBundle(ByteView datagram, Handshake kind, ByteView ck, Bundle& out);
  friend Drop ParseBundle(ByteView plain, Bundle& out);
  struct Item {
    uint16_t at, bytes;
  };
  std::array<uint8_t, kBundleRoomMax> plain_{};
  std::array<Item, kItemsMax> items_{};
  size_t count_ = 0;
};
// (9) Opens under the key of ck, then padding and framing. On failure `out` is empty.
Drop OpenBundle(ByteView datagram, Handshake kind, ByteView ck, Bundle& out);
// The framing alone: plain is the bundle's room.
Drop ParseBundle(ByteView plain, Bundle& out);

// (10) The items after the first against what it cites: refs[0] must come by value, the others may,
// in the order of refs, each at most once. A request cites its invitation, or nothing.
Drop CheckCitation(std::span<const Ref16> refs, std::span<const Ref16> items);

// ---- a3 ----
// From the parts that a cookie checker made: the offender's InnerSender, nonce 24, sealed
// cookie 32.
CookieReply PackCookie(uint32_t index, ByteView nonce24, ByteView sealed32);
// Answers an a1 or a2 that passed (2): its sender index and AQ-mac1 are bound in.
CookieReply BuildCookie(ByteView offender,
                        const StaticKeys& replier,
                        const Nonce24& nonce,
                        ByteView cookie16);
// Size and bytes 0-3.
Drop CheckCookie(ByteView datagram);
uint32_t CookieReceiver(ByteView datagram);  // our sender index in the handshake that it answers
inline ByteView CookieNonce(ByteView datagram) { return datagram.subspan(8, 24); }
inline ByteView CookieSealed(ByteView datagram) { return datagram.subspan(32, 32); }
// mac1: AQ-mac1 of the last envelope sent in that handshake.
Drop OpenCookie(ByteView datagram, const StaticKeys& replier, ByteView mac1, Secret<16>& cookie);
inline ByteView Mac1Of(ByteView envelope) { return envelope.subspan(kMac1At, kMacBytes); }

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_ENVELOPE_H_
