// Two devices, a virtual wire between them, and a clock that a test turns.
#ifndef AQMESH_TESTS_TRANSPORT_WIREGUARD_HOSTS_H_
#define AQMESH_TESTS_TRANSPORT_WIREGUARD_HOSTS_H_

#include <gtest/gtest.h>

#include <functional>

#include "transport/wireguard/device.h"

namespace aqmesh::wireguard {

inline Bytes Ip4(std::string_view from, std::string_view to, size_t size = 100) {
  Bytes p(size, 0x5a);
  p[0] = 0x45;
  p[1] = 0;
  p[6] = p[7] = 0;
  p[9] = 17;
  StoreBe(p.data() + 2, static_cast<uint16_t>(size));
  const IpAddress source = *IpAddress::Parse(from);
  const IpAddress destination = *IpAddress::Parse(to);
  std::memcpy(p.data() + 12, source.bytes().data(), 4);
  std::memcpy(p.data() + 16, destination.bytes().data(), 4);
  return p;
}

struct Sent {
  Endpoint from, to;
  Bytes bytes;
  Source source;  // the local address that it was told to leave from
  uint8_t tos = 0;
};

struct Host {
  Host(uint8_t seed, std::string_view at, Now now, Device::Options options = {})
      : device(options, Rng({seed})),
        rng({static_cast<uint8_t>(seed + 100)}),
        here(*Endpoint::Parse(at)) {
    Outbox out;
    device.SetPrivateKey(now, crypto::NewX25519(rng), out);
    device.SetUp(now, true, out);
  }
  uint8_t type(size_t i) const { return sent[i].bytes[0]; }

  Device device;
  Rng rng;
  Endpoint here;
  std::vector<Sent> sent;
  std::vector<Bytes> received;
  std::vector<SessionEvent> events;
  std::vector<GovernedHandshake> governed;
  std::vector<Bytes> frames;
};

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): included by tests
                                       // alone

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest() { a_id_ = Know(a_, b_, "10.0.0.2/32"), b_id_ = Know(b_, a_, "10.0.0.1/32"); }

  PeerId Know(Host& h, const Host& other, std::string_view route, bool with_endpoint = true) {
    Outbox out;
    const PeerId id = *h.device.AddPeer(now_, other.device.public_key(), out);
    if (with_endpoint) h.device.SetEndpoint(id, other.here, out);
    EXPECT_TRUE(h.device.AddAllowedIp(id, *Prefix::Parse(route)).ok());
    return id;
  }
  void Keep(Host& h, Outbox& out) {
    for (const OutDatagram& d : out.datagrams) {
      ForEachSegment(d, [&](ByteView b) {
        h.sent.push_back({h.here, d.to, Bytes(b.begin(), b.end()), d.from, d.tos});
      });
    }
    for (const OutPacket& p : out.tun) {
      const ByteView b = out.bytes(p);
      h.received.emplace_back(b.begin(), b.end());
    }
    for (const OutFrame& f : out.frames) {
      const ByteView b = out.bytes(f);
      h.frames.emplace_back(b.begin(), b.end());
    }
    for (GovernedHandshake& g : out.governed) h.governed.push_back(std::move(g));
    h.events.insert(h.events.end(), out.sessions.begin(), out.sessions.end());
  }
  void Tun(Host& h, Bytes packet) {
    Outbox out;
    const TunPacket packets[] = {{.bytes = packet}};
    h.device.OnTunPackets(now_, packets, out);
    Keep(h, out);
  }
  Drop Feed(Host& h, ByteView bytes, const Endpoint& from, const Source& at = {}) {
    Outbox out;
    Bytes datagram(bytes.begin(), bytes.end());
    const Drop why = h.device.OnDatagram(now_, {.bytes = datagram, .from = from, .at = at}, out);
    Keep(h, out);
    return why;
  }
  void Wake(Host& h) {
    Outbox out;
    h.device.OnWake(now_, out);
    Keep(h, out);
  }
  // Carries what lies on the wire until it is still.
  void Carry() {
    while (!a_.sent.empty() || !b_.sent.empty()) {
      for (Sent& s : std::exchange(a_.sent, {})) Feed(b_, s.bytes, s.from);
      for (Sent& s : std::exchange(b_.sent, {})) Feed(a_, s.bytes, s.from);
    }
  }
  void Pass(std::chrono::nanoseconds d) { now_.mono += d, now_.wall.nanos += d.count(); }
  // Lets time go on in steps to every timer; `each` sees both hosts after every wake.
  void RunFor(std::chrono::nanoseconds d, const std::function<void()>& each) {
    const Instant end = now_.mono + d;
    for (;;) {
      const Instant next = std::min({a_.device.NextWake(), b_.device.NextWake(), end});
      if (next > now_.mono) Pass(next - now_.mono);
      Wake(a_);
      Wake(b_);
      each();
      if (now_.mono >= end) return;
    }
  }
  void Rekey(Host& h, PeerId peer) {
    Pass(6s);
    Outbox out;
    ASSERT_TRUE(h.device.handshaker().Initiate(now_, peer, 0s, out));
    h.device.Settle(now_, out);
    Keep(h, out);
    Carry();
  }
  void Handshake() {
    Tun(a_, to_b_);
    Carry();
    ASSERT_EQ(b_.received.size(), 1u);
    b_.received.clear();
  }

  Now now_{Instant{1000s}, WallTime::FromSeconds(1'700'000'000)};
  Host a_{1, "192.0.2.1:1001", now_};
  Host b_{2, "192.0.2.2:1002", now_};
  PeerId a_id_ = 0, b_id_ = 0;  // a_id_: what a calls b
  const Bytes to_b_ = Ip4("10.0.0.1", "10.0.0.2");
  const Bytes to_a_ = Ip4("10.0.0.2", "10.0.0.1");
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TESTS_TRANSPORT_WIREGUARD_HOSTS_H_
