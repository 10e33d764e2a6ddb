// The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard speaks it, step by step on
// values.
// Spec:   WireGuard paper §5.4; spec/wire.md §1.1, §1.3 (the step numbers in the comments are its).
// Thread: pure. Nothing here knows a peer: consuming works on copies, and what a result may change
// is
//         its caller's decision. Ephemerals, stamps and indices are arguments.
// Errors: nullopt: a Diffie-Hellman was all zero, or a field did not open. Nothing is left behind.
// Cost:   ikpsk2.h; ss is free where it is precomputed, else another X25519.
//
// The governed envelope keys its bundles from Chain: after the initiation (ck after ss, h after the
// timestamp) and after the response (ck after psk, final h), on both sides.
#ifndef AQMESH_TRANSPORT_WIREGUARD_NOISE_H_
#define AQMESH_TRANSPORT_WIREGUARD_NOISE_H_

#include <optional>

#include "transport/wireguard/ikpsk2.h"
#include "transport/wireguard/messages.h"
#include "transport/wireguard/tai64n.h"

namespace aqmesh::wireguard {

struct Identity {
  crypto::X25519Private private_key;  // zero: none
  X25519Key public_key;
};
Identity MakeIdentity(const crypto::X25519Private& private_key);  // clamps; zero stays none

// The static-static secret of a pair; ok is false when it is zero, and then no handshake may be
// tried.
struct StaticStatic {
  Secret<32> shared;
  bool ok = false;
};
StaticStatic Precompute(const Identity& us, const X25519Key& peer);

// ---- initiator: steps 1 to 4 ----
struct InitiatorState {
  uint32_t local_index = 0;
  X25519Key peer;
  crypto::X25519Private ephemeral;
  Chain chain;  // ck after ss, h after the timestamp
};
struct CreatedInitiation {
  Initiation message;
  InitiatorState state;
};
std::optional<CreatedInitiation> CreateInitiation(const Identity& us,
                                                  const X25519Key& peer,
                                                  const StaticStatic& ss,
                                                  crypto::X25519Private ephemeral,
                                                  const Tai64n& timestamp,
                                                  uint32_t local_index);

// ---- responder: the same steps in two halves, so that a gate may stand between them ----
struct OpenedStatic {  // after es: who claims to speak
  X25519Key peer;
  Chain chain;
};
struct ConsumedInitiation {  // after ss: it really is that peer
  X25519Key peer;
  Tai64n timestamp;
  uint32_t sender_index = 0;
  X25519Key ephemeral;
  Chain chain;
};
// The public-key work of many steps at once; each then takes its own. FirstSecret's ephemeral is
// the message's.
using FirstSecret = IkPsk2::FirstSecret;
void Agree(const Identity& us, std::span<FirstSecret> secrets);
std::optional<OpenedStatic> OpenStatic(const Initiation& message,
                                       const Identity& us,
                                       const FirstSecret& agreed);
std::optional<OpenedStatic> OpenStatic(const Initiation& message, const Identity& us);
// ss: that pair's precomputed secret, or nullptr to compute it.
std::optional<ConsumedInitiation> OpenTimestamp(const Initiation& message,
                                                OpenedStatic opened,
                                                const Identity& us,
                                                const StaticStatic* ss);
std::optional<ConsumedInitiation> ConsumeInitiation(const Initiation& message, const Identity& us);

// ---- responder: steps 5 to 8 ----
struct CreatedResponse {
  Response message;
  Chain chain;  // ck after psk, final h
};
using SecondSecrets = IkPsk2::SecondSecrets;
SecondSecrets SecretsFor(const ConsumedInitiation& initiation, crypto::X25519Private ephemeral);
inline void Agree(std::span<SecondSecrets> secrets) { IkPsk2::Agree(secrets); }
std::optional<CreatedResponse> CreateResponse(const ConsumedInitiation& initiation,
                                              const SecondSecrets& agreed,
                                              const Secret<32>& psk,
                                              uint32_t local_index);

// ---- initiator again ----
struct ConsumedResponse {
  uint32_t remote_index = 0;
  Chain chain;  // ck after psk, final h
};
std::optional<ConsumedResponse> ConsumeResponse(const Response& message,
                                                const InitiatorState& state,
                                                const Identity& us,
                                                const Secret<32>& psk);

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_NOISE_H_
