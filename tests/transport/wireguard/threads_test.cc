// Two devices on 4 and 16 data threads each, all of them at work at once: no packet is lost,
// doubled or overtaken in its flow, and no nonce is used twice, through rekeys and roaming.
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "core/base/status.h"
#include "tests/transport/wireguard/hosts.h"
#include "transport/wireguard/shard.h"

namespace aqmesh::wireguard {
namespace {

constexpr size_t kFlowsPerShard = 4;
constexpr size_t kBatch = 44;
// Of both directions together, under way: fewer than the replay window, whatever the scheduler
// does.
constexpr int64_t kUnderWayMax = 6'000;

struct Input {
  std::shared_ptr<const ShardOrders> orders = nullptr;
  std::optional<ShardReport> report = std::nullopt;
  std::vector<Bytes> datagrams = {};
  Endpoint from = {};
};

class Inbox {
 public:
  void Put(Input in) {
    const std::lock_guard lock(mutex_);
    inputs_.push_back(std::move(in));
  }
  std::vector<Input> TakeAll() {
    const std::lock_guard lock(mutex_);
    return std::exchange(inputs_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Input> inputs_;
};

class ThreadedHost {
 public:
  ThreadedHost(uint8_t seed,
               std::string_view at,
               uint32_t shards,
               uint32_t per_flow,
               std::atomic<int64_t>& clock,
               bool initiates)
      : shards_(shards),
        per_flow_(per_flow),
        host_(seed, at, Time(0), {.shards = shards}),
        inboxes_(shards),
        counters_(shards),
        next_(shards * kFlowsPerShard),
        progress_(shards),
        clock_(clock),
        initiates_(initiates) {
    for (uint32_t i = 1; i < shards; ++i) others_.push_back(std::make_unique<Shard>(i, 16));
  }
  static Now Time(int64_t seconds) {
    return {Instant{1000s + std::chrono::seconds(seconds)},
            WallTime::FromSeconds(static_cast<uint64_t>(1'700'000'000 + seconds))};
  }
  void Know(ThreadedHost& other, std::string_view address, std::string_view here) {
    other_ = &other;
    packet_ = Ip4(here, address, 100);
    Outbox out;
    // Not the first, so that what it says does not come to shard 0.
    for (uint32_t i = 0; i < shards_ - 1; ++i)
      *host_.device.AddPeer(Time(0), crypto::X25519Public(crypto::NewX25519(host_.rng)), out);
    peer_ = *host_.device.AddPeer(Time(0), other.host_.device.public_key(), out);
    host_.device.SetEndpoint(peer_, other.host_.here, out);
    ASSERT_TRUE(host_.device.AddAllowedIp(peer_, *Prefix::Parse(Join(address, "/32"))).ok());
    Tell();
  }
  void Initiate() {
    Outbox out;
    if (host_.device.handshaker().Initiate(Clock(), peer_, 0s, out)) ++rekeys_;
    host_.device.Settle(Clock(), out);
    Carry(0, out);
  }
  bool Take(uint32_t shard) {
    std::vector<Input> inputs = inboxes_[shard].TakeAll();
    for (Input& in : inputs) Take(shard, in);
    return !inputs.empty();
  }
  // One shard's thread, until all that was to come has come.
  void Run(uint32_t shard, std::atomic<bool>& failed) {
    Sender sender{.sequence = std::vector<uint32_t>(kFlowsPerShard)};
    while (!failed && !(done() && other_->done())) {
      bool worked = Take(shard);
      worked |= SendSome(shard, sender);
      if (shard == 0) RekeyNowAndThen();
      if (!worked) std::this_thread::yield();
    }
  }
  bool done() const { return received_ == int64_t{per_flow_} * shards_ * int64_t{kFlowsPerShard}; }
  int64_t received() const { return received_; }
  int64_t under_way() const { return sent_ - other_->received_; }
  uint64_t rekeys() const { return rekeys_; }
  const std::string& error() const { return error_; }
  std::string Drops() const {
    std::string text;
    for (size_t d = 1; d < static_cast<size_t>(Drop::kCount); ++d) {
      uint64_t n = host_.device.drops(static_cast<Drop>(d));
      for (const auto& shard : others_) n += shard->drops(static_cast<Drop>(d));
      if (n != 0) text += Join(" reason ", d, ": ", n);
    }
    return text;
  }
  bool NoncesAreUnique() const {
    std::map<uint32_t, std::vector<uint64_t>> all;
    for (const auto& shard : counters_)
      for (const auto& [index, counters] : shard)
        all[index].insert(all[index].end(), counters.begin(), counters.end());
    return std::ranges::all_of(all, [](auto& session) {
      std::ranges::sort(session.second);
      return std::ranges::adjacent_find(session.second) == session.second.end();
    });
  }

 private:
  struct Sender {
    std::vector<uint32_t> sequence;
  };
  Now Clock() const { return Time(clock_); }

  void Take(uint32_t shard, Input& in) {
    Outbox out;
    if (in.orders != nullptr) {
      others_[shard - 1]->Apply(Clock(), *in.orders, out);
    } else if (in.report) {
      host_.device.OnReport(Clock(), *in.report, out);
    } else {
      std::vector<InDatagram> came;
      for (Bytes& d : in.datagrams) came.push_back({.bytes = d, .from = in.from, .at = {}});
      if (shard == 0) {
        host_.device.OnDatagrams(Clock(), came, out);
      } else {
        std::vector<const InDatagram*> others;
        others_[shard - 1]->OnDatagrams(Clock(), came, out, others);
        EXPECT_TRUE(others.empty());
      }
    }
    Carry(shard, out);
  }

  bool SendSome(uint32_t shard, Sender& sender) {
    if (under_way() + other_->under_way() > kUnderWayMax) return false;
    // A thread that is put to sleep between taking its counters and sending must find them in the
    // window when it wakes, however long that takes on a machine with fewer cores than threads.
    const int64_t slowest = *std::ranges::min_element(progress_);
    if (progress_[shard] - slowest > kUnderWayMax / shards_) return false;
    std::vector<Bytes> packets;
    for (size_t i = 0; i < kBatch; ++i) {
      const size_t flow = i % kFlowsPerShard;
      if (sender.sequence[flow] == per_flow_) continue;
      Bytes p = packet_;
      StoreBe(p.data() + 20, static_cast<uint32_t>(shard * kFlowsPerShard + flow));
      StoreBe(p.data() + 24, sender.sequence[flow]++);
      packets.push_back(std::move(p));
    }
    if (packets.empty()) return false;
    sent_ += static_cast<int64_t>(packets.size());
    std::vector<TunPacket> views;
    for (Bytes& p : packets) views.push_back({.bytes = p});
    Outbox out;
    if (shard == 0) {
      host_.device.OnTunPackets(Clock(), views, out);
    } else {
      others_[shard - 1]->OnTunPackets(Clock(), views, out);
    }
    Carry(shard, out);
    progress_[shard] += static_cast<int64_t>(packets.size());
    return true;
  }

  void Carry(uint32_t shard, Outbox& out) {
    if (shard == 0) Tell();
    std::map<uint32_t, Input> by_shard;
    for (const OutDatagram& d : out.datagrams) {
      ForEachSegment(d, [&](ByteView b) {
        const uint32_t to = IsData(b) ? b[4] % shards_ : 0;
        by_shard[to].datagrams.emplace_back(b.begin(), b.end());
        if (IsData(b))
          counters_[shard][LoadLe<uint32_t>(b.data() + 4)].push_back(
              LoadLe<uint64_t>(b.data() + 8));
      });
    }
    for (auto& [to, in] : by_shard) {
      in.from = host_.here;
      in.from.port = static_cast<uint16_t>(in.from.port + (clock_ / 60) % 2);  // it roams
      other_->inboxes_[to].Put(std::move(in));
    }
    for (const OutPacket& p : out.tun) Receive(Outbox::bytes(p));
    if (shard != 0) Report(shard);
  }
  void Tell() {
    while (const auto orders = host_.device.TakeOrders()) {
      for (uint32_t i = 1; i < shards_; ++i) inboxes_[i].Put({.orders = orders});
    }
  }
  void Report(uint32_t shard) {
    if (others_[shard - 1]->ReportDue(Clock().mono) != kNever)
      inboxes_[0].Put({.report = others_[shard - 1]->TakeReport(Clock().mono)});
  }

  void Receive(ByteView packet) {
    const auto flow = LoadBe<uint32_t>(packet.data() + 20);
    const auto sequence = LoadBe<uint32_t>(packet.data() + 24);
    const uint32_t expected = next_[flow]++;  // one thread for all that is behind this peer
    if (sequence != expected && error_.empty())
      error_ = Join("flow ", flow, ": packet ", sequence, " instead of ", expected);
    ++received_;
  }

  // Far enough apart that a session is idle before the next but one ends it.
  void RekeyNowAndThen() {
    if (!initiates_ || received_ < next_rekey_) return;
    next_rekey_ += 5 * kUnderWayMax;
    clock_ += 30;
    Initiate();
  }

  const uint32_t shards_, per_flow_;
  Host host_;
  ThreadedHost* other_ = nullptr;
  PeerId peer_ = 0;
  Bytes packet_;
  std::vector<std::unique_ptr<Shard>> others_;
  std::vector<Inbox> inboxes_;
  std::vector<std::map<uint32_t, std::vector<uint64_t>>> counters_;  // by shard that sent
  std::vector<std::atomic<uint32_t>> next_;
  std::vector<std::atomic<int64_t>> progress_;  // what each shard has sent
  std::atomic<int64_t> sent_{0}, received_{0};
  std::atomic<int64_t>& clock_;  // of both, in seconds
  bool initiates_;
  int64_t next_rekey_ = kUnderWayMax;
  uint64_t rekeys_ = 0;
  std::string error_;
};

class ThreadsTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ThreadsTest, NothingIsLostDoubledOrOvertaken) {
  const uint32_t shards = GetParam();
  const uint32_t per_flow = 40'000 / shards;
  std::atomic<int64_t> clock{0};
  ThreadedHost a(1, "192.0.2.1:1001", shards, per_flow, clock, true);
  ThreadedHost b(2, "192.0.2.2:1002", shards, per_flow, clock, false);
  a.Know(b, "10.0.0.2", "10.0.0.1");
  b.Know(a, "10.0.0.1", "10.0.0.2");
  // What is staged before there is a session may be dropped: not what this test is about.
  a.Initiate();
  for (bool more = true; more;) {
    more = false;
    for (ThreadedHost* h : {&a, &b})
      for (uint32_t i = 0; i < shards; ++i) more |= h->Take(i);
  }
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (ThreadedHost* h : {&a, &b})
    for (uint32_t i = 0; i < shards; ++i)
      threads.emplace_back([h, i, &failed] { h->Run(i, failed); });
  int64_t before = -1;
  for (int still = 0; !(a.done() && b.done()) && still < 20;) {  // 10 s without a packet
    std::this_thread::sleep_for(500ms);
    const int64_t all = a.received() + b.received();
    still = all == before ? still + 1 : 0;
    before = all;
  }
  failed = !(a.done() && b.done());
  for (std::thread& t : threads) t.join();
  EXPECT_FALSE(failed) << a.received() << " and " << b.received() << " packets came; drops of a"
                       << a.Drops() << ", of b" << b.Drops();
  EXPECT_EQ(a.error(), "");
  EXPECT_EQ(b.error(), "");
  EXPECT_TRUE(a.NoncesAreUnique());
  EXPECT_TRUE(b.NoncesAreUnique());
  EXPECT_GE(a.rekeys(), 4u);
}

INSTANTIATE_TEST_SUITE_P(Shards,
                         ThreadsTest,
                         ::testing::Values(4, 16),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace aqmesh::wireguard
