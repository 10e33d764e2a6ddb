// Two ends of a tunnel in one process: plain WireGuard devices, or whole nodes with their
// authority. No kernel, no disk: what is said to be durable is so at once, so that only our own
// work is on the clock. Thread: one. The clock stands still but for what a method says.
#ifndef AQMESH_BENCH_MICRO_PAIR_H_
#define AQMESH_BENCH_MICRO_PAIR_H_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "issuing/issue.h"
#include "issuing/signer.h"
#include "node/control.h"

namespace aqmesh::bench {

inline constexpr uint64_t kStartSeconds = 1'700'000'000;

// How far a machine's grant lies below the root.
enum class Below : uint8_t { kRoot, kEnroller };

struct Machine {
  std::string name;
  crypto::Ed25519Seed identity;
  crypto::X25519Private static_key;
  Kid kid;
  Endpoint endpoint;
  authority::Held<authority::Grant> leaf;
};

// A mesh that was just founded, and whose root and first enroller are at hand.
class Scope {
 public:
  Scope();
  Machine NewMachine(const std::string& name, Below below, uint8_t host);
  // What `m` holds on its disk when it starts: its objects, and where `other` said that it is.
  node::Image ImageOf(const Machine& m, const Machine& other) const;
  const authority::Held<authority::Charter>& charter() const { return charter_; }
  const authority::Held<authority::Fragment>& fragment() const { return fragment_; }
  // The grants above m's leaf.
  std::vector<authority::Held<authority::Grant>> Above(Below below) const;
  ScopeId id() const { return issuing::ScopeOfCharter(charter_); }

 private:
  Rng rng_;
  crypto::Ed25519Seed root_seed_, enroller_seed_;
  issuing::MemorySeqs seqs_;
  authority::Held<authority::Charter> charter_;
  authority::Held<authority::Grant> enroller_;
  authority::Held<authority::Fragment> fragment_;
};

// One end and what lies on the wire behind it.
template <class Engine, class Out>
struct End {
  std::unique_ptr<Engine> engine;
  Out out;
  Endpoint endpoint;
  Bytes address;           // inside the tunnel
  std::deque<Bytes> wire;  // sent, not yet delivered
  size_t delivered = 0;    // packets to the TUN
  size_t responses = 0;    // handshake responses among what was sent
  node::Ticket durable = 0;
  bool admitted = false;
};

class PlainPair {
 public:
  using Host = End<wireguard::Device, wireguard::Outbox>;
  PlainPair();
  void Tun(Host& h, std::span<const wireguard::TunPacket> packets);
  void Wire(Host& to, std::span<const MutableBytes> datagrams, const Host& from);
  void Keep(Host& h);  // moves what h's outbox holds to its wire
  static wireguard::Outbox& Outside(Host& h) { return h.out; }
  Now now;
  Host a, b;
};

class NodePair {
 public:
  using Host = End<node::Control, node::Outbox>;
  // Two machines that know where the other is, and have not met.
  explicit NodePair(Below below);
  void Meet();  // a initiates; returns once both have admitted the other
  void Tun(Host& h, std::span<const wireguard::TunPacket> packets);
  void Wire(Host& to, std::span<const MutableBytes> datagrams, const Host& from);
  void Keep(Host& h);
  static wireguard::Outbox& Outside(Host& h) { return h.out.wg; }
  Now now;
  Host a, b;

 private:
  void Start(Host& h, const Machine& m, node::Image image);
  issuing::MemorySeqs seqs_;
};

// Delivers until nothing is under way any more, or until `enough`.
template <class Pair, class Enough>
void Carry(Pair& p, Enough enough) {
  while (!p.a.wire.empty() || !p.b.wire.empty()) {
    auto& from = p.a.wire.empty() ? p.b : p.a;
    auto& to = p.a.wire.empty() ? p.a : p.b;
    Bytes bytes = std::move(from.wire.front());
    from.wire.pop_front();
    const std::array<MutableBytes, 1> datagrams = {bytes};
    p.Wire(to, datagrams, from);
    p.Keep(to);
    if (enough()) return;
  }
}
template <class Pair>
void Carry(Pair& p) {
  Carry(p, [] { return false; });
}

// a's session gets too old, a sends a packet: one rekey, begun by a, and the packet, at both ends.
template <class Pair>
void Rekey(Pair& p, MutableBytes packet) {
  using namespace std::chrono_literals;
  const size_t responses = p.b.responses, delivered = p.b.delivered;
  p.now.mono += 121s;
  p.now.wall.nanos += std::chrono::nanoseconds(30ms).count();
  const std::array<wireguard::TunPacket, 1> packets = {{{.bytes = packet}}};
  p.Tun(p.a, packets);
  p.Keep(p.a);
  Carry(p);
  AQ_CHECK(p.b.responses == responses + 1);
  AQ_CHECK(p.b.delivered > delivered);
}

}  // namespace aqmesh::bench

#endif  // AQMESH_BENCH_MICRO_PAIR_H_
