// One session's transport keys and all that their use changes.
// Spec:   spec/wire.md §1.5, §1.7. Which of a peer's three slots a session is in is the control half's
//         business; the data half knows only whether it was confirmed.
// Bounds: about 0.5 KiB, and 1 KiB of SessionSync. Wiped when it goes.
// Thread: that of its Forwarder. Each shard of a device has a Keypair of its own for the same
//         session; threads that share one Forwarder share it, and use its keys and its sync alone
//         outside the DataLock.
#ifndef AQMESH_TRANSPORT_WIREGUARD_KEYPAIR_H_
#define AQMESH_TRANSPORT_WIREGUARD_KEYPAIR_H_

#include <memory>

#include "core/base/time.h"
#include "core/crypto/aead.h"
#include "transport/wireguard/outbox.h"
#include "transport/wireguard/session_sync.h"
#include "transport/wireguard/timers.h"

namespace aqmesh::wireguard {

struct Keypair : std::enable_shared_from_this<Keypair> {
  explicit Keypair(const InstallOrder& o)
      : peer(o.peer),
        local_index(o.local_index),
        remote_index(o.remote_index),
        initiator(o.initiator),
        confirmed(o.initiator),
        birth(o.birth),
        sync(o.sync),
        send(o.send_key.view(), crypto::AeadKey::Direction::kSeal),
        receive(o.receive_key.view(), crypto::AeadKey::Direction::kOpen) {}

  bool MaySend(Instant now) const {
    return sendable && now - birth < kRejectAfterTime && sync->next() < kRejectAfterMessages;
  }
  bool MayReceive(Instant now) const { return now - birth <= kRejectAfterTime; }
  bool RekeyDueOnSend(Instant now) const {
    return sync->next() >= kRekeyAfterMessages || (initiator && now - birth > kRekeyAfterTime);
  }
  bool RekeyDueOnReceive(Instant now) const {
    return initiator && !rekey_asked && now - birth > kReceiveRekeyTime;
  }

  const PeerId peer;
  const uint32_t local_index;
  const uint32_t remote_index;
  const bool initiator;
  bool confirmed;            // a responder's: the initiator has used it
  bool sendable = true;      // false once our private key changed
  bool rekey_asked = false;  // the receive-side rekey, once per session
  const Instant birth;
  const std::shared_ptr<SessionSync> sync;
  crypto::AeadKey send;
  crypto::AeadKey receive;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_KEYPAIR_H_
