#include "node/explain.h"

#include <algorithm>

#include "core/base/status.h"
#include "node/control.h"

namespace aqmesh::node {

using authority::Gate;
using authority::Rung;

namespace {

// ".623"
std::string LevelText(uint32_t q16) {
  const uint32_t thousandths = (q16 * 1'000 + 32'768) / 65'536;
  if (thousandths >= 1'000) return "1.000";
  std::string digits = Join(thousandths);
  return Join(".", std::string(3 - digits.size(), '0'), digits);
}

std::string RateText(uint64_t bytes_per_second) {
  const uint64_t kilobits = bytes_per_second * 8 / 1'000;
  return kilobits % 1'000 == 0 ? Join(kilobits / 1'000, " Mbit/s") : Join(kilobits, " kbit/s");
}

uint32_t LevelFor(const admission::GateParams& p, Rung rung) {
  switch (rung) {
    case Rung::kAdmit: return p.admit_up;
    case Rung::kConstrain: return p.constrain_up;
    default: return p.probation_up;
  }
}

Rung Above(Rung rung) {
  return rung < Rung::kProbation ? Rung::kProbation
                                 : static_cast<Rung>(static_cast<uint8_t>(rung) + 1);
}

std::string TrustLift(const admission::GateParams& params,
                      const authority::ChainTrust& trust,
                      const admission::TrustMemory& memory,
                      Rung rung,
                      uint64_t now) {
  if (trust.scars >= trust::kScarCapsAt)
    return "somebody in its chain was caught too often: only a pardon by the quorum lifts it";
  if (trust.broken)
    return "the level of somebody in its chain broke off: time without anything new against it "
           "mends that, or a person: aqmesh escalations list";
  const Rung next = Above(rung);
  const uint32_t needed = LevelFor(params, next);
  if (trust.ladm < needed)
    return Join("the level is ",
                LevelText(trust.ladm),
                ", and ",
                authority::RungName(next),
                " needs ",
                LevelText(needed),
                ": confirmed good conduct raises it; a person may say more: aqmesh escalations "
                "list");
  const uint64_t ends = memory.since + params.dwell;
  const uint64_t epochs =
      memory.epochs >= params.dwell_epochs ? 0 : params.dwell_epochs - memory.epochs;
  if (now < ends || epochs != 0)
    return Join("the level ",
                LevelText(trust.ladm),
                " is enough for ",
                authority::RungName(next),
                "; a rung is climbed after ",
                now < ends ? (ends - now + 59) / 60 : 0,
                " min more and ",
                epochs,
                " more five-minute epochs with something to see");
  return Join("the level ",
              LevelText(trust.ladm),
              " is enough for ",
              authority::RungName(next),
              ", and it must not be falling");
}

}  // namespace

std::string LimitsText(const admission::Limits& limits) {
  if (limits.bytes_per_second == 0) return "";
  std::string text = RateText(limits.bytes_per_second);
  if (limits.packets_per_second != 0)
    text += Join(", ", limits.packets_per_second, " packets a second");
  return text;
}

std::vector<std::string> TermsText(const admission::Terms& terms) {
  std::vector<std::string> out;
  if (terms.rate != 0)
    out.push_back(Join("at most ", LimitsText(admission::LimitsOfClass(terms.rate))));
  if (terms.drop_after != 0) out.push_back(Join("cut after ", terms.drop_after, " packets"));
  if (terms.one_way) out.push_back("no answers");
  if (terms.marks.dscp) out.push_back(Join("marked DSCP ", *terms.marks.dscp));
  if (terms.marks.mss != 0) out.push_back(Join("TCP segments of at most ", terms.marks.mss));
  if (terms.directives & authority::kDoLogHeaders)
    out.push_back("each flow logged with its first headers");
  else if (terms.directives & authority::kDoLogFlow)
    out.push_back("each flow logged");
  if (terms.held()) out.push_back("the receiver holds it until a person says so");
  return out;
}

ExplainedPeer Control::ExplainPeer(PeerId id, Now now) const {
  ExplainedPeer out;
  const auto it = peers_.find(id);
  if (it == peers_.end() || !mesh_.has_charter()) return out;
  const Peer& peer = it->second;
  const authority::Charter& charter = mesh_.charter().body;
  const auto links = trust_.LinksOf(peer.steps, charter);
  const uint32_t gap_cap = trust::GapCapOf(charter);
  const authority::Chain chain = peer.kid ? ChainHeld(*peer.kid) : authority::Chain{};
  for (size_t i = links.size(); i-- > 0;) {
    const trust::Reading r = links[i].standing.Read(trust_.epoch(), gap_cap);
    ExplainedLink link;
    link.key = links[i].key;
    link.cls = peer.steps[i].cls;
    link.prior = links[i].prior;
    link.level = r.ladm;
    link.slope = r.slope;
    link.scar = r.scar;
    link.broken = r.broken();
    const auto grant = std::ranges::find_if(chain.grants, [&](const auto& g) {
      return authority::KidOf(g.body.suite, g.body.key) == link.key;
    });
    if (grant != chain.grants.end()) {
      link.name = grant->body.name;
      link.grant = grant->oid();
      link.ends = grant->body.not_before + grant->body.ttl;
    }
    out.links.push_back(std::move(link));
  }
  for (const Held<authority::Fragment>& f : peer.fragments) out.fragments.push_back(f.oid());
  const authority::ChainTrust trust = trust::TrustIn(charter, links, trust_.epoch());
  for (size_t i = 0; i < authority::kGateCount; ++i) {
    const authority::GateResult& g = peer.gates[i];
    if (g.rung >= Rung::kAdmit) continue;
    const Held<authority::Approve>* said = peer.kid ? ApprovalOf(*peer.kid) : nullptr;
    const bool spoken = said != nullptr && now.wall.seconds() < said->body.until;
    const auto gate = static_cast<Gate>(i);
    if (spoken && (gate == Gate::kTrust || gate == Gate::kCorroboration)) {
      out.lifts[i] = Join("a person said so, until ",
                          said->body.until,
                          ": aqmesh escalations approve with another --ceiling");
    } else if (gate == Gate::kTrust) {
      out.lifts[i] = TrustLift(gate_.params(), trust, peer.memory, g.rung, now.wall.seconds());
    } else {
      out.lifts[i] = std::string(authority::ReasonMend(g.reason));
    }
  }
  out.again = std::min(peer.expires, peer.steady_until);
  if (const auto verdict = datapath_.VerdictOf(id)) {
    const std::string limits = LimitsText(admission::Tightest(
        admission::LimitsOf(verdict->rung), admission::LimitsOfClass(verdict->rate)));
    if (!limits.empty()) out.demands.push_back(Join("at most ", limits, " each way"));
    if (verdict->rung == Rung::kProbation)
      out.demands.push_back("nothing but the probation services, and nothing beyond this machine");
    if (verdict->masked_caps != 0)
      out.demands.push_back("no relaying, exit, routes or SSH certificates of its");
    if (verdict->policies != nullptr) {
      admission::Terms every;
      every.directives = verdict->policies->receive.duties();
      for (std::string& text : TermsText(every)) out.demands.push_back(std::move(text));
    }
  }
  return out;
}

std::optional<admission::Explanation> Control::ExplainFlow(PeerId id,
                                                           admission::Direction opened,
                                                           const admission::Question& question,
                                                           Now now) const {
  const auto it = peers_.find(id);
  if (it == peers_.end() || it->second.rung < Rung::kProbation || mesh_.leaf() == nullptr)
    return std::nullopt;
  const PolicyGround ground(*this, it->second, 0, 0);
  return admission::Explain(question, ground.Inputs(opened, now.wall));
}

}  // namespace aqmesh::node
