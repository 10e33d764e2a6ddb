// Cosigner: this node as a witness of its fellows' logs: cosigns each head only if it appended to
// the last one that it cosigned.
// Spec:   spec/lineage.md §7.4, §7.6; C2SP tlog-witness.
// Bounds: kLogsEachMax logs of one member, tlog::Witness::kOriginsMax in all; kBurst
//         requests of a member, one more each kEvery; 64 requests come in pieces at a time.
// Thread: the control engine's. Errors: an answer, or silence for what is no request.
#ifndef AQMESH_NODE_HEADS_COSIGNER_H_
#define AQMESH_NODE_HEADS_COSIGNER_H_

#include <absl/functional/function_ref.h>

#include <map>
#include <set>
#include <vector>

#include "lineage/heads.h"
#include "lineage/tlog/witness.h"
#include "node/heads/letters.h"
#include "node/recorder.h"
#include "transport/frame/assembler.h"

namespace aqmesh::node {

class Cosigner {
 public:
  static constexpr size_t kLogsEachMax = 8;
  // A member's requests: so many at once, because a 409 is followed by the right one, then one each
  // kEvery.
  static constexpr int kBurst = 4;
  static constexpr std::chrono::milliseconds kEvery{250};
  static constexpr std::chrono::seconds kPatience{20};  // for what another member knows of a log

  Cosigner(const crypto::Ed25519Seed& identity, Recorder& recorder, Letters& letters);

  // State values of an earlier life: "witness/LOG", "heard/LOG", "rolled-back".
  void Load(std::string_view name, ByteView value);
  // The disk was found to be older than what others saw of us: what we cosigned since is lost too.
  void OnRolledBack();

  // Whom to ask what they know of a log; called only where that is needed.
  using Fellows = absl::FunctionRef<std::vector<Fellow>()>;
  // A piece of a request.
  frame::Drop OnCosign(Now now,
                       const ScopeId& scope,
                       const Fellow& from,
                       const frame::Message& piece,
                       Fellows fellows);
  void OnAsk(const Fellow& from, uint32_t request, const Kid& log);
  void OnNote(Now now, const Kid& log, ByteView note);
  void Expire(Instant now) { pieces_.Expire(now); }

  // Two heads of one size, both signed by one member's log.
  struct Fork {
    Kid owner;
    Kid log;
    Bytes keybind;  // of the log key, by its owner
    std::array<tlog::SignedCheckpoint, 2> heads;
  };
  // Whose head was found to go on from the one before, with the hash of its text.
  std::vector<std::pair<Kid, Digest>> TakeFresh() { return std::exchange(fresh_, {}); }
  std::vector<Fork> TakeForks() { return std::exchange(forks_, {}); }

 private:
  void Answer(const Kid& to, uint32_t request, const tlog::WitnessAnswer& answer);
  // The log key that `from` has bound to itself; nullopt: it has not.
  std::optional<Ed25519Key> BoundKey(Now now,
                                     const ScopeId& scope,
                                     const Fellow& from,
                                     ByteView keybind) const;
  bool WithinRate(Instant now, const Kid& member);
  bool MayKnow(const Kid& owner, const Kid& log);
  bool Heard(Now now, const Fellow& from, const Kid& log, Fellows fellows);
  void Judge(Now now,
             const Fellow& from,
             uint32_t request,
             const Kid& log,
             const frame::CosignRequest& cosign);

  tlog::NoteSigner signer_;
  tlog::Witness witness_;
  Recorder& recorder_;
  Letters& letters_;
  frame::ObjectAssembler pieces_;
  std::map<Kid, Kid> owners_;          // log -> member
  std::map<Kid, Ed25519Key> keys_;     // of logs that were bound in this life
  std::map<Kid, Instant> paid_until_;  // of each member: how far ahead its requests have run
  bool rolled_back_ = false;
  std::set<Kid> heard_;  // logs of which another member told since then
  std::vector<Fork> forks_;
  std::vector<std::pair<Kid, Digest>> fresh_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_HEADS_COSIGNER_H_
