#include "transport/wireguard/cookie.h"

#include "core/crypto/aead.h"

namespace aqmesh::wireguard {

CookieChecker::CookieChecker(MacLabels labels, Rng rng) : labels_(labels), rng_(std::move(rng)) {}

void CookieChecker::SetKey(const X25519Key& our_public) {
  mac1_key_ = crypto::Blake2s({AsBytes(labels_.mac1), our_public});
  cookie_key_ = crypto::Blake2s({AsBytes(labels_.cookie), our_public});
}

bool CookieChecker::Mac1Ok(ByteView covered, ByteView mac1) const {
  return crypto::SecretEqual(crypto::Blake2sMac(mac1_key_, covered), mac1);
}

bool CookieChecker::Mac2Ok(Instant now,
                           ByteView covered,
                           ByteView mac2,
                           const Endpoint& from) const {
  if (!has_secret_ || now - born_ >= kCookieSecretLife) return false;
  return crypto::SecretEqual(crypto::Blake2sMac(CookieFor(from), covered), mac2);
}

// The port is in: behind one NAT address, one customer's cookie must not serve another.
crypto::Mac16 CookieChecker::CookieFor(const Endpoint& from) const {
  std::array<uint8_t, 18> source{};
  const ByteView ip = from.address.bytes();
  std::memcpy(source.data(), ip.data(), ip.size());
  StoreBe(source.data() + ip.size(), from.port);
  return crypto::Blake2sMac(secret_.view(), ByteView(source).first(ip.size() + 2));
}

SealedCookie CookieChecker::MakeReply(Instant now, ByteView mac1, const Endpoint& from) {
  if (!has_secret_ || now - born_ >= kCookieSecretLife) {
    rng_.Fill(secret_.mutable_view());
    born_ = now;
    has_secret_ = true;
  }
  return Seal(rng_.Array<24>(), mac1, from);
}

SealedCookie CookieChecker::Seal(ByteView nonce24, ByteView mac1, const Endpoint& from) const {
  SealedCookie reply;
  std::memcpy(reply.nonce.data(), nonce24.data(), reply.nonce.size());
  crypto::XAeadSeal(cookie_key_, reply.nonce, CookieFor(from), mac1, reply.sealed);
  return reply;
}

CookieKeeper::CookieKeeper(MacLabels labels, const X25519Key& peer_public)
    : mac1_key_(crypto::Blake2s({AsBytes(labels.mac1), peer_public})),
      cookie_key_(crypto::Blake2s({AsBytes(labels.cookie), peer_public})) {}

crypto::Mac16 CookieKeeper::Mac1(ByteView covered) {
  last_mac1_ = crypto::Blake2sMac(mac1_key_, covered);
  outstanding_ = true;
  return last_mac1_;
}

crypto::Mac16 CookieKeeper::Mac2(Instant now, ByteView covered) const {
  return has_cookie(now) ? crypto::Blake2sMac(cookie_.view(), covered) : crypto::Mac16{};
}

bool CookieKeeper::OnReply(Instant now, ByteView nonce24, ByteView sealed32) {
  if (!outstanding_) return false;
  Secret<16> cookie;
  if (!crypto::XAeadOpen(cookie_key_, nonce24, sealed32, last_mac1_, cookie.mutable_view()))
    return false;
  cookie_ = std::move(cookie);
  born_ = now;
  has_cookie_ = true;
  outstanding_ = false;
  return true;
}

}  // namespace aqmesh::wireguard
