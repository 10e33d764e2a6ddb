// World: the second driver. It runs the same node::Control as the daemon, on virtual time, a
// virtual network, virtual kernel tables and disks in memory, and lets the checker look after every
// event.
// Spec:   spec/simulation.md. Everything is a function of the seed: the same seed gives the same
//         trace hash.
// Bounds: Options::events_max events a run, so that a storm ends a run instead of the machine.
// Thread: one.
#ifndef AQMESH_SIM_WORLD_H_
#define AQMESH_SIM_WORLD_H_

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "issuing/issue.h"
#include "sim/checker.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/trace.h"

namespace aqmesh::sim {

struct Options {
  uint64_t seed = 1;
  Weather weather = {};
  std::chrono::nanoseconds sync_min{200'000}, sync_max{3'000'000};  // of a disk
  std::chrono::nanoseconds skew_max{0};                             // of a wall clock, either way
  uint64_t start_seconds = 1'700'000'000;
  uint64_t events_max = 20'000'000;  // the run stops here, unjudged
  Instant until = kNever;            // ... or here
  Trace::Sink sink = {};             // gets each line of the trace
};

class World {
 public:
  static constexpr Instant kBegan = Instant{} + std::chrono::seconds(1000);

  explicit World(Options options);
  ~World();

  // ---- building ----
  // The first machine of a new mesh: root key, charter, its grants and the default fragment on its
  // disk.
  Machine& Found(const std::string& name);
  // A machine without grants that redeems `invitation` when it starts.
  Machine& Add(const std::string& name, issuing::Invitation invitation);
  void Start(Machine& m);
  void Crash(Machine& m);  // what was not synced is gone
  // A pre-approved invitation by `sponsor`.
  issuing::Invitation InviteBy(Machine& sponsor, uint16_t uses = 1);
  // InviteBy, Add, Start, and run until it joined, for a minute at most.
  Machine& Enrol(const std::string& name, Machine& sponsor);
  static bool Joined(const Machine& m);

  // ---- time and faults ----
  void RunFor(std::chrono::nanoseconds d);
  bool RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds at_most);
  // All machines sleep: no event happens, and every clock goes on. What was under way is lost.
  void Sleep(std::chrono::nanoseconds d);
  Network& network() { return network_; }

  // ---- traffic ----
  // One UDP packet from a to b's overlay IPv6, out of a's TUN. Returns its mark.
  uint32_t Send(Machine& a, const Machine& b, uint16_t port = kProbe);
  bool CanTalk(Machine& a, Machine& b);  // a packet each way, within 3 s

  // ---- watching ----
  Now NowOf(const Machine& m) const;
  Instant time() const { return time_; }
  std::vector<std::unique_ptr<Machine>>& machines() { return machines_; }
  Machine* Find(const std::string& name);
  Checker& checker() { return checker_; }
  // Something is wrong, or a limit of the options was reached: nothing runs any more.
  bool stopped() const { return limit_reached_ || !checker_.violations().empty(); }
  bool limit_reached() const { return limit_reached_; }
  const Trace& trace() const { return trace_; }
  uint64_t events() const { return events_; }
  const ScopeId& scope() const { return scope_; }
  IpAddress AddressOf(const Machine& m) const;
  Rng& choices() { return choices_; }  // of the scenario
  // One turn of a machine's node, ordered from outside.
  void Do(Machine& m, const std::function<void(node::Control&, node::Outbox&)>& f);
  void Note(std::string_view who, std::string_view what);  // a line of the trace

 private:
  static constexpr uint16_t kProbe = 7;
  struct Event {
    Instant at;
    uint64_t order = 0;
    size_t machine = 0;
    uint64_t life = 0;
    enum class Kind : uint8_t { kDatagram, kSynced, kWake } kind{};
    Bytes bytes = {};
    size_t from = 0;
    node::Ticket ticket = 0;
  };
  struct Later {
    bool operator()(const std::unique_ptr<Event>& a, const std::unique_ptr<Event>& b) const {
      return a->at != b->at ? a->at > b->at : a->order > b->order;
    }
  };

  Machine& NewMachine(const std::string& name);
  size_t IndexOf(const Machine& m) const;
  Machine* HolderOf(const X25519Key& static_key);
  node::Image ImageOf(const Machine& m) const;
  void Push(Event e);
  std::unique_ptr<Event> Pop();
  void Step();
  std::string RecordText(const lineage::RecordEntry& entry);
  void OnDatagram(Machine& m, Event& e, node::Outbox& out);
  void OnSynced(Machine& m, const Event& e, node::Outbox& out);
  void Carry(Machine& m, node::Outbox& out);
  void Deliver(Machine& m, const node::Outbox& out);
  void Transmit(Machine& from, const Endpoint& to, ByteView bytes);
  void CarryOut(Machine& m, const node::OsAction& action);
  void FollowTables(Machine& m);
  void ArmWake(Machine& m);
  void Check(Machine& m, size_t datagrams);
  bool Goes(Instant until);

  Options options_;
  Rng rng_;
  Network network_;
  Rng disks_, keys_, choices_;
  Instant time_ = kBegan;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::priority_queue<std::unique_ptr<Event>, std::vector<std::unique_ptr<Event>>, Later> queue_;
  Trace trace_;
  Checker checker_;
  uint64_t order_ = 0, events_ = 0;
  uint32_t marks_ = 0;
  bool limit_reached_ = false;
  crypto::Ed25519Seed root_;
  issuing::MemorySeqs root_seqs_;
  ScopeId scope_;
};

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_WORLD_H_
