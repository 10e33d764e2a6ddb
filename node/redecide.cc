#include "node/redecide.h"

#include <algorithm>
#include <limits>
#include <set>

#include "admission/gate.h"
#include "core/authority/charter.h"
#include "core/base/status.h"
#include "node/approval.h"
#include "node/corroboration.h"
#include "node/trust_book.h"
#include "transport/frame/envelope.h"
#include "trust/weigh.h"

namespace aqmesh::node {

using authority::Held;
using authority::Observe;
using authority::RecordKind;
using authority::Rung;
using authority::SignedPtr;

namespace {

constexpr authority::Reason kEquivocation = authority::Reason::kEquivocation;
constexpr uint32_t kSlopeZero = 65'536;  // slope is recorded as Q16 + 65536
constexpr size_t kNoBudget = std::numeric_limits<size_t>::max();

// Without parsing the rest: field 1 of a record's body (spec: objects#2).
RecordKind KindOf(ByteView body) {
  return body.size() > 2 && body[0] == 0x08 ? static_cast<RecordKind>(body[1]) : RecordKind{};
}
bool IsDecision(RecordKind kind) {
  return kind == RecordKind::kProposed || kind == RecordKind::kDecided;
}

template <class T>
absl::Status TakeInto(std::optional<Held<T>>& out, const SignedPtr& object) {
  if (out) return DataLoss("its inputs name two objects of which there is one");
  absl::StatusOr<T> body = authority::ParseBody<T>(object->body());
  if (!body.ok()) return DataLoss("an input does not parse: ", Text(body.status()));
  out = Held<T>{object, *std::move(body)};
  return absl::OkStatus();
}

std::string RungsText(const std::optional<authority::Gates>& gates) {
  if (!gates) return "none";
  std::string out;
  for (const uint8_t rung : *gates)
    out += Join(out.empty() ? "" : " ", authority::RungName(static_cast<Rung>(rung)));
  return out;
}

std::string ReasonText(uint16_t reason) {
  if (reason == 0) return "none";
  return reason < authority::kReasonCount
             ? std::string(authority::ReasonName(static_cast<authority::Reason>(reason)))
             : Join(reason);
}

// A voter's two answers to one version of the charter, behind their lengths. Statements under one
// number of a stream are none: those are found again from what was held.
std::optional<authority::Equivocation> VotesIn(ByteView proof) {
  std::vector<authority::Signed> both;
  while (proof.size() >= 2 && both.size() < 2) {
    const size_t size = LoadLe<uint16_t>(proof.data());
    if (proof.size() - 2 < size) return std::nullopt;
    auto one = authority::Signed::Parse(proof.subspan(2, size));
    if (!one.ok()) return std::nullopt;
    both.push_back(*std::move(one));
    proof = proof.subspan(2 + size);
  }
  const auto votes = [](const authority::Signed& s) {
    return s.ctx() == authority::Ctx::kCharter || s.ctx() == authority::Ctx::kCosign;
  };
  if (both.size() != 2 || !votes(both[0]) || !votes(both[1])) return std::nullopt;
  return authority::ProveEquivocation(both[0], both[1]);
}

}  // namespace

Observe DecisionRecord(const authority::Decision& d) {
  Observe o;
  o.subject = d.chain().subject;
  authority::Gates& gates = o.gates.emplace();
  for (size_t i = 0; i < gates.size(); ++i) gates[i] = static_cast<uint8_t>(d.gates()[i].rung);
  o.ladm = d.weighed().ladm();
  o.slope = static_cast<uint32_t>(static_cast<int32_t>(kSlopeZero) + d.weighed().slope());
  o.corr = d.votes();
  o.rung = d.rung();
  o.reason = static_cast<uint16_t>(d.reason());
  return o;
}

// ---- what the store holds

absl::StatusOr<Redecider> Redecider::Open(const lineage::Store& store, PolicyReader policy) {
  Redecider out(store, std::move(policy));
  AQ_RETURN_IF_ERROR(out.ReadObjects());
  AQ_RETURN_IF_ERROR(out.ReadHeld());
  AQ_RETURN_IF_ERROR(out.ReadRestrictions());
  return out;
}

void Redecider::LearnKey(const authority::Grant& g) {
  keys_.emplace(authority::KidOf(g.suite, g.key), g.key);
}

// A kid is the digest of its key, so a key that is found anywhere is the right one.
std::optional<Ed25519Key> Redecider::KeyOf(const Kid& kid) const {
  const auto it = keys_.find(kid);
  return it == keys_.end() ? std::nullopt : std::optional(it->second);
}

absl::Status Redecider::ReadObjects() {
  AQ_RETURN_IF_ERROR(store_.ScanObjects(lineage::Shelf::kSigned, [&](const Oid&, ByteView bytes) {
    auto parsed = authority::Signed::Parse(bytes);
    if (!parsed.ok()) return true;
    const auto object = std::make_shared<const authority::Signed>(*std::move(parsed));
    if (object->ctx() == authority::Ctx::kGrant) {
      if (const auto g = authority::ParseBody<authority::Grant>(object->body()); g.ok())
        LearnKey(*g);
    } else if (object->ctx() == authority::Ctx::kCharter) {
      auto c = authority::ParseBody<authority::Charter>(object->body());
      if (c.ok()) charters_.push_back({object, *std::move(c)});
    }
    return true;
  }));
  std::ranges::sort(charters_, {}, [](const auto& c) { return c.body.version; });
  for (const auto& c : charters_) {
    for (const authority::Voter& v : c.body.witnesses)
      keys_.emplace(authority::KidOf(v.suite, v.key), v.key);
    for (const authority::Voter& v : c.body.voters)
      keys_.emplace(authority::KidOf(v.suite, v.key), v.key);
  }
  return absl::OkStatus();
}

absl::Status Redecider::ReadHeld() {
  return store_.ScanState("held/", [&](std::string_view, ByteView bytes) {
    auto parsed = authority::Signed::Parse(bytes);
    if (!parsed.ok()) return true;
    const auto object = std::make_shared<const authority::Signed>(*std::move(parsed));
    if (const auto g = authority::ParseBody<authority::Grant>(object->body());
        object->ctx() == authority::Ctx::kGrant && g.ok()) {
      LearnKey(*g);
      held_.emplace_back(object, g->seq);
    } else if (const auto f = authority::ParseBody<authority::Fragment>(object->body());
               object->ctx() == authority::Ctx::kFragment && f.ok()) {
      held_.emplace_back(object, f->seq);
    }
    return true;
  });
}

absl::Status Redecider::TakeConviction(lineage::Seq seq, const Digest& id) {
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> proof,
                      store_.GetObject(lineage::Shelf::kProof, Oid{id.bytes}));
  if (const auto said_twice = proof ? VotesIn(*proof) : std::nullopt)
    convictions_.push_back({seq, *said_twice});
  return absl::OkStatus();
}

// Whoever was convicted before this log's first record: its own records do not say so.
absl::Status Redecider::ReadOldConvictions() {
  std::vector<Conviction> old;
  AQ_RETURN_IF_ERROR(store_.ScanState("proof/", [&](std::string_view, ByteView bytes) {
    const auto said_twice = VotesIn(bytes);
    const bool known = said_twice && std::ranges::any_of(convictions_, [&](const Conviction& c) {
                         return c.proof.id == said_twice->id;
                       });
    if (said_twice && !known) old.push_back({0, *said_twice});
    return true;
  }));
  convictions_.insert(convictions_.begin(), old.begin(), old.end());
  return absl::OkStatus();
}

absl::Status Redecider::ReadRestrictions() {
  std::vector<Oid> seen;
  std::set<Oid> known;  // a restart may see one again
  absl::Status broken;
  const auto visit = [&](lineage::Seq seq, const Digest&, ByteView body) {
    const RecordKind kind = KindOf(body);
    if (kind != RecordKind::kRevokeSeen && kind != RecordKind::kEscalated) return true;
    const auto record = authority::ParseBody<Observe>(body);
    if (!record.ok()) broken = DataLoss("record ", seq, ": ", Text(record.status()));
    if (!broken.ok()) return false;
    if (kind == RecordKind::kEscalated) {
      if (record->evidence && record->reason == static_cast<uint16_t>(kEquivocation))
        broken = TakeConviction(seq, *record->evidence);
      return broken.ok();
    }
    const Oid oid = record->evidence ? *Oid::From(record->evidence->view()) : Oid{};
    if (record->evidence && known.insert(oid).second) seen.push_back(oid);
    return true;
  };
  // Those of records that were pruned, in their order.
  if (store_.first() > 0) {
    AQ_RETURN_IF_ERROR(
        store_.ScanState(lineage::kSeenPrefix, [&](std::string_view, ByteView bytes) {
          const std::optional<Oid> oid = Oid::From(bytes);
          if (oid && known.insert(*oid).second) seen.push_back(*oid);
          return true;
        }));
  }
  AQ_RETURN_IF_ERROR(store_.WalkLog(0, store_.size(), lineage::Order::kOldestFirst, visit));
  AQ_RETURN_IF_ERROR(broken);
  AQ_RETURN_IF_ERROR(ReadOldConvictions());
  for (const Oid& oid : seen) {
    AQ_ASSIGN_OR_RETURN(const SignedPtr object, Fetch(oid));
    absl::StatusOr<authority::Revoke> body =
        authority::ParseBody<authority::Revoke>(object->body());
    if (!body.ok()) return DataLoss("restriction ", ToHex(oid), ": ", Text(body.status()));
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> mark, store_.GetState("cut/" + ToHex(oid)));
    const uint64_t before = mark && mark->size() == 8 ? LoadLe<uint64_t>(mark->data()) : 0;
    restrictions_.push_back({Held<authority::Revoke>{object, *std::move(body)}, before});
  }
  return absl::OkStatus();
}

absl::StatusOr<SignedPtr> Redecider::Fetch(const Oid& oid) const {
  for (const lineage::Shelf shelf : {lineage::Shelf::kInputs, lineage::Shelf::kSigned}) {
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, store_.GetObject(shelf, oid));
    if (!bytes) continue;
    auto parsed = authority::Signed::Parse(*bytes);
    if (!parsed.ok() || parsed->oid() != oid)
      return DataLoss("object ", ToHex(oid), " is not what its name says");
    return std::make_shared<const authority::Signed>(*std::move(parsed));
  }
  return DataLoss("object ", ToHex(oid), " is not kept here");
}

// ---- one decision

absl::Status Redecider::Take(DecisionCase& c, SignedPtr object) const {
  switch (object->ctx()) {
    case authority::Ctx::kCharter: {
      const auto it = std::ranges::find(charters_, object->oid(), &Held<authority::Charter>::oid);
      if (it == charters_.end()) return DataLoss("charter ", ToHex(object->oid()), " is not kept");
      c.charters.assign(charters_.begin(), it + 1);
      return absl::OkStatus();
    }
    case authority::Ctx::kPresentation: return TakeInto(c.presentation, object);
    case authority::Ctx::kRequest: return TakeInto(c.request, object);
    case authority::Ctx::kInvite: return TakeInto(c.invite, object);
    default: c.items.push_back(std::move(object)); return absl::OkStatus();
  }
}

absl::StatusOr<lineage::Inputs> Redecider::InputsOf(const Observe& record) const {
  const Oid& id = *record.inputs;
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes,
                      store_.GetObject(lineage::Shelf::kInputs, id));
  if (!bytes) return DataLoss("its inputs, ", ToHex(id), ", are not kept");
  if (lineage::InputsId(*bytes) != id) return DataLoss("its inputs are not what their name says");
  return lineage::ParseInputs(*bytes);
}

absl::StatusOr<DecisionCase> Redecider::Load(Observe record) const {
  DecisionCase c{.record = std::move(record)};
  if (!IsDecision(c.record.kind) || !c.record.inputs || !c.record.authority)
    return InvalidArgument("record ", c.record.seq, " is no decision");
  AQ_ASSIGN_OR_RETURN(c.inputs, InputsOf(c.record));
  for (const Oid& oid : c.inputs.oids) {
    AQ_ASSIGN_OR_RETURN(SignedPtr object, Fetch(oid));
    AQ_RETURN_IF_ERROR(Take(c, std::move(object)));
  }
  if (c.charters.empty()) return DataLoss("its inputs name no charter");
  const auto speaks = [&](const Oid& oid) {
    return frame::AuthDigestOf(oid) == c.record.authority;
  };
  const bool presented = c.presentation && speaks(c.presentation->oid());
  const bool asked = c.request && c.invite && speaks(c.request->oid());
  if (!presented && !asked) {
    const auto plain = std::ranges::find_if(
        c.items, [&](const SignedPtr& object) { return speaks(object->oid()); });
    if (plain == c.items.end())
      return DataLoss("what was presented is not among its inputs: an older version recorded it");
    std::iter_swap(c.items.begin(), plain);
  }
  const Oid policy = *Oid::From(c.inputs.policy.view());
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> text,
                      store_.GetObject(lineage::Shelf::kPolicy, policy));
  AQ_ASSIGN_OR_RETURN(c.policy, policy_(c.inputs.policy, text));
  return c;
}

void Redecider::Hold(uint64_t count) {
  for (; memory_->held < std::min<uint64_t>(count, held_.size()); ++memory_->held) {
    const auto& [statement, seq] = held_[memory_->held];
    if (const auto proof = memory_->expansions.Add(statement, seq))
      memory_->restrictions.Collapse(*proof);
  }
}

// Brings the memory to where it was: as many restrictions, each behind what was held when it came.
absl::Status Redecider::Remember(const DecisionCase& c, const ScopeId& scope) {
  const lineage::Inputs& in = c.inputs;
  const auto convicted =
      static_cast<uint64_t>(std::ranges::count_if(convictions_, [&](const Conviction& known) {
        return known.seq == 0 || known.seq < c.record.seq;
      }));
  if (in.restricted > restrictions_.size() || in.held > held_.size())
    return DataLoss("it was made under more restrictions than the log shows");
  if (!memory_ || memory_->restricted > in.restricted || memory_->held > in.held ||
      memory_->convicted > convicted || memory_->voted > c.record.seq)
    memory_.emplace(scope);
  for (; memory_->convicted < convicted; ++memory_->convicted)
    memory_->restrictions.Collapse(convictions_[memory_->convicted].proof);
  for (; memory_->restricted < in.restricted; ++memory_->restricted) {
    const Restriction& r = restrictions_[memory_->restricted];
    Hold(r.held_before);
    const auto key = KeyOf(r.statement.signer());
    if (!key)
      return DataLoss("the signer of restriction ", ToHex(r.statement.oid()), " is unknown");
    AQ_RETURN_IF_ERROR(memory_->restrictions.Add(r.statement, *key, memory_->expansions));
  }
  Hold(in.held);
  return absl::OkStatus();
}

absl::StatusOr<authority::Verified> Redecider::Verify(const DecisionCase& c) {
  const ScopeId scope = authority::ScopeIdOf(c.charters.front());
  AQ_RETURN_IF_ERROR(Remember(c, scope));
  for (const SignedPtr& item : c.items) {
    if (item->ctx() != authority::Ctx::kCosign) continue;
    auto vote = authority::ParseBody<authority::Cosign>(item->body());
    const auto key = KeyOf(item->kid());
    if (!vote.ok() || !key) return DataLoss("a vote among its inputs does not parse");
    AQ_RETURN_IF_ERROR(
        memory_->restrictions.Add(Held<authority::Cosign>{item, *std::move(vote)}, *key));
    memory_->voted = c.record.seq;
  }
  const WallTime now{static_cast<int64_t>(c.inputs.wall_millis) * 1'000'000};
  authority::AuthReport report;
  std::optional<authority::Verified> verified;
  if (c.request) {
    std::optional<Ed25519Key> inviter = KeyOf(c.invite->signer());
    for (const SignedPtr& item : c.items) {
      const auto g = authority::ParseBody<authority::Grant>(item->body());
      if (item->ctx() == authority::Ctx::kGrant && g.ok() &&
          authority::KidOf(g->suite, g->key) == c.invite->signer())
        inviter = g->key;
    }
    verified = authority::AuthenticateRequest({.request = *c.request,
                                               .invite = *c.invite,
                                               .charter = c.charters.back().body,
                                               .scope = scope,
                                               .inviter = inviter,
                                               .now = now},
                                              report);
  } else {
    authority::ObjectStore recalled;
    for (const lineage::GrantedPair& pair : c.inputs.granted) {
      recalled.Recall(*Kid::From(pair.view().first(Kid::kSize)),
                      *Kid::From(pair.view().subspan(Kid::kSize)));
    }
    if (c.inputs.issuer) {
      const Kid kid = authority::KidOf(authority::Suite::kEd25519, *c.inputs.issuer);
      recalled.Recall(kid, *c.inputs.issuer);
    }
    const authority::ScopeHeld held{.charters = c.charters,
                                    .scope = scope,
                                    .restrictions = &memory_->restrictions,
                                    .expansions = &memory_->expansions};
    // A standing session is judged again without asking for signatures once all else has refused.
    const bool again = (c.inputs.flags & lineage::kInputAgain) != 0 || !c.presentation;
    verified = authority::Authenticate({.scopes = {&held, 1},
                                        .presentation = c.presentation ? &*c.presentation : nullptr,
                                        .items = c.items,
                                        .store = &recalled,
                                        .cache = &cache_,
                                        .now = now,
                                        .signatures_max = kNoBudget,
                                        .signatures_if_bad = again ? 0 : kNoBudget},
                                       report);
  }
  if (!verified) return DataLoss("from its inputs alone it is a stranger's: ", report.why);
  return *std::move(verified);
}

absl::StatusOr<authority::Decision> Redecider::Decide(const DecisionCase& c) {
  AQ_ASSIGN_OR_RETURN(authority::Verified verified, Verify(c));
  const authority::Charter& charter = c.charters.back().body;
  const auto flag = [&c](uint16_t bit) { return (c.inputs.flags & bit) != 0; };
  const bool session = flag(lineage::kInputSession);
  admission::GateContext context{
      .now = {Instant(std::chrono::nanoseconds(c.inputs.mono_nanos)),
              WallTime{static_cast<int64_t>(c.inputs.wall_millis) * 1'000'000}},
      .local = c.policy,
      .freshness = {.age = c.inputs.age,
                    .committed_before = flag(lineage::kInputCommittedBefore),
                    .session = session,
                    .rekey = session,
                    .restrictions_differ = flag(lineage::kInputRestrictionsDiffer)},
      .last_use = c.inputs.last_use == 0 ? std::nullopt : std::optional(c.inputs.last_use),
      .action = static_cast<admission::Action>(c.inputs.action)};
  admission::TrustMemory memory{
      .rung = c.inputs.prev_rung, .since = c.inputs.since, .epochs = c.inputs.epochs};
  const admission::Gate gate(admission::GateParams::From(charter));
  // What a charter says of a key stands for itself; what was seen of it is in the inputs.
  const auto known = [&c](const Kid& key, trust::Role, uint32_t prior) {
    const auto slope = std::ranges::find(c.inputs.slopes, key, &lineage::SlopeInput::kid);
    if (c.inputs.epoch == 0 || slope == c.inputs.slopes.end())
      return trust::Standing::New(prior, c.inputs.epoch);
    trust::Standing s = StandingOf(*slope);
    if (Untouched(s)) s.a = prior;
    return s;
  };
  const std::vector<trust::Link> links =
      trust::LinksOf(trust::StepsOf(verified.chain()), charter, c.inputs.epoch, known);
  for (const SignedPtr& item : c.items) {
    if (item->ctx() != authority::Ctx::kApprove) continue;
    auto body = authority::ParseBody<authority::Approve>(item->body());
    if (!body.ok()) return DataLoss("an approval does not parse: ", Text(body.status()));
    context.approval = ApprovalIn({item, *std::move(body)},
                                  verified.chain(),
                                  links,
                                  {.scope = authority::ScopeIdOf(c.charters.front()),
                                   .charter = charter,
                                   .now = context.now.wall,
                                   .epoch = c.inputs.epoch});
  }
  if (gate.AsksForVotes()) {
    // What each attester's chain weighed is an input: the records of who stands behind it have
    // more.
    const auto level = [&c](const authority::Chain& chain) -> std::optional<uint32_t> {
      const auto voice =
          std::ranges::find(c.inputs.voices, chain.subject, &lineage::VoiceInput::kid);
      return voice == c.inputs.voices.end() ? std::nullopt : std::optional(voice->ladm);
    };
    const authority::ScopeHeld held{.charters = c.charters,
                                    .scope = authority::ScopeIdOf(c.charters.front()),
                                    .restrictions = &memory_->restrictions,
                                    .expansions = &memory_->expansions};
    const VoiceGround ground{.scope = held, .now = context.now.wall, .cache = &cache_};
    context.corroboration =
        SumOf(VoicesIn(verified.chain().subject, c.items, ground, level), charter);
    context.corroboration.eligible = c.inputs.eligible;
  }
  return gate.Decide(
      trust::Weigh(std::move(verified), charter, links, c.inputs.epoch), context, memory);
}

std::string Redecider::Difference(const Observe& recorded, const authority::Decision& again) {
  const Observe made = DecisionRecord(again);
  std::string out;
  const auto say = [&out](std::string_view what, std::string_view was, std::string_view is) {
    out += Join(out.empty() ? "" : "; ", what, ": recorded ", was, ", made again ", is);
  };
  if (recorded.subject != made.subject)
    say("subject", recorded.subject ? ToHex(*recorded.subject) : "none", ToHex(*made.subject));
  if (recorded.rung != made.rung)
    say("rung", authority::RungName(recorded.rung), authority::RungName(made.rung));
  if (recorded.reason != made.reason)
    say("reason", ReasonText(recorded.reason), ReasonText(made.reason));
  if (recorded.gates != made.gates) say("gates", RungsText(recorded.gates), RungsText(made.gates));
  if (recorded.ladm != made.ladm) say("level", Join(recorded.ladm), Join(made.ladm));
  if (recorded.slope != made.slope) say("slope", Join(recorded.slope), Join(made.slope));
  if (recorded.corr != made.corr) say("corroboration", Join(recorded.corr), Join(made.corr));
  return out;
}

Redecider::Result Redecider::Make(Observe record, const Digest& leaf) {
  Result out{.seq = record.seq, .leaf = leaf, .status = {}, .differs = {}};
  const absl::StatusOr<DecisionCase> c = Load(std::move(record));
  out.status = c.status();
  if (!c.ok()) return out;
  const absl::StatusOr<authority::Decision> again = Decide(*c);
  out.status = again.status();
  if (again.ok()) out.differs = Difference(c->record, *again);
  if (again.ok() && out.differs.empty()) out.differs = SlopesDiffer(c->inputs);
  return out;
}

namespace {

trust::Standing After(const trust::Folded& f) {
  trust::Standing s = f.before;
  s.Step(f.epoch, f.evidence);
  return s;
}
// Apart from the prior, which belongs to a role.
bool SameEvidence(trust::Standing x, const trust::Standing& y) {
  x.a = y.a;
  return x == y;
}

}  // namespace

// What a decision read of a key is what was weighed of it last; but for what its own epoch brought,
// which is weighed in a record after it.
std::string Redecider::SlopesDiffer(const lineage::Inputs& in) const {
  for (const lineage::SlopeInput& slope : in.slopes) {
    const auto last = weighed_.find(slope.kid);
    if (last == weighed_.end() || in.epoch == 0 || slope.last == in.epoch) continue;
    if (!SameEvidence(StandingOf(slope), After(last->second)))
      return Join("slope: what it read of ", ToHex(slope.kid), " is not what was weighed before");
  }
  return "";
}

Redecider::Result Redecider::MakeWeighted(Observe record, const Digest& leaf) {
  Result out{.seq = record.seq, .leaf = leaf, .status = {}, .differs = {}};
  if (!record.inputs || !record.subject) {
    out.status = DataLoss("what was weighed is not named");
    return out;
  }
  const absl::StatusOr<lineage::Inputs> in = InputsOf(record);
  out.status = in.status();
  if (!in.ok()) return out;
  const auto charter =
      in->oids.empty() ? charters_.end()
                       : std::ranges::find(charters_, in->oids[0], &Held<authority::Charter>::oid);
  if (charter == charters_.end() || !in->weighed || in->slopes.size() != 1 ||
      in->slopes[0].kid != *record.subject || in->slopes[0].last > in->epoch) {
    out.status = DataLoss("its inputs are no weighing of its subject");
    return out;
  }
  const trust::Folded now{.key = *record.subject,
                          .epoch = in->epoch,
                          .before = StandingOf(in->slopes[0]),
                          .evidence = {.r = in->weighed->r,
                                       .s = in->weighed->s,
                                       .u = in->weighed->u,
                                       .equivocation = in->weighed->equivocation}};
  const trust::Reading reading = After(now).Read(now.epoch, trust::GapCapOf(charter->body));
  const auto slope = static_cast<uint32_t>(static_cast<int32_t>(kSlopeZero) + reading.slope);
  if (record.ladm != reading.ladm || record.slope != slope)
    out.differs = Join("level: recorded ", record.ladm, ", weighed again ", reading.ladm);
  // Within an epoch it grows upon one state; the next begins where that ended.
  if (const auto last = weighed_.find(now.key); last != weighed_.end() && out.differs.empty()) {
    const bool goes_on = last->second.epoch == now.epoch
                             ? SameEvidence(now.before, last->second.before)
                             : SameEvidence(now.before, After(last->second));
    if (!goes_on) out.differs = "slope: it does not go on from what was weighed before";
  }
  weighed_.insert_or_assign(now.key, now);
  return out;
}

absl::Status Redecider::All(absl::FunctionRef<bool(const Result&)> visit) {
  const uint64_t size = store_.size();
  weighed_.clear();
  for (uint64_t at = 0; at < size; at += kChunk) {
    std::vector<std::pair<Observe, Digest>> decisions;
    absl::Status broken;
    AQ_RETURN_IF_ERROR(store_.WalkLog(at,
                                      std::min(size, at + kChunk),
                                      lineage::Order::kOldestFirst,
                                      [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
                                        if (!IsDecision(KindOf(body)) &&
                                            KindOf(body) != RecordKind::kWeighted)
                                          return true;
                                        auto record = authority::ParseBody<Observe>(body);
                                        if (record.ok()) {
                                          decisions.emplace_back(*std::move(record), leaf);
                                        } else {
                                          broken = DataLoss("record ", seq, " does not parse");
                                        }
                                        return broken.ok();
                                      }));
    AQ_RETURN_IF_ERROR(broken);
    for (auto& [record, leaf] : decisions) {
      if (record.kind == RecordKind::kWeighted) {
        const Result weighed = MakeWeighted(std::move(record), leaf);
        if (!weighed.same() && !visit(weighed)) return absl::OkStatus();
        continue;
      }
      if (!visit(Make(std::move(record), leaf))) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::node
