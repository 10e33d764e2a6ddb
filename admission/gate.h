// Says how far to let one unit in, and why: authority units get a rung, packets a token.
// Spec:   spec/authority.md C.4 (ladder, hysteresis, small-mesh profile), E.3 (age), F (reversibility).
// Bounds: none kept. Thread: Decide on the control engine's, Pass on any worker's. No I/O, no clock.
// Errors: none. Doubt is a rung: what cannot be judged is kRefuse, with its reason.
// Cost:   Decide O(gates); Pass one classification and one flow look-up, no allocation.
#ifndef AQMESH_ADMISSION_GATE_H_
#define AQMESH_ADMISSION_GATE_H_

#include <optional>

#include "admission/local_policy.h"
#include "admission/verdict.h"
#include "core/authority/decision.h"
#include "core/base/time.h"

namespace aqmesh::admission {

// The charter's numbers. Q16 levels; seconds. Defaults: spec/authority.md C.4 and E.3.
struct GateParams {
  authority::Profile profile = authority::Profile::kStandard;
  bool corroborate = false, single_domain = false;
  uint32_t admit_up = 45'875, admit_down = 40'632;          // params 1, 2
  uint32_t constrain_up = 32'768, constrain_down = 27'525;  // 3, 4
  uint32_t probation_up = 16'384, probation_down = 11'141;  // 5, 6
  uint64_t dwell = 3'600, dwell_epochs = 12;                // 7, 8
  uint64_t first_use = 14 * 86'400;  // 16, given in days; small mesh: none (0)
  uint64_t fresh = 300, aging = 3'600, stale = 86'400, island = 7 * 86'400;  // 17-20
  uint64_t small_mesh_age = 86'400;                                          // 21
  uint64_t eligible_age = 7 * 86'400;                                        // 25
  // A pair of thresholds that contradict each other (down above up) keeps its defaults.
  static GateParams From(const authority::Charter& charter);
};

// The trust gate's memory of one subject: the only gate that has one. The caller keeps and persists
// it.
struct TrustMemory {
  authority::Rung rung = authority::Rung::kNone;  // kNone: never decided
  uint64_t since = 0;                             // wall seconds of the last change
  uint32_t epochs = 0;                            // with observations since then
  uint64_t last_epoch = 0;
  void NoteObservation(uint64_t epoch) {  // once for each observation folded, in order of epochs
    if (epoch <= last_epoch) return;
    last_epoch = epoch;
    ++epochs;
  }
  bool operator==(const TrustMemory&) const = default;
};

struct Corroboration {
  uint32_t votes = 0;   // C, milli-votes
  uint32_t groups = 0;  // issuing groups behind them
  uint32_t attesters = 0;
  uint32_t eligible = 0;  // of the newest cosigned checkpoint
};
struct Freshness {
  uint64_t age = 0;               // seconds (spec/authority.md C.4, E.3)
  bool committed_before = false;  // admitted first-hand here before, still in date
  bool session = false;           // a standing session is re-decided ...
  bool rekey = false;             // ... at its rekey
  bool restrictions_differ =
      false;  // the two presentations' `restrict`, until anti-entropy completes
};
// F's rows, by number.
enum class Action : uint16_t {
  kDrop = 1,
  kForwardFrame,
  kInstallPeer,
  kAddRoute,
  kAdvertise,
  kSetDns,
  kIssueSshCert,
  kRestrict,
  kPardon,
};
// The least rung at which F lets this action happen.
authority::Rung NeededRung(Action action);

// A verified approve object in date: replaces trust and corroboration by its ceiling.
struct Approval {
  authority::Rung ceiling = authority::Rung::kRefuse;
  uint64_t until = 0;
};

struct GateContext {
  Now now;
  const LocalPolicy& local;
  Corroboration corroboration = {};
  Freshness freshness = {};
  // Wall seconds of the subject's last confirmed session before this one.
  std::optional<uint64_t> last_use = {};
  bool foreign = false;  // admitted under a treaty
  std::optional<Approval> approval = {};
  Action action = Action::kInstallPeer;
};

// Why Pass refused. `flow` is set once the packet was classified (a NOTICE tells the peer which),
// and then `ruled` is how it was judged.
struct Refusal {
  Drop drop = Drop::kNone;
  authority::Reason reason = authority::Reason::kNone;
  std::optional<Flow> flow;
  Judgement ruled = {};
};

// Caps that a rung takes away whatever the grant says.
uint32_t MaskedCaps(authority::Rung rung);

class Gate {
 public:
  explicit Gate(const GateParams& params) : params_(params) {}

  // The rung is the lowest that any gate allows, never a sum. `memory` is read and brought up to
  // date.
  authority::Decision Decide(authority::Weighed weighed,
                             const GateContext& context,
                             TrustMemory& memory) const;

  struct PassContext {
    const Verdict& verdict;  // in force for the peer at this instant
    FlowTable& flows;
    Meters& meters;
    Direction direction;
    Now now;
  };
  // The only maker of Admitted. `packet` is one whole inner packet without padding. On refusal:
  // nullopt and why.
  static std::optional<Admitted> Pass(MutableBytes packet,
                                      const PassContext& context,
                                      Refusal& why);

  // The same for a segment of a super-packet whose segment before passed as `lead`: its addresses
  // and ports are that one's (whoever cut it says so), and it is judged again for what it adds.
  static std::optional<Admitted> PassSegment(MutableBytes packet,
                                             const PacketInfo& lead,
                                             const PassContext& context,
                                             Refusal& why);

  // What the trust gate says by itself, and what its memory is then: to see whether it would say
  // otherwise now.
  authority::GateResult JudgeTrust(const authority::ChainTrust& weight,
                                   const GateContext& c,
                                   TrustMemory& memory) const;

  // The same of the corroboration gate, which has no memory.
  authority::GateResult JudgeCorroboration(const GateContext& c) const;
  // False: in a small mesh nobody is asked (spec: authority#C.4).
  bool AsksForVotes(bool foreign = false) const;
  // What ADMIT takes, and the milli-votes that CONSTRAIN does.
  struct Needed {
    uint32_t admit = 0, constrain = 0;
    uint32_t groups = 0, attesters = 0;
    bool operator==(const Needed&) const = default;
  };
  Needed NeededVotes(uint32_t eligible) const;

  const GateParams& params() const { return params_; }

 private:
  static std::optional<Admitted> Judged(MutableBytes packet,
                                        const PacketInfo& info,
                                        const PassContext& context,
                                        Refusal& why);
  authority::GateResult JudgeFreshness(const GateContext& c, uint32_t& masked) const;
  authority::GateResult JudgeAction(const authority::Weighed& w, const GateContext& c) const;
  authority::Rung Climb(const authority::ChainTrust& weight,
                        const TrustMemory& memory,
                        uint64_t now) const;

  GateParams params_;
};

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_GATE_H_
