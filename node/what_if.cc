#include "node/what_if.h"

#include <algorithm>

#include "admission/verdict.h"
#include "core/base/status.h"
#include "lineage/record.h"

namespace aqmesh::node {

using authority::Held;
using authority::Observe;
using authority::RecordKind;
using authority::Rung;
using lineage::Seq;
using lineage::Where;

namespace {

constexpr uint64_t kStep = 65'536;  // records looked at, at a time
constexpr uint32_t kKinds = (1u << static_cast<uint32_t>(RecordKind::kFlow)) |
                            (1u << static_cast<uint32_t>(RecordKind::kProposed)) |
                            (1u << static_cast<uint32_t>(RecordKind::kDecided));

bool LetsDataThrough(const Observe& record) {
  return (record.kind == RecordKind::kProposed || record.kind == RecordKind::kDecided) &&
         record.rung >= Rung::kProbation && record.inputs;
}

admission::PacketInfo OpenerOf(const lineage::Attempt& a) {
  admission::PacketInfo p;
  p.src = a.src;
  p.dst = a.dst;
  p.proto = a.proto;
  p.classified = a.proto != admission::kProtoAny;
  p.dport = a.port;
  return p;
}

// The subject's leaf grant, in what it presented: the first that the presentation cites, or, of a
// device that presents nothing, the PLAIN grant that speaks for it.
const authority::Signed* LeafOf(const DecisionCase& c) {
  if (!c.presentation) return c.items.empty() ? nullptr : c.items.front().get();
  if (c.presentation->body.refs.empty()) return nullptr;
  const auto at = std::ranges::find_if(c.items, [&](const authority::SignedPtr& o) {
    return RefOf(o->oid()) == c.presentation->body.refs.front();
  });
  return at == c.items.end() ? nullptr : at->get();
}

}  // namespace

absl::StatusOr<std::optional<admission::Policies>> WhatIf::Compile(Observe decision) const {
  const uint64_t second = lineage::MillisFromHlc(decision.hlc) / 1'000;
  const bool probation = decision.rung == Rung::kProbation;
  const Kid subject = *decision.subject;
  const Seq seq = decision.seq;
  const auto c = decisions_.Load(std::move(decision));
  if (!c.ok()) return Annotate(c.status(), Join("record ", seq));
  const authority::Signed* leaf = LeafOf(*c);
  if (leaf == nullptr || leaf->ctx() != authority::Ctx::kGrant)
    return DataLoss("record ", seq, ": the grant that it let in is not among its inputs");
  AQ_ASSIGN_OR_RETURN(const auto grant, authority::ParseBody<authority::Grant>(leaf->body()));
  const std::optional<admission::Party> us = own_(second);
  if (!us) return std::nullopt;
  const admission::Party them = admission::PartyOf(subject, grant);
  const std::vector<authority::Svc> services = admission::ProbationProfile(c->charters.back().body);
  std::optional<std::span<const authority::Svc>> profile;
  if (probation) profile = services;
  const WallTime now = WallTime::FromSeconds(second);
  const auto between = [&](const admission::Party& src, const admission::Party& dst) {
    return admission::Policy::Compile({.cited = proposed_,
                                       .src = src,
                                       .dst = dst,
                                       .local = c->policy,
                                       .now = now,
                                       .profile = profile});
  };
  return admission::Policies{.send = between(*us, them), .receive = between(them, *us)};
}

absl::StatusOr<std::optional<Observe>> WhatIf::DecisionBefore(const Kid& subject,
                                                              Seq before) const {
  std::optional<Observe> found;
  AQ_RETURN_IF_ERROR(store_.WalkSubject(
      subject, 0, before, lineage::Order::kNewestFirst, [&](Seq, const Digest&, ByteView body) {
        auto r = authority::ParseBody<Observe>(body);
        if (!r.ok() || !LetsDataThrough(*r)) return true;
        found = *std::move(r);
        return false;
      }));
  return found;
}

absl::StatusOr<const WhatIf::Situation*> WhatIf::SituationOf(const Kid& subject, Seq before) {
  const auto [it, fresh] = situations_.try_emplace(subject);
  Situation& s = it->second;
  if (fresh) {
    AQ_ASSIGN_OR_RETURN(s.decision, DecisionBefore(subject, before));
  }
  if (s.decision) {
    AQ_ASSIGN_OR_RETURN(s.policies, Compile(*std::exchange(s.decision, std::nullopt)));
  }
  return &s;
}

void WhatIf::Judge(const Observe& record,
                   const lineage::Attempt& a,
                   const admission::Policies& policies,
                   WhatIfReport& report) {
  report.flows += a.count;
  const auto direction =
      a.opened_here ? admission::Direction::kSend : admission::Direction::kReceive;
  const admission::Policy& policy = policies.For(direction);
  const WallTime then{static_cast<int64_t>(a.first_millis) * 1'000'000};
  const admission::Ruling now = policy.Evaluate(OpenerOf(a), then);
  if (now.pass() == a.allowed()) return;
  report.changed += a.count;
  if (now.pass()) report.allowed_now += a.count;
  const Key key(*record.subject,
                a.src,
                a.dst,
                a.proto,
                a.port,
                a.opened_here,
                a.reason,
                static_cast<uint16_t>(now.reason));
  const auto at = places_.find(key);
  if (at == places_.end() && report.changes.size() == WhatIfReport::kChangesMax) {
    report.unsaid += a.count;
    return;
  }
  if (at == places_.end()) {
    places_.emplace(key, report.changes.size());
    report.changes.push_back({*record.subject, a, now, {}});
    if (now.pass()) report.changes.back().by = policy.rule(now.path);
    return;
  }
  lineage::Attempt& sum = report.changes[at->second].attempt;
  sum.count += a.count;
  sum.first_millis = std::min(sum.first_millis, a.first_millis);
  sum.last_millis = std::max(sum.last_millis, a.last_millis);
}

absl::Status WhatIf::TakeFlow(const Observe& record, WhatIfReport& report) {
  const auto content = lineage::ReadContent(store_, record);
  if (!content.ok()) return Annotate(content.status(), Join("record ", record.seq));
  if (content->state == lineage::Content::State::kNone) return absl::OkStatus();
  if (content->state != lineage::Content::State::kOpen) {
    ++report.unreadable;
    return absl::OkStatus();
  }
  AQ_ASSIGN_OR_RETURN(const lineage::Attempts attempts, lineage::AttemptsIn(*content));
  report.unlisted += attempts.unlisted;
  AQ_ASSIGN_OR_RETURN(const Situation* const s, SituationOf(*record.subject, record.seq));
  for (const lineage::Attempt& a : attempts.rows) {
    if (s->policies) {
      Judge(record, a, *s->policies, report);
    } else {
      report.unknown += a.count;
    }
  }
  return absl::OkStatus();
}

absl::Status WhatIf::Take(const Observe& record, WhatIfReport& report) {
  if (record.kind == RecordKind::kFlow) return TakeFlow(record, report);
  if (LetsDataThrough(record) && record.subject) situations_[*record.subject] = {record, {}};
  return absl::OkStatus();
}

absl::StatusOr<WhatIfReport> WhatIf::From(Seq first) {
  WhatIfReport report;
  const uint64_t size = store_.size();
  for (uint64_t at = first; at < size; at += kStep) {
    std::vector<Observe> records;
    absl::Status broken;
    AQ_RETURN_IF_ERROR(store_.WalkWhere(
        Where{.kinds = kKinds},
        at,
        std::min(size, at + kStep),
        lineage::Order::kOldestFirst,
        [&](Seq seq, const Digest&, ByteView body) {
          auto r = authority::ParseBody<Observe>(body);
          if (!r.ok()) broken = DataLoss("record ", seq, " does not parse: ", Text(r.status()));
          if (r.ok()) records.push_back(*std::move(r));
          return broken.ok();
        }));
    AQ_RETURN_IF_ERROR(broken);
    for (const Observe& r : records) AQ_RETURN_IF_ERROR(Take(r, report));
  }
  std::ranges::stable_sort(
      report.changes, std::ranges::greater(), [](const Change& c) { return c.attempt.count; });
  return report;
}

}  // namespace aqmesh::node
