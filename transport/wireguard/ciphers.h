// One thread's AEAD over what a Forwarder laid out or looked at, and its scratch memory. A
// Forwarder has one for its owner; further threads bring their own, and use it without the lock.
// Spec:   spec/wire.md §1.5 to §1.7. Thread: one owner; the sessions may be shared, unless
//         !SharesKeys(). Errors: as AeadBatch has them.
#ifndef AQMESH_TRANSPORT_WIREGUARD_CIPHERS_H_
#define AQMESH_TRANSPORT_WIREGUARD_CIPHERS_H_

#include <span>
#include <vector>

#include "core/crypto/aead_batch.h"
#include "transport/wireguard/keypair.h"
#include "transport/wireguard/messages.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::wireguard {

// One message between Forwarder::Look and Forwarder::Take.
struct Looked {
  Drop why = Drop::kNone;
  uint32_t local_index = 0;
  Keypair* session = nullptr;  // must live until OpenAll
  uint64_t counter = 0;
  MutableBytes box{};  // the text and its tag, behind the header
};

class Ciphers {
 public:
  // Numbers and seals what waits in out.pending, and lets its sessions go.
  void SealPending(Outbox& out);
  void OpenAll(std::span<Looked> looked);  // kBadSeal for those that do not open
  // One message, whose header is written too.
  void SealOne(Keypair& session, MutableBytes text);

  void SetHelpers(crypto::AeadHelpers* helpers) { batch_.SetHelpers(helpers); }  // or nullptr
  // May several threads use one key at a time? OpenSSL's contexts hold what changes a packet.
  bool SharesKeys() const { return batch_.backend() != crypto::AeadBackend::kEvp; }

 private:
  crypto::AeadBatch batch_;
  std::vector<crypto::AeadJob> jobs_;  // kept for their memory
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_CIPHERS_H_
