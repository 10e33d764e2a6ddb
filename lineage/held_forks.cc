#include "lineage/held_forks.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/authority/restrictions.h"
#include "core/base/status.h"
#include "lineage/heads.h"

namespace aqmesh::lineage {

namespace {

using authority::Signed;

class Found {
 public:
  void Add(ForkProof proof, const Kid& signer) {
    const Digest id = proof.Id();
    if (by_id_.size() < kHeldForksMax || by_id_.contains(id))
      by_id_.try_emplace(id, HeldFork{id, std::move(proof), signer});
  }
  void AddSigned(ForkKind kind, const Signed& a, const Signed& b) {
    const bool in_order = a.oid() < b.oid();
    Add({.kind = kind, .two = {(in_order ? a : b).bytes(), (in_order ? b : a).bytes()}}, a.kid());
  }
  std::vector<HeldFork> Take() {
    std::vector<HeldFork> out;
    for (auto& [id, fork] : by_id_) out.push_back(std::move(fork));
    return out;
  }

 private:
  std::map<Digest, HeldFork> by_id_;
};

// LE16 length || Signed, twice: as authority::ProveEquivocation writes it.
absl::Status AddKept(std::string_view name, ByteView proof, Found& found) {
  std::vector<Signed> both;
  while (proof.size() >= 2 && both.size() < 2) {
    const size_t size = LoadLe<uint16_t>(proof.data());
    if (proof.size() - 2 < size) break;
    auto s = Signed::Parse(proof.subspan(2, size));
    if (!s.ok()) break;
    both.push_back(*std::move(s));
    proof = proof.subspan(2 + size);
  }
  if (both.size() != 2 || !proof.empty())
    return DataLoss("the stored ", name, " is no proof of equivocation");
  found.AddSigned(ForkKind::kStatements, both[0], both[1]);
  return absl::OkStatus();
}

absl::Status AddProofs(const Store& store, Found& found) {
  absl::Status wrong;
  AQ_RETURN_IF_ERROR(store.ScanState("proof/", [&](std::string_view name, ByteView value) {
    wrong = AddKept(name, value, found);
    return wrong.ok();
  }));
  AQ_RETURN_IF_ERROR(wrong);
  AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kProof, [&](const Oid& oid, ByteView bytes) {
    wrong = AddKept(Join("proof ", ToHex(oid)), bytes, found);
    return wrong.ok();
  }));
  return wrong;
}

// The signed objects against each other: the first of each signer at each place, and what follows.
absl::Status AddContradictions(const Store& store, Found& found) {
  using Slot = std::tuple<Kid, ScopeId, uint8_t, Kid, uint64_t>;
  std::map<Slot, std::pair<Oid, Oid>> votes;  // for what, and which object says so
  std::map<std::pair<Kid, StreamPlace>, Oid> statements;
  std::vector<std::tuple<ForkKind, Oid, Oid>> pairs;
  const auto add = [&pairs](ForkKind kind, const Oid& a, const Oid& b) {
    if (pairs.size() < kHeldForksMax) pairs.emplace_back(kind, a, b);
  };
  AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kSigned, [&](const Oid& oid, ByteView bytes) {
    const auto object = Signed::Parse(bytes);
    if (!object.ok()) return true;
    if (const auto place = PlaceOf(*object); place.ok()) {
      const bool last = place->stream == 'R' && place->seq == authority::kTerminalSeq;
      const auto [it, fresh] = statements.try_emplace(std::pair(object->kid(), *place), oid);
      if (!fresh && !last) add(ForkKind::kStatements, it->second, oid);
    } else if (object->ctx() == authority::Ctx::kCosign) {
      const auto vote = authority::ParseBody<authority::Cosign>(object->body());
      if (!vote.ok()) return true;
      const Slot slot{object->kid(), vote->scope, vote->slot, vote->id, vote->number};
      const auto [it, fresh] = votes.try_emplace(slot, vote->target, oid);
      if (!fresh && it->second.first != vote->target) add(ForkKind::kVotes, it->second.second, oid);
    }
    return true;
  }));
  for (const auto& [kind, one, other] : pairs) {
    AQ_ASSIGN_OR_RETURN(const auto a, store.GetObject(Shelf::kSigned, one));
    AQ_ASSIGN_OR_RETURN(const auto b, store.GetObject(Shelf::kSigned, other));
    if (!a || !b) return DataLoss("a signed object went away while it was read");
    AQ_ASSIGN_OR_RETURN(const Signed first, Signed::Parse(*a));
    AQ_ASSIGN_OR_RETURN(const Signed second, Signed::Parse(*b));
    found.AddSigned(kind, first, second);
  }
  return absl::OkStatus();
}

Bytes BytesOf(const tlog::SignedCheckpoint& head) {
  const std::string text = head.note.Text();
  return Bytes(text.begin(), text.end());
}

void AddHeads(const tlog::SignedCheckpoint& a, const tlog::SignedCheckpoint& b, Found& found) {
  const auto log = LogOfOrigin(a.checkpoint.origin);
  if (log) found.Add({.kind = ForkKind::kHeads, .two = {BytesOf(a), BytesOf(b)}}, *log);
}

absl::Status AddForkedHeads(const Store& store, Found& found) {
  using Place = std::pair<std::string, uint64_t>;
  std::map<Place, std::pair<Digest, Oid>> first;  // the root, and where the note lies
  std::vector<std::pair<Oid, Oid>> pairs;
  AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kNote, [&](const Oid& oid, ByteView bytes) {
    const auto head = tlog::ParseCheckpoint(AsText(bytes));
    if (!head.ok()) return true;
    const tlog::Checkpoint& c = head->checkpoint;
    const auto [it, fresh] = first.try_emplace(Place(c.origin, c.size), c.root, oid);
    if (!fresh && it->second.first != c.root && pairs.size() < kHeldForksMax)
      pairs.emplace_back(it->second.second, oid);
    return true;
  }));
  for (const auto& [one, other] : pairs) {
    std::array<tlog::SignedCheckpoint, 2> heads;
    for (size_t i = 0; i < 2; ++i) {
      AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(Shelf::kNote, i == 0 ? one : other));
      if (!bytes) return DataLoss("a note went away while it was read");
      AQ_ASSIGN_OR_RETURN(heads[i], tlog::ParseCheckpoint(AsText(*bytes)));
    }
    AddHeads(heads[0], heads[1], found);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<HeldFork>> HeldForks(const Store& store) {
  Found found;
  AQ_RETURN_IF_ERROR(AddProofs(store, found));
  AQ_RETURN_IF_ERROR(AddContradictions(store, found));
  AQ_RETURN_IF_ERROR(AddForkedHeads(store, found));
  return found.Take();
}

absl::StatusOr<HeldFork> ForkWith(const Store& store, const tlog::SignedCheckpoint& theirs) {
  const tlog::Checkpoint& head = theirs.checkpoint;
  const auto log = LogOfOrigin(head.origin);
  if (!log) return NotFound("the origin ", head.origin, " is no log of a mesh");
  Found found;
  std::optional<tlog::SignedCheckpoint> newest;
  AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kNote, [&](const Oid&, ByteView bytes) {
    auto ours = tlog::ParseCheckpoint(AsText(bytes));
    if (!ours.ok() || ours->checkpoint.origin != head.origin) return true;
    if (ours->checkpoint.size == head.size && ours->checkpoint.root != head.root)
      AddHeads(*ours, theirs, found);
    if (!newest || newest->checkpoint.size < ours->checkpoint.size) newest = *std::move(ours);
    return true;
  }));
  if (auto forks = found.Take(); !forks.empty()) return std::move(forks.front());
  if (!newest) return NotFound("the store holds no head of ", head.origin);
  // Only the machine's own log has leaves here: the newest head is of them, or nothing is proven.
  const uint64_t size = newest->checkpoint.size;
  if (store.head() && store.size() >= size && head.size > 0 && head.size < size) {
    AQ_ASSIGN_OR_RETURN(tlog::Prover prover, store.ProverAt(size));
    auto proven = prover.Consistency(head.size);
    if (proven.ok() && proven->old_root != head.root &&
        tlog::VerifyConsistency(
            head.size, proven->old_root, size, newest->checkpoint.root, proven->proof)
            .ok()) {
      found.Add({.kind = ForkKind::kHistory,
                 .two = {BytesOf(theirs), BytesOf(*newest)},
                 .root = proven->old_root,
                 .hashes = std::move(proven->proof)},
                *log);
      return std::move(found.Take().front());
    }
  }
  return NotFound("it does not contradict what this store holds of ", head.origin);
}

}  // namespace aqmesh::lineage
