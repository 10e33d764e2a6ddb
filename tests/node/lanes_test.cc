// Two nodes with 4 and 16 data threads each, all of them at work beside the deciding one: nothing
// is lost, doubled or overtaken in its flow, no nonce is used twice, through rekeys; and what a
// revocation closes is closed for the next packet of every thread.
#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "tests/node/pair.h"

namespace aqmesh::node {
namespace {

constexpr size_t kBatch = 44;
constexpr uint32_t kPerFlow = 6'000, kRounds = 5;
// Of both directions together, under way: fewer than the replay window, whatever the scheduler
// does.
constexpr int64_t kUnderWayMax = 6'000;
constexpr int64_t kUnwaitedMax = 20'000'000;  // of time
constexpr std::chrono::microseconds kNap{50};

struct Mail {
  std::vector<Bytes> datagrams;
  std::vector<ControlPacket> control;
};

class Inbox {
 public:
  void Put(Bytes datagram) {
    const std::lock_guard lock(mutex_);
    mail_.datagrams.push_back(std::move(datagram));
  }
  void Put(ControlPacket packet) {
    const std::lock_guard lock(mutex_);
    mail_.control.push_back(std::move(packet));
  }
  Mail Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(mail_, {});
  }

 private:
  std::mutex mutex_;
  Mail mail_;
};

class LanesTest : public testing::TestWithParam<uint32_t> {
 protected:
  struct Side {
    TestNode* node = nullptr;
    Side* other = nullptr;
    Inbox control;
    std::vector<Inbox> lanes;
    std::vector<uint32_t> sent, delivered;  // by lane: each sends one flow. The latter by flow
    std::vector<std::vector<std::pair<uint32_t, uint64_t>>> nonces;  // by lane
    std::vector<std::atomic<uint64_t>> turns;                        // of each thread
  };

  LanesTest() : lanes_(GetParam()) {
    for (const char* name : {"a", "b"}) mesh_.Add(name).lanes = lanes_;
    for (size_t i = 0; i < 2; ++i) {
      sides_[i].node = mesh_.nodes[i].get();
      sides_[i].other = &sides_[1 - i];
      sides_[i].lanes = std::vector<Inbox>(lanes_);
      sides_[i].sent.resize(lanes_);
      sides_[i].delivered.resize(lanes_);
      sides_[i].nonces.resize(lanes_);
      sides_[i].turns = std::vector<std::atomic<uint64_t>>(lanes_);
      mesh_.Introduce(*mesh_.nodes[i], *mesh_.nodes[1 - i]);
    }
    for (auto& n : mesh_.nodes) n->Start();
    mesh_.Pump(5s);
    clock_ = mesh_.nodes[0]->now.mono.time_since_epoch().count();
    start_ = mesh_.nodes[0]->now;
  }

  Now Time() const {
    const auto passed = std::chrono::nanoseconds(clock_.load()) - start_.mono.time_since_epoch();
    return {start_.mono + passed, {start_.wall.nanos + passed.count()}};
  }

  // Where the kernel would bring it: by what our steering program reads.
  void Deliver(Side& to, Bytes datagram) {
    if (datagram[0] == static_cast<uint8_t>(frame::Type::kFrame)) {
      to.lanes[datagram[4] & (lanes_ - 1)].Put(std::move(datagram));
    } else {
      to.control.Put(std::move(datagram));
    }
  }
  void Send(Side& from, uint32_t lane, wireguard::Outbox& out) {
    for (const wireguard::OutDatagram& d : out.datagrams) {
      wireguard::ForEachSegment(d, [&](MutableBytes b) {
        from.nonces[lane].emplace_back(LoadLe<uint32_t>(b.data() + 20),
                                       LoadLe<uint64_t>(b.data() + 24));
        Deliver(*from.other, Bytes(b.begin(), b.end()));
      });
    }
  }

  void DataThread(Side& side, uint32_t number) {
    Datapath& datapath = side.node->control->datapath();
    Lane lane;
    wireguard::Outbox out;
    while (!stop_) {
      ++side.turns[number];
      Mail mail = side.lanes[number].Take();
      if (!mail.datagrams.empty()) OnFrames(side, datapath, lane, out, mail);
      if (side.sent[number] >= may_send_ || under_way_ > kUnderWayMax) {
        // Who sleeps is soon on again; who spins takes the turn of those that have work.
        if (mail.datagrams.empty()) std::this_thread::sleep_for(kNap);
        continue;
      }
      std::vector<Bytes> packets;
      std::vector<wireguard::TunPacket> views;
      for (size_t i = 0; i < kBatch && side.sent[number] < may_send_; ++i)
        packets.push_back(Udp6(mesh_.AddressOf(*side.node),
                               mesh_.AddressOf(*side.other->node),
                               static_cast<uint16_t>(1000 + number),
                               side.sent[number]++));
      for (Bytes& p : packets) views.push_back({.bytes = p});
      under_way_ += static_cast<int64_t>(packets.size());
      out.Clear();
      datapath.OnTunPackets(Time(), views, out);
      datapath.FinishFrames(lane, out);
      Send(side, number, out);
    }
  }

  void OnFrames(Side& side, Datapath& datapath, Lane& lane, wireguard::Outbox& out, Mail& mail) {
    std::vector<InFrame> in;
    for (Bytes& b : mail.datagrams)
      in.push_back({.bytes = b, .from = side.other->node->endpoint, .at = {}});
    out.Clear();
    datapath.OpenFrames(Time(), in, lane);
    const bool closed = closed_ && &side == &sides_[0];
    std::vector<ControlPacket> control;
    for (bool more = true; more; control.clear()) {
      more = datapath.DeliverFrames(Time(), lane, out, control);
      for (ControlPacket& c : control) side.control.Put(std::move(c));
    }
    if (closed) late_ += static_cast<int64_t>(out.tun.size());
    for (const wireguard::OutPacket& p : out.tun) {
      const uint32_t flow = LoadBe<uint16_t>(p.data + 40) - 1000u;
      if (LoadBe<uint32_t>(p.data + 48) != side.delivered[flow]++) ++disordered_;
      --under_way_;
      ++arrived_;
    }
  }

  // The deciding thread's turn of one side, with what came for it.
  void ControlTurn(Side& side) {
    TestNode& n = *side.node;
    n.now = Time();
    Mail mail = side.control.Take();
    std::vector<Did> did;
    did.push_back(n.Do([&](Outbox& out) { n.control->OnNews(n.now, mail.control, out); }));
    for (Bytes& b : mail.datagrams) {
      const InFrame in{.bytes = b, .from = side.other->node->endpoint, .at = {}};
      did.push_back(n.Do([&](Outbox& out) { n.control->OnHandshakes(n.now, {&in, 1}, out); }));
    }
    if (n.control->NextWake() <= n.now.mono) did.push_back(n.Wake());
    for (Did& d : did) {
      for (auto& g : d.datagrams) Deliver(*side.other, std::move(g.bytes));
    }
  }

  uint64_t Handshakes() const {
    uint64_t newest = 0;
    for (const PeerView& p : sides_[0].node->control->Peers())
      newest = std::max(newest, static_cast<uint64_t>(p.last_handshake.nanos));
    return newest;
  }
  void StartThreads() {
    for (Side& side : sides_) {
      for (uint32_t i = 0; i < lanes_; ++i)
        threads_.emplace_back([this, &side, i] { DataThread(side, i); });
    }
  }
  // Each thread has begun and ended a turn: none is so far behind that time left it with old keys.
  void WaitForAll() {
    if (clock_ - waited_at_ < kUnwaitedMax) return;
    waited_at_ = clock_;
    for (Side& side : sides_) {
      for (const std::atomic<uint64_t>& turn : side.turns) {
        for (const uint64_t seen = turn; turn < seen + 2;) std::this_thread::sleep_for(kNap);
      }
    }
  }
  void StopThreads() {
    stop_ = true;
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }

  const uint32_t lanes_;
  Mesh2 mesh_;
  std::array<Side, 2> sides_;
  Now start_;
  std::atomic<int64_t> clock_ = 0, under_way_ = 0, disordered_ = 0, late_ = 0, arrived_ = 0;
  std::atomic<uint32_t> may_send_ = 0;
  std::atomic<bool> stop_ = false, closed_ = false;
  int64_t waited_at_ = 0;
  std::vector<std::thread> threads_;
};

TEST_P(LanesTest, NothingIsLostDoubledOrOvertakenThroughRekeys) {
  // As long as anything moves: a loaded machine is slow, and a lost handshake waits for its timer.
  const auto run_until = [&](auto done) {
    constexpr int64_t kStep = 250'000, kStepMax = 50'000'000;
    int64_t moved = -1, idle = 0;
    auto give_up = std::chrono::steady_clock::now();
    while (!done()) {
      const int64_t now = arrived_ + static_cast<int64_t>(Handshakes());
      ++idle;
      if (std::exchange(moved, now) != now) {
        give_up = std::chrono::steady_clock::now() + 60s;
        idle = 0;
      }
      if (std::chrono::steady_clock::now() >= give_up) return;
      for (Side& side : sides_) ControlTurn(side);
      WaitForAll();
      // What waits for a timer of seconds would take this loop minutes on a loaded machine.
      clock_ += std::min(kStep * (1 + idle / 256), kStepMax);
    }
  };
  StartThreads();
  for (uint32_t round = 1; round <= kRounds; ++round) {
    // The keys are old: whoever began them wants new ones with the first packet that is sent.
    const uint64_t seen = Handshakes();
    // By steps, so that keepalives answer for what was sent last.
    for (int step = 0; step < 121; ++step) {
      clock_ += std::chrono::nanoseconds(1s).count();
      for (int i = 0; i < 3; ++i) run_until([n = 0]() mutable { return n++ == 2; });
    }
    may_send_ = round * kPerFlow / kRounds;
    run_until([&] {
      return Handshakes() > seen && arrived_ == int64_t{2} * lanes_ * (round * kPerFlow / kRounds);
    });
    EXPECT_GT(Handshakes(), seen);
  }
  StopThreads();
  for (Side& side : sides_) {
    const Datapath::Drops drops = side.node->control->datapath().TakeDrops();
    EXPECT_THAT(drops.frames, testing::Each(0u)) << side.node->name();
    EXPECT_THAT(drops.packets, testing::Each(0u)) << side.node->name();
  }
  EXPECT_EQ(disordered_, 0);
  EXPECT_EQ(arrived_, int64_t{2} * lanes_ * kPerFlow);
  for (Side& side : sides_) {
    std::set<std::pair<uint32_t, uint64_t>> nonces;
    size_t sent = 0;
    for (const auto& of_lane : side.nonces) {
      nonces.insert(of_lane.begin(), of_lane.end());
      sent += of_lane.size();
    }
    EXPECT_EQ(nonces.size(), sent) << "a nonce was used twice";
  }
}

TEST_P(LanesTest, ARevocationClosesAllThreadsAtOnce) {
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  may_send_ = kPerFlow;
  StartThreads();
  int64_t seen = 0;
  while (seen < kPerFlow / 4 && std::chrono::steady_clock::now() < give_up) {
    for (Side& side : sides_) ControlTurn(side);
    seen = arrived_;
  }
  TestNode& a = *sides_[0].node;
  const auto revoke = Must(issuing::MakeRevoke(
      mesh_.issuer().signer,
      mesh_.scope(),
      {.type = authority::RevokeType::kFloor, .kid = sides_[1].node->kid(), .floor = 2},
      uint64_t{1'780'000'000'000} << 16));
  a.Do([&](Outbox& out) {
    EXPECT_TRUE(a.control->Import(a.now, revoke.envelope->bytes(), out).ok());
  });
  closed_ = true;  // what a thread of `a` begins to deliver from here on is too late
  for (int i = 0; i < 100; ++i) {
    ControlTurn(sides_[0]);
    std::this_thread::sleep_for(1ms);
  }
  StopThreads();
  EXPECT_GE(seen, kPerFlow / 4);
  EXPECT_EQ(late_, 0);
}

INSTANTIATE_TEST_SUITE_P(DataThreads, LanesTest, testing::Values(1u, 4u, 16u));

}  // namespace
}  // namespace aqmesh::node
