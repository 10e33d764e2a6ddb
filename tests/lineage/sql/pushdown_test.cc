// What an index answers, that it answers the same as looking at every row, and what it spares.
#include <rocksdb/db.h>

#include <charconv>
#include <thread>

#include "core/crypto/hash.h"
#include "lineage/rocks/block_index.h"
#include "lineage/rocks/rocks_store.h"
#include "lineage/sql/bounds.h"
#include "tests/lineage/sql/asked.h"
#include "tests/lineage/sql/day.h"
#include "tests/lineage/story.h"
#include "tests/support/sanitized.h"

namespace aqmesh::lineage::sql {
namespace {

struct Case {
  const char* sql;
  const char* plan;
};

TEST(PlanTest, NamesTheIndexesThatAnswer) {
  MemStore store;
  ASSERT_TRUE(store.Commit(Day().batch()).ok());
  const auto db = OpenOver(store);
  const Case cases[] = {
      {"SELECT 1 FROM records", ""},
      {"SELECT 1 FROM records WHERE subject = 'x' AND time >= '2026-11-21'", "subject+time>="},
      {"SELECT 1 FROM records WHERE ms BETWEEN 5 AND 9", "ms>=+ms<="},
      {"SELECT 1 FROM records WHERE seq > 5 AND seq < 9", "seq>+seq<"},
      {"SELECT 1 FROM records WHERE authority = 'x' AND kind = 'flow'", "authority+kind"},
      {"SELECT 1 FROM records WHERE peer = 'x' AND outcome = 'REFUSE'", "peer+outcome"},
      {"SELECT 1 FROM records WHERE kind IN ('flow', 'drops')", "kind in"},
      {"SELECT 1 FROM records WHERE id LIKE '9f3a%'", "id like"},
      {"SELECT 1 FROM records WHERE id GLOB '9f3a*'", "id like"},
      {"SELECT 1 FROM records WHERE subject_name = 'draco'", "subject_name"},
      {"SELECT 1 FROM records WHERE machine = 'atlas'", "machine"},
      {"SELECT 1 FROM records ORDER BY seq DESC LIMIT 3", "newest first"},
      {"SELECT 1 FROM records WHERE kind = 'flow' ORDER BY time DESC, seq DESC",
       "kind+newest first"},
      {"SELECT 1 FROM decisions WHERE outcome_code = 1", "outcome_code"},
      {"SELECT 1 FROM edges WHERE from_id = 'x'", "id"},
      {"SELECT 1 FROM actuations WHERE armed_ms >= 9", "ms>="},
      {"SELECT 1 FROM objects WHERE shelf = 'signed' AND oid = 'x'", "shelf+oid"},
      {"SELECT 1 FROM records WHERE kind = 'flow' OR outcome = 'ADMIT'", "kind"},  // then outcome
      // Not in the order of bytes, not a column, not one of an index.
      {"SELECT 1 FROM records WHERE kind = 'FLOW' COLLATE NOCASE", ""},
      {"SELECT 1 FROM records WHERE seq + 0 = 5", ""},
      {"SELECT 1 FROM records WHERE upper(kind) = 'FLOW'", ""},
      {"SELECT 1 FROM records WHERE reason = 'stale'", ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.sql);
    EXPECT_EQ(PlanOf(*db, c.sql), c.plan);
    EXPECT_EQ(PlanText(ParsePlan(c.plan).terms, ParsePlan(c.plan).newest_first), c.plan);
  }
  // Rows come in the order asked for, so nothing is sorted.
  for (const char* sql : {"SELECT 1 FROM records ORDER BY time DESC, seq DESC",
                          "SELECT 1 FROM slopes ORDER BY seq",
                          "SELECT 1 FROM records ORDER BY seq, kind"}) {
    for (const std::string& row : Ask(*db, Join("EXPLAIN QUERY PLAN ", sql)))
      EXPECT_EQ(row.find("TEMP B-TREE"), std::string::npos) << sql << row;
  }
  // A join goes by the index of the inner table.
  const Rows join = Ask(*db,
                        "EXPLAIN QUERY PLAN SELECT 1 FROM edges e JOIN records r ON r.seq = "
                        "e.to_seq WHERE e.relation = 'action'");
  EXPECT_TRUE(join.back().ends_with("|SCAN r VIRTUAL TABLE INDEX 1:seq")) << join.back();
}

TEST(TimesTest, TheTimesThatStartSo) {
  struct Start {
    const char* text;
    uint64_t first, end;
  };
  constexpr uint64_t kDay = 86'400'000, kMidnight = 1'795'219'200'000;
  const Start starts[] = {
      {"2026-11-21", kMidnight, kMidnight + kDay},
      {"2026-11-21Z", kMidnight, kMidnight + kDay},
      {"2026-11", kMidnight - 20 * kDay, kMidnight + 10 * kDay},
      {"2026", 1'767'225'600'000, 1'798'761'600'000},
      {"2026-11-21T14", kMidnight + 50'400'000, kMidnight + 54'000'000},
      {"2026-11-21T14:05", kMidnight + 50'700'000, kMidnight + 50'760'000},
      {"2026-11-21T14:05:06Z", kMidnight + 50'706'000, kMidnight + 50'707'000},
      {"2026-11-21T14:05:06.789Z", kMidnight + 50'706'789, kMidnight + 50'706'790}};
  for (const Start& s : starts) {
    SCOPED_TRACE(s.text);
    const auto span = TimesThatStart(s.text);
    ASSERT_TRUE(span);
    EXPECT_EQ(span->first, s.first);
    EXPECT_EQ(span->end, s.end);
  }
  for (const char* text : {"",
                           "x",
                           "202",
                           "1969",
                           "2026-1",
                           "2026-13",
                           "2026-02-30",
                           "2026-11-21 14:05",
                           "2026-11-21T24",
                           "2026-11-21T14:0",
                           "2026-11-21T14:05:06,789",
                           "2026-11-21T14:05:06.7890Z",
                           "+026-11-21",
                           "2026_11_21"}) {
    EXPECT_FALSE(TimesThatStart(text)) << text;
  }
}

// ---- blocks ----

authority::Observe RandomRecord(Rng& rng) {
  const auto kind = static_cast<authority::RecordKind>(rng.Below(22) + 1);
  authority::Observe r =
      Decided(static_cast<uint8_t>(rng.Below(6)), static_cast<authority::Rung>(rng.Below(6) + 1));
  r.kind = kind;
  if (rng.Below(3) == 0) r.rung = authority::Rung::kNone;
  if (rng.Below(4) == 0) r.subject.reset();
  r.authority = Filled<Digest>(static_cast<uint8_t>(rng.Below(9)));
  if (rng.Below(3) == 0) r.authority.reset();
  r.inputs.reset();
  if (rng.Below(3) == 0)
    r.action_id = Filled<authority::ActionId>(static_cast<uint8_t>(rng.Below(40)));
  if (kind == authority::RecordKind::kFlow) {
    r.flow.emplace();
    r.flow->frames = rng.Below(100) + 1;
    r.flow->bytes = rng.Below(9'000) + 1;
    r.flow->tags = Filled<Digest>(1);
    r.flow->presentations = {Filled<Oid>(static_cast<uint8_t>(rng.Below(4)))};
  }
  if (kind == authority::RecordKind::kDrops) r.drops = {{70, rng.Below(50) + 1}};
  return r;
}

Batch RandomBatch(Rng& rng, Chain& chain, size_t records) {
  Batch batch;
  for (size_t i = 0; i < records; ++i) {
    batch.records.push_back(
        chain.Add(RandomRecord(rng), WallTime::FromSeconds(kStartSeconds + chain.next() / 3)));
  }
  return batch;
}

TEST(BlockTest, ReadsBackAsItWasWrittenAndNothingElse) {
  Rng rng = SeededRng();
  Chain chain(LogKid());
  Block block;
  for (const RecordEntry& entry : RandomBatch(rng, chain, kBlockRecords).records) block.Add(entry);
  ASSERT_TRUE(block.full());
  const Bytes bytes = block.Encode();
  const auto read = Block::Parse(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->Encode(), bytes);
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(Block::Parse(ByteView(bytes).first(n))) << n;
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(Block::Parse(longer));
}

// Frozen: stores have such blocks.
TEST(BlockTest, IsTheseBytes) {
  Scribe scribe;
  Block block;
  for (const RecordEntry& entry : scribe.NextBatch(kBlockRecords).records) block.Add(entry);
  const Bytes bytes = block.Encode();
  EXPECT_EQ(ToHex(ByteView(bytes).first(21)), "058181818182828282838383838484848485858585");
  EXPECT_EQ(ToHex(crypto::Sha256({bytes})),
            "585306284fdb40a06768fea582916337973d477475f76a0a1222ec1945f9300d");
}

TEST(BlockTest, NeverLeavesOutOneThatMatchesAlsoWhenAuthoritiesAbound) {
  Rng rng = SeededRng();
  Chain chain(LogKid());
  std::vector<RecordEntry> entries;
  Block block;
  for (size_t i = 0; i < kBlockRecords; ++i) {
    authority::Observe r = RandomRecord(rng);
    Digest own;
    rng.Fill(own.bytes);
    r.authority = own;  // each another: more than a block has places for
    entries.push_back(chain.Add(r, WallTime::FromSeconds(kStartSeconds)));
    block.Add(entries.back());
  }
  const auto read = *Block::Parse(block.Encode());
  for (size_t i = 0; i < entries.size(); ++i) {
    const RecordEntry& e = entries[i];
    Where where;
    where.authority_prefix = Bytes(e.authority->bytes.begin(), e.authority->bytes.end());
    EXPECT_TRUE(read.Find(where)[i]);
    EXPECT_LE(read.Find(where).count(), 4u);
    where.id_prefix = Bytes(e.leaf.bytes.begin(), e.leaf.bytes.begin() + 5);
    where.kinds = Where::Kind(e.kind);
    where.rungs = Where::Rung(e.rung);
    EXPECT_TRUE(read.Find(where)[i]);
    where.kinds = ~Where::Kind(e.kind);
    EXPECT_FALSE(read.Find(where)[i]);
  }
}

// A store of a few blocks and a tail, written in groups of many sizes.
class PushdownTest : public testing::Test {
 protected:
  PushdownTest() {
    auto opened = RocksStore::Open(dir_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    Chain chain(LogKid());
    while (store_->size() < 1'200)
      EXPECT_TRUE(store_->Commit(RandomBatch(rng_, chain, rng_.Below(90) + 1)).ok());
  }

  // Some condition on one column, now and then an odd one.
  std::string Condition(const std::string& table) {
    const auto pick = [this](std::initializer_list<const char*> words) {
      return std::string(std::data(words)[rng_.Below(words.size())]);
    };
    const std::string compare = pick({"=", "<", "<=", ">", ">="});
    switch (rng_.Below(table == "records" ? 10 : 6)) {
      case 0:
        return Join("seq ",
                    compare,
                    " ",
                    pick({"700", "900.5", "'255'", "-3", "-0.5", "0", "NULL", "256", "'x'"}));
      case 1:
        return Join("ms ", compare, " ", (kStartSeconds + rng_.Below(420)) * 1'000 + rng_.Below(3));
      case 2:
        return Join("time ",
                    compare,
                    " '",
                    TimeText(HlcFromMillis((kStartSeconds + rng_.Below(420)) * 1'000))
                        .substr(0, std::array<size_t, 5>{24, 23, 19, 16, 13}[rng_.Below(5)]),
                    pick({"", "Z", ""}),
                    "'");
      case 3:
        return Join("subject = '", ToHex(Filled<Kid>(static_cast<uint8_t>(rng_.Below(7)))), "'");
      case 4: return Join("subject_name = '", pick({"atlas", "nobody"}), "'");
      case 5: return Join("machine = '", pick({"atlas", "atlas", "other"}), "'");
      case 6:
        return Join("kind ",
                    pick({"= 'flow'", "IN ('armed', 'drops', 'x', NULL)", "= 'FLOW'", "= 5"}));
      case 7:
        return Join("outcome ",
                    pick({"= 'REFUSE'", "IN ('ADMIT', 'DEFER')", "= 'refuse'", "IS NULL"}));
      case 8:
        return Join("authority ",
                    pick({"= '0303030303030303030303030303030303030303030303030303030303030303'",
                          "LIKE '05%'",
                          "LIKE '050%'",
                          "GLOB '0[45]*'",
                          "= '05'",
                          "LIKE '%5'"}));
      default: return Join("peer = '", ToHex(rng_.Below(3) == 0 ? LogKid() : Filled<Kid>(2)), "'");
    }
  }

  TempDir temp_;
  std::string dir_ = temp_.Path("s");
  Rng rng_ = SeededRng();
  std::unique_ptr<RocksStore> store_;
};

TEST_F(PushdownTest, WhatAnIndexAnswersIsWhatEveryRowAnswers) {
  const auto db = OpenOver(*store_);
  size_t some = 0;
  const std::pair<const char*, const char*> tables[] = {
      {"records", "seq, id, kind"},
      {"records", "seq, id, kind"},
      {"decisions", "seq, id"},
      {"flows", "seq, id, bytes"},
      {"slopes", "seq, source, a"},
      {"edges", "seq, relation, to_id, to_seq"},
  };
  for (size_t round = 0; round < (kSanitized ? 50 : 200); ++round) {
    const auto& [table, columns] = tables[rng_.Below(std::size(tables))];
    std::string indexed = "1", every = "1";
    for (uint64_t i = rng_.Below(3) + 1; i > 0; --i) {
      const std::string condition = Condition(table);
      indexed += " AND " + condition;
      every += Join(" AND CASE WHEN ", condition, " THEN 1 END");  // no index sees into this
    }
    const std::string order = rng_.Below(2) == 0 ? "seq DESC" : "seq";
    const auto ask = [&](const std::string& where) {
      Rows rows = Ask(
          *db, Join("SELECT ", columns, " FROM ", table, " WHERE ", where, " ORDER BY ", order));
      return rows;
    };
    Rows a = ask(indexed), b = ask(every);
    if (std::string_view(table) == "edges" || std::string_view(table) == "slopes") {
      std::ranges::sort(a);  // of one seq, in any order
      std::ranges::sort(b);
    }
    ASSERT_EQ(a, b) << table << ": " << indexed;
    some += a.empty() ? 0u : 1u;
  }
  EXPECT_GT(some, kSanitized ? 8u : 40u);
}

TEST_F(PushdownTest, AnyRecordIsFoundByTheFirstDigitsOfItsId) {
  const auto db = OpenOver(*store_);
  for (int i = 0; i < 40; ++i) {
    const Seq seq = 1 + rng_.Below(store_->size() - 1);
    const Rows id = Ask(*db, Join("SELECT id FROM records WHERE seq = ", seq));
    ASSERT_EQ(id.size(), 1u);
    EXPECT_EQ(Ask(*db, Join("SELECT seq FROM records WHERE id = '", id[0], "'")),
              (Rows{Join(seq)}));
    EXPECT_EQ(Ask(*db, Join("SELECT seq FROM records WHERE id LIKE '", id[0].substr(0, 11), "%'")),
              (Rows{Join(seq)}));
    EXPECT_EQ(Ask(*db, Join("SELECT DISTINCT from_id FROM edges WHERE from_id = '", id[0], "'")),
              id);
  }
}

// How many records a walk reads.
size_t Reads(const Store& store, const Where& where) {
  size_t reads = 0;
  EXPECT_TRUE(store
                  .WalkWhere(where,
                             0,
                             kSeqEnd,
                             Order::kNewestFirst,
                             [&reads](Seq, const Digest&, ByteView) {
                               ++reads;
                               return true;
                             })
                  .ok());
  return reads;
}

TEST_F(PushdownTest, BlocksSpareReadingWhatAQuestionIsNotAbout) {
  const Where refused{.rungs = Where::Rung(authority::Rung::kRefuse)};
  size_t matches = 0;
  const Rows count =
      Ask(*OpenOver(*store_), "SELECT count(*) FROM records WHERE outcome = 'REFUSE'");
  ASSERT_TRUE(std::from_chars(count[0].data(), count[0].data() + count[0].size(), matches).ec ==
              std::errc());
  EXPECT_GE(Reads(*store_, refused), matches);
  EXPECT_LE(Reads(*store_, refused), matches + kBlockRecords);  // the tail has no block yet
}

TEST_F(PushdownTest, AStoreFromBeforeTheBlocksIsReadAndGetsThemWhenItIsWritten) {
  const Where refused{.rungs = Where::Rung(authority::Rung::kRefuse)};
  const size_t few = Reads(*store_, refused);
  const uint64_t all = store_->size();
  store_.reset();
  {  // as an older build left it
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, dir_ + "/db", &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) families.push_back({name, {}});
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, dir_ + "/db", families, &handles, &db).ok());
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      if (handle->GetName() == "idx_block") {
        ASSERT_TRUE(db->DropColumnFamily(handle).ok());
      }
      ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    }
    delete db;
  }
  auto reader = RocksStore::OpenReadOnly(dir_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(Reads(**reader, refused), all);
  reader->reset();
  auto writer = RocksStore::Open(dir_, {.verify_last = kSeqEnd});
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(Reads(**writer, refused), few);
  // And goes on with them, over a restart in the middle of a block.
  Chain chain = *Chain::Resume(LogKid(), *(*writer)->Read(all - 1));
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE((*writer)->Commit(RandomBatch(rng_, chain, 300)).ok());
    writer->reset();
    writer = RocksStore::Open(dir_);
    ASSERT_TRUE(writer.ok()) << writer.status();
  }
  const auto db = OpenOver(**writer);
  EXPECT_EQ(Ask(*db, "SELECT seq FROM records WHERE outcome = 'REFUSE' AND kind = 'decided'"),
            Ask(*db,
                "SELECT seq FROM records WHERE CASE WHEN outcome = 'REFUSE' AND kind = 'decided' "
                "THEN 1 END"));
  EXPECT_LT(Reads(**writer, refused), (all + 1'200) / 3);
}

TEST_F(PushdownTest, AnAnswerIsOfOneMomentWhileTheStoreIsWritten) {
  std::atomic<bool> stop = false;
  Chain chain = *Chain::Resume(LogKid(), *store_->Read(store_->size() - 1));
  std::thread writer([&] {
    Rng rng = SeededRng();
    // Not without end: the questions take longer the longer the log.
    for (int n = 0; n < (kSanitized ? 60 : 400) && !stop; ++n)
      ASSERT_TRUE(store_->Commit(RandomBatch(rng, chain, 40)).ok());
  });
  for (int i = 0; i < (kSanitized ? 4 : 10); ++i) {
    const auto reader = RocksStore::OpenReadOnly(dir_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    const auto db = OpenOver(**reader);
    const std::string size = Join((*reader)->size());
    EXPECT_EQ(Ask(*db, "SELECT count(*) FROM records"), (Rows{size}));
    EXPECT_EQ(
        Ask(*db,
            "SELECT count(*) FROM (SELECT seq, lag(id) OVER (ORDER BY seq) AS before, prev FROM "
            "records) WHERE before IS NOT prev"),
        (Rows{"0"}));
    EXPECT_EQ(Ask(*db, "SELECT count(*) FROM records"), (Rows{size}));
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace aqmesh::lineage::sql
