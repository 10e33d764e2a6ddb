#include "transport/wireguard/ikpsk2.h"

#include <algorithm>
#include <array>

#include "core/crypto/aead.h"
#include "core/crypto/curve_batch.h"

namespace aqmesh::wireguard {

namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static_assert(kConstruction.size() == 37);
constexpr size_t kAtOnce = 8;  // handshakes: lanes of one run, and three runs for their answers

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
  Sealed out{{}, Start(statics.theirs)};
  std::array<crypto::X25519Job, 2> jobs = {
      {{.key = &ephemeral, .shared32 = out.ephemeral.data()},
       {.key = &ephemeral, .peer = &statics.theirs, .shared32 = es.data()}}};
  crypto::X25519Batch(jobs);
  if (!jobs[1].ok) return std::nullopt;
  Chain& c = out.chain;
  /* e  */ MixEphemeral(c, out.ephemeral);
  /* es */ Secret<32> k = MixKey(c, es);
  /* s  */ SealAndMix(c, k, statics.ours, sealed_static);
  /* ss */ k = MixKey(c, statics.ss);
  /* {} */ SealAndMix(c, k, payload, sealed_payload);
  return out;
}

void IkPsk2::Agree(const crypto::X25519Private& ours, std::span<FirstSecret> secrets) {
  std::array<crypto::X25519Job, kAtOnce> jobs;
  for (; !secrets.empty(); secrets = secrets.subspan(std::min(secrets.size(), kAtOnce))) {
    const size_t n = std::min(secrets.size(), kAtOnce);
    for (size_t i = 0; i < n; ++i) {
      FirstSecret& s = secrets[i];
      jobs[i] = {.key = &ours, .peer = &s.ephemeral, .shared32 = s.es.data()};
    }
    crypto::X25519Batch(std::span(jobs).first(n));
    for (size_t i = 0; i < n; ++i) secrets[i].ok = jobs[i].ok;
  }
}

std::optional<Chain> IkPsk2::OpenStatic(const X25519Key& our_public,
                                        const FirstSecret& agreed,
                                        ByteView sealed_static,
                                        X25519Key& peer) const {
  if (!agreed.ok) return std::nullopt;
  Chain c = Start(our_public);
  /* e  */ MixEphemeral(c, agreed.ephemeral);
  /* es */ const Secret<32> k = MixKey(c, agreed.es);
  /* s  */ if (!OpenAndMix(c, k, sealed_static, peer.bytes))
    return std::nullopt;
  return c;
}

bool IkPsk2::OpenPayload(Chain& c, const Secret<32>& ss, ByteView sealed, MutableBytes payload) {
  /* ss */ const Secret<32> k = MixKey(c, ss);
  /* {} */ return OpenAndMix(c, k, sealed, payload);
}

void IkPsk2::Agree(std::span<SecondSecrets> secrets) {
  std::array<crypto::X25519Job, 3 * kAtOnce> jobs;
  for (; !secrets.empty(); secrets = secrets.subspan(std::min(secrets.size(), kAtOnce))) {
    const size_t n = std::min(secrets.size(), kAtOnce);
    for (size_t i = 0; i < n; ++i) {
      SecondSecrets& s = secrets[i];
      jobs[3 * i] = {.key = &s.ours, .shared32 = s.ephemeral.data()};
      jobs[3 * i + 1] = {.key = &s.ours, .peer = &s.their_ephemeral, .shared32 = s.ee.data()};
      jobs[3 * i + 2] = {.key = &s.ours, .peer = &s.their_static, .shared32 = s.se.data()};
    }
    crypto::X25519Batch(std::span(jobs).first(3 * n));
    for (size_t i = 0; i < n; ++i) secrets[i].ok = jobs[3 * i + 1].ok && jobs[3 * i + 2].ok;
  }
}

std::optional<IkPsk2::Sealed> IkPsk2::SealSecond(Chain chain,
                                                 const SecondSecrets& agreed,
                                                 const Secret<32>& psk,
                                                 ByteView payload,
                                                 MutableBytes sealed_payload) {
  if (!agreed.ok) return std::nullopt;
  Sealed out{agreed.ephemeral, std::move(chain)};
  Chain& c = out.chain;
  /* e   */ MixEphemeral(c, out.ephemeral);
  /* ee  */ MixCk(c, agreed.ee.view());
  /* se  */ MixCk(c, agreed.se.view());
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
  Secret<32> ee, se;
  std::array<crypto::X25519Job, 2> jobs = {
      {{.key = &ours.ephemeral, .peer = &ephemeral, .shared32 = ee.data()},
       {.key = &ours.static_key, .peer = &ephemeral, .shared32 = se.data()}}};
  crypto::X25519Batch(jobs);
  if (!jobs[0].ok || !jobs[1].ok) return std::nullopt;
  /* e   */ MixEphemeral(c, ephemeral);
  /* ee  */ MixCk(c, ee.view());
  /* se  */ MixCk(c, se.view());
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
