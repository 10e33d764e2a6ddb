// Which flows the cited fragments allow between two parties, compiled so that a packet is judged
// without a string, a map or an allocation.
// Spec:   spec/authority.md A.4. Allow-only, default deny, union over the fragments that the flow's first
//         sender cited. A rule counts only if the parent rule that it names (via) matches too, up
//         to the root fragment: an attenuation that was wider than its parent by mistake gains
//         nothing.
// Bounds: kPathsMax rules; what is over is left out, which denies.
// Thread: Compile on the control engine's; then immutable, read by any worker.
// Cost:   Evaluate O(live rules), ~10 ns a rule; Compile O(rules x parties).
#ifndef AQMESH_ADMISSION_RULES_H_
#define AQMESH_ADMISSION_RULES_H_

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "admission/local_policy.h"
#include "admission/marks.h"
#include "admission/packet.h"
#include "core/authority/decision.h"
#include "core/base/time.h"

namespace aqmesh::admission {

// One end of a tunnel as rules speak of it. A tag or node selector means the party's own
// `addresses`, not the subnets behind it: those are reached by prefix rules.
struct Party {
  std::vector<Kid> kids;          // its key's lineage, oldest first
  std::vector<std::string> tags;  // of its leaf grant
  std::vector<Prefix> addresses;  // its own host addresses
};

// Whom the grant is for. A device that speaks plain WireGuard is all its prefixes.
Party PartyOf(const Kid& kid, const authority::Grant& leaf);

// "*": any tag; "a.*": a and all below; else equal. An empty pattern matches nothing.
bool TagMatches(std::string_view pattern, std::string_view tag);

// Why a rule did not match; kNone = it did.
enum class Miss : uint8_t {
  kNone = 0,
  kSource,
  kDestination,
  kUnclassified,
  kProtocol,
  kPort,
  kWindow,
  kHours,
  kNoParent,
  kTransform,
  kProfile,
  kThisReceiver,
  kNotForwarded,
};

struct RuleRef {
  Oid fragment;
  uint8_t rule = 0;
  bool operator==(const RuleRef&) const = default;
};

// What the compiled rule demands of the flow: the whole chain's obligations joined, and the duties
// of the pair.
struct Terms {
  uint16_t directives = 0;  // authority::Directive; forward only if every level says it
  uint8_t rate = 0;         // rate class, the tightest of the chain; 0 = none
  uint32_t drop_after = 0;  // packets of the flow, both ways; 0 = no limit
  bool one_way = false;     // no answers
  Marks marks;              // what is done to each packet
  bool held() const { return directives & authority::kDoEscalate; }
};

inline constexpr uint16_t kNoPath = 0xffff;
struct Ruling {
  authority::Reason reason = authority::Reason::kNoRule;  // kNone: allowed
  uint16_t path = kNoPath;                                // the rule that allowed it
  bool pass() const { return reason == authority::Reason::kNone; }
};

class Policy {
 public:
  static constexpr size_t kPathsMax = 768;  // 12 refs in a presentation x 64 rules
  static constexpr size_t kLevelsMax = 5;   // a fragment and at most 4 above it, as grants

  struct Inputs {
    std::span<const authority::Held<authority::Fragment>>
        cited;         // by the flow's first sender; parents included
    const Party& src;  // the flow's first sender
    const Party& dst;
    const LocalPolicy& local;
    WallTime now;
    // At PROBATION only these services, and only to dst's own addresses (spec: authority#C.4).
    std::optional<std::span<const authority::Svc>> profile;
    // authority::Directive that the rung or the grants' obligations demand of every flow.
    uint16_t duties = 0;
  };
  // A cited fragment that another cited one narrows serves only as its parent: citing the narrower
  // form asks for less. One whose parent is not among the cited allows nothing.
  static Policy Compile(const Inputs& in);

  // Judges the first packet of a flow.
  Ruling Evaluate(const PacketInfo& packet, WallTime now) const;

  // No ruling changes for reasons of time before this second; from then on rulings are not to be
  // cached.
  bool Steady(WallTime now) const {
    return now.seconds() >= compiled_at_ && now.seconds() < steady_until_;
  }
  uint64_t steady_until() const { return steady_until_; }

  // Every rule, live ones first, for explain and for records. path < size().
  size_t size() const { return paths_.size(); }
  const Terms& terms(uint16_t path) const { return paths_[path].terms; }
  uint16_t duties() const { return duties_; }
  RuleRef rule(uint16_t path) const {
    return {fragments_[paths_[path].fragment], paths_[path].rule};
  }
  struct Finding {
    Miss miss = Miss::kNone;
    uint8_t level = 0;  // 0 the cited fragment's rule, 1 its parent's, ...
  };
  Finding Examine(uint16_t path, const PacketInfo& packet, WallTime now) const;
  // Index in LocalPolicy::denials of the one that hits.
  std::optional<size_t> DeniedBy(const PacketInfo& packet) const;

 private:
  friend class Compiler;
  struct Pool {  // a run in one of the vectors below
    uint32_t first = 0, count = 0;
  };
  struct Side {
    bool any = false;
    Pool prefixes;  // none: matches nothing
  };
  struct Service {
    std::array<uint64_t, 4> protos{};  // one bit a protocol
    bool any = false;                  // unclassifiable included
    Pool ports;
  };
  struct Level {
    Side src, dst;
    Service service;
    uint64_t since = 0, until = 0;  // [since, until)
    Pool hours;
  };
  struct Path {
    Pool levels;
    Terms terms;
    uint16_t fragment = 0;
    uint8_t rule = 0;
    Miss flaw =
        Miss::kNone;  // why it can never match: a level is missing, or a transform is unknown here
  };
  struct Denial {
    Side src, dst;
    Service service;
    uint32_t index = 0;
  };

  bool In(const Side& side, const IpAddress& a) const;
  Miss Serves(const Service& s, const PacketInfo& p) const;
  Miss Check(const Level& level, const PacketInfo& p, uint64_t second) const;
  Miss WithinProfile(const PacketInfo& p) const;
  Miss WithinReach(const Path& path, const PacketInfo& p) const;

  std::vector<Path> paths_;
  size_t live_ = 0;  // paths_[0, live_) can match this pair of parties
  std::vector<Level> levels_;
  std::vector<Prefix> prefixes_;
  std::vector<authority::Range16> ranges_;  // ports and hours
  std::vector<Denial> denials_;
  std::vector<Oid> fragments_;
  bool profiled_ = false;
  std::vector<Service> profile_;
  Side own_;  // dst's own addresses
  uint16_t duties_ = 0;
  uint64_t compiled_at_ = 0, steady_until_ = 0;
};

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_RULES_H_
