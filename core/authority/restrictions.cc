#include "core/authority/restrictions.h"

#include <algorithm>

#include "core/authority/quorum.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::authority {

Equivocation ProveEquivocation(const Signed& a, const Signed& b) {
  const Signed& low = a.oid() < b.oid() ? a : b;
  const Signed& high = a.oid() < b.oid() ? b : a;
  Equivocation e{.signer = a.kid(), .oids = {low.oid(), high.oid()}, .proof = {}, .id = {}};
  for (const Signed* s : {&low, &high}) {
    AppendLe(e.proof, static_cast<uint16_t>(s->bytes().size()));
    Append(e.proof, s->bytes());
  }
  e.id = *Digest::From(crypto::Blake2bPersonal("aqmesh-prf-v1", {ByteView(e.proof)}));
  return e;
}

// ---- Expansions

std::optional<Equivocation> Expansions::Add(SignedPtr statement, uint64_t seq) {
  const auto key = std::pair(statement->kid(), seq);
  auto it = triples_.find(key);
  if (it == triples_.end()) {
    if (count_ >= kTriplesMax) return std::nullopt;
    it = triples_.try_emplace(key).first;
  }
  std::vector<Triple>& at = it->second;
  for (const Triple& t : at) {
    if (t.statement->oid() == statement->oid()) return std::nullopt;
  }
  if (at.size() >= 2) return std::nullopt;  // proven already
  at.push_back({std::move(statement), count_++});
  if (at.size() == 1) return std::nullopt;
  return ProveEquivocation(*at[0].statement, *at[1].statement);
}

bool Expansions::HeldBefore(const Kid& signer,
                            uint64_t seq,
                            const Oid& oid,
                            uint64_t before) const {
  const auto it = triples_.find({signer, seq});
  if (it == triples_.end()) return false;
  return std::ranges::any_of(
      it->second, [&](const Triple& t) { return t.statement->oid() == oid && t.order < before; });
}

bool Expansions::Conflicts(const Kid& signer, uint64_t seq, const Oid& oid) const {
  const auto it = triples_.find({signer, seq});
  if (it == triples_.end()) return false;
  return std::ranges::any_of(it->second,
                             [&](const Triple& t) { return t.statement->oid() != oid; });
}

// ---- rows

Bytes Restrictions::Row::Encode() const {
  Bytes out;
  Append(out, kid);
  AppendBe(out, seq);
  Append(out, oid);
  return out;
}

std::optional<Restrictions::Row> Restrictions::Row::Parse(ByteView b) {
  if (b.size() != kSize) return std::nullopt;
  return Row{*Kid::From(b.first(16)), LoadBe<uint64_t>(b.data() + 16), *Oid::From(b.subspan(24))};
}

std::vector<Restrictions::Row> Restrictions::Rows() const {
  std::vector<Row> rows;
  for (const auto& [kid, s] : streams_) {
    if (s.head > 0) rows.push_back({kid, s.head, s.at.at(s.head).front().object->oid()});
    const auto terminal = s.at.find(kTerminalSeq);
    if (terminal != s.at.end())
      rows.push_back({kid, kTerminalSeq, terminal->second.front().object->oid()});
  }
  return rows;  // streams_ is ordered by kid, so these ascend
}

Digest Restrictions::Root() const {
  std::vector<crypto::Hash32> leaves;
  for (const Row& row : Rows()) leaves.push_back(crypto::MerkleLeaf(row.Encode()));
  return *Digest::From(crypto::MerkleRoot(leaves));
}

bool Restrictions::Covers(std::span<const Row> rows) const {
  return std::ranges::all_of(rows, [this](const Row& row) {
    const auto it = streams_.find(row.kid);
    if (it == streams_.end()) return false;
    const Stream& s = it->second;
    if (row.seq == kTerminalSeq) return s.at.contains(kTerminalSeq);
    if (row.seq > s.head) return false;
    // Another oid under that number is half of a proof not held yet, unless the proof is.
    return s.forked || s.at.at(row.seq).front().object->oid() == row.oid;
  });
}

std::vector<Ref16> Restrictions::MissingFor(std::span<const Row> rows, size_t max) const {
  std::vector<Ref16> out;
  const auto want = [&](const Oid& oid) {
    const Ref16 ref = RefOf(oid);
    if (out.size() < max && !by_ref_.contains(ref) && std::ranges::find(out, ref) == out.end())
      out.push_back(ref);
  };
  for (const Row& row : rows) {
    if (!Covers({&row, 1})) want(row.oid);
  }
  for (const auto& [kid, s] :
       streams_) {  // the gaps, from above: each statement names the one below
    for (auto it = s.at.upper_bound(s.head); it != s.at.end(); ++it) {
      for (const Told& t : it->second) {
        if (t.prev) want(*t.prev);
      }
    }
  }
  return out;
}

std::vector<SignedPtr> Restrictions::Beyond(std::span<const Row> rows, size_t max) const {
  std::map<Kid, uint64_t> theirs;
  std::set<Kid> ended;
  for (const Row& row : rows) {
    if (row.seq == kTerminalSeq) {
      ended.insert(row.kid);
    } else {
      theirs[row.kid] = row.seq;
    }
  }
  std::vector<SignedPtr> out;
  for (const auto& [kid, s] : streams_) {
    const auto known = theirs.find(kid);
    for (auto it = s.at.upper_bound(known == theirs.end() ? 0 : known->second); it != s.at.end();
         ++it) {
      if (it->first == kTerminalSeq && ended.contains(kid)) continue;
      for (const Told& t : it->second) {
        if (out.size() >= max) return out;
        out.push_back(t.object);
      }
    }
  }
  return out;
}

SignedPtr Restrictions::Statement(const Ref16& ref) const {
  const auto it = by_ref_.find(ref);
  return it == by_ref_.end() ? nullptr : it->second;
}

// ---- statements in

void Restrictions::Advance(Stream& s) {
  for (auto it = s.at.find(s.head + 1); it != s.at.end() && it->first == s.head + 1; ++it) {
    // A fork has no one line to check; its numbers alone say how far it was received.
    if (!s.forked && s.head > 0 && it->second.front().prev != s.at.at(s.head).front().object->oid())
      return;
    ++s.head;
  }
}

absl::Status Restrictions::Store(const SignedPtr& object,
                                 uint64_t seq,
                                 const std::optional<Oid>& prev) {
  if (by_ref_.contains(object->ref())) return absl::OkStatus();
  if (by_ref_.size() >= kStatementsMax)
    return ResourceExhausted(
        "restrictions: ", kStatementsMax, " statements are held; nothing more fits");
  auto it = streams_.find(object->kid());
  if (it == streams_.end()) {
    if (streams_.size() >= kSignersMax)
      return ResourceExhausted(
          "restrictions: ", kSignersMax, " signers are held; nothing more fits");
    it = streams_.try_emplace(object->kid()).first;
  }
  Stream& s = it->second;
  const bool terminal = seq == kTerminalSeq;
  if (!terminal && (s.count >= kPerSignerMax || seq > s.head + kAheadMax)) {
    return ResourceExhausted("restrictions: the stream of ",
                             ToHex(object->kid()),
                             " runs too far ahead; pull what lies before");
  }
  std::vector<Told>& at = s.at[seq];
  at.push_back({object, prev});
  std::ranges::sort(at, {}, [](const Told& t) { return t.object->oid(); });
  by_ref_.emplace(object->ref(), object);
  ++s.count;
  if (at.size() > 1 && !terminal) {
    Collapse(ProveEquivocation(*at[0].object, *at[1].object));
    s.forked = true;
  }
  if (at.size() > 2) {  // the two lowest stay, whatever the order of arrival
    by_ref_.erase(at.back().object->ref());
    at.pop_back();
    --s.count;
  }
  if (!terminal) Advance(s);
  return absl::OkStatus();
}

absl::Status Restrictions::Add(const Held<Revoke>& statement,
                               const Ed25519Key& key,
                               const Expansions& held) {
  const Revoke& r = statement.body;
  if (r.scope != scope_) return PermissionDenied("revoke: it is for another scope");
  if (KidOf(statement.envelope->suite(), key) != statement.signer())
    return Unauthenticated("revoke: signed by another key");
  if (r.seq == kTerminalSeq &&
      (r.type != RevokeType::kKey || r.kid != statement.signer() || r.prev)) {
    return InvalidArgument("revoke: the terminal number is for KEY on oneself, without prev");
  }
  if (r.seq != kTerminalSeq && (r.seq == 1) == r.prev.has_value()) {
    return InvalidArgument("revoke: prev is absent in the first statement and in no other");
  }
  if (!by_ref_.contains(statement.envelope->ref()) && !VerifySignature(*statement.envelope, key)) {
    return Unauthenticated("revoke: the signature is wrong");
  }
  AQ_RETURN_IF_ERROR(Store(statement.envelope, r.seq, r.prev));
  std::vector<Effect>& effects = r.type == RevokeType::kOid ? on_oid_[*r.oid] : on_kid_[*r.kid];
  const bool known =
      std::ranges::any_of(effects, [&](const Effect& e) { return e.statement == statement.oid(); });
  if (known) return absl::OkStatus();
  effects.push_back({.revoker = statement.signer(),
                     .statement = statement.oid(),
                     .type = r.type,
                     .bound = r.type == RevokeType::kFloor ? r.floor : r.from,
                     .before = held.count()});
  return absl::OkStatus();
}

absl::Status Restrictions::Add(const Held<Rotate>& statement, const Digest& committed) {
  const Rotate& r = statement.body;
  if (r.scope != scope_) return PermissionDenied("rotate: it is for another scope");
  if (r.seq != 1 || r.step < 1 || r.step > 4)
    return InvalidArgument("rotate: it opens the new key's stream with seq 1, and step is 1 to 4");
  const Kid fresh = KidOf(r.suite, r.key);
  if (fresh != statement.signer())
    return Unauthenticated("rotate: signed by another key than the new one");
  if (NextKeyOf(r.suite, r.key) != committed)
    return Unauthenticated("rotate: the old key never committed to this new key");
  if (!VerifySignature(*statement.envelope, r.key))
    return Unauthenticated("rotate: the signature is wrong");
  const std::vector<Kid> line = Lineage(r.old);
  if (std::ranges::find(line, fresh) != line.end() && Newest(r.old) != fresh)
    return InvalidArgument("rotate: the lineage bites its tail");
  if (line.size() >= kLineageMax && Newest(r.old) == r.old)
    return ResourceExhausted("rotate: the lineage is too long; it needs a new grant");
  const auto it = rotated_.find(r.old);
  if (it == rotated_.end() && fresh == First(r.old))
    return InvalidArgument("rotate: the lineage bites its tail");
  AQ_RETURN_IF_ERROR(Store(statement.envelope, r.seq, std::nullopt));
  // Two commitments for one old key (a re-grant changed it): the lower new kid holds everywhere.
  if (it == rotated_.end() || fresh < it->second.signer())
    rotated_.insert_or_assign(r.old, statement);
  rotated_from_.try_emplace(fresh, r.old);
  return absl::OkStatus();
}

absl::Status Restrictions::Add(const Held<Cosign>& vote, const Ed25519Key& key) {
  if (vote.body.scope != scope_) return PermissionDenied("cosign: it is for another scope");
  if (KidOf(vote.envelope->suite(), key) != vote.signer())
    return Unauthenticated("cosign: signed by another key");
  if (!VerifySignature(*vote.envelope, key))
    return Unauthenticated("cosign: the signature is wrong");
  const auto it = votes_.find(vote.body.target);
  if (it != votes_.end() && it->second.contains(vote.signer())) return absl::OkStatus();
  if (votes_count_ >= kCosignsMax)
    return ResourceExhausted("cosign: ", kCosignsMax, " votes are held; nothing more fits");
  votes_[vote.body.target].insert(vote.signer());
  ++votes_count_;
  return absl::OkStatus();
}

void Restrictions::Collapse(const Equivocation& e) {
  // Both statements lose what they permit, even where a rotation later clears their signer.
  if (conflicted_.size() < kStatementsMax) conflicted_.insert(e.oids.begin(), e.oids.end());
  if (collapsed_.size() >= kSignersMax * 2) return;
  if (collapsed_.insert(e.signer).second) proofs_.push_back(e);
}

// ---- lineages and votes

Kid Restrictions::First(const Kid& kid) const {
  Kid at = kid;
  for (size_t i = 0; i < kLineageMax; ++i) {
    const auto it = rotated_from_.find(at);
    if (it == rotated_from_.end()) break;
    at = it->second;
  }
  return at;
}

const Held<Rotate>* Restrictions::RotationOf(const Kid& old) const {
  const auto it = rotated_.find(old);
  return it == rotated_.end() ? nullptr : &it->second;
}

std::vector<Kid> Restrictions::Lineage(const Kid& kid) const {
  std::vector<Kid> line = {First(kid)};
  while (line.size() < kLineageMax) {
    const Held<Rotate>* r = RotationOf(line.back());
    if (r == nullptr) break;
    line.push_back(r->signer());
  }
  return line;
}

Kid Restrictions::Newest(const Kid& kid) const { return Lineage(kid).back(); }

Count Restrictions::Behind(const Kid& signer,
                           const Oid& target,
                           const Charter& charter,
                           Quorum quorum,
                           const Kid& except) const {
  std::set<Kid> behind = {First(signer)};
  if (const auto it = votes_.find(target); it != votes_.end()) {
    for (const Kid& kid : it->second) behind.insert(First(kid));
  }
  const Electorate electorate(charter, quorum, this, {First(except)});
  std::vector<bool> who(electorate.size());
  for (size_t i = 0; i < who.size(); ++i) who[i] = behind.contains(electorate.First(i));
  return electorate.CountOf(who);
}

bool Restrictions::Collapsed(const Kid& kid, const Charter& charter) const {
  if (collapsed_.empty()) return false;
  const Kid first = First(kid);
  const bool voter = std::ranges::any_of(
      charter.voters, [&](const Voter& v) { return First(KidOf(v.suite, v.key)) == first; });
  const std::vector<Kid> line = Lineage(kid);
  return std::ranges::any_of(line, [&](const Kid& k) {
    // A voter's own rotation is its certificate and clears what its older keys did.
    return collapsed_.contains(k) && !(voter && k != line.back());
  });
}

// ---- judging

struct Restrictions::Judging {
  std::span<const Link> chain;
  const Charter& charter;
  const Expansions& held;
  std::vector<Kid> signers;  // First() of each link's signer
};

namespace {
MaybeObjection Revoked(std::string detail) {
  return Objection{Reason::kRevoked, std::move(detail)};
}
}  // namespace

bool Restrictions::ByQuorum(const Effect& e, const Charter& charter, const Kid& target) const {
  // A quorum on KEY never counts its target: no voter helps to end itself or another in its own
  // name.
  const Kid except = e.type == RevokeType::kKey ? target : Kid{};
  return Behind(e.revoker, e.statement, charter, Quorum::kSensitive, except).enough();
}

// The revoker is one of those who signed links from..top, so the chain runs through it.
bool Restrictions::Binds(const Judging& j, const Effect& e, size_t from) const {
  const Kid revoker = First(e.revoker);
  return std::find(j.signers.begin() + static_cast<ptrdiff_t>(std::min(from, j.signers.size())),
                   j.signers.end(),
                   revoker) != j.signers.end();
}

MaybeObjection Restrictions::JudgeSubject(const Judging& j, size_t i) const {
  const Link& link = j.chain[i];
  if (const auto it = on_oid_.find(link.oid); it != on_oid_.end()) {
    for (const Effect& e : it->second) {
      const bool own = First(e.revoker) == First(link.subject);
      if (own || Binds(j, e, i) || ByQuorum(e, j.charter, {}))
        return Revoked(Join("object ", ToHex(link.oid), " was revoked by ", ToHex(e.revoker)));
    }
  }
  if (link.subject.is_zero()) return std::nullopt;
  for (const Kid& kid : Lineage(link.subject)) {
    const auto it = on_kid_.find(kid);
    if (it == on_kid_.end()) continue;
    for (const Effect& e : it->second) {
      if (e.type == RevokeType::kFloor && link.generation < e.bound &&
          (First(e.revoker) == First(kid) || Binds(j, e, i) || ByQuorum(e, j.charter, kid))) {
        return Revoked(Join("generation ",
                            link.generation,
                            " of ",
                            ToHex(kid),
                            " is below the floor ",
                            e.bound,
                            " set by ",
                            ToHex(e.revoker)));
      }
      // The leaf's own key: what rotated away from an ended key lives on under the new one.
      if (e.type == RevokeType::kKey && i == 0 && kid == Newest(kid)) {
        if (First(e.revoker) == First(kid) || ByQuorum(e, j.charter, kid))
          return Revoked(Join("key ", ToHex(kid), " was ended"));
      }
    }
  }
  return std::nullopt;
}

MaybeObjection Restrictions::JudgeSigner(const Judging& j, size_t i) const {
  const Link& link = j.chain[i];
  const auto it = on_kid_.find(link.signer);
  if (it == on_kid_.end()) return std::nullopt;
  for (const Effect& e : it->second) {
    const bool own = First(e.revoker) == First(link.signer);
    const bool quorum = ByQuorum(e, j.charter, link.signer);
    const bool held_before = j.held.HeldBefore(link.signer, link.seq, link.oid, e.before);
    if (e.type == RevokeType::kIssuerFrom && (own || quorum || Binds(j, e, i + 1))) {
      if (link.seq >= e.bound)
        return Revoked(
            Join("issuer ", ToHex(link.signer), " was cut from number ", e.bound, " on"));
      if (!held_before)
        return Revoked(
            Join("issuer ", ToHex(link.signer), " was cut, and this was not held before"));
    }
    if (e.type == RevokeType::kKey) {
      if (quorum) return Revoked(Join("the quorum ended key ", ToHex(link.signer)));
      if (own && !held_before)
        return Revoked(Join("signer ", ToHex(link.signer), " ended its key before this was held"));
    }
  }
  return std::nullopt;
}

MaybeObjection Restrictions::JudgeCollapse(const Judging& j, size_t i) const {
  const Link& link = j.chain[i];
  for (const Kid& kid : {link.signer, link.subject}) {
    if (!kid.is_zero() && Collapsed(kid, j.charter)) {
      return Objection{Reason::kEquivocation,
                       Join(ToHex(kid), " signed two statements under one number")};
    }
  }
  if (conflicted_.contains(link.oid))
    return Objection{Reason::kEquivocation,
                     Join(ToHex(link.oid), " shares its number with another statement")};
  return std::nullopt;
}

MaybeObjection Restrictions::Judge(std::span<const Link> chain,
                                   const Charter& charter,
                                   const Expansions& held) const {
  Judging j{chain, charter, held, {}};
  for (const Link& link : chain) j.signers.push_back(First(link.signer));
  for (size_t i = chain.size(); i-- > 0;) {  // nearest the charter first
    if (MaybeObjection o = JudgeCollapse(j, i)) return o;
    if (MaybeObjection o = JudgeSubject(j, i)) return o;
    if (MaybeObjection o = JudgeSigner(j, i)) return o;
  }
  return std::nullopt;
}

}  // namespace aqmesh::authority
