#include "admission/gate.h"

#include <algorithm>

#include "trust/fold.h"

// The one maker of decisions: Gate::Decide goes through here, and nothing else can.
struct aqmesh::authority::Deciding {
  static Decision Mint(Weighed weighed,
                       const std::array<GateResult, kGateCount>& gates,
                       uint32_t masked,
                       uint64_t expires,
                       uint32_t votes) {
    return Decision(Passkey<Deciding>(), std::move(weighed), gates, masked, expires, votes);
  }
};

namespace aqmesh::admission {

using authority::GateResult;
using authority::Profile;
using authority::Reason;
using authority::Rung;

namespace {

constexpr uint32_t kSshLevel = 49'152;  // .75: spec authority#F
constexpr uint64_t kConstrainTerm = 900, kProbationTerm = 120, kEscalateTerm = 3'600,
                   kRefuseTerm = 60;
constexpr uint32_t kExposed =
    authority::kCapRelay | authority::kCapAdvertise | authority::kCapSshSign;

GateResult At(Rung rung, Reason reason) {
  return {rung, rung == Rung::kAdmit ? Reason::kNone : reason};
}
uint64_t Sum(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

void Lower(GateResult& g, Rung cap, Reason reason) {
  if (g.rung > cap) g = {cap, reason};
}

// A verdict that carries nothing refuses before any packet is read.
bool Carries(const Verdict& v, Now now, Refusal& why) {
  if (v.rung < Rung::kProbation) {
    why.drop = Drop::kRung;
    why.reason = v.reason;
    return false;
  }
  if (now.wall.seconds() >= v.expires) {
    why.drop = Drop::kExpired;
    why.reason = Reason::kExpired;
    return false;
  }
  return true;
}

}  // namespace

GateParams GateParams::From(const authority::Charter& charter) {
  GateParams p;
  p.profile = charter.profile;
  p.corroborate = charter.flags & authority::kCorroborate;
  p.single_domain = charter.flags & authority::kSingleDomain;
  if (p.profile == Profile::kSmallMesh) p.first_use = 0;
  const auto level = [](uint64_t v) {
    return static_cast<uint32_t>(std::min<uint64_t>(v, 65'536));
  };
  for (const authority::Param& row : charter.params) {
    switch (row.id) {
      case 1: p.admit_up = level(row.value); break;
      case 2: p.admit_down = level(row.value); break;
      case 3: p.constrain_up = level(row.value); break;
      case 4: p.constrain_down = level(row.value); break;
      case 5: p.probation_up = level(row.value); break;
      case 6: p.probation_down = level(row.value); break;
      case 7: p.dwell = row.value; break;
      case 8: p.dwell_epochs = row.value; break;
      case 16: p.first_use = row.value > UINT64_MAX / 86'400 ? 0 : row.value * 86'400; break;
      case 17: p.fresh = row.value; break;
      case 18: p.aging = row.value; break;
      case 19: p.stale = row.value; break;
      case 20: p.island = row.value; break;
      case 21: p.small_mesh_age = row.value; break;
      case 25: p.eligible_age = row.value; break;
      default: break;  // other engines' parameters
    }
  }
  const GateParams d;
  const auto mend = [](uint32_t& up, uint32_t& down, uint32_t up0, uint32_t down0) {
    if (down > up) up = up0, down = down0;
  };
  mend(p.admit_up, p.admit_down, d.admit_up, d.admit_down);
  mend(p.constrain_up, p.constrain_down, d.constrain_up, d.constrain_down);
  mend(p.probation_up, p.probation_down, d.probation_up, d.probation_down);
  return p;
}

Rung NeededRung(Action action) {
  switch (action) {
    case Action::kDrop:
    case Action::kRestrict: return Rung::kNone;  // what narrows access is always free
    case Action::kForwardFrame:
    case Action::kInstallPeer: return Rung::kProbation;
    case Action::kAddRoute:
    case Action::kSetDns: return Rung::kConstrain;
    case Action::kAdvertise:
    case Action::kIssueSshCert:
    case Action::kPardon: return Rung::kAdmit;
  }
  return Rung::kAdmit;
}

uint32_t MaskedCaps(Rung rung) {
  if (rung == Rung::kAdmit) return 0;
  if (rung == Rung::kConstrain) return kExposed;
  if (rung == Rung::kProbation)
    return authority::kCapsAll & ~(authority::kCapJoin | authority::kCapAccept);
  return authority::kCapsAll;
}

// The rung that the level earns. Down at once and any number of rungs; up one rung a dwell.
Rung Gate::Climb(const authority::ChainTrust& weight,
                 const TrustMemory& memory,
                 uint64_t now) const {
  const uint32_t ladm = weight.ladm;
  const Rung bottom =
      weight.negative && ladm < params_.probation_down ? Rung::kRefuse : Rung::kEscalate;
  const auto ladder = [&](uint32_t admit, uint32_t constrain, uint32_t probation) {
    if (ladm >= admit) return Rung::kAdmit;
    if (ladm >= constrain) return Rung::kConstrain;
    return ladm >= probation ? Rung::kProbation : bottom;
  };
  const Rung entry = ladder(params_.admit_up, params_.constrain_up, params_.probation_up);
  if (memory.rung == Rung::kNone) return entry;
  const Rung kept = std::min(
      memory.rung, ladder(params_.admit_down, params_.constrain_down, params_.probation_down));
  if (kept < memory.rung || entry <= memory.rung) return kept;
  const bool earned = now >= Sum(memory.since, params_.dwell) &&
                      memory.epochs >= params_.dwell_epochs &&
                      weight.slope >= trust::kPromotionSlope;
  if (!earned) return kept;
  // REFUSE and DEFER have no level of their own: the next rung above both is ESCALATE.
  return kept < Rung::kEscalate ? Rung::kEscalate
                                : static_cast<Rung>(static_cast<uint8_t>(kept) + 1);
}

GateResult Gate::JudgeTrust(const authority::ChainTrust& weight,
                            const GateContext& c,
                            TrustMemory& memory) const {
  const uint64_t now = c.now.wall.seconds();
  const Rung rung = Climb(weight, memory, now);
  if (rung != memory.rung) memory = {rung, now, 0, memory.last_epoch};
  GateResult g = At(rung, Reason::kTrust);
  if (weight.broken) Lower(g, Rung::kConstrain, Reason::kTrust);
  const bool slept =
      params_.first_use != 0 && c.last_use && now > Sum(*c.last_use, params_.first_use);
  if (slept) Lower(g, Rung::kConstrain, Reason::kTrust);
  // A person's approval stands in for trust; the scar is lifted by a pardon alone.
  if (c.approval) g = At(c.approval->ceiling, Reason::kTrust);
  if (weight.scars >= trust::kScarCapsAt) Lower(g, Rung::kConstrain, Reason::kTrust);
  return g;
}

bool Gate::AsksForVotes(bool foreign) const {
  return params_.profile != Profile::kSmallMesh || params_.corroborate || foreign;
}

Gate::Needed Gate::NeededVotes(uint32_t eligible) const {
  const uint32_t others = eligible == 0 ? 0 : std::min<uint32_t>(eligible - 1, 4);
  Needed out{.admit = 500 * others, .constrain = 250 * others};
  if (params_.single_domain) {
    out.attesters = std::min<uint32_t>(3, others);
  } else {
    out.groups = others == 0 ? 0 : 2;
  }
  return out;
}

GateResult Gate::JudgeCorroboration(const GateContext& c) const {
  if (c.approval) return At(c.approval->ceiling, Reason::kCorroboration);
  if (!AsksForVotes(c.foreign)) return At(Rung::kAdmit, Reason::kNone);
  const Corroboration& e = c.corroboration;
  const Needed needed = NeededVotes(e.eligible);
  if (e.votes >= needed.admit && e.groups >= needed.groups && e.attesters >= needed.attesters)
    return At(Rung::kAdmit, Reason::kNone);
  if (e.votes >= needed.constrain) return {Rung::kConstrain, Reason::kCorroboration};
  return {Rung::kProbation, Reason::kCorroboration};
}

GateResult Gate::JudgeFreshness(const GateContext& c, uint32_t& masked) const {
  const Freshness& f = c.freshness;
  GateResult g = At(Rung::kAdmit, Reason::kNone);
  if (params_.profile == Profile::kSmallMesh) {
    if (f.age > params_.small_mesh_age) {
      // Who was here before keeps its rate and loses what could hurt third parties.
      if (f.committed_before)
        masked |= kExposed;
      else
        g = {Rung::kConstrain, Reason::kStale};
    }
  } else if (f.age > params_.island) {
    g = {Rung::kEscalate,
         Reason::kStale};  // no data; the control channel stays, to become fresh again
  } else if (f.age > params_.stale) {
    g = {f.committed_before || f.session ? Rung::kProbation : Rung::kEscalate, Reason::kStale};
  } else if (f.session) {
    if (f.age > params_.aging && f.rekey) g = {Rung::kConstrain, Reason::kStale};
  } else if (f.age > params_.aging) {
    g = {Rung::kProbation, Reason::kStale};
  } else if (f.age > params_.fresh) {
    g = {Rung::kConstrain, Reason::kStale};
  }
  if (f.restrictions_differ) Lower(g, Rung::kProbation, Reason::kStale);  // spec: objects#6
  return g;
}

// Needed trust rises with irreversibility, for permissive actions only. The lower ones are held by
// NeededRung where they happen; what cannot be taken back is judged here.
GateResult Gate::JudgeAction(const authority::Weighed& w, const GateContext& c) const {
  if (c.action == Action::kIssueSshCert &&
      (w.ladm() < kSshLevel || w.slope() < trust::kPromotionSlope)) {
    return {Rung::kRefuse, Reason::kReversibility};
  }
  return At(Rung::kAdmit, Reason::kNone);
}

authority::Decision Gate::Decide(authority::Weighed weighed,
                                 const GateContext& context,
                                 TrustMemory& memory) const {
  const uint64_t now = context.now.wall.seconds();
  GateContext c = context;
  if (c.approval && now >= c.approval->until) c.approval.reset();
  uint32_t masked = 0;
  std::array<GateResult, authority::kGateCount> gates;
  gates[0] = At(weighed.verified().rung(), weighed.verified().reason());
  gates[1] = JudgeTrust(weighed.trust(), c, memory);
  gates[2] = JudgeCorroboration(c);
  gates[3] = JudgeFreshness(c, masked);
  gates[4] = JudgeAction(weighed, c);
  const auto& grants = weighed.chain().grants;
  // Without a leaf the class is unknown; crypto has refused or deferred already.
  gates[5] =
      JudgeLocal(c.local, grants.empty() ? authority::Class::kPlain : grants.front().body.cls);
#ifdef AQMESH_SABOTAGE_GATE  // SABOTAGE: no gate holds. Only in the build whose demo must fail.
  gates.fill(At(Rung::kAdmit, Reason::kNone));
#endif

  Rung rung = Rung::kAdmit;
  for (const GateResult& g : gates) rung = std::min(rung, g.rung);
  uint64_t expires = weighed.chain().expires;
  if (rung == Rung::kConstrain || masked != 0)
    expires = std::min(expires, Sum(now, kConstrainTerm));
  if (rung == Rung::kProbation) expires = std::min(expires, Sum(now, kProbationTerm));
  // Below, no session hangs on the windows (a lapsed leaf's has passed): only the time of the next
  // look.
  if (rung == Rung::kEscalate) expires = Sum(now, kEscalateTerm);
  if (rung < Rung::kEscalate) expires = Sum(now, kRefuseTerm);
  if (c.approval) expires = std::min(expires, c.approval->until);
  const uint32_t votes = AsksForVotes(c.foreign) ? c.corroboration.votes : 0;
  return authority::Deciding::Mint(
      std::move(weighed), gates, masked | MaskedCaps(rung), expires, votes);
}

std::optional<Admitted> Gate::Pass(MutableBytes packet, const PassContext& c, Refusal& why) {
  why = {};
  if (!Carries(c.verdict, c.now, why)) return std::nullopt;
  PacketInfo info;
  if (const Drop d = Classify(packet, info); d != Drop::kNone) {
    why.drop = d;
    why.reason = Reason::kMalformed;
    return std::nullopt;
  }
  return Judged(packet, info, c, why);
}

std::optional<Admitted> Gate::PassSegment(MutableBytes packet,
                                          const PacketInfo& lead,
                                          const PassContext& c,
                                          Refusal& why) {
  why = {};
  if (!Carries(c.verdict, c.now, why)) return std::nullopt;
  if (!lead.classified || lead.proto != kProtoTcp) return Judged(packet, lead, c, why);
  PacketInfo info = lead;
  info.tcp_flags = TcpFlagsOf(packet);
  return Judged(packet, info, c, why);
}

std::optional<Admitted> Gate::Judged(MutableBytes packet,
                                     const PacketInfo& info,
                                     const PassContext& c,
                                     Refusal& why) {
  const Verdict& v = c.verdict;
  const Judgement j = c.flows.Judge(info, c.direction, {v.peer, v.epoch, v.policies.get()}, c.now);
  const uint8_t rate = j.terms == nullptr ? 0 : j.terms->rate;
  if (j.pass() && c.meters.Take(packet.size(), rate, c.now.mono)) {
    if (j.terms != nullptr && j.terms->marks.any()) Apply(j.terms->marks, info, packet);
    return Admitted(authority::Passkey<Gate>(), packet, c.direction, info, j);
  }
  why.flow = info.flow();
  why.ruled = j;
  why.drop = j.pass() ? Drop::kRate : j.drop;
  why.reason = j.pass() ? Reason::kOverBudget : j.reason;
  return std::nullopt;
}

}  // namespace aqmesh::admission
