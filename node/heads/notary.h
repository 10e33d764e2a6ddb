// Notary: signs the heads of this node's log and has them cosigned by fellow members, and by public
// witnesses where there are any.
//   records -> head due -> its text durable -> signed -> CHECKPOINT record -> cosigned by three
// Before the first head after a start it asks others for the newest that they hold: a disk that was
// restored from a backup must begin another log, not fork this one.
// Spec:   spec/lineage.md §7.5, §7.6; spec/authority.md G.
// Bounds: one head is gathered for at a time; kCosignersWanted requests are under way.
// Thread: the control engine's. Reads tiles of the store, a few rows a head.
// Errors: trouble() says why no head is signed.
#ifndef AQMESH_NODE_HEADS_NOTARY_H_
#define AQMESH_NODE_HEADS_NOTARY_H_

#include <map>
#include <optional>
#include <set>
#include <span>

#include "issuing/signer.h"
#include "lineage/heads.h"
#include "lineage/store.h"
#include "node/heads/letters.h"
#include "node/heads/public_witnesses.h"
#include "node/recorder.h"

namespace aqmesh::node {

class Notary {
 public:
  static constexpr size_t kCosignersWanted = 3;
  static constexpr std::chrono::seconds kPatience{20};     // for one answer
  static constexpr std::chrono::minutes kOneIsEnough{10};  // of a start, where two do not answer
  static constexpr int kTriesMax = 6;                      // of one fellow, for one head

  // All are borrowed. `store`: to read from; without one no head is ever signed.
  struct Ties {
    const crypto::Ed25519Seed& identity;
    issuing::SeqSource* seqs = nullptr;
    const lineage::Store* store = nullptr;
    Recorder& recorder;
    Letters& letters;
  };
  // `peers`: how many members were met before, who may know heads of this log.
  Notary(const Ties& ties,
         const crypto::Ed25519Seed& log,
         size_t peers,
         PublicWitnesses witnesses,
         Now start);

  // A state value of an earlier life: "head", or "keybind/LOG".
  void Load(std::string_view name, ByteView value);
  // Looks what is due. `fellows` may be asked; scope: whose members they are.
  void Tick(Now now, const ScopeId& scope, std::span<const Fellow> fellows);

  // Asks fellows for the cosignatures that are wanting.
  void Gather(Now now, std::span<const Fellow> fellows);
  bool fresh() const { return fresh_; }  // a head was signed that nobody was asked to cosign yet

  void OnAsk(const Fellow& from, uint32_t request);  // for the newest head of this log
  void OnNote(const Fellow& from, ByteView note);    // the answer to what Tick asked
  void OnCosigned(Now now, const Fellow& from, uint32_t request, ByteView body);
  void OnWitnessReply(Now now, const WitnessReply& reply);

  // Set once, when others turn out to hold a head that this disk does not lead to. The driver makes
  // a new log key durable and calls BeginLog.
  std::optional<tlog::SignedCheckpoint> TakeBeyond();
  // The records that come begin another log (Recorder::BeginLog was called): the first is its
  // LOG_RESTART.
  void BeginLog(const crypto::Ed25519Seed& log,
                const tlog::SignedCheckpoint& beyond,
                uint64_t had,
                Now now);

  const Kid& log() const { return log_; }
  const std::optional<tlog::SignedCheckpoint>& head() const { return head_; }  // with cosignatures
  size_t cosigned() const { return cosigned_.size(); }
  lineage::StartCheck::Finding finding() const { return check_->finding(); }
  const absl::Status& trouble() const { return trouble_; }
  PublicWitnesses& witnesses() { return witnesses_; }
  const PublicWitnesses& witnesses() const { return witnesses_; }
  tlog::NoteKey log_key() const { return signer_->key(); }

 private:
  struct UnderWay {  // a request for a cosignature
    uint32_t request = 0;
    uint64_t old_size = 0;
    Instant sent{};
  };
  void EnsureKeybind(Now now, const ScopeId& scope);
  void AskAround(Now now, std::span<const Fellow> fellows);
  void SignIfDue(Now now);
  void Request(Now now, const Kid& to);
  void GatherPublic(Now now);
  absl::StatusOr<tlog::Proof> ProveFrom(uint64_t old_size) const;  // to the newest head
  void KeepNote();
  void LoadNote();

  Ties ties_;
  issuing::Signer identity_;
  Kid log_;
  std::optional<tlog::NoteSigner> signer_;
  std::optional<lineage::HeadPen> pen_;
  std::optional<lineage::StartCheck> check_;
  std::optional<tlog::Checkpoint> last_;  // as stored, until pen_ has it
  Instant started_;
  ScopeId scope_;
  std::optional<authority::Held<authority::Keybind>> keybind_;  // of the log key
  uint64_t life_ = 0;                                           // rises with each log
  uint64_t worth_ = 0;                                          // of the recorder, at the last head
  bool drafting_ = false, fresh_ = false;
  absl::Status trouble_;
  std::optional<tlog::SignedCheckpoint> beyond_;

  // The newest head, and how far it came.
  std::optional<tlog::SignedCheckpoint> bare_, head_;  // as we signed it; with cosignatures
  std::map<Kid, UnderWay> under_way_;
  std::map<Kid, int> tries_;
  std::set<Kid> cosigned_, refused_;
  std::map<Kid, uint64_t> known_;  // the size that each fellow cosigned last
  PublicWitnesses witnesses_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_HEADS_NOTARY_H_
