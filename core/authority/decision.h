// What the gate says, and the tokens that carry a unit from one stage to the next:
// Verified -> Weighed -> Decision. Each is move-only and minted by one stage alone (stages.h).
// Spec:   spec/admission.md §1-4. Thread: values of the control engine.
#ifndef AQMESH_CORE_AUTHORITY_DECISION_H_
#define AQMESH_CORE_AUTHORITY_DECISION_H_

#include <array>
#include <string_view>
#include <vector>

#include "core/authority/objects.h"
#include "core/authority/signed.h"
#include "core/authority/stages.h"

namespace aqmesh::authority {

// Spec: spec/objects.md §6 "Reasons". 0 = no objection.
enum class Reason : uint16_t {
  kNone = 0,
  kMalformed = 1,
  kSignature,
  kIssuerUnknown,
  kCharterUnknown,
  kClock,
  kNotYetValid,
  kExpired,
  kRevoked,
  kAttenuation,
  kClassOrCap,
  kEquivocation,
  kTrust,
  kCorroboration,
  kStale,
  kReversibility,
  kLocalPolicy,
  kNoRule,
  kAddressHeld,
  kStaticMoved,
  kLapsedRenew,
  kJoinWaits,
  kJoinGranted,
  kJoinDenied,
  kInvitationUsedUp,
  kInvitationNeedsQuorum,
  kOverBudget,
  kObjectsMissing,
  kHeld,
};
inline constexpr size_t kReasonCount = 29;
std::string_view ReasonName(Reason r);  // "issuer unknown"
std::string_view ReasonMend(Reason r);  // one sentence: what would lift it
std::string_view RungName(Rung r);      // "ADMIT"
std::string_view ClassName(Class c);    // "NODE"
std::optional<Class> ClassNamed(std::string_view name);

enum class Gate : uint8_t { kCrypto = 0, kTrust, kCorroboration, kFreshness, kAction, kLocal };
inline constexpr size_t kGateCount = 6;
std::string_view GateName(Gate g);

// A chain as it was resolved: leaf first, the grant nearest the charter last. Every signature
// verified, unless `objection` says what did not hold.
struct Chain {
  std::vector<Held<Grant>> grants;        // grants[0] is the leaf
  std::vector<Held<Fragment>> fragments;  // in the order cited
  Kid subject;                            // kid of the leaf's key
  Kid voter;                              // the charter voter that signed the top
  uint64_t expires = 0;                   // earliest end of any window, seconds
};

// Stage 1: these objects are what they say. `rung` is the crypto gate's own: kAdmit when all holds,
// else the rung that the failure deserves (kRefuse, kDefer for missing objects, kEscalate for a
// lapsed leaf).
class Verified {
 public:
  Verified(Passkey<Authenticating>, Chain chain, Rung rung, Reason reason)
      : chain_(std::move(chain)), rung_(rung), reason_(reason) {}
  Verified(Verified&&) = default;
  Verified& operator=(Verified&&) = default;
  const Chain& chain() const { return chain_; }
  Rung rung() const { return rung_; }
  Reason reason() const { return reason_; }

 private:
  Chain chain_;
  Rung rung_;
  Reason reason_;
};

// How far everyone that a chain runs through is trusted (spec: trust#1). Q16.
struct ChainTrust {
  uint32_t ladm = 0;      // 0..65536, of the link that is trusted least
  int32_t slope = 0;      // -65536..65536, the least of all links
  uint32_t scars = 0;     // the most of all links
  bool broken = false;    // a link's slope broke
  bool negative = false;  // there is evidence against the link that is trusted least
  bool operator==(const ChainTrust&) const = default;
};

// Stage 2: how much the chain weighs.
class Weighed {
 public:
  Weighed(Passkey<Weighing>, Verified verified, const ChainTrust& trust)
      : verified_(std::move(verified)), trust_(trust) {}
  Weighed(Weighed&&) = default;
  Weighed& operator=(Weighed&&) = default;
  const Verified& verified() const { return verified_; }
  const Chain& chain() const { return verified_.chain(); }
  const ChainTrust& trust() const { return trust_; }
  uint32_t ladm() const { return trust_.ladm; }
  int32_t slope() const { return trust_.slope; }

 private:
  Verified verified_;
  ChainTrust trust_;
};

struct GateResult {
  Rung rung = Rung::kRefuse;
  Reason reason = Reason::kNone;
};

// Stage 3: the rung, with what each gate said. The rung is the minimum.
class Decision {
 public:
  Decision(Passkey<Deciding>,
           Weighed weighed,
           std::array<GateResult, kGateCount> gates,
           uint32_t masked_caps,
           uint64_t expires,
           uint32_t votes)
      : weighed_(std::move(weighed)),
        gates_(gates),
        masked_caps_(masked_caps),
        expires_(expires),
        votes_(votes) {}
  Decision(Decision&&) = default;
  Decision& operator=(Decision&&) = default;
  const Weighed& weighed() const { return weighed_; }
  const Chain& chain() const { return weighed_.chain(); }
  const std::array<GateResult, kGateCount>& gates() const { return gates_; }
  Rung rung() const { return gates_[static_cast<size_t>(setter())].rung; }
  Reason reason() const { return gates_[static_cast<size_t>(setter())].reason; }
  Gate setter() const {  // the first gate that holds the lowest rung
    size_t lowest = 0;
    for (size_t i = 1; i < kGateCount; ++i) {
      if (gates_[i].rung < gates_[lowest].rung) lowest = i;
    }
    return static_cast<Gate>(lowest);
  }
  uint32_t masked_caps() const {
    return masked_caps_;
  }  // caps that the rung or staleness takes away
  uint64_t expires() const { return expires_; }  // seconds; re-decide at the latest then
  // C, milli-votes, where the corroboration gate asks for any.
  uint32_t votes() const { return votes_; }

 private:
  Weighed weighed_;
  std::array<GateResult, kGateCount> gates_;
  uint32_t masked_caps_;
  uint64_t expires_;
  uint32_t votes_;
};

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_DECISION_H_
