#include "node/charters.h"

#include <algorithm>

#include "core/authority/charter.h"
#include "core/base/status.h"

namespace aqmesh::node {

using authority::Charter;
using authority::Cosign;
using authority::Ctx;
using authority::Electorate;
using authority::Quorum;

namespace {

constexpr uint8_t kSlotCharter = 3;
constexpr size_t kAnswersMax = 2;  // the second convicts; a third says nothing more

// The key under which `signer` speaks for the voters of `charter`: as its row has it, or its
// newest.
std::optional<Ed25519Key> KeyIn(const Charter& charter,
                                const Kid& signer,
                                const authority::Restrictions* restrictions) {
  for (const authority::Voter& v : charter.voters) {
    if (authority::KidOf(v.suite, v.key) == signer) return v.key;
  }
  const Electorate voters(charter, Quorum::kRegular, restrictions);
  const std::optional<size_t> at = voters.Find(signer);
  return at ? std::optional(voters.KeyOf(*at)) : std::nullopt;
}

Kid LineageIn(const Kid& signer, const authority::Restrictions* restrictions) {
  return restrictions == nullptr ? signer : restrictions->First(signer);
}

}  // namespace

std::vector<Charters::Held<Cosign>> Charters::Proposal::Votes() const {
  std::vector<Held<Cosign>> out;
  for (const auto& [signer, vote] : votes) out.push_back(vote);
  return out;
}

// ---- what comes

absl::Status Charters::Take(const SignedPtr& object, const Restrictions* restrictions) {
  const absl::Status taken = TakeOne(object, restrictions);
  // Each round follows a proposal or a version that was new, so it ends.
  while (std::exchange(again_, false)) {
    early_bytes_ = 0;
    for (const SignedPtr& waited : std::exchange(early_, {})) {
      (void)TakeOne(waited, restrictions);  // whoever sent it heard long ago that it waits
    }
  }
  return taken;
}

absl::Status Charters::TakeOne(const SignedPtr& object, const Restrictions* restrictions) {
  if (by_ref_.contains(object->ref())) return absl::OkStatus();
  if (object->ctx() == Ctx::kCharter) {
    AQ_ASSIGN_OR_RETURN(Held<Charter> charter, authority::ParseObject<Charter>(*object));
    charter.envelope = object;
    return TakeCharter(std::move(charter), restrictions);
  }
  AQ_ASSIGN_OR_RETURN(Held<Cosign> vote, authority::ParseObject<Cosign>(*object));
  if (vote.body.slot != kSlotCharter) return InvalidArgument("cosign: it is not about a charter");
  vote.envelope = object;
  return TakeVote(vote, restrictions);
}

absl::Status Charters::TakeCharter(Held<Charter> charter, const Restrictions* restrictions) {
  const uint32_t version = charter.body.version;
  if (empty()) {
    if (version == 1) return TakeGenesis(charter);
    return Early(charter.envelope, "the versions before it");
  }
  if (authority::ScopeIdOf(charter) != scope_)
    return PermissionDenied("charter ", ToHex(charter.oid()), ": it is of another mesh");
  const uint32_t newest = in_force_.back().body.version;
  if (version <= newest) return Decided(version, charter.oid(), charter.envelope, restrictions);
  if (version > newest + 1) return Early(charter.envelope, "the versions before it");
  return Propose(std::move(charter), restrictions);
}

absl::Status Charters::TakeGenesis(const Held<Charter>& charter) {
  Proposal genesis{charter, {}};
  for (const SignedPtr& s : early_) {
    const auto vote = authority::ParseObject<Cosign>(*s);
    if (vote.ok() && vote->body.target == charter.oid())
      genesis.votes.try_emplace(s->kid(), Held<Cosign>{s, vote->body});
  }
  const absl::Status sound = authority::VerifyCharter(charter, nullptr, genesis.Votes(), nullptr);
  if (absl::IsUnauthenticated(sound) && charter.body.voters.size() > 1)
    (void)Early(charter.envelope, "");  // its votes may be on their way
  AQ_RETURN_IF_ERROR(sound);
  scope_ = authority::ScopeIdOf(charter);
  Enact(genesis);
  return absl::OkStatus();
}

absl::Status Charters::Propose(Held<Charter> charter, const Restrictions* restrictions) {
  const Held<Charter>& now = in_force_.back();
  const Oid oid = charter.oid();
  if (charter.body.prev != now.oid())
    return FailedPrecondition("charter ", ToHex(oid), ": it follows another than the one in force");
  absl::Status shape = authority::VerifyCharter(charter, &now, {}, restrictions);
  if (absl::IsInvalidArgument(shape)) return shape;
  const Kid signer = charter.signer();
  std::optional<Ed25519Key> key = KeyIn(now.body, signer, restrictions);
  const bool voter = key.has_value();
  if (!voter) key = KeyIn(charter.body, signer, restrictions);
  if (!key) return PermissionDenied("charter ", ToHex(oid), ": its signer is no voter");
  if (!voter) {
    const auto newcomers = std::ranges::count_if(proposals_, [&](const auto& p) {
      return !KeyIn(now.body, p.second.charter.signer(), restrictions);
    });
    if (static_cast<size_t>(newcomers) >= kNewcomersMax)
      return ResourceExhausted(
          "charter ",
          ToHex(oid),
          ": too many are proposed by new voters; let a voter of today sign it");
  }
  if (!authority::VerifySignature(*charter.envelope, *key))
    return Unauthenticated("charter ", ToHex(oid), ": its signature is wrong");
  if (voter) AQ_RETURN_IF_ERROR(Answer(LineageIn(signer, restrictions), charter.envelope, oid));
  Index(charter.envelope);
  news_.held.push_back(charter.envelope);
  proposals_.emplace(oid, Proposal{std::move(charter), {}});
  again_ = true;  // votes for it may have been here first
  Judge(oid, restrictions);
  return absl::OkStatus();
}

absl::Status Charters::TakeVote(const Held<Cosign>& vote, const Restrictions* restrictions) {
  const Cosign& v = vote.body;
  if (empty()) return Early(vote.envelope, "the charter");
  if (v.scope != scope_ || v.id != *Kid::From(scope_.view()))
    return PermissionDenied("vote ", ToHex(vote.oid()), ": it is of another mesh");
  const Charter& now = in_force_.back().body;
  if (v.number <= now.version) {
    return Decided(static_cast<uint32_t>(v.number), v.target, vote.envelope, restrictions);
  }
  const auto proposal = proposals_.find(v.target);
  if (v.number > now.version + 1 || proposal == proposals_.end())
    return Early(vote.envelope, "the charter that it is for");
  const Electorate voters(now, Quorum::kRegular, restrictions);
  const Electorate next(proposal->second.charter.body, Quorum::kRegular, restrictions);
  const std::optional<size_t> at = voters.Find(vote.signer());
  const std::optional<size_t> there = next.Find(vote.signer());
  if (!at && !there)
    return PermissionDenied(
        "vote ", ToHex(vote.oid()), ": its signer votes in neither of the two charters");
  if (!authority::VerifySignature(*vote.envelope, at ? voters.KeyOf(*at) : next.KeyOf(*there)))
    return Unauthenticated("vote ", ToHex(vote.oid()), ": its signature is wrong");
  if (at) AQ_RETURN_IF_ERROR(Answer(voters.First(*at), vote.envelope, v.target));
  // Once is enough, and the same under another time is the same; the signature of the object is a
  // vote too.
  if (proposal->second.charter.signer() == vote.signer()) return absl::OkStatus();
  if (!proposal->second.votes.try_emplace(vote.signer(), vote).second) return absl::OkStatus();
  Index(vote.envelope);
  news_.held.push_back(vote.envelope);
  Judge(v.target, restrictions);
  return absl::OkStatus();
}

// What a voter of today says of the next version. Twice another thing convicts it, and both count
// (spec: quorum#2).
absl::Status Charters::Answer(const Kid& lineage, const SignedPtr& said, const Oid& target) {
  auto& answers = answers_[lineage];
  for (const auto& [before, object] : answers) {
    if (before == target) return absl::OkStatus();
  }
  if (answers.size() >= kAnswersMax)
    return ResourceExhausted(ToHex(lineage), " said two things of this version already");
  if (!answers.empty())
    news_.conflicts.push_back(authority::ProveEquivocation(*answers.front().second, *said));
  answers.emplace_back(target, said);
  return absl::OkStatus();
}

// A version that is decided here. Whoever made it so and signed another answer to it is convicted.
absl::Status Charters::Decided(uint32_t version,
                               const Oid& target,
                               const SignedPtr& said,
                               const Restrictions* restrictions) {
  if (version == 0 || version > in_force_.size())
    return InvalidArgument("version ", version, " of a charter");
  const Held<Charter>& held = in_force_[version - 1];
  if (held.oid() == target) return absl::OkStatus();
  const auto with = [&]() -> SignedPtr {
    if (held.signer() == said->kid()) return held.envelope;
    for (const SignedPtr& vote : votes_[version - 1]) {
      if (vote->kid() == said->kid()) return vote;
    }
    return nullptr;
  }();
  std::optional<Ed25519Key> key;
  if (with) key = KeyIn(held.body, said->kid(), restrictions);
  if (with && !key && version > 1)
    key = KeyIn(in_force_[version - 2].body, said->kid(), restrictions);
  if (key && authority::VerifySignature(*said, *key))
    news_.conflicts.push_back(authority::ProveEquivocation(*with, *said));
  return FailedPrecondition("charter version ",
                            version,
                            " is decided: ",
                            ToHex(held.oid()).substr(0, 8),
                            " is in force, or was");
}

absl::Status Charters::Early(const SignedPtr& object, std::string_view waits_for) {
  // By its bytes: an oid does not cover the signature, and a wrong one may not stand in for the
  // right.
  const bool kept = std::ranges::any_of(
      early_, [&](const SignedPtr& s) { return Equal(s->bytes(), object->bytes()); });
  if (!kept) {
    early_.push_back(object);
    early_bytes_ += object->bytes().size();
    while (early_.size() > kEarlyMax || early_bytes_ > kEarlyBytesMax) {
      early_bytes_ -= early_.front()->bytes().size();
      early_.pop_front();
    }
  }
  return Unavailable(authority::CtxName(object->ctx()),
                     " ",
                     ToHex(object->oid()),
                     ": kept aside, until ",
                     waits_for,
                     " is here");
}

// ---- what it comes to

absl::Status Charters::Wants(const Proposal& proposal, const Restrictions* restrictions) const {
  return authority::VerifyCharter(
      proposal.charter, &in_force_.back(), proposal.Votes(), restrictions);
}

void Charters::Judge(const Oid& oid, const Restrictions* restrictions) {
  const Proposal& proposal = proposals_.at(oid);
  // Without a voter of today nothing comes into force; so strangers' votes cost no more than
  // themselves.
  const Charter& now = in_force_.back().body;
  const auto votes_today = [&](const Kid& signer) {
    return KeyIn(now, signer, restrictions).has_value();
  };
  const bool backed =
      votes_today(proposal.charter.signer()) ||
      std::ranges::any_of(proposal.votes, [&](const auto& v) { return votes_today(v.first); });
  if (!backed || !Wants(proposal, restrictions).ok()) return;
  Enact(Proposal(proposal));
}

void Charters::Enact(const Proposal& proposal) {
  for (const auto& [oid, p] : proposals_) {
    news_.dropped.push_back(p.charter.envelope);
    for (const auto& [signer, vote] : p.votes) news_.dropped.push_back(vote.envelope);
  }
  for (const SignedPtr& s : news_.dropped) by_ref_.erase(s->ref());
  news_.held.clear();
  proposals_.clear();
  answers_.clear();
  in_force_.push_back(proposal.charter);
  Index(proposal.charter.envelope);
  std::vector<SignedPtr>& votes = votes_.emplace_back();
  for (const auto& [signer, vote] : proposal.votes) {
    votes.push_back(vote.envelope);
    Index(vote.envelope);
  }
  news_.in_force.push_back(proposal);
  again_ = true;
}

absl::Status Charters::Restore(const SignedPtr& charter,
                               std::span<const SignedPtr> votes,
                               const Restrictions* restrictions) {
  AQ_ASSIGN_OR_RETURN(Held<Charter> held, authority::ParseObject<Charter>(*charter));
  Proposal proposal{{charter, std::move(held.body)}, {}};
  for (const SignedPtr& s : votes) {
    auto vote = authority::ParseObject<Cosign>(*s);
    if (vote.ok()) proposal.votes.try_emplace(s->kid(), Held<Cosign>{s, vote->body});
  }
  const Held<Charter>* prev = empty() ? nullptr : &in_force_.back();
  AQ_RETURN_IF_ERROR(
      authority::VerifyCharter(proposal.charter, prev, proposal.Votes(), restrictions));
  if (empty()) scope_ = authority::ScopeIdOf(proposal.charter);
  Enact(proposal);
  news_ = {};
  return absl::OkStatus();
}

// ---- questions

void Charters::Index(const SignedPtr& object) { by_ref_.insert_or_assign(object->ref(), object); }

Charters::SignedPtr Charters::Find(const Ref16& ref) const {
  const auto it = by_ref_.find(ref);
  return it == by_ref_.end() ? nullptr : it->second;
}

bool Charters::Proposed(const Ref16& ref) const {
  return std::ranges::any_of(proposals_, [&](const auto& p) {
    return p.second.charter.envelope->ref() == ref ||
           std::ranges::any_of(p.second.votes,
                               [&](const auto& v) { return v.second.envelope->ref() == ref; });
  });
}

std::vector<Charters::SignedPtr> Charters::InForceBeyond(uint32_t version) const {
  std::vector<SignedPtr> out;
  for (size_t i = std::min<size_t>(version, in_force_.size()); i < in_force_.size(); ++i) {
    out.push_back(in_force_[i].envelope);
    out.insert(out.end(), votes_[i].begin(), votes_[i].end());
  }
  return out;
}

std::vector<Charters::SignedPtr> Charters::Beyond(uint32_t version) const {
  std::vector<SignedPtr> out = InForceBeyond(version);
  for (const auto& [oid, p] : proposals_) {
    out.push_back(p.charter.envelope);
    for (const auto& [signer, vote] : p.votes) out.push_back(vote.envelope);
  }
  return out;
}

}  // namespace aqmesh::node
