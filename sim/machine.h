// Machine: one computer of a world. Its keys, its clock and its disk outlive its process; its
// tunnels, verdicts and kernel tables do not.
// Thread: owned by its World.
#ifndef AQMESH_SIM_MACHINE_H_
#define AQMESH_SIM_MACHINE_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "issuing/line.h"
#include "issuing/signer.h"
#include "lineage/store.h"
#include "node/control.h"

namespace aqmesh::sim {

struct Machine {
  std::string name;
  crypto::Ed25519Seed identity, log;
  crypto::X25519Private static_key;
  Kid kid;
  Endpoint endpoint;
  std::chrono::nanoseconds skew{0};  // of its wall clock
  issuing::MemorySeqs seqs;
  lineage::MemStore disk;  // what is durable
  std::optional<issuing::Invitation> invitation;

  std::unique_ptr<node::Control> control;  // null: crashed or not started
  std::vector<lineage::Batch> writing;     // handed over, not durable yet
  node::Ticket written = 0;
  uint64_t life = 0;                // rises at each crash: events of an earlier life are void
  node::OsAction wanted;            // what the kernel's tables were last asked to hold
  bool tables_up = false;           // what they hold
  bool tables_stuck = false;        // a fault: the kernel says yes and does nothing
  bool disk_lies = false;           // a fault: the disk says yes and keeps nothing
  std::vector<node::Event> events;  // of all lives
  std::set<uint32_t> got;           // marks of the probes that reached its TUN
  Instant wake_at = kNever;
  Instant busy_at{};         // the instant of its newest turn ...
  size_t turns_at_once = 0;  // ... and how many there were

  bool running() const { return control != nullptr; }
};

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_MACHINE_H_
