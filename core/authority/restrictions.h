// What was taken back: every signer's stream of restrictions in one scope, what follows from it,
// and the proofs of those who said two things under one number. Restrictions act at first sight and
// only grow: the state is a function of the set of statements, whatever their order or number (a
// join-semilattice). What is permitted (stream E) is only noted, so that a conflict shows and a cut
// knows what came before it.
// Spec:   spec/objects.md §2 (revoke, rotate, cosign), §7 (rows, proof); spec/admission.md §5 (A.7): a floor
//         binds only chains through its revoker; KEY is the subject's own or the voters' quorum.
// Bounds: kSignersMax signers, kStatementsMax statements, kPerSignerMax a signer, of which kAheadMax beyond a
//         gap; kTriplesMax triples. A full table refuses with ResourceExhausted and keeps what it
//         has.
// Thread: the control engine's. Errors: InvalidArgument (malformed link), Unauthenticated
// (signature),
//         PermissionDenied (another scope), ResourceExhausted.
// Cost:   Judge: hash look-ups, plus the statements on the kids of the chain; no signature.
#ifndef AQMESH_CORE_AUTHORITY_RESTRICTIONS_H_
#define AQMESH_CORE_AUTHORITY_RESTRICTIONS_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/authority/attenuation.h"
#include "core/authority/objects_held.h"

namespace aqmesh::authority {

// Two statements of one signer under one number; verifiable alone.
struct Equivocation {
  Kid signer;
  std::array<Oid, 2> oids;  // lower first
  Bytes proof;              // LE16 length || Signed, twice, lower oid first
  Digest id;                // of the proof
};
Equivocation ProveEquivocation(const Signed& a, const Signed& b);

// The (kid, seq, oid) triples of stream E that were held here, in the order in which they came.
class Expansions {
 public:
  static constexpr size_t kTriplesMax = 65'536;
  // `statement` was verified and carries `seq` of its signer's stream E. A second oid under one
  // number gives the proof, once; it is noted as held too. When full nothing more is noted: what a
  // later cut then does not find held dies, which is the safe side.
  std::optional<Equivocation> Add(SignedPtr statement, uint64_t seq);
  // Was it held when only the first `before` triples were?
  bool HeldBefore(const Kid& signer, uint64_t seq, const Oid& oid, uint64_t before) const;
  bool Conflicts(const Kid& signer,
                 uint64_t seq,
                 const Oid& oid) const;  // another oid is held there
  uint64_t count() const { return count_; }

 private:
  struct Triple {
    SignedPtr statement;
    uint64_t order = 0;
  };
  std::map<std::pair<Kid, uint64_t>, std::vector<Triple>> triples_;  // at most two a number
  uint64_t count_ = 0;
};

// One link of a chain, as far as restrictions concern it. Kids as they stand in the objects.
struct Link {
  Kid signer;
  Kid subject;  // zero: a statement that has none (a fragment)
  uint64_t seq = 0;
  uint32_t generation = UINT32_MAX;
  Oid oid;
};

struct Count;  // core/authority/quorum.h
enum class Quorum : uint8_t;

class Restrictions {
 public:
  static constexpr size_t kSignersMax = 4'096, kStatementsMax = 65'536, kPerSignerMax = 4'096,
                          kAheadMax = 1'024;
  static constexpr size_t kCosignsMax = 65'536, kLineageMax = 16;

  // spec/objects.md §7: kid || BE64(seq) || oid.
  struct Row {
    static constexpr size_t kSize = 56;
    Kid kid;
    uint64_t seq = 0;
    Oid oid;
    Bytes Encode() const;
    static std::optional<Row> Parse(ByteView b);  // exactly kSize bytes
    auto operator<=>(const Row&) const = default;
  };

  explicit Restrictions(const ScopeId& scope) : scope_(scope) {}

  // `key` is the signer's. Verifies the signature, then the statement acts, gap or no gap. `held`
  // marks what came before it. Doing it again changes nothing. A statement that contradicts one
  // held is kept as well (both restrict) and the signer collapses.
  absl::Status Add(const Held<Revoke>& statement, const Ed25519Key& key, const Expansions& held);
  // `committed`: the next_key of the old grant, voter row or rotate.
  absl::Status Add(const Held<Rotate>& statement, const Digest& committed);
  // A vote for any statement or charter; `key` is the voter's or witness's.
  absl::Status Add(const Held<Cosign>& vote, const Ed25519Key& key);
  // Collapses the signer for ever (a voter: until it rotates).
  void Collapse(const Equivocation& e);

  // Does anything said here end this chain (leaf first, nearest the charter last)?
  MaybeObjection Judge(std::span<const Link> chain,
                       const Charter& charter,
                       const Expansions& held) const;
  bool Collapsed(const Kid& kid, const Charter& charter) const;

  // Rotation: the lineage of a kid. A kid that never rotated is its own first and newest.
  Kid First(const Kid& kid) const;
  Kid Newest(const Kid& kid) const;
  const Held<Rotate>* RotationOf(const Kid& old) const;  // nullptr if none

  // Who of a charter's voters or witnesses is behind a statement: its signer and those whose votes
  // are held. `except` never counts. A vote that came before its voter rotated still does.
  Count Behind(const Kid& signer,
               const Oid& target,
               const Charter& charter,
               Quorum quorum,
               const Kid& except) const;

  // Anti-entropy. A terminal statement stands in a row of its own beside the signer's dense row, so
  // that it never hides what is missing below it.
  std::vector<Row> Rows() const;
  Digest Root() const;
  bool Covers(std::span<const Row> rows) const;
  // What to pull to come level with `rows`, and into the gaps held already; at most `max`.
  std::vector<Ref16> MissingFor(std::span<const Row> rows, size_t max = 64) const;
  // What a peer with these rows has not got; at most `max`.
  std::vector<SignedPtr> Beyond(std::span<const Row> rows, size_t max = 64) const;
  SignedPtr Statement(const Ref16& ref) const;
  const std::vector<Equivocation>& proofs() const { return proofs_; }
  size_t size() const { return by_ref_.size(); }

 private:
  struct Told {  // one statement of a stream
    SignedPtr object;
    std::optional<Oid> prev;
  };
  struct Stream {
    std::map<uint64_t, std::vector<Told>> at;  // by seq; two where the signer equivocates
    uint64_t head = 0;                         // dense up to here
    bool forked = false;
    size_t count = 0;
  };
  struct Effect {
    Kid revoker;
    Oid statement;
    RevokeType type{};
    uint64_t bound = 0;   // floor, or first E seq that is cut
    uint64_t before = 0;  // triples held when it came
  };
  struct Judging;

  absl::Status Store(const SignedPtr& object, uint64_t seq, const std::optional<Oid>& prev);
  static void Advance(Stream& s);
  std::vector<Kid> Lineage(const Kid& kid) const;  // first to newest
  bool ByQuorum(const Effect& e, const Charter& charter, const Kid& target) const;
  bool Binds(const Judging& j, const Effect& e, size_t from) const;
  MaybeObjection JudgeSubject(const Judging& j, size_t i) const;
  MaybeObjection JudgeSigner(const Judging& j, size_t i) const;
  MaybeObjection JudgeCollapse(const Judging& j, size_t i) const;

  ScopeId scope_;
  std::map<Kid, Stream> streams_;
  absl::flat_hash_map<Ref16, SignedPtr> by_ref_;
  absl::flat_hash_map<Kid, std::vector<Effect>> on_kid_;
  absl::flat_hash_map<Oid, std::vector<Effect>> on_oid_;
  absl::flat_hash_map<Kid, Held<Rotate>> rotated_;  // old -> statement
  absl::flat_hash_map<Kid, Kid> rotated_from_;      // new -> old
  absl::flat_hash_map<Oid, std::set<Kid>> votes_;
  size_t votes_count_ = 0;
  absl::flat_hash_set<Kid> collapsed_;
  absl::flat_hash_set<Oid> conflicted_;  // permissions that equivocated
  std::vector<Equivocation> proofs_;
};

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_RESTRICTIONS_H_
