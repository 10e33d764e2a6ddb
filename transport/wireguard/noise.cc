#include "transport/wireguard/noise.h"

#include <sodium.h>

#include "core/crypto/aead.h"

namespace aqmesh::wireguard {

namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view kIdentifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";
static_assert(kConstruction.size() == 37 && kIdentifier.size() == 34);

// Moves a derived key into a Secret and wipes where it lay.
Secret<32> Take(crypto::Hash32& from) {
  Secret<32> out{ByteView(from)};
  sodium_memzero(from.data(), from.size());
  return out;
}

// Step 1: ck0, h0 and the responder's static.
Chain Start(const X25519Key& responder) {
  static const crypto::Hash32 ck0 = crypto::Blake2s({AsBytes(kConstruction)});
  static const crypto::Hash32 h0 = crypto::Blake2s({ck0, AsBytes(kIdentifier)});
  return {Secret<32>(ByteView(ck0)), crypto::Blake2s({h0, responder})};
}

void MixHash(Chain& c, ByteView data) { c.h = crypto::Blake2s({c.h, data}); }

void MixCk(Chain& c, ByteView input) {
  crypto::Hash32 ck = crypto::Kdf1(c.ck.view(), input);
  c.ck = Take(ck);
}

// An ephemeral enters both h and, by the psk modifier's rule, ck.
void MixEphemeral(Chain& c, const X25519Key& e) {
  MixHash(c, e);
  MixCk(c, e);
}

Secret<32> MixKey(Chain& c, const Secret<32>& shared) {
  crypto::Kdf2Out out = crypto::Kdf2(c.ck.view(), shared.view());
  c.ck = Take(out.t1);
  return Take(out.t2);
}

Secret<32> MixPsk(Chain& c, const Secret<32>& psk) {
  crypto::Kdf3Out out = crypto::Kdf3(c.ck.view(), psk.view());
  c.ck = Take(out.t1);
  MixHash(c, out.t2);
  sodium_memzero(out.t2.data(), out.t2.size());
  return Take(out.t3);
}

[[nodiscard]] bool MixDh(Chain& c, const crypto::X25519Private& ours, const X25519Key& theirs) {
  Secret<32> shared;
  if (!crypto::X25519(ours, theirs, shared)) return false;
  MixCk(c, shared.view());
  return true;
}

void SealAndMix(Chain& c, const Secret<32>& key, ByteView plain, MutableBytes out) {
  crypto::AeadSeal(key.view(), 0, plain, c.h, out);
  MixHash(c, out);
}

[[nodiscard]] bool OpenAndMix(Chain& c, const Secret<32>& key, ByteView sealed, MutableBytes out) {
  if (!crypto::AeadOpen(key.view(), 0, sealed, c.h, out)) return false;
  MixHash(c, sealed);
  return true;
}

}  // namespace

Identity MakeIdentity(const crypto::X25519Private& private_key) {
  Identity us;
  if (private_key.is_zero()) return us;
  us.private_key = private_key.Clone();
  crypto::ClampX25519(us.private_key);
  us.public_key = crypto::X25519Public(us.private_key);
  return us;
}

StaticStatic Precompute(const Identity& us, const X25519Key& peer) {
  StaticStatic ss;
  ss.ok = !us.private_key.is_zero() && crypto::X25519(us.private_key, peer, ss.shared);
  return ss;
}

std::optional<CreatedInitiation> CreateInitiation(const Identity& us,
                                                  const X25519Key& peer,
                                                  const StaticStatic& ss,
                                                  crypto::X25519Private ephemeral,
                                                  const Tai64n& timestamp,
                                                  uint32_t local_index) {
  if (!ss.ok) return std::nullopt;
  CreatedInitiation out;
  Initiation& m = out.message;
  m.sender_index = local_index;
  m.ephemeral = crypto::X25519Public(ephemeral);
  Secret<32> es;
  if (!crypto::X25519(ephemeral, peer, es)) return std::nullopt;

  Chain c = Start(peer);
  /* e  */ MixEphemeral(c, m.ephemeral);
  /* es */ Secret<32> k = MixKey(c, es);
  /* s  */ SealAndMix(c, k, us.public_key, m.sealed_static);
  /* ss */ k = MixKey(c, ss.shared);
  /* t  */ SealAndMix(c, k, timestamp, m.sealed_timestamp);

  out.state = {.local_index = local_index,
               .peer = peer,
               .ephemeral = std::move(ephemeral),
               .chain = std::move(c)};
  return out;
}

std::optional<OpenedStatic> OpenStatic(const Initiation& message, const Identity& us) {
  Secret<32> es;
  if (us.private_key.is_zero() || !crypto::X25519(us.private_key, message.ephemeral, es))
    return std::nullopt;
  OpenedStatic out;
  out.chain = Start(us.public_key);
  /* e  */ MixEphemeral(out.chain, message.ephemeral);
  /* es */ const Secret<32> k = MixKey(out.chain, es);
  /* s  */ if (!OpenAndMix(out.chain, k, message.sealed_static, out.peer.bytes))
    return std::nullopt;
  return out;
}

std::optional<ConsumedInitiation> OpenTimestamp(const Initiation& message,
                                                OpenedStatic opened,
                                                const Identity& us,
                                                const StaticStatic* ss) {
  const StaticStatic fresh = ss == nullptr ? Precompute(us, opened.peer) : StaticStatic{};
  if (ss == nullptr) ss = &fresh;
  if (!ss->ok) return std::nullopt;
  ConsumedInitiation out{.peer = opened.peer,
                         .timestamp = {},
                         .sender_index = message.sender_index,
                         .ephemeral = message.ephemeral,
                         .chain = std::move(opened.chain)};
  /* ss */ const Secret<32> k = MixKey(out.chain, ss->shared);
  /* t  */ if (!OpenAndMix(out.chain, k, message.sealed_timestamp, out.timestamp.bytes))
    return std::nullopt;
  return out;
}

std::optional<ConsumedInitiation> ConsumeInitiation(const Initiation& message, const Identity& us) {
  std::optional<OpenedStatic> opened = OpenStatic(message, us);
  if (!opened) return std::nullopt;
  return OpenTimestamp(message, *std::move(opened), us, nullptr);
}

std::optional<CreatedResponse> CreateResponse(const ConsumedInitiation& initiation,
                                              const Secret<32>& psk,
                                              const crypto::X25519Private& ephemeral,
                                              uint32_t local_index) {
  CreatedResponse out;
  out.chain = initiation.chain.Clone();
  Chain& c = out.chain;
  Response& m = out.message;
  m.sender_index = local_index;
  m.receiver_index = initiation.sender_index;
  m.ephemeral = crypto::X25519Public(ephemeral);
  /* e   */ MixEphemeral(c, m.ephemeral);
  /* ee  */ if (!MixDh(c, ephemeral, initiation.ephemeral))
    return std::nullopt;
  /* se  */ if (!MixDh(c, ephemeral, initiation.peer))
    return std::nullopt;
  /* psk */ const Secret<32> k = MixPsk(c, psk);
  /* {}  */ SealAndMix(c, k, {}, m.sealed_nothing);
  return out;
}

std::optional<ConsumedResponse> ConsumeResponse(const Response& message,
                                                const InitiatorState& state,
                                                const Identity& us,
                                                const Secret<32>& psk) {
  ConsumedResponse out;
  out.remote_index = message.sender_index;
  out.chain = state.chain.Clone();
  Chain& c = out.chain;
  /* e   */ MixEphemeral(c, message.ephemeral);
  /* ee  */ if (!MixDh(c, state.ephemeral, message.ephemeral))
    return std::nullopt;
  /* se  */ if (!MixDh(c, us.private_key, message.ephemeral))
    return std::nullopt;
  /* psk */ const Secret<32> k = MixPsk(c, psk);
  /* {}  */ if (!OpenAndMix(c, k, message.sealed_nothing, {}))
    return std::nullopt;
  return out;
}

TransportKeys DeriveKeys(const Chain& chain, bool initiator) {
  crypto::Kdf2Out keys = crypto::Kdf2(chain.ck.view(), {});
  TransportKeys out;
  out.send = Take(initiator ? keys.t1 : keys.t2);
  out.receive = Take(initiator ? keys.t2 : keys.t1);
  return out;
}

}  // namespace aqmesh::wireguard
