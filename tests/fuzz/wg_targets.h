// What the WireGuard fuzz entries claim, so that the plain suite can claim it too. A broken claim
// is a failed check.
#ifndef AQMESH_TESTS_FUZZ_WG_TARGETS_H_
#define AQMESH_TESTS_FUZZ_WG_TARGETS_H_

#include <map>
#include <set>

#include "core/base/check.h"
#include "core/base/status.h"
#include "transport/wireguard/allowed_ips.h"
#include "transport/wireguard/device.h"
#include "transport/wireguard/uapi.h"

namespace aqmesh::fuzz {

// ---- the configuration protocol ----

inline Now WgStart() {
  return {Instant{std::chrono::seconds(1000)}, WallTime::FromSeconds(1'700'000'000)};
}

// A device that is configured by text alone, with no driver behind it.
class UapiHost {
 public:
  UapiHost() : device_({.peers_max = 64}, Rng({1})), session_(device_, Apply) {}
  std::string Ask(ByteView request) {
    std::string reply;
    open_ = open_ && session_.OnBytes(WgStart(), request, reply);
    return reply;
  }
  std::string Ask(std::string_view request) { return Ask(AsBytes(request)); }
  std::string Config() { return wireguard::FormatUapi(device_.GetConfig()); }

 private:
  static int Apply(wireguard::Outbox& out) {
    out.Clear();
    return 0;
  }
  wireguard::Device device_;
  wireguard::UapiSession session_;
  bool open_ = true;
};

// The lines that `set` takes back.
inline std::string Settable(const std::string& config) {
  std::string out = "set=1\n";
  for (size_t at = 0; at < config.size();) {
    const size_t end = config.find('\n', at);
    const std::string_view line = std::string_view(config).substr(at, end - at);
    if (!line.starts_with("last_handshake_time") && !line.starts_with("tx_bytes") &&
        !line.starts_with("rx_bytes")) {
      out.append(line).append("\n");
    }
    at = end + 1;
  }
  return out + "\n";
}

inline void FuzzUapi(ByteView bytes) {
  // In one piece or byte by byte, it is the same conversation.
  UapiHost whole, piecewise;
  const std::string reply = whole.Ask(bytes);
  std::string pieces;
  for (size_t i = 0; i < bytes.size(); ++i) pieces += piecewise.Ask(bytes.subspan(i, 1));
  AQ_CHECK(pieces == reply);
  const std::string config = whole.Config();
  AQ_CHECK(config == piecewise.Config());

  // What a device shows, another takes, and then shows the same.
  UapiHost copy;
  AQ_CHECK(copy.Ask(Settable(config)) == "errno=0\n\n");
  AQ_CHECK(Settable(copy.Config()) == Settable(config));

  // A request with a line that is not understood changes nothing.
  std::string request = "set=1\n";
  for (const char c : AsText(bytes)) {
    if (c != '\n' || !request.ends_with('\n')) request.push_back(c);
  }
  const std::string answer = copy.Ask(request + "\n\n");
  if (answer.starts_with("errno=-22") || answer.starts_with("errno=-71"))
    AQ_CHECK(Settable(copy.Config()) == Settable(config));
}

// ---- devices on a hostile wire ----

// A and B know each other; the input says what happens on the wire between them, and what is put
// there by others.
class WgWire {
 public:
  WgWire() : a_({}, Rng({2})), b_({}, Rng({3})) {
    wireguard::Outbox out;
    Rng rng(Rng::Seed{9});
    a_.SetPrivateKey(now_, crypto::NewX25519(rng), out);
    b_.SetPrivateKey(now_, crypto::NewX25519(rng), out);
    to_b_ = *a_.AddPeer(now_, b_.public_key(), out);
    to_a_ = *b_.AddPeer(now_, a_.public_key(), out);
    a_.SetEndpoint(to_b_, kAtB, out);
    AQ_CHECK(a_.AddAllowedIp(to_b_, *Prefix::Parse("10.0.0.2/32")).ok());
    AQ_CHECK(b_.AddAllowedIp(to_a_, *Prefix::Parse("10.0.0.0/28")).ok());
    a_.SetUp(now_, true, out);
    b_.SetUp(now_, true, out);
  }

  // One step; `bytes` shrinks by what it took.
  void Step(ByteView& bytes) {
    const uint8_t op = Take(bytes);
    switch (op % 8) {
      case 0: return Send(Take(bytes));
      case 1: return Deliver(op >> 3);
      case 2: return Spoil(op >> 3, bytes);
      case 3: return Forge(bytes);
      case 4: return Pass(std::chrono::milliseconds(Take(bytes) * 10));
      case 5: return Pass(std::chrono::seconds(Take(bytes)));
      case 6: return Tun(bytes.first(std::min<size_t>(bytes.size(), op >> 1)));
      case 7: return Replay(op >> 3);
    }
  }

  size_t delivered() const { return delivered_; }

 private:
  struct Flying {
    bool to_b;
    Bytes bytes;
  };
  static uint8_t Take(ByteView& bytes) {
    if (bytes.empty()) return 0;
    const uint8_t b = bytes.front();
    bytes = bytes.subspan(1);
    return b;
  }

  // A whole packet, unlike every other that A has sent.
  void Send(uint8_t size) {
    Bytes packet = *FromHex(
        "450000000000000040110000"
        "0a0000010a000002");
    packet.resize(28 + size);
    StoreBe(packet.data() + 2, static_cast<uint16_t>(packet.size()));
    StoreBe(packet.data() + 24, ++serial_);
    awaited_.insert(packet);
    Tun(packet);
  }
  void Tun(ByteView packet) {
    Bytes own(packet.begin(), packet.end());
    const wireguard::TunPacket packets[] = {{.bytes = own}};
    wireguard::Outbox out;
    a_.OnTunPackets(now_, packets, out);
    Collect(true, out);
  }
  void Pass(std::chrono::nanoseconds d) {
    now_.mono += d;
    now_.wall.nanos += d.count();
    wireguard::Outbox from_a, from_b;
    a_.OnWake(now_, from_a);
    b_.OnWake(now_, from_b);
    Collect(true, from_a);
    Collect(false, from_b);
  }
  wireguard::Drop Feed(bool to_b, ByteView message, const Endpoint& from) {
    Bytes own(message.begin(), message.end());
    wireguard::Outbox out;
    const wireguard::Drop why =
        (to_b ? b_ : a_).OnDatagram(now_, {.bytes = own, .from = from, .at = {}}, out);
    Collect(!to_b, out);
    return why;
  }
  void Deliver(size_t which) {
    if (flying_.empty()) return;
    which %= flying_.size();
    const Flying f = flying_[which];
    flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(which));
    // Refused now (too soon after another) is not refused for ever.
    if (Feed(f.to_b, f.bytes, f.to_b ? kAtA : kAtB) != wireguard::Drop::kNone) return;
    seen_.push_back(f);
    if (seen_.size() > 16) seen_.erase(seen_.begin());
  }
  void Replay(size_t which) {
    if (seen_.empty()) return;
    const Flying& f = seen_[which % seen_.size()];
    const Endpoint before = EndpointOf(f.to_b);
    const wireguard::Drop why = Feed(f.to_b, f.bytes, kEvil);
    // Nothing is ever taken twice (a cookie reply changes nothing but a cookie).
    AQ_CHECK(why != wireguard::Drop::kNone);
    AQ_CHECK(EndpointOf(f.to_b) == before);
  }
  // A message in flight, changed on its way. Only mac2 may be changed unnoticed, and only while
  // nobody is under load.
  void Spoil(size_t which, ByteView& bytes) {
    if (flying_.empty()) return;
    Flying f = flying_[which % flying_.size()];
    const Bytes good = f.bytes;
    const size_t at = (Take(bytes) | size_t{Take(bytes)} << 8) % f.bytes.size();
    f.bytes[at] = Take(bytes);
    if (Take(bytes) % 4 == 0) f.bytes.resize(at);
    if (f.bytes == good) return;
    const bool unread = good[0] <= 2 && f.bytes.size() == good.size() && at >= good.size() - 16;
    if (unread) return;
    AQ_CHECK(Feed(f.to_b, f.bytes, kEvil) != wireguard::Drop::kNone);
    AQ_CHECK(EndpointOf(f.to_b) != kEvil);
  }
  void Forge(ByteView& bytes) {
    const size_t size = std::min<size_t>(bytes.size(), Take(bytes));
    const ByteView message = bytes.first(std::min(size, bytes.size()));
    bytes = bytes.subspan(message.size());
    const bool genuine = std::any_of(
        flying_.begin(), flying_.end(), [&](const Flying& f) { return Equal(f.bytes, message); });
    if (genuine) return;
    AQ_CHECK(Feed(true, message, kEvil) != wireguard::Drop::kNone);
    AQ_CHECK(EndpointOf(true) != kEvil);
  }
  Endpoint EndpointOf(bool of_b) const {
    return (of_b ? b_.endpoint(to_a_) : a_.endpoint(to_b_)).value_or(Endpoint{});
  }

  // What a device put out: datagrams fly; what it delivers must have been sent, and is delivered
  // once.
  void Collect(bool from_a, wireguard::Outbox& out) {
    for (const wireguard::OutDatagram& d : out.datagrams) {
      AQ_CHECK(d.to != kEvil);
      const ByteView b = out.bytes(d);
      if (flying_.size() < 64) flying_.push_back({from_a, Bytes(b.begin(), b.end())});
    }
    for (const wireguard::OutPacket& p : out.tun) {
      if (p.peer == wireguard::kNoPeer) continue;
      AQ_CHECK(!from_a);
      const ByteView b = out.bytes(p);
      AQ_CHECK(awaited_.erase(Bytes(b.begin(), b.end())) == 1);
      ++delivered_;
    }
  }

  static inline const Endpoint kAtA = *Endpoint::Parse("192.0.2.1:1");
  static inline const Endpoint kAtB = *Endpoint::Parse("192.0.2.2:2");
  static inline const Endpoint kEvil = *Endpoint::Parse("198.51.100.9:9");
  Now now_ = WgStart();
  wireguard::Device a_, b_;
  wireguard::PeerId to_b_ = 0, to_a_ = 0;
  std::vector<Flying> flying_, seen_;
  std::multiset<Bytes> awaited_;
  uint32_t serial_ = 0;
  size_t delivered_ = 0;
};

// ---- routing against a naive twin ----

inline void FuzzAllowedIps(ByteView bytes) {
  wireguard::AllowedIps table;
  std::map<Prefix, wireguard::PeerId> naive;
  while (bytes.size() >= 7) {
    const bool v6 = (bytes[0] & 1) != 0;
    std::array<uint8_t, 16> raw{};
    std::copy_n(bytes.begin() + 2, 4, raw.begin());
    raw[15] = bytes[5];
    const IpAddress address = *IpAddress::From(v6 ? ByteView(raw) : ByteView(raw).first(4));
    const Prefix prefix = *Prefix::Make(address, bytes[1] % (v6 ? 129u : 33u));
    const wireguard::PeerId peer = bytes[6] % 8u;
    switch (bytes[0] >> 1 & 3) {
      case 0:
      case 1:
        AQ_CHECK(table.Insert(prefix, peer));
        naive[prefix] = peer;
        break;
      case 2: {
        const auto it = naive.find(prefix);
        const bool held = it != naive.end() && it->second == peer;
        AQ_CHECK(table.Remove(prefix, peer) == held);
        if (held) naive.erase(it);
        break;
      }
      case 3:
        table.RemovePeer(peer);
        std::erase_if(naive, [peer](const auto& e) { return e.second == peer; });
        break;
    }
    wireguard::PeerId want = wireguard::kNoPeer;
    int best = -1;
    for (const auto& [p, owner] : naive) {
      if (p.Contains(address) && p.length > best) best = p.length, want = owner;
    }
    AQ_CHECK(table.Find(address) == want);
    AQ_CHECK(table.size() == naive.size());
    bytes = bytes.subspan(7);
  }
}

// The first byte chooses. 64 steps at most: longer stories find nothing that these do not.
inline void FuzzWireGuard(ByteView bytes) {
  if (bytes.empty()) return;
  if (bytes[0] % 4 == 0) return FuzzAllowedIps(bytes.subspan(1));
  WgWire wire;
  ByteView rest = bytes.subspan(1);
  for (int step = 0; step < 64 && !rest.empty(); ++step) wire.Step(rest);
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_WG_TARGETS_H_
