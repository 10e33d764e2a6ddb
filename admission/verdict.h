// What the control engine publishes to the data plane about one peer, and the token that a packet
// becomes when it may go on.
// Spec:   spec/authority.md C.4 (what each rung means), B.3 (demotion swaps the verdict pointer).
// Thread: Verdict immutable once published; Shaper one owner (the worker that serves the peer).
#ifndef AQMESH_ADMISSION_VERDICT_H_
#define AQMESH_ADMISSION_VERDICT_H_

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "admission/flow_cache.h"
#include "admission/token_bucket.h"
#include "core/authority/decision.h"

namespace aqmesh::admission {

// 0 = no limit. Bursts: at least one largest packet, or nothing would pass.
struct Limits {
  uint64_t bytes_per_second = 0, bytes_burst = 0;
  uint64_t packets_per_second = 0, packets_burst = 0;
  bool operator==(const Limits&) const = default;
};
Limits LimitsOf(authority::Rung rung);     // of the tunnel's data; ESCALATE: of its control channel
Limits LimitsOfClass(uint8_t rate_class);  // of a rule's or an obligation's rate class, 0..7
Limits Tightest(const Limits& a, const Limits& b);
// What PROBATION may carry (Policy::Inputs::profile): the charter's list, or ICMP.
std::vector<authority::Svc> ProbationProfile(const authority::Charter& charter);

// One peer, one epoch. Published whole and replaced whole.
struct Verdict {
  authority::Rung rung = authority::Rung::kRefuse;
  authority::Reason reason = authority::Reason::kNone;  // what holds it below ADMIT
  uint32_t peer = 0;                                    // the node's own index of the peer
  Kid subject = {};                                     // who it is
  uint32_t epoch = 0;                                   // rises with every change of rung or policy
  uint32_t masked_caps = 0;
  uint64_t expires = 0;                      // wall seconds: carries nothing from then on
  uint8_t rate = 0;                          // rate class that a grant's obligations put it into
  std::shared_ptr<const Policies> policies;  // null below PROBATION
};
// What the rung and the obligations of the pair's two grants demand of every flow.
uint16_t DutiesOf(authority::Rung rung, uint16_t obligations);  // authority::Directive

// The verdict that a decision means. `policies` were compiled for this pair and rung, `obligations`
// are the pair's.
Verdict MakeVerdict(const authority::Decision& decision,
                    uint32_t peer,
                    uint32_t epoch,
                    uint16_t obligations,
                    std::shared_ptr<const Policies> policies);

// Rate limits on one direction, with their state.
class Shaper {
 public:
  Shaper() = default;  // no limit
  Shaper(const Limits& limits, Instant start);
  bool Take(size_t bytes, Instant now);  // all or none of both buckets
  bool Has(size_t bytes, Instant now);
  const Limits& limits() const { return limits_; }

 private:
  Limits limits_;
  TokenBucket bytes_, packets_;
};

// What one peer may send, or be sent: the verdict's limits, and those of the rate classes that
// rules put its flows into. All flows of a class share its bucket.
class Meters {
 public:
  // A bucket is filled once: limits that stay the same keep what is in it.
  void Limit(const Limits& limits, Instant now);
  bool Take(size_t bytes, uint8_t rate_class, Instant now);  // all or none

 private:
  Shaper& ClassAt(uint8_t rate_class, Instant now);

  Shaper all_;
  std::unique_ptr<std::array<Shaper, 7>> classes_;  // made by the first packet of any
};

class Gate;

// A packet that passed the gate: the only thing that the TUN and the wire accept. Borrows the
// bytes.
class Admitted {
 public:
  Admitted(authority::Passkey<Gate>,
           MutableBytes packet,
           Direction direction,
           const PacketInfo& info,
           const Judgement& how)
      : packet_(packet), direction_(direction), info_(info), how_(how) {}
  Admitted(Admitted&& o) noexcept
      : packet_(std::exchange(o.packet_, {})),
        direction_(o.direction_),
        info_(o.info_),
        how_(o.how_) {}
  Admitted& operator=(Admitted&&) = delete;
  Admitted(const Admitted&) = delete;
  Direction direction() const { return direction_; }
  const PacketInfo& info() const { return info_; }
  const Judgement& judgement() const { return how_; }
  // The bytes, once: a second call, or a call on a moved-from token, gets none.
  MutableBytes Consume() && { return std::exchange(packet_, {}); }

 private:
  MutableBytes packet_;
  Direction direction_;
  PacketInfo info_;
  Judgement how_;
};

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_VERDICT_H_
