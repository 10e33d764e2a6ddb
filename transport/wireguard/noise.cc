#include "transport/wireguard/noise.h"

namespace aqmesh::wireguard {

namespace {

constexpr std::string_view kIdentifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";
static_assert(kIdentifier.size() == 34);

const IkPsk2& Pattern() {
  static const IkPsk2 pattern(AsBytes(kIdentifier));
  return pattern;
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
  std::optional<IkPsk2::Sealed> sealed = Pattern().SealFirst(
      {us.public_key, peer, ss.shared}, ephemeral, timestamp, m.sealed_static, m.sealed_timestamp);
  if (!sealed) return std::nullopt;
  m.ephemeral = sealed->ephemeral;
  out.state = {.local_index = local_index,
               .peer = peer,
               .ephemeral = std::move(ephemeral),
               .chain = std::move(sealed->chain)};
  return out;
}

void Agree(const Identity& us, std::span<FirstSecret> secrets) {
  IkPsk2::Agree(us.private_key, secrets);
}

std::optional<OpenedStatic> OpenStatic(const Initiation& message,
                                       const Identity& us,
                                       const FirstSecret& agreed) {
  if (us.private_key.is_zero()) return std::nullopt;
  OpenedStatic out;
  std::optional<Chain> chain =
      Pattern().OpenStatic(us.public_key, agreed, message.sealed_static, out.peer);
  if (!chain) return std::nullopt;
  out.chain = *std::move(chain);
  return out;
}

std::optional<OpenedStatic> OpenStatic(const Initiation& message, const Identity& us) {
  FirstSecret agreed{.ephemeral = message.ephemeral, .es = {}};
  Agree(us, {&agreed, 1});
  return OpenStatic(message, us, agreed);
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
  if (!IkPsk2::OpenPayload(out.chain, ss->shared, message.sealed_timestamp, out.timestamp.bytes))
    return std::nullopt;
  return out;
}

std::optional<ConsumedInitiation> ConsumeInitiation(const Initiation& message, const Identity& us) {
  std::optional<OpenedStatic> opened = OpenStatic(message, us);
  if (!opened) return std::nullopt;
  return OpenTimestamp(message, *std::move(opened), us, nullptr);
}

SecondSecrets SecretsFor(const ConsumedInitiation& initiation, crypto::X25519Private ephemeral) {
  return {.ours = std::move(ephemeral),
          .their_ephemeral = initiation.ephemeral,
          .their_static = initiation.peer,
          .ephemeral = {},
          .ee = {},
          .se = {}};
}

std::optional<CreatedResponse> CreateResponse(const ConsumedInitiation& initiation,
                                              const SecondSecrets& agreed,
                                              const Secret<32>& psk,
                                              uint32_t local_index) {
  CreatedResponse out;
  Response& m = out.message;
  m.sender_index = local_index;
  m.receiver_index = initiation.sender_index;
  std::optional<IkPsk2::Sealed> sealed =
      IkPsk2::SealSecond(initiation.chain.Clone(), agreed, psk, {}, m.sealed_nothing);
  if (!sealed) return std::nullopt;
  m.ephemeral = sealed->ephemeral;
  out.chain = std::move(sealed->chain);
  return out;
}

std::optional<ConsumedResponse> ConsumeResponse(const Response& message,
                                                const InitiatorState& state,
                                                const Identity& us,
                                                const Secret<32>& psk) {
  std::optional<Chain> chain = IkPsk2::OpenSecond(state.chain.Clone(),
                                                  {state.ephemeral, us.private_key},
                                                  message.ephemeral,
                                                  psk,
                                                  message.sealed_nothing,
                                                  {});
  if (!chain) return std::nullopt;
  return ConsumedResponse{.remote_index = message.sender_index, .chain = *std::move(chain)};
}

}  // namespace aqmesh::wireguard
