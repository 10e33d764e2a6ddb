// The Noise pattern IKpsk2 over 25519, ChaChaPoly and BLAKE2s, for any prologue and any payloads.
// WireGuard's messages (noise.h) are this under its identifier, with a timestamp and nothing
// inside; so published vectors of the pattern run through the same steps as our handshakes.
// Spec:   Noise revision 34 §7.5, §9; spec/wire.md §1.1, §1.3.
// Thread: pure. Errors: nullopt: a Diffie-Hellman was all zero, or a field did not open. Nothing is
//         left behind.
// Cost:   what a step agrees on it agrees on at once (core/crypto/curve_batch.h): on lanes 25 us
//         a step, whether one X25519 or three; a fifth for many handshakes together. ss is an
//         argument.
#ifndef AQMESH_TRANSPORT_WIREGUARD_IKPSK2_H_
#define AQMESH_TRANSPORT_WIREGUARD_IKPSK2_H_

#include <optional>
#include <span>

#include "core/base/secret.h"
#include "core/crypto/hash.h"
#include "core/crypto/keys.h"

namespace aqmesh::wireguard {

// A transcript hash. Wiped when it goes: it binds who spoke to whom.
struct Transcript : crypto::Hash32 {
  Transcript() : crypto::Hash32{} {}
  Transcript(const crypto::Hash32& h) : crypto::Hash32(h) {}  // NOLINT(google-explicit-constructor)
  Transcript(const Transcript&) = default;
  Transcript& operator=(const Transcript&) = default;
  ~Transcript() { sodium_memzero(data(), size()); }
};

// Noise's symmetric state. Moves only; wiped when it goes.
struct Chain {
  Secret<32> ck;
  Transcript h;
  Chain Clone() const { return {ck.Clone(), h}; }
};

struct TransportKeys {
  Secret<32> send;
  Secret<32> receive;
};
TransportKeys DeriveKeys(const Chain& chain, bool initiator);

class IkPsk2 {
 public:
  explicit IkPsk2(ByteView prologue);

  // One sealed message: the ephemeral it shows, and where the handshake then stands.
  struct Sealed {
    X25519Key ephemeral;
    Chain chain;
  };
  struct Pair {
    const X25519Key& ours;
    const X25519Key& theirs;
    const Secret<32>& ss;
  };
  // ---- first message: e, es, s, ss, payload; each sealed field is 16 bytes longer than what is in
  // it ----
  std::optional<Sealed> SealFirst(const Pair& statics,
                                  const crypto::X25519Private& ephemeral,
                                  ByteView payload,
                                  MutableBytes sealed_static,
                                  MutableBytes sealed_payload) const;
  // The responder's side in two halves, so that a gate may stand between them: e, es, s; then ss,
  // payload.
  // What the responder and an initiator's ephemeral agree on.
  struct FirstSecret {
    X25519Key ephemeral;  // theirs; the next are Agree's
    Secret<32> es;
    bool ok = false;
  };
  static void Agree(const crypto::X25519Private& ours, std::span<FirstSecret> secrets);
  std::optional<Chain> OpenStatic(const X25519Key& our_public,
                                  const FirstSecret& agreed,
                                  ByteView sealed_static,
                                  X25519Key& peer) const;
  static bool OpenPayload(Chain& chain,
                          const Secret<32>& ss,
                          ByteView sealed,
                          MutableBytes payload);

  // ---- second message, on a copy of the chain after the first: e, ee, se, psk, payload ----
  // A fresh ephemeral of ours, and what it and they agree on.
  struct SecondSecrets {
    crypto::X25519Private ours;
    X25519Key their_ephemeral, their_static;
    X25519Key ephemeral;  // the public half of `ours`; this and the next are Agree's
    Secret<32> ee, se;
    bool ok = false;
  };
  static void Agree(std::span<SecondSecrets> secrets);
  static std::optional<Sealed> SealSecond(Chain chain,
                                          const SecondSecrets& agreed,
                                          const Secret<32>& psk,
                                          ByteView payload,
                                          MutableBytes sealed_payload);
  struct Ours {
    const crypto::X25519Private& ephemeral;
    const crypto::X25519Private& static_key;
  };
  static std::optional<Chain> OpenSecond(Chain chain,
                                         const Ours& ours,
                                         const X25519Key& ephemeral,
                                         const Secret<32>& psk,
                                         ByteView sealed,
                                         MutableBytes payload);

 private:
  Chain Start(const X25519Key& responder) const;

  crypto::Hash32 ck0_;
  crypto::Hash32 h0_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_IKPSK2_H_
