#include "transport/wireguard/timers.h"

#include <algorithm>

namespace aqmesh::wireguard {

namespace {

// Breaks the tie of two ends that initiate at once and so refuse each other's response.
std::chrono::nanoseconds Jitter(Rng& rng) {
  return std::chrono::milliseconds(rng.Below(static_cast<uint64_t>(kRekeyJitterMax.count()) + 1));
}

}  // namespace

void PeerTimers::OnDataSent(Instant now, Rng& rng) {
  if (!IsSet(PeerTimer::kNewHandshake))
    Set(PeerTimer::kNewHandshake, now + kNewHandshakeTime + Jitter(rng));
}

void PeerTimers::OnDataReceived(Instant now) {
  if (IsSet(PeerTimer::kSendKeepalive)) {
    need_another_keepalive_ = true;
  } else {
    Set(PeerTimer::kSendKeepalive, now + kKeepaliveTimeout);
  }
}

void PeerTimers::OnAuthenticatedSent(Instant now) {
  Cancel(PeerTimer::kSendKeepalive);
  if (rearm_keepalive_) Set(PeerTimer::kSendKeepalive, now + kKeepaliveTimeout);
  rearm_keepalive_ = false;
  ArmPersistent(now);
}

void PeerTimers::OnAuthenticatedReceived(Instant now) {
  Cancel(PeerTimer::kNewHandshake);
  ArmPersistent(now);
}

void PeerTimers::OnInitiationSent(Instant now, Rng& rng) {
  Set(PeerTimer::kRetransmit, now + kRekeyTimeout + Jitter(rng));
}

void PeerTimers::OnHandshakeComplete() {
  Cancel(PeerTimer::kRetransmit);
  attempts_ = 0;
}

void PeerTimers::OnSessionDerived(Instant now) { Set(PeerTimer::kZeroKeys, now + kZeroKeysTime); }

void PeerTimers::SetPersistentKeepalive(uint16_t seconds) {
  persistent_seconds_ = seconds;
  if (seconds == 0) Cancel(PeerTimer::kPersistentKeepalive);
}

void PeerTimers::Stop() {
  deadlines_.fill(kNever);
  attempts_ = 0;
  need_another_keepalive_ = false;
  rearm_keepalive_ = false;
}

void PeerTimers::ArmPersistent(Instant now) {
  if (persistent_seconds_ != 0) {
    Set(PeerTimer::kPersistentKeepalive, now + std::chrono::seconds(persistent_seconds_));
  }
}

Instant PeerTimers::NextDeadline() const {
  return *std::min_element(deadlines_.begin(), deadlines_.end());
}

std::optional<TimerAction> PeerTimers::PopDue(Instant now) {
  const auto first = std::min_element(deadlines_.begin(), deadlines_.end());
  if (*first > now) return std::nullopt;
  const auto timer = static_cast<PeerTimer>(first - deadlines_.begin());
  Cancel(timer);
  return Expire(timer, now);
}

TimerAction PeerTimers::Expire(PeerTimer t, Instant now) {
  switch (t) {
    case PeerTimer::kRetransmit:
      if (attempts_ > kAttemptsMax) {
        Cancel(PeerTimer::kSendKeepalive);
        if (!IsSet(PeerTimer::kZeroKeys)) Set(PeerTimer::kZeroKeys, now + kZeroKeysTime);
        return TimerAction::kGiveUp;
      }
      ++attempts_;
      return TimerAction::kRetryInitiation;
    case PeerTimer::kSendKeepalive:
      if (need_another_keepalive_) {
        need_another_keepalive_ = false;
        rearm_keepalive_ = true;
        Set(PeerTimer::kSendKeepalive, now + kKeepaliveTimeout);
      }
      return TimerAction::kSendKeepalive;
    case PeerTimer::kNewHandshake: return TimerAction::kInitiate;
    case PeerTimer::kZeroKeys: return TimerAction::kZeroKeys;
    case PeerTimer::kPersistentKeepalive:
      ArmPersistent(now);  // also where the keepalive finds no endpoint or no private key to go out
      break;
    case PeerTimer::kCount: break;
  }
  return TimerAction::kSendKeepalive;
}

}  // namespace aqmesh::wireguard
