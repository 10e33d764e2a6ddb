#include "transport/wireguard/ikpsk2.h"

#include "core/crypto/aead.h"

namespace aqmesh::wireguard {

namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static_assert(kConstruction.size() == 37);

// Moves a derived key into a Secret and wipes where it lay.
Secret<32> Take(crypto::Hash32& from) {
  Secret<32> out{ByteView(from)};
  sodium_memzero(from.data(), from.size());
  return out;
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

IkPsk2::IkPsk2(ByteView prologue)
    : ck0_(crypto::Blake2s({AsBytes(kConstruction)})), h0_(crypto::Blake2s({ck0_, prologue})) {}

Chain IkPsk2::Start(const X25519Key& responder) const {
  return {Secret<32>(ByteView(ck0_)), crypto::Blake2s({h0_, responder})};
}

std::optional<IkPsk2::Sealed> IkPsk2::SealFirst(const Pair& statics,
                                                const crypto::X25519Private& ephemeral,
                                                ByteView payload,
                                                MutableBytes sealed_static,
                                                MutableBytes sealed_payload) const {
  Secret<32> es;
  if (!crypto::X25519(ephemeral, statics.theirs, es)) return std::nullopt;
  Sealed out{crypto::X25519Public(ephemeral), Start(statics.theirs)};
  Chain& c = out.chain;
  /* e  */ MixEphemeral(c, out.ephemeral);
  /* es */ Secret<32> k = MixKey(c, es);
  /* s  */ SealAndMix(c, k, statics.ours, sealed_static);
  /* ss */ k = MixKey(c, statics.ss);
  /* {} */ SealAndMix(c, k, payload, sealed_payload);
  return out;
}

std::optional<Chain> IkPsk2::OpenStatic(const Self& self,
                                        const X25519Key& ephemeral,
                                        ByteView sealed_static,
                                        X25519Key& peer) const {
  Secret<32> es;
  if (!crypto::X25519(self.private_key, ephemeral, es)) return std::nullopt;
  Chain c = Start(self.public_key);
  /* e  */ MixEphemeral(c, ephemeral);
  /* es */ const Secret<32> k = MixKey(c, es);
  /* s  */ if (!OpenAndMix(c, k, sealed_static, peer.bytes))
    return std::nullopt;
  return c;
}

bool IkPsk2::OpenPayload(Chain& c, const Secret<32>& ss, ByteView sealed, MutableBytes payload) {
  /* ss */ const Secret<32> k = MixKey(c, ss);
  /* {} */ return OpenAndMix(c, k, sealed, payload);
}

std::optional<IkPsk2::Sealed> IkPsk2::SealSecond(Chain chain,
                                                 const crypto::X25519Private& ephemeral,
                                                 const Theirs& theirs,
                                                 const Secret<32>& psk,
                                                 ByteView payload,
                                                 MutableBytes sealed_payload) {
  Sealed out{crypto::X25519Public(ephemeral), std::move(chain)};
  Chain& c = out.chain;
  /* e   */ MixEphemeral(c, out.ephemeral);
  /* ee  */ if (!MixDh(c, ephemeral, theirs.ephemeral))
    return std::nullopt;
  /* se  */ if (!MixDh(c, ephemeral, theirs.static_key))
    return std::nullopt;
  /* psk */ const Secret<32> k = MixPsk(c, psk);
  /* {}  */ SealAndMix(c, k, payload, sealed_payload);
  return out;
}

std::optional<Chain> IkPsk2::OpenSecond(Chain c,
                                        const Ours& ours,
                                        const X25519Key& ephemeral,
                                        const Secret<32>& psk,
                                        ByteView sealed,
                                        MutableBytes payload) {
  /* e   */ MixEphemeral(c, ephemeral);
  /* ee  */ if (!MixDh(c, ours.ephemeral, ephemeral))
    return std::nullopt;
  /* se  */ if (!MixDh(c, ours.static_key, ephemeral))
    return std::nullopt;
  /* psk */ const Secret<32> k = MixPsk(c, psk);
  /* {}  */ if (!OpenAndMix(c, k, sealed, payload))
    return std::nullopt;
  return c;
}

TransportKeys DeriveKeys(const Chain& chain, bool initiator) {
  crypto::Kdf2Out keys = crypto::Kdf2(chain.ck.view(), {});
  TransportKeys out;
  out.send = Take(initiator ? keys.t1 : keys.t2);
  out.receive = Take(initiator ? keys.t2 : keys.t1);
  return out;
}

}  // namespace aqmesh::wireguard
