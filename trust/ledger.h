// What happened, collected by key and epoch, and folded once when the epoch is over.
// Spec:   spec/trust.md §6 events, §7 what counts, §8 who pays for a subject, §9 encoding.
// Wire:   Encode: head (u8 version 1, BE64 epoch), then the rows by kid. A store may keep the head
//         and each EncodeRow under its kid; one after the other they are the whole, also if some
//         rows are older than others.
// Bounds: kKeysMax keys. Full, Meet forgets the key that says least: one without scars and evidence against
//         it, of those the one longest untouched, of those the least kid; one that collapsed never.
//         A key's evidence of one epoch and its memory of evidence are bounded sets (findings.h):
//         83 bytes as stored for who does nothing but use the mesh, 9 KiB for who has all sets
//         full.
// Thread: a value; one owner. No clock: the epoch comes with what happened.
// Errors: Note says why something did not count. Decode: InvalidArgument naming the place.
// Cost:   of 16,384 keys: Note and At 0.5 us, Advance 7 ms once an epoch, Meet 3 ms when full, else
// 1 us.
#ifndef AQMESH_TRUST_LEDGER_H_
#define AQMESH_TRUST_LEDGER_H_

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "trust/event.h"
#include "trust/findings.h"
#include "trust/fold.h"

namespace aqmesh::trust {

inline constexpr uint32_t kPraisePerGroup = kOne / 16;  // of one issuing group, an epoch
inline constexpr uint32_t kPraisePerEpoch = kOne / 8;   // of all of them
inline constexpr uint64_t kLiableEpochs = 28 * kEpochsPerDay;
// In kLiableEpochs. Beyond what an issuer pays in all, a person decides.
inline constexpr uint32_t kLiablePerSubject = kOne;
inline constexpr uint32_t kLiablePerIssuer = 2 * kOne;
// s/4 and s/16 of a major or worse, capped at kLiablePerSubject: each is a multiple of this.
inline constexpr uint32_t kLeastCharge = kMajor / 16;

// How we know. Seen and proven count in full, heard by half of the reporter's level.
enum class Basis : uint8_t { kSeen, kProven, kHeard };

struct Observation {
  Kid subject;
  Event event{};
  Basis basis = Basis::kSeen;
  // Of our own record of it, not of what happened: so it never falls. One that is over means the
  // open one.
  uint64_t epoch = 0;
  // Counts once for a subject. Zero, of what was seen: an event of its own, each time.
  Digest evidence = {};

  // Of kHeard.
  Kid reporter = {};
  Kid group = {};  // the reporter's issuer: what one issuer's reporters praise is capped together
  uint32_t reporter_ladm = 0;

  // Of kProven and major: who granted the subject what it abused, and who granted those. Absent: a
  // voter, or one who had revoked its child before this happened.
  std::optional<Kid> issuer = {};
  std::optional<Kid> grand_issuer = {};
};

enum class Noted : uint8_t {
  kCounted,
  kKnown,       // this evidence was counted before, and no lighter
  kWeightless,  // of a reporter without weight, or about itself
  kNoEvidence,  // proven or heard, but nothing is named; or an equivocation without its proof
  kStranger,    // Meet the subject first
};

// As what a charter's taxonomy speaks of a key: as one that signs for others, or as a peer. What is
// seen of it is one, but a prior belongs to the role: the same machine may be an ENROLLER of .92
// and a NODE of .86.
enum class Role : uint8_t { kPeer, kAuthority };

struct Folded {
  Kid key;
  uint64_t epoch = 0;
  Standing before;  // with the prior of its role: an authority's, if it is one
  Evidence evidence;
  bool operator==(const Folded&) const = default;
};

// What the end of an epoch, or a newcomer, did. Appended to.
struct Settled {
  std::vector<Folded> folded;  // their rows changed
  std::vector<Kid> forgotten;  // their rows went
  std::vector<Kid> escalate;   // issuers that owe more than kLiablePerIssuer: for a person
  bool operator==(const Settled&) const = default;
};

class Ledger {
 public:
  static constexpr size_t kKeysMax = 16'384;
  static constexpr size_t kChargesMax = kLiablePerIssuer / kLeastCharge;

  explicit Ledger(size_t keys_max = kKeysMax) : keys_max_(keys_max) {}

  // Ends the open epoch, if `epoch` is later, and folds what it brought.
  void Advance(uint64_t epoch, Settled& out);

  // From here on `key` is followed, in this role too. Until its first fold a new prior of a role
  // replaces the old one, later it is ignored. False: full of keys that collapsed.
  bool Meet(const Kid& key, uint32_t prior, uint64_t epoch, Settled& out, Role role = Role::kPeer);

  Noted Note(const Observation& o, Settled& out);

  // As it is with all that was noted so far: what this epoch brought acts at once, and is folded
  // once. Where no prior of the role is fixed, and for a stranger, `prior` counts.
  Standing At(const Kid& key, Role role, uint32_t prior) const;
  // With the prior of its role: an authority's, if it is one. nullopt: a stranger.
  std::optional<Standing> At(const Kid& key) const;
  // What the open epoch of the key comes to so far, upon the state that it will be folded into.
  std::optional<Folded> Open(const Kid& key) const;

  uint64_t epoch() const { return epoch_; }
  size_t size() const { return rows_.size(); }

  Bytes Encode() const;
  Bytes EncodeHead() const;
  std::optional<Bytes> EncodeRow(const Kid& key) const;
  static absl::StatusOr<Ledger> Decode(ByteView bytes, size_t keys_max = kKeysMax);

 private:
  // What one subject costs its issuer.
  struct Charge {
    Kid subject;
    uint32_t amount = 0;
    uint64_t epoch = 0;
    bool operator==(const Charge&) const = default;
  };
  using Once = FindingSet<32>;  // seen with evidence, or proven
  using Told = FindingSet<16>;  // heard
  using OnceBefore = CountedSet<64>;
  using ToldBefore = CountedSet<16>;

  struct Row {
    Standing standing;  // its `a` is the peer's
    uint32_t a_authority = 0;
    bool peer = false, authority = false;  // met so
    bool folded = false;
    // The open epoch: `epoch`, which is over if the ledger's is later and the row came off a disk.
    uint64_t epoch = 0;                       // 0: nothing is open
    uint32_t seen_for = 0, seen_against = 0;  // without evidence; stop at kBadMax
    Once once;
    Told praise, slander;
    std::vector<Charge>
        due;               // by subject, the kChargesMax least; amount: the most that it could be
    bool overdue = false;  // there were more
    // Epochs before.
    OnceBefore once_before;
    ToldBefore praise_before, slander_before;
    std::vector<Charge> paid;  // as they were charged

    bool open() const {
      return seen_for != 0 || seen_against != 0 || !once.empty() || !praise.empty() ||
             !slander.empty() || !due.empty();
    }
    uint32_t PaidFor(const Kid* subject, uint64_t in) const;  // nullptr: for all
  };
  // What the open epoch of a row comes to.
  static Standing As(const Row& row, Role role);
  Standing Now(const Row& row, Role role) const;
  static Role MainRole(const Row& row) { return row.authority ? Role::kAuthority : Role::kPeer; }
  struct Sum {
    Evidence evidence;
    std::vector<Charge> charges;
    bool escalate = false;
  };
  class Codec;

  Sum SumOf(const Row& row) const;
  uint32_t SumPraise(const Row& row) const;
  uint32_t SumSlander(const Row& row) const;
  void SumCharges(const Row& row, Sum& sum) const;
  void Fold(const Kid& key, Row& row, Settled& out);
  void Reopen(const Kid& key, Row& row, Settled& out);
  Noted NoteOnce(Row& row, const Observation& o, Settled& out);
  Noted NoteHeard(Row& row, const Observation& o);
  void Owe(const std::optional<Kid>& issuer, const Kid& subject, uint32_t share, Settled& out);
  bool MakeRoom(Settled& out);

  size_t keys_max_;
  uint64_t epoch_ = 0;
  std::map<Kid, Row> rows_;
};

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_LEDGER_H_
