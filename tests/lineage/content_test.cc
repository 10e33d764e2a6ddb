// What a record commits to and does not say: what was tried, under a key of its subject's.
#include "lineage/content.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "lineage/rocks/rocks_store.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

namespace fs = std::filesystem;

Attempt Ssh() {
  return {.src = *IpAddress::Parse("100.64.0.2"),
          .dst = *IpAddress::Parse("100.64.0.1"),
          .proto = 6,
          .port = 22,
          .opened_here = false,
          .reason = 0,
          .rule = Attempt::Rule{Filled<Oid>(7), 3},
          .count = 4,
          .first_millis = kStartSeconds * 1000,
          .last_millis = kStartSeconds * 1000 + 5};
}

Attempts Sample() {
  Attempt refused{.src = *IpAddress::Parse("fd00::2"),
                  .dst = *IpAddress::Parse("fd00::1"),
                  .proto = 17,
                  .port = 53,
                  .opened_here = true,
                  .reason = static_cast<uint16_t>(authority::Reason::kNoRule),
                  .rule = {},
                  .count = 1,
                  .first_millis = 9,
                  .last_millis = 9};
  Attempt logged = Ssh();
  logged.src_port = 50'022;
  logged.logged = true;
  logged.headers = Bytes(40, 0x45);
  return {.rows = {Ssh(), logged, refused}, .unlisted = 12};
}

Bytes ValueOf(const Attempts& attempts) {
  Bytes value = {kAttemptsContent};
  const Bytes body = EncodeAttempts(attempts);
  value.insert(value.end(), body.begin(), body.end());
  return value;
}

TEST(AttemptsTest, ComeBackAsTheyWere) {
  const Bytes bytes = EncodeAttempts(Sample());
  const auto back = ParseAttempts(bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->unlisted, 12u);
  EXPECT_THAT(back->rows, testing::UnorderedElementsAreArray(Sample().rows));
  EXPECT_EQ(EncodeAttempts(*back), bytes);
  EXPECT_TRUE(ParseAttempts({}).ok());
}

// Every byte of it is held by some rule: altered, it is refused, or means something else.
TEST(AttemptsTest, NoOtherBytesMeanTheSame) {
  const Bytes bytes = EncodeAttempts(Sample());
  size_t refused = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const uint8_t flip : {uint8_t{1}, uint8_t{0x80}}) {
      Bytes other = bytes;
      other[i] ^= flip;
      const auto read = ParseAttempts(other);
      refused += !read.ok();
      EXPECT_FALSE(read.ok() && EncodeAttempts(*read) == bytes) << "byte " << i;
    }
  }
  EXPECT_GT(refused, bytes.size() / 2);
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    const auto read = ParseAttempts(ByteView(bytes).first(cut));
    EXPECT_FALSE(read.ok() && EncodeAttempts(*read) == bytes) << "cut at " << cut;
  }
}

TEST(AttemptsTest, WhatNoPacketHasIsRefused) {
  const Bytes good = EncodeAttempts({.rows = {Ssh()}, .unlisted = 0});
  ASSERT_TRUE(ParseAttempts(good).ok());
  const size_t flow = 4;  // row tag and length, flow tag and length
  const auto with = [&good](size_t at, uint8_t byte) {
    Bytes out = good;
    out[at] = byte;
    return ParseAttempts(out).status();
  };
  EXPECT_FALSE(with(flow, 5).ok()) << "no such version of IP";
  EXPECT_FALSE(with(flow + 2, 1).ok()) << "an IPv4 address is behind 12 zeros";
  EXPECT_FALSE(with(flow + 34, 1).ok()) << "a source port says which flow it was";
  Bytes long_headers = EncodeAttempts(Sample());
  for (uint8_t& b : long_headers) b = b == 40 ? 65 : b;
  EXPECT_FALSE(ParseAttempts(long_headers).ok());
}

class ContentTest : public testing::Test {
 protected:
  ContentTest() : key(ContentKey::Make(rng)) {}
  // A FLOW about `whom` with these attempts, and its record.
  authority::Observe Keep(Store& store, const Kid& whom, const Attempts& attempts) {
    const SealedContent sealed = SealContent(key, whom, ValueOf(attempts), rng);
    authority::Observe record;
    record.kind = authority::RecordKind::kFlow;
    record.subject = whom;
    record.flow = authority::FlowSummary{};
    record.commits = {sealed.commit};
    Scribe scribe = Scribe::After(store);
    Batch batch;
    batch.records.push_back(scribe.Add(record));
    batch.objects.push_back({Shelf::kContent, ContentName(sealed.commit), sealed.bytes});
    batch.puts.push_back({ContentKeyName(whom), key.Encode()});
    EXPECT_TRUE(store.Commit(batch).ok());
    return record;
  }
  static Content Read(const Store& store, const authority::Observe& record) {
    const auto content = ReadContent(store, record);
    EXPECT_TRUE(content.ok()) << content.status();
    return content.ok() ? *content : Content();
  }

  Rng rng = SeededRng();
  ContentKey key;
  const Kid subject = Filled<Kid>(3), other = Filled<Kid>(4);
};

TEST_F(ContentTest, OpensUnderTheSubjectsKeyAndIsWhatTheRecordCommitsTo) {
  MemStore store;
  const authority::Observe record = Keep(store, subject, Sample());
  const Content content = Read(store, record);
  ASSERT_EQ(content.state, Content::State::kOpen);
  const auto attempts = AttemptsIn(content);
  ASSERT_TRUE(attempts.ok()) << attempts.status();
  EXPECT_EQ(*attempts, Sample());
  EXPECT_TRUE(Opens(record.commits[0], content.openings[0]));
  Bytes forged = content.openings[0];
  forged.back() ^= 1;
  EXPECT_FALSE(Opens(record.commits[0], forged));
  EXPECT_EQ(Read(store, Decided(3)).state, Content::State::kNone);
}

TEST_F(ContentTest, TwiceTheSameIsCommittedToByOtherBytes) {
  const SealedContent a = SealContent(key, subject, ValueOf(Sample()), rng),
                      b = SealContent(key, subject, ValueOf(Sample()), rng);
  EXPECT_NE(a.commit, b.commit);
  EXPECT_NE(a.bytes, b.bytes);
}

TEST_F(ContentTest, AnAlteredOneIsNoticedAndAnotherSubjectsIsToo) {
  MemStore store;
  const authority::Observe record = Keep(store, subject, Sample());
  const Oid name = ContentName(record.commits[0]);
  const Bytes sealed = **store.GetObject(Shelf::kContent, name);
  for (const size_t at : {size_t{10}, sealed.size() / 2, sealed.size() - 1}) {
    Bytes bad = sealed;
    bad[at] ^= 4;
    Batch batch;
    batch.objects.push_back({Shelf::kContent, name, bad});
    ASSERT_TRUE(store.Commit(batch).ok());
    EXPECT_TRUE(absl::IsDataLoss(ReadContent(store, record).status())) << at;
  }
  Batch batch;
  batch.objects.push_back({Shelf::kContent, name, sealed});
  batch.puts.push_back({ContentKeyName(other), key.Encode()});
  ASSERT_TRUE(store.Commit(batch).ok());
  authority::Observe lie = record;
  lie.subject = other;
  EXPECT_TRUE(absl::IsDataLoss(ReadContent(store, lie).status()));
}

TEST_F(ContentTest, WithoutTheKeyOrUnderALaterOneItIsRedacted) {
  MemStore store;
  const authority::Observe record = Keep(store, subject, Sample());
  Batch gone;
  gone.deletes = {ContentKeyName(subject)};
  gone.shreds = true;
  ASSERT_TRUE(store.Commit(gone).ok());
  EXPECT_EQ(Read(store, record).state, Content::State::kClosed);
  key = ContentKey::Make(rng);
  const authority::Observe later = Keep(store, subject, Sample());
  EXPECT_EQ(Read(store, record).state, Content::State::kClosed);
  EXPECT_EQ(Read(store, later).state, Content::State::kOpen);
}

// Whether `secret` lies in any file below `dir`.
bool LiesIn(const std::string& dir, ByteView secret) {
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> all((std::istreambuf_iterator<char>(file)), {});
    const auto same = [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; };
    if (std::search(all.begin(), all.end(), secret.begin(), secret.end(), same) != all.end())
      return true;
  }
  return false;
}

TEST_F(ContentTest, NoFileHoldsAByteOfAShreddedKey) {
  const TempDir temp;
  const std::string dir = temp.Path("store");
  auto store = RocksStore::Open(dir);
  ASSERT_TRUE(store.ok()) << store.status();
  const authority::Observe record = Keep(**store, subject, Sample());
  Keep(**store, other, Sample());
  ASSERT_TRUE(LiesIn(dir, key.key.view()));
  Batch gone;
  gone.deletes = {ContentKeyName(subject), ContentKeyName(other)};
  gone.shreds = true;
  ASSERT_TRUE((*store)->Commit(gone).ok());
  EXPECT_FALSE(LiesIn(dir, key.key.view()));
  EXPECT_EQ(Read(**store, record).state, Content::State::kClosed);
  EXPECT_TRUE((*store)->Verify().ok());
  // Nor after it was closed into tables and opened again.
  store->reset();
  store = RocksStore::Open(dir);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE(LiesIn(dir, key.key.view()));
}

}  // namespace
}  // namespace aqmesh::lineage
