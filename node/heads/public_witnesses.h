// PublicWitnesses: has each head of this node's log cosigned by witnesses that are no members and
// speak C2SP tlog-witness over HTTP. What is asked leaves as a WitnessAsk; the driver carries it
// and brings a WitnessReply.
//   new head -> add-checkpoint from the size that the witness cosigned last -> 200: its line is
//   verified under its key, and joins the note | 409: again, from the size that it names | else:
//   again later, and trouble says why
// Spec:   spec/lineage.md §7.8; C2SP tlog-witness v1.0.0, add-checkpoint.
// Bounds: kWitnessesMax witnesses, one request of each under way; kAgainMax conflicts in a row; a
//         reply is read up to kReplyBytesMax.
// Thread: the control engine's. Errors: none; what does not help is said in WitnessView::trouble.
#ifndef AQMESH_NODE_HEADS_PUBLIC_WITNESSES_H_
#define AQMESH_NODE_HEADS_PUBLIC_WITNESSES_H_

#include <absl/functional/function_ref.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/rng.h"
#include "core/base/time.h"
#include "lineage/tlog/checkpoint.h"

namespace aqmesh::node {

struct PublicWitness {
  std::string name;  // as the policy file calls it
  tlog::NoteKey key;
};

// The body of an add-checkpoint request, for the driver to POST.
struct WitnessAsk {
  size_t witness = 0;  // its place in Config::witnesses
  uint32_t request = 0;
  std::string body;
};
struct WitnessReply {
  size_t witness = 0;
  uint32_t request = 0;
  uint16_t status = 0;  // HTTP's; 0: there was no answer, and `body` says why
  std::string body;
};

// For the status.
struct WitnessView {
  std::string name;
  uint64_t size = 0;    // of the newest head that it is known to have cosigned; 0: none
  uint64_t time = 0;    // of its cosignature, in seconds
  std::string trouble;  // why it did not cosign the newest; empty: it did, or is being asked
};

class PublicWitnesses {
 public:
  static constexpr size_t kWitnessesMax = 16;
  static constexpr size_t kReplyBytesMax = 16'384;  // a few lines of 100 bytes are expected
  static constexpr int kAgainMax = 4;
  static constexpr std::chrono::seconds kPatience{60};  // for an answer; the driver's is shorter
  static constexpr std::chrono::seconds kPauseMin{10}, kPauseMax{600};
  static constexpr std::chrono::seconds kRefusedPauseMin{60};  // after a no that time will not mend

  // No two of one key. AQ_CHECKs the bound.
  PublicWitnesses(std::vector<PublicWitness> witnesses, Rng rng);

  // The proof that the newest head appended to what this log was at `old_size`.
  using Prove = absl::FunctionRef<absl::StatusOr<tlog::Proof>(uint64_t old_size)>;
  // Asks those that have not cosigned this head and are due. `bare`: as the log signed it;
  // `gathered`: the same with the cosignatures that there are.
  void Gather(Now now, const tlog::SignedCheckpoint& bare, const tlog::Note& gathered, Prove prove);
  // True: `head`, the newest, has a cosignature more. Replies to what is not under way are nothing.
  bool OnReply(Now now, const WitnessReply& reply, tlog::SignedCheckpoint& head);
  // Another log begins: nobody has cosigned any of its heads.
  void Forget();

  std::vector<WitnessAsk> TakeAsks() { return std::exchange(asks_, {}); }
  std::vector<WitnessView> Views() const;
  // What a person should hear once: a witness's new trouble, or its end (empty).
  struct News {
    std::string name, trouble;
  };
  std::vector<News> TakeNews() { return std::exchange(news_, {}); }

 private:
  struct UnderWay {
    uint32_t request = 0;
    uint64_t old_size = 0;
    tlog::SignedCheckpoint head;  // as the log signed it: the newest may be another by then
    Instant sent{};
  };
  struct Row {
    PublicWitness who;
    uint64_t known = 0;               // the size that it cosigned last, as far as it told
    uint64_t cosigned = 0, time = 0;  // the newest of its cosignatures that was verified
    std::optional<UnderWay> asked = {};
    Instant due{};                  // not before
    std::chrono::seconds pause{0};  // the last one; 0: all is well
    int again = 0;                  // conflicts in a row
    std::string trouble = {};
  };
  void Ask(Now now, size_t i, const tlog::SignedCheckpoint& bare, Prove prove);
  bool Take(Row& row,
            const UnderWay& asked,
            const WitnessReply& reply,
            Now now,
            tlog::SignedCheckpoint& head);
  void OnConflict(Row& row, const UnderWay& asked, const WitnessReply& reply, Now now);
  void Pause(Row& row, Now now, std::chrono::seconds least, std::string why);
  void Mended(Row& row);

  std::vector<Row> rows_;
  Rng rng_;
  std::vector<WitnessAsk> asks_;
  std::vector<News> news_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_HEADS_PUBLIC_WITNESSES_H_
