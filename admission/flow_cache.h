// Remembers what was ruled about each flow, so that rules are read once a flow and answers are let
// back in.
// Spec:   spec/authority.md G (flow cache), threat row 39; spec/objects.md §7: tag = SipHash-2-4-128(secret,
//         LE32 peer || Flow), compared whole; an answer is looked up under its original flow.
// Bounds: Options::entries of 32 bytes, allocated once. Full neighbourhood: dead entries go first, then
//         denied ones, then unanswered, then the longest idle. New flows: a rate for each (peer,
//         direction).
// Thread: one owner (a worker). Errors: none; doubt drops.
// Cost:   hit ~45 ns (two tags on an answer), miss + Policy::Evaluate. No allocation after
// construction.
#ifndef AQMESH_ADMISSION_FLOW_CACHE_H_
#define AQMESH_ADMISSION_FLOW_CACHE_H_

#include <chrono>
#include <memory>
#include <span>

#include "admission/packet.h"
#include "admission/rules.h"
#include "admission/token_bucket.h"
#include "core/base/secret.h"
#include "core/base/time.h"

namespace aqmesh::admission {

// Seen from this machine. A flow has the direction of its first packet.
enum class Direction : uint8_t { kSend = 0, kReceive = 1 };
inline Direction Opposite(Direction d) {
  return d == Direction::kSend ? Direction::kReceive : Direction::kSend;
}

// The two policies between this machine and one peer, by who opened the flow.
struct Policies {
  Policy send;     // flows that we open: our cited fragments, src = we
  Policy receive;  // flows that the peer opens: its cited fragments, src = the peer
  // Flows of the peer's that a rule holds for a person pass before this wall second. Ours are for
  // the peer to hold.
  uint64_t released_until = 0;
  const Policy& For(Direction opened) const { return opened == Direction::kSend ? send : receive; }
  bool Holds(Direction opened, const Terms& terms, WallTime now) const {
    return opened == Direction::kReceive && terms.held() && now.seconds() >= released_until;
  }
};

// What a packet is judged by. A new epoch voids every ruling made under an older one; a peer index
// must not meet the same epoch twice, so count epochs once for the whole process.
struct PolicyView {
  uint32_t peer = 0;
  uint32_t epoch = 0;
  const Policies* policies = nullptr;  // null: nothing passes
  bool operator==(const PolicyView&) const = default;
};

struct Judgement {
  Drop drop = Drop::kNoRule;  // kNone: pass
  authority::Reason reason = authority::Reason::kNoRule;
  Direction opened = Direction::kSend;  // who opened the flow: its policy holds `path`
  uint16_t path = kNoPath;              // the deciding rule of policies->For(opened), or kNoPath
  // The flow was not in the table, or is ruled otherwise from here on: log_flow and escalate act
  // now, and the lineage hears of it.
  bool first = false;
  bool answer = false;  // came as an answer, or as an error about the flow
  // What the rule demands, as long as the policies stand; null if no rule allowed it.
  const Terms* terms = nullptr;
  bool pass() const { return drop == Drop::kNone; }
};

struct FlowCounters {
  uint64_t hits = 0, answers = 0, related = 0, misses = 0, rejudged = 0, evicted = 0, denied = 0,
           over_rate = 0, held = 0;
};

class FlowTable {
 public:
  struct Options {
    size_t entries = 1 << 16;  // a power of two, >= kWindow: 2 MiB a worker
    uint64_t misses_per_second = 1'000,
             misses_burst = 2'000;  // new flows of one peer and direction
  };
  using Key = Secret<16>;
  FlowTable(Key secret, const Options& options, Instant start);  // secret: of this process, random
  FlowTable(FlowTable&&) = default;

  // Both sides of a tunnel ask the same question about each packet that they send or receive.
  Judgement Judge(const PacketInfo& packet, Direction direction, const PolicyView& view, Now now);

  const FlowCounters& counters() const { return counters_; }
  size_t live(Instant now) const;  // entries not idle for too long; O(entries), for status

 private:
  static constexpr size_t kWindow = 8;       // slots that a tag may lie in: 4 cache lines
  static constexpr size_t kSources = 1'024;  // miss buckets; peers beyond share one by hash
  struct Entry {
    std::array<uint8_t, 16> tag;
    uint32_t epoch;    // of the verdict under which it was ruled
    uint32_t seen;     // seconds since start_, +1; 0 = free
    uint32_t packets;  // both ways, saturating; outlives a re-judgement
    uint16_t path;
    uint8_t flags;
    uint8_t reason;
  };
  static_assert(sizeof(Entry) == 32);
  using Tag = std::array<uint8_t, 16>;

  Tag TagOf(uint32_t peer, const Flow& flow) const;
  uint32_t Second(Instant now) const;
  bool Dead(const Entry& e, uint32_t second) const;
  Entry* Find(const Tag& tag, uint32_t second);
  Entry* Place(const Tag& tag, bool pass, uint32_t second);
  static bool Told(Entry& e);
  void Rule(Entry& e, const PacketInfo& opener, const PolicyView& view, Now now);
  void Refresh(Entry& e, const Flow& opener, const PolicyView& view, Now now);
  Judgement Use(Entry& e, const PacketInfo& packet, bool answer, const PolicyView& view, Now now);
  std::optional<Judgement> Answer(
      const PacketInfo& p, const Flow& flow, Direction d, const PolicyView& view, Now now);
  std::optional<Judgement> Related(const PacketInfo& p,
                                   Direction d,
                                   const PolicyView& view,
                                   Now now);
  Judgement Open(const PacketInfo& p, const Tag& tag, Direction d, const PolicyView& view, Now now);

  // The flow that the last packet was of: the rest of its run, in the same turn and under the same
  // verdict, is compared with it and not looked up.
  struct Run {
    Entry* entry = nullptr;
    Tag tag{};
    PacketInfo packet;
    Direction direction{};
    bool answer = false;
    PolicyView view;
    Now at{};
  };
  std::optional<Judgement> Again(const PacketInfo& p, Direction d, const PolicyView& view, Now now);
  Judgement Begin(
      Entry& e, const PacketInfo& p, Direction d, bool answer, const PolicyView& view, Now now);

  Key secret_;
  Instant start_;
  size_t mask_;
  std::vector<Entry> entries_;
  std::vector<TokenBucket> sources_;
  FlowCounters counters_;
  Run run_;
};

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_FLOW_CACHE_H_
