// World: the second driver. It runs the same node::Control as the daemon, on virtual time, a
// virtual network and disks in memory, and watches what an omniscient observer would see.
// Spec:   spec/simulation.md; reliability §6. Everything is a function of the seed: the same seed gives the
//         same trace hash.
// Bounds: kEventsMax events a run, so that a storm ends a run instead of the machine.
// Thread: one.
#ifndef AQMESH_SIM_WORLD_H_
#define AQMESH_SIM_WORLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "issuing/issue.h"
#include "issuing/signer.h"
#include "lineage/store.h"
#include "node/control.h"

namespace aqmesh::sim {

struct Options {
  uint64_t seed = 1;
  std::chrono::nanoseconds latency_min{2'000'000}, latency_max{20'000'000};
  uint32_t loss_ppm = 0, duplicate_ppm = 0;
  std::chrono::nanoseconds sync_min{200'000}, sync_max{3'000'000};  // of a disk
  uint64_t start_seconds = 1'700'000'000;
};

// One machine: its keys and its disk outlive its process.
struct Machine {
  std::string name;
  crypto::Ed25519Seed identity;
  crypto::X25519Private static_key;
  Kid kid, log;
  Endpoint endpoint;
  issuing::MemorySeqs seqs;
  lineage::MemStore disk;  // what is durable
  std::optional<issuing::Invitation> invitation;
  std::unique_ptr<node::Control> control;  // null: crashed or not started
  std::vector<lineage::Batch> writing;     // handed over, not durable yet
  node::Ticket written = 0;
  uint64_t life = 0;       // rises at each crash: events of an earlier life are void
  std::vector<Bytes> tun;  // packets delivered to it
  std::vector<node::Event> events;
  std::set<Kid> revoked_durable;  // revocations that its disk holds
  Instant wake_at = kNever;
};

class World {
 public:
  explicit World(const Options& options);
  ~World();

  // ---- building ----
  // The first machine of a new mesh: root key, charter, its grants and the default fragment on its
  // disk.
  Machine& Found(const std::string& name);
  // A machine without grants that redeems `invitation` when it starts.
  Machine& Add(const std::string& name, issuing::Invitation invitation);
  void Start(Machine& m);
  void Crash(Machine& m);  // what was not synced is gone
  // An invitation by `sponsor`, pre-approved unless said otherwise.
  issuing::Invitation InviteBy(Machine& sponsor, uint16_t uses = 1);
  // Found + Add + Start + run until joined.
  Machine& Join(const std::string& name, Machine& sponsor);

  // ---- time and faults ----
  void RunFor(std::chrono::nanoseconds d);
  bool RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds at_most);
  void AdvanceWall(std::chrono::seconds d) { wall_offset_ += d; }  // all clocks
  // Packets between machines of different sides are lost. Empty: healed.
  void Partition(std::vector<std::set<std::string>> sides) { sides_ = std::move(sides); }
  void SetLoss(uint32_t ppm) { options_.loss_ppm = ppm; }

  // ---- traffic ----
  // One UDP packet from a to b's overlay IPv6, out of a's TUN. The payload ends in `mark`.
  void Send(Machine& a, const Machine& b, uint16_t port, uint32_t mark);
  bool Got(const Machine& m, uint32_t mark) const;
  bool CanTalk(Machine& a, Machine& b);  // a packet each way, within 3 s

  // ---- watching ----
  Now now() const;
  std::vector<std::unique_ptr<Machine>>& machines() { return machines_; }
  Machine* Find(const std::string& name);
  const std::vector<std::string>& violations() const { return violations_; }
  std::string TraceHash() const;  // over every event, in order
  uint64_t events() const { return events_; }
  const ScopeId& scope() const { return scope_; }
  IpAddress AddressOf(const Machine& m) const;
  void Do(Machine& m, const std::function<void(node::Control&, node::Outbox&)>& f);

 private:
  static constexpr uint64_t kEventsMax = 20'000'000;
  struct Event {
    Instant at;
    uint64_t order;
    size_t machine;
    uint64_t life;
    enum class Kind : uint8_t { kDatagram, kSynced, kWake } kind;
    Bytes bytes;
    Endpoint from;
    node::Ticket ticket = 0;
  };
  struct Later {
    bool operator()(const std::unique_ptr<Event>& a, const std::unique_ptr<Event>& b) const {
      return a->at != b->at ? a->at > b->at : a->order > b->order;
    }
  };

  Machine& NewMachine(const std::string& name);
  size_t IndexOf(const Machine& m) const;
  void Push(Event e);
  void Step();
  void Carry(Machine& m, node::Outbox& out);
  void Transmit(Machine& from, const Endpoint& to, ByteView bytes);
  void CheckDelivery(Machine& m, ByteView packet);
  void CheckLog(Machine& m);
  bool Separated(const Machine& a, const Machine& b) const;
  void Trace(std::string_view what, const Machine& m, ByteView bytes);
  node::Image ImageOf(const Machine& m) const;
  std::chrono::nanoseconds Between(std::chrono::nanoseconds lo, std::chrono::nanoseconds hi);

  Options options_;
  Rng rng_;
  Rng network_, disks_, keys_;
  Instant time_{};
  std::chrono::seconds wall_offset_{0};
  std::vector<std::unique_ptr<Machine>> machines_;
  std::priority_queue<std::unique_ptr<Event>, std::vector<std::unique_ptr<Event>>, Later> queue_;
  std::vector<std::set<std::string>> sides_;
  std::vector<std::string> violations_;
  crypto::Hash32 trace_{};
  uint64_t order_ = 0, events_ = 0;
  uint32_t marks_ = 0;
  crypto::Ed25519Seed root_;
  issuing::MemorySeqs root_seqs_;
  ScopeId scope_;
  node::Outbox out_;
};

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_WORLD_H_
