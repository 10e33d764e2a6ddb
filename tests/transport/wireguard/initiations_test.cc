// Initiations that come together share their Diffie-Hellmans, and are worth what each would be
// alone.
#include <algorithm>
#include <map>

#include "tests/transport/wireguard/hosts.h"
#include "transport/wireguard/noise.h"

namespace aqmesh::wireguard {
namespace {

const Now kNow{Instant{} + 1000s, WallTime::FromSeconds(1'780'000'000)};
const Endpoint kFrom = *Endpoint::Parse("192.0.2.9:9");

class InitiationsTest : public testing::Test {
 protected:
  InitiationsTest() : rng_(Rng::Seed{1}), hub_(MakeIdentity(crypto::NewX25519(rng_))) {
    for (int i = 0; i < 40; ++i) peers_.push_back(MakeIdentity(crypto::NewX25519(rng_)));
  }

  // A responder that knows all peers but the last.
  std::unique_ptr<Device> NewHub() {
    auto device = std::make_unique<Device>(Device::Options{}, Rng({7}));
    Outbox out;
    device->SetPrivateKey(kNow, hub_.private_key, out);
    device->SetUp(kNow, true, out);
    for (size_t i = 0; i + 1 < peers_.size(); ++i)
      EXPECT_TRUE(device->AddPeer(kNow, peers_[i].public_key, out).ok());
    return device;
  }
  // An initiation of peers_[i], with its mac1; what it takes to read the answer is kept.
  Bytes Initiate(size_t i, uint32_t index) {
    auto created = CreateInitiation(peers_[i],
                                    hub_.public_key,
                                    Precompute(peers_[i], hub_.public_key),
                                    crypto::NewX25519(rng_),
                                    ToTai64n(kNow.wall),
                                    index);
    EXPECT_TRUE(created.has_value());
    const auto bytes = Serialize(created->message);
    waiting_.insert_or_assign(index, std::pair{i, std::move(created->state)});
    return WithMac1(Bytes(bytes.begin(), bytes.end()));
  }
  Bytes WithMac1(Bytes message) const {
    CookieKeeper keeper(kPlainLabels, hub_.public_key);
    const auto mac1 = keeper.Mac1(ByteView(message).first(Initiation::kMac1At));
    std::copy(mac1.begin(), mac1.end(), message.begin() + Initiation::kMac1At);
    return message;
  }
  // The indices of initiations that `out` answers, each answer opened by who asked.
  std::vector<uint32_t> Answered(const Outbox& out) {
    std::vector<uint32_t> found;
    for (const OutDatagram& d : out.datagrams) {
      Response m;
      if (Parse(ByteView(d.data, d.size), m) != Drop::kNone) continue;
      const auto at = waiting_.find(m.receiver_index);
      if (at == waiting_.end()) continue;
      EXPECT_TRUE(ConsumeResponse(m, at->second.second, peers_[at->second.first], {}).has_value());
      found.push_back(m.receiver_index);
    }
    return found;
  }

  Rng rng_;
  Identity hub_;
  std::vector<Identity> peers_;
  std::map<uint32_t, std::pair<size_t, InitiatorState>> waiting_;
};

TEST_F(InitiationsTest, TogetherAreWorthWhatEachIsAlone) {
  std::vector<Bytes> wire;
  for (uint32_t i = 0; i + 1 < peers_.size(); ++i) {
    wire.push_back(Initiate(i, 100 + i));
    Bytes other = wire.back();
    switch (i % 6) {
      case 0: wire.push_back(other); break;  // twice
      case 1:                                // another of the same peer, of the same moment
        wire.push_back(Initiate(i, 200 + i));
        break;
      case 2:  // a static key that does not open
        other[45] ^= 1;
        wire.push_back(WithMac1(other));
        break;
      case 3:  // no mac1
        other[Initiation::kMac1At] ^= 1;
        wire.push_back(other);
        break;
      case 4:  // an ephemeral that agrees on nothing
        std::fill(other.begin() + 8, other.begin() + 40, uint8_t{0});
        wire.push_back(WithMac1(other));
        break;
      default: wire.push_back(Initiate(peers_.size() - 1, 300 + i)); break;  // a stranger
    }
  }
  const auto together = NewHub(), alone = NewHub();
  Outbox out;
  std::vector<Bytes> copies = wire;
  std::vector<InDatagram> in;
  for (Bytes& b : copies) in.push_back({.bytes = b, .from = kFrom, .at = {}});
  together->OnDatagrams(kNow, in, out);
  const auto answered = Answered(out);
  EXPECT_EQ(answered.size(), peers_.size() - 1);

  std::vector<uint32_t> answered_alone;
  for (Bytes& b : wire) {
    out.Clear();
    alone->OnDatagram(kNow, {.bytes = b, .from = kFrom, .at = {}}, out);
    for (const uint32_t index : Answered(out)) answered_alone.push_back(index);
  }
  EXPECT_EQ(answered, answered_alone);
  for (size_t d = 0; d < static_cast<size_t>(Drop::kCount); ++d)
    EXPECT_EQ(together->drops(static_cast<Drop>(d)), alone->drops(static_cast<Drop>(d))) << d;
  EXPECT_GT(together->drops(Drop::kReplayedTimestamp), 0u);
  EXPECT_GT(together->drops(Drop::kBadHandshake), 0u);
  EXPECT_GT(together->drops(Drop::kBadMac1), 0u);
  EXPECT_GT(together->drops(Drop::kUnknownPeer), 0u);
}

}  // namespace
}  // namespace aqmesh::wireguard
