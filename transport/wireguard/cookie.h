// Both sides of WireGuard's denial-of-service defence: the two MACs of a handshake message, and
// cookies.
// Spec:   WireGuard paper §5.3, §5.4.4, §5.4.7; spec/wire.md §1.4. Labels are a parameter, because the
//         governed envelope uses the same machine under its own labels (spec/objects.md §4).
// Bounds: one secret, one cookie a peer. Thread: one owner each.
#ifndef AQMESH_TRANSPORT_WIREGUARD_COOKIE_H_
#define AQMESH_TRANSPORT_WIREGUARD_COOKIE_H_

#include "core/base/ids.h"
#include "core/base/net.h"
#include "core/base/rng.h"
#include "core/base/time.h"
#include "core/crypto/hash.h"

namespace aqmesh::wireguard {

// 8 bytes each, put before the receiver's static public key and hashed into a key.
struct MacLabels {
  std::string_view mac1;
  std::string_view cookie;
};
inline constexpr MacLabels kPlainLabels{"mac1----", "cookie--"};
inline constexpr MacLabels kGovernedLabels{"aq1-mac1", "aq1-cook"};
static_assert(kPlainLabels.mac1.size() == 8 && kPlainLabels.cookie.size() == 8);
static_assert(kGovernedLabels.mac1.size() == 8 && kGovernedLabels.cookie.size() == 8);

inline constexpr std::chrono::seconds kCookieSecretLife{120};
inline constexpr std::chrono::seconds kCookieUsable{115};  // 120 s, less 5 s of travel

struct SealedCookie {
  std::array<uint8_t, 24> nonce{};
  std::array<uint8_t, 32> sealed{};
};

// The receiver's side.
class CookieChecker {
 public:
  CookieChecker(MacLabels labels, Rng rng);
  void SetKey(const X25519Key& our_public);

  // `covered`: the message bytes before that mac.
  bool Mac1Ok(ByteView covered, ByteView mac1) const;
  bool Mac2Ok(Instant now, ByteView covered, ByteView mac2, const Endpoint& from) const;
  // A reply to the message whose mac1 this is. Renews the secret when it is 120 s old.
  SealedCookie MakeReply(Instant now, ByteView mac1, const Endpoint& from);
  void SetSecretForTest(Instant now, ByteView secret32) {
    secret_ = Secret<32>(secret32), born_ = now, has_secret_ = true;
  }
  SealedCookie SealForTest(ByteView nonce24, ByteView mac1, const Endpoint& from) const {
    return Seal(nonce24, mac1, from);
  }

 private:
  crypto::Mac16 CookieFor(const Endpoint& from) const;
  SealedCookie Seal(ByteView nonce24, ByteView mac1, const Endpoint& from) const;

  MacLabels labels_;
  Rng rng_;
  crypto::Hash32 mac1_key_{};
  crypto::Hash32 cookie_key_{};
  Secret<32> secret_;
  Instant born_{};
  bool has_secret_ = false;
};

// The sender's side, one for each peer.
class CookieKeeper {
 public:
  explicit CookieKeeper(MacLabels labels, const X25519Key& peer_public);

  // mac1 of what is about to be sent; remembered, because a cookie reply is bound to it.
  crypto::Mac16 Mac1(ByteView covered);
  crypto::Mac16 Mac2(Instant now, ByteView covered) const;  // zero without a fresh cookie
  // True if the reply answers our last mac1; it does so once.
  bool OnReply(Instant now, ByteView nonce24, ByteView sealed32);
  bool has_cookie(Instant now) const { return has_cookie_ && now - born_ < kCookieUsable; }

 private:
  crypto::Hash32 mac1_key_{};
  crypto::Hash32 cookie_key_{};
  crypto::Mac16 last_mac1_{};
  bool outstanding_ = false;
  Secret<16> cookie_;
  Instant born_{};
  bool has_cookie_ = false;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_COOKIE_H_
