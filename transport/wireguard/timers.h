// The five timers of a peer: facts in, due actions out.
// Spec:   WireGuard paper §6; spec/wire.md §1.5, §1.6.
// Bounds: five deadlines. Thread: one owner. Cost: a few stores per fact.
#ifndef AQMESH_TRANSPORT_WIREGUARD_TIMERS_H_
#define AQMESH_TRANSPORT_WIREGUARD_TIMERS_H_

#include <array>
#include <optional>

#include "core/base/rng.h"
#include "core/base/time.h"

namespace aqmesh::wireguard {

inline constexpr std::chrono::seconds kRekeyAfterTime{120};
inline constexpr std::chrono::seconds kRejectAfterTime{180};
inline constexpr std::chrono::seconds kRekeyAttemptTime{90};
inline constexpr std::chrono::seconds kRekeyTimeout{5};
inline constexpr std::chrono::seconds kKeepaliveTimeout{10};
inline constexpr std::chrono::milliseconds kRekeyJitterMax{333};
inline constexpr std::chrono::seconds kNewHandshakeTime = kKeepaliveTimeout + kRekeyTimeout;
inline constexpr std::chrono::seconds kZeroKeysTime = 3 * kRejectAfterTime;
inline constexpr std::chrono::seconds kReceiveRekeyTime =
    kRejectAfterTime - kKeepaliveTimeout - kRekeyTimeout;
inline constexpr std::chrono::milliseconds kInitiationSpacing{
    20};  // what a responder accepts from one peer
inline constexpr int kAttemptsMax = kRekeyAttemptTime / kRekeyTimeout;
static_assert(kAttemptsMax == 18 && kZeroKeysTime.count() == 540 &&
              kReceiveRekeyTime.count() == 165);

enum class PeerTimer : uint8_t {
  kRetransmit,
  kSendKeepalive,
  kNewHandshake,
  kZeroKeys,
  kPersistentKeepalive,
  kCount
};

enum class TimerAction : uint8_t {
  kRetryInitiation,  // forget the sticky source, initiate as a retry
  kGiveUp,           // drop what is staged
  kSendKeepalive,
  kInitiate,  // forget the sticky source, initiate afresh
  kZeroKeys,  // wipe all sessions and the handshake
};

class PeerTimers {
 public:
  // ---- facts ----
  void OnDataSent(Instant now, Rng& rng);
  void OnDataReceived(Instant now);
  void OnAuthenticatedSent(Instant now);  // any of data, keepalive, initiation, response
  void OnAuthenticatedReceived(Instant now);
  void OnInitiationSent(Instant now, Rng& rng);
  void OnHandshakeComplete();
  void OnSessionDerived(Instant now);
  void OnFreshInitiation() {
    attempts_ = 0;
  }  // wanted, not a retry; also when the 5 s gate holds it back
  void SetPersistentKeepalive(uint16_t seconds);
  // Counts the interval from now, if there is one. Traffic does so by itself; this is for when
  // nothing can be sent yet.
  void ArmPersistent(Instant now);
  void Stop();  // all timers off, as if new; the persistent interval stays set

  // ---- due actions: call until nullopt ----
  std::optional<TimerAction> PopDue(Instant now);
  Instant NextDeadline() const;
  bool IsSet(PeerTimer t) const { return At(t) != kNever; }
  uint16_t persistent_keepalive() const { return persistent_seconds_; }
  int attempts() const { return attempts_; }

 private:
  Instant At(PeerTimer t) const { return deadlines_[static_cast<size_t>(t)]; }
  void Set(PeerTimer t, Instant at) { deadlines_[static_cast<size_t>(t)] = at; }
  void Cancel(PeerTimer t) { Set(t, kNever); }
  TimerAction Expire(PeerTimer t, Instant now);

  static constexpr size_t kTimers = static_cast<size_t>(PeerTimer::kCount);
  std::array<Instant, kTimers> deadlines_{kNever, kNever, kNever, kNever, kNever};
  uint16_t persistent_seconds_ = 0;
  int attempts_ = 0;
  bool need_another_keepalive_ = false;
  bool rearm_keepalive_ = false;  // the keepalive just due must not cancel the one after it
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_TIMERS_H_
