// Mesh: what this node holds and knows of its scope: charters, objects, restrictions, whom it has
// proven, and its own chain. It answers questions and takes objects in; it decides nothing and
// sends nothing.
// Spec:   spec/objects.md §4 steps 11-13, §7; spec/authority.md A.9 (chains by value and by reference).
// Bounds: those of ObjectStore, Restrictions and Expansions; kPendingMax statements whose signer's key is
//         not known here yet; kUnprovenMax grants that may make it known; kPlainMax PLAIN grants;
//         kVotesOfOneMax votes of an elector for statements.
// Thread: the control engine's. Errors: absl::Status naming the object.
#ifndef AQMESH_NODE_MESH_H_
#define AQMESH_NODE_MESH_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/authority/address.h"
#include "core/authority/chain.h"
#include "core/authority/taxonomy.h"
#include "lineage/tlog/tree.h"
#include "node/charters.h"
#include "transport/frame/control.h"

namespace aqmesh::node {

using authority::Held;
using authority::SignedPtr;

// What a store held when the node started (the driver reads it from disk, the simulator from
// memory).
struct Image {
  std::vector<Bytes> objects;  // shelf kSigned
  std::map<std::string, Bytes, std::less<>> state;
  std::optional<Bytes> last_record;
  tlog::Edge edge;  // of the log's tree
};

class Mesh {
 public:
  static constexpr size_t kPendingMax = 256, kUnprovenMax = 64, kPlainMax = 256;
  static constexpr size_t kVotesOfOneMax = 256;

  explicit Mesh(const crypto::Ed25519Seed& identity);

  // Takes every object in again, checking it as if it had just come. Returns what could not be
  // used.
  std::vector<std::string> Load(const Image& image, WallTime now);

  const crypto::Ed25519Seed& identity() const { return identity_; }
  const Ed25519Key& key() const { return key_; }
  const Kid& kid() const { return kid_; }
  bool has_charter() const { return !charters_.empty(); }
  const Held<authority::Charter>& charter() const { return charters_.all().back(); }
  bool HasCharter(const Oid& oid) const;  // in force, or was
  const Charters& charters() const { return charters_; }
  const ScopeId& scope() const { return scope_; }
  IpAddress control_address() const { return authority::ControlAddress(scope_); }

  // ---- own authority ----
  const Held<authority::Grant>* leaf() const { return leaf_ ? &*leaf_ : nullptr; }
  const Held<authority::Grant>* enroller() const { return enroller_ ? &*enroller_ : nullptr; }
  // What a presentation cites, leaf first: ancestors upward, then fragments; at most 12.
  const std::vector<SignedPtr>& cited() const { return cited_; }
  // Which of cited() go by value beside a first item of `first_bytes` in a bundle of `room`: the
  // leaf always, then those that peers cannot be expected to hold, then the rest while they fit.
  std::vector<ByteView> ItemsFor(ByteView first, size_t room) const;
  // The enrolling grant and its ancestors: what a joiner needs to believe what we sign.
  std::vector<SignedPtr> EnrollerChain() const;
  std::vector<Held<authority::Fragment>> own_fragments() const { return fragments_; }
  // Grants of stock WireGuard devices that are held here (class PLAIN), unjudged.
  const std::vector<Held<authority::Grant>>& plain_grants() const { return plain_grants_; }

  // ---- taking in ----
  // A charter, in force at once or proposed, or kept aside (Unavailable); a vote for one. A
  // joiner's caller has seen that it is of the mesh of its invitation.
  absl::Status AddCharter(const SignedPtr& charter);
  absl::Status TakeVoted(const SignedPtr& object);  // either, of any profile
  Charters::News TakeCharterNews();
  // A vote for a statement of a stream, by a voter or a witness of the charter in force. `fresh` is
  // set if it was not held. Chains find it (spec: quorum#10).
  absl::Status AddVote(const SignedPtr& vote, bool& fresh);
  // A grant, fragment or rotation that stands alone: held by oid; used when a chain cites it.
  void Hold(SignedPtr object);
  // A restriction. `fresh` is set if it was not held. Unavailable: its signer's key is unknown
  // here; it is kept aside and tried again as keys become known.
  absl::Status AddRestriction(SignedPtr object, bool& fresh);
  // Proves the issuers among the grants held, and tries the restrictions kept aside again.
  void LearnIssuers(WallTime now);
  // What verified here, in order, that a later cut must find held (spec: admission#5): the driver
  // keeps it, since a restart may not forget it.
  struct HeldStatement {
    uint64_t order = 0;
    SignedPtr statement;
  };
  std::vector<HeldStatement> TakeHeld() { return std::exchange(held_, {}); }
  // How many of them were held when this restriction took effect.
  uint64_t HeldBefore(const Oid& restriction) const;
  // What took effect since the last call although nobody added it just then: restrictions whose
  // signer became known, and proofs that someone said two things under one number.
  std::vector<SignedPtr> TakeLateRestrictions() { return std::exchange(late_, {}); }
  std::vector<authority::Equivocation> TakeProofs();

  // ---- asking ----
  // Restrictions kept aside whose signer is named in `items` act before the chain is judged.
  // signatures_if_bad: as AuthInput has it.
  std::optional<authority::Verified> Authenticate(const Held<authority::Presentation>* presentation,
                                                  std::span<const SignedPtr> items,
                                                  WallTime now,
                                                  authority::AuthReport& report,
                                                  size_t signatures_if_bad = 0);
  // The same for a PLAIN grant, whose device presents nothing: judged with this node's own
  // fragments, since it is this node that serves it.
  std::optional<authority::Verified> AuthenticatePlain(const Held<authority::Grant>& grant,
                                                       WallTime now,
                                                       authority::AuthReport& report);
  // A grant alone, whoever it is for and whatever it lets do.
  std::optional<authority::Verified> AuthenticateGrant(const Held<authority::Grant>& grant,
                                                       WallTime now,
                                                       authority::AuthReport& report);
  // What a PLAIN grant is judged with: it, its ancestors, and this node's fragments.
  std::vector<SignedPtr> PlainItems(const Held<authority::Grant>& grant) const;
  // What AuthenticateGrant found to be said: two statements under one number convict who made them.
  void NoteStatements(const authority::AuthReport& report);
  void NoteStatement(const SignedPtr& statement, uint64_t seq) { Note(statement, seq); }
  // Another statement of its signer's is held under that number.
  bool Contradicts(const authority::Signed& statement, uint64_t seq) const {
    return expansions_.Conflicts(statement.kid(), seq, statement.oid());
  }
  // After a chain was authenticated at kAdmit or kEscalate: what it proves from now on.
  void Learn(const authority::Chain& chain);
  std::optional<Ed25519Key> KeyOf(const Kid& kid) const;
  // The grants behind `kid`, its own first: what others need to believe its restrictions. Empty if
  // a charter names it, or if no verified chain ran through it.
  std::vector<SignedPtr> ChainOf(const Kid& kid) const;
  SignedPtr Find(const Ref16& ref) const;
  std::vector<SignedPtr> VotesFor(const Oid& statement) const;
  std::vector<SignedPtr> StatementVotes() const;  // all of them
  const authority::Restrictions& restrictions() const { return *restrictions_; }
  // What chains are judged under here; only with a charter.
  authority::ScopeHeld Ground() const {
    return {.charters = charters_.all(),
            .scope = scope_,
            .restrictions = restrictions_.get(),
            .expansions = &expansions_};
  }
  authority::SignatureCache& signatures() { return cache_; }
  std::vector<frame::Row> Rows() const;
  Ref16 RestrictionRoot16() const;

  void Refresh(WallTime now);  // picks the own chain anew from what is held

 private:
  std::optional<std::vector<SignedPtr>> AncestorsOf(const Held<authority::Grant>& grant) const;
  std::vector<SignedPtr> WithAncestors(const Held<authority::Grant>& grant) const;
  bool Proves(const Held<authority::Grant>& grant, WallTime now);
  void TryPending(const Kid& signer, const Ed25519Key& key);
  absl::Status Restrict(const Held<authority::Revoke>& revoke, const Ed25519Key& key);
  void LoadProof(ByteView proof);
  void AdoptScope();
  bool Rooted(const authority::Chain& chain) const;
  void LoadCharters(const Image& image,
                    std::vector<SignedPtr> charters,
                    const std::map<Oid, std::vector<SignedPtr>>& votes,
                    std::vector<std::string>& problems);
  void LoadRestrictions(const Image& image,
                        std::vector<SignedPtr> restrictions,
                        std::vector<std::string>& problems);
  void Note(const SignedPtr& statement, uint64_t seq);

  crypto::Ed25519Seed identity_;
  Ed25519Key key_;
  Kid kid_;
  ScopeId scope_;
  Charters charters_;
  authority::ObjectStore store_;
  authority::SignatureCache cache_;
  std::unique_ptr<authority::Restrictions> restrictions_;
  authority::Expansions expansions_;
  std::map<Kid, Ed25519Key> keys_;                // of every subject in a verified chain
  std::map<Kid, std::vector<SignedPtr>> chains_;  // of every subject in a verified chain
  std::map<Oid, uint64_t> held_before_;           // restriction -> how much was held
  std::vector<HeldStatement> held_;
  std::map<Oid, std::map<Kid, SignedPtr>> votes_;  // by statement and signer
  std::map<std::pair<Kid, authority::Slot>, std::pair<Oid, SignedPtr>> answers_;  // the first
  std::map<Ref16, SignedPtr> vote_refs_;
  std::deque<SignedPtr> pending_;                // restrictions by signers not known here
  std::deque<Held<authority::Grant>> unproven_;  // issuers' grants that no chain proved yet
  bool loading_ = false;
  std::vector<SignedPtr> late_;
  uint64_t restricted_ = 0;       // restrictions that took effect since the store was made
  std::set<Digest> kept_proofs_;  // that were told before this start
  size_t told_proofs_ = 0;        // of restrictions_->proofs()
  std::vector<Held<authority::Grant>> own_grants_;
  std::vector<Held<authority::Grant>> plain_grants_;
  std::vector<Held<authority::Fragment>> all_fragments_;
  std::optional<Held<authority::Grant>> leaf_, enroller_;
  std::vector<Held<authority::Fragment>> fragments_;
  std::vector<SignedPtr> cited_;
  std::vector<Ref16> rooted_;  // of cited_: signed by a voter, so every member holds it
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_MESH_H_
