// Every backend against libsodium: each length, many keys in a batch, and what does not open.
#include "core/crypto/aead_batch.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <random>

namespace aqmesh::crypto {
namespace {

constexpr size_t kLongest = 1504;

class AeadBatchTest : public testing::TestWithParam<AeadBackend> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) GTEST_SKIP() << "this processor lacks what the backend needs";
  }
};

// What the batch works on, and what libsodium makes of the same.
struct Packet {
  Packet(std::mt19937_64& random, size_t size)
      : counter(random()), text(size), box(size + kTagSize) {
    std::array<uint8_t, 32> raw;
    for (uint8_t& b : raw) b = static_cast<uint8_t>(random());
    for (uint8_t& b : text) b = static_cast<uint8_t>(random());
    key = std::make_unique<AeadKey>(raw, AeadKey::Direction::kSeal);
    open_key = std::make_unique<AeadKey>(raw, AeadKey::Direction::kOpen);
    sealed.resize(size + kTagSize);
    AeadSeal(raw, counter, text, {}, sealed);
    std::copy(text.begin(), text.end(), box.begin());
  }
  AeadJob SealJob() { return {key.get(), counter, box.data(), text.size()}; }
  AeadJob OpenJob() { return {open_key.get(), counter, box.data(), box.size()}; }
  bool holds_text() const { return std::equal(text.begin(), text.end(), box.begin()); }

  uint64_t counter;
  Bytes text, box, sealed;
  std::unique_ptr<AeadKey> key, open_key;
};

void SealThenOpen(AeadBackend backend, std::vector<Packet>& packets) {
  AeadBatch batch(backend);
  std::vector<AeadJob> jobs;
  for (Packet& p : packets) jobs.push_back(p.SealJob());
  batch.Seal(jobs);
  for (const Packet& p : packets) ASSERT_EQ(p.box, p.sealed) << p.text.size() << " bytes";
  jobs.clear();
  for (Packet& p : packets) jobs.push_back(p.OpenJob());
  batch.Open(jobs);
  for (size_t i = 0; i < packets.size(); ++i) {
    ASSERT_TRUE(jobs[i].ok) << packets[i].text.size() << " bytes";
    ASSERT_TRUE(packets[i].holds_text()) << packets[i].text.size() << " bytes";
  }
}

TEST_P(AeadBatchTest, EveryLengthAloneAndInARun) {
  std::mt19937_64 random(1);
  std::vector<Packet> all;
  for (size_t size = 0; size <= kLongest; ++size) all.emplace_back(random, size);
  SealThenOpen(GetParam(), all);
  for (size_t size = 0; size <= kLongest; size += size < 300 ? 1 : 13) {
    std::vector<Packet> one;
    one.emplace_back(random, size);
    SealThenOpen(GetParam(), one);
  }
}

TEST_P(AeadBatchTest, LongestInnerPacket) {
  std::mt19937_64 random(2);
  std::vector<Packet> packets;
  for (const size_t size : {size_t{65'535}, size_t{65'536}, size_t{16}})
    packets.emplace_back(random, size);
  SealThenOpen(GetParam(), packets);
}

TEST_P(AeadBatchTest, MixesOfEveryNumberUpToAHundred) {
  std::mt19937_64 random(3);
  for (size_t n = 0; n <= 100; ++n) {
    std::vector<Packet> packets;
    for (size_t i = 0; i < n; ++i)
      packets.emplace_back(random, random() % (n % 3 == 0 ? 80 : kLongest));
    SealThenOpen(GetParam(), packets);
  }
}

TEST_P(AeadBatchTest, CountersAtTheirEdges) {
  std::mt19937_64 random(4);
  for (const uint64_t counter :
       {uint64_t{0}, uint64_t{0xffffffff}, uint64_t{1} << 32, ~uint64_t{0}}) {
    std::array<uint8_t, 32> raw{9};
    AeadKey key(raw, AeadKey::Direction::kSeal);
    Bytes box(100 + kTagSize), want(100 + kTagSize);
    AeadSeal(raw, counter, Bytes(100), {}, want);
    AeadJob job{&key, counter, box.data(), 100};
    AeadBatch(GetParam()).Seal({&job, 1});
    EXPECT_EQ(box, want) << counter;
  }
}

// One altered packet among many: it alone does not open, wherever the bit is, and shows no text.
TEST_P(AeadBatchTest, AnyAlteredBitClosesItsPacketAndNoOther) {
  std::mt19937_64 random(5);
  AeadBatch batch(GetParam());
  for (size_t round = 0; round < 400; ++round) {
    std::vector<Packet> packets;
    const size_t n = 1 + random() % 40;
    for (size_t i = 0; i < n; ++i) packets.emplace_back(random, 16 + random() % 200);
    for (Packet& p : packets) p.box = p.sealed;
    Packet& bad = packets[random() % n];
    bad.box[random() % bad.box.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    std::vector<AeadJob> jobs;
    for (Packet& p : packets) jobs.push_back(p.OpenJob());
    batch.Open(jobs);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(jobs[i].ok, &packets[i] != &bad);
      ASSERT_EQ(packets[i].holds_text(), jobs[i].ok);
    }
  }
}

TEST_P(AeadBatchTest, WrongCounterOrKeyDoesNotOpen) {
  std::mt19937_64 random(6);
  AeadBatch batch(GetParam());
  std::vector<Packet> packets;
  for (size_t i = 0; i < 2; ++i) packets.emplace_back(random, 64);
  for (Packet& p : packets) p.box = p.sealed;
  std::array<AeadJob, 2> jobs = {packets[0].OpenJob(), packets[1].OpenJob()};
  ++jobs[0].counter;
  jobs[1].key = packets[0].open_key.get();
  batch.Open(jobs);
  EXPECT_FALSE(jobs[0].ok);
  EXPECT_FALSE(jobs[1].ok);
}

INSTANTIATE_TEST_SUITE_P(Backends,
                         AeadBatchTest,
                         testing::Values(AeadBackend::kEvp,
                                         AeadBackend::kIpsecMb,
                                         AeadBackend::kLanes,
                                         AeadBackend::kMixed),
                         [](const auto& p) {
                           std::string name(BackendName(p.param));
                           std::erase_if(name, [](char c) { return c == '-' || c == ' '; });
                           return name;
                         });

TEST(BestBackendTest, IsOneThatIsSupported) { EXPECT_TRUE(IsSupported(BestBackend())); }

}  // namespace
}  // namespace aqmesh::crypto
