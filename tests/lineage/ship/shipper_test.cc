// Which rows may leave, and that each does once: under kills, beside a second shipper, from a store
// that was put back.
#include "lineage/ship/shipper.h"

#include <gmock/gmock.h>

#include <map>

#include "lineage/ship/http.h"
#include "tests/lineage/ship/shipped.h"

namespace aqmesh::lineage::ship {
namespace {

using testing::HasSubstr;

// A table with the promise of the real ones: a block is there whole or not at all, a row once.
class Table final : public Sink {
 public:
  absl::Status Open() override { return absl::OkStatus(); }
  absl::StatusOr<std::optional<Newest>> NewestOf(const Kid& log) override {
    std::optional<Newest> newest;
    for (const auto& [key, row] : rows) {
      if (key.first == log) newest = Newest{key.second, ToHex(row.leaf)};
    }
    return newest;
  }
  absl::Status Put(std::span<const Row> block, const Words&) override {
    largest = std::max(largest, block.size());
    if (puts_left-- == 0 && !kill_after_commit) return Unavailable("killed before the commit");
    for (const Row& row : block)
      twice += !rows.try_emplace({row.record.log, row.record.seq}, row).second;
    if (puts_left == -1) return Unavailable("killed before the answer");
    return absl::OkStatus();
  }
  std::string Name() const override { return "table"; }

  std::map<std::pair<Kid, Seq>, Row> rows;
  size_t largest = 0;
  int puts_left = 1'000'000;
  bool kill_after_commit = false;
  uint64_t twice = 0;  // rows that were sent again
};

absl::StatusOr<Shipped> Ship(Table& table,
                             ShippedLog& log,
                             std::optional<Seq> from = std::nullopt) {
  AQ_ASSIGN_OR_RETURN(const Seq first, ResumeAt(table, log.store(), log.kid()));
  return ShipLog(
      table, log.store(), log.kid(), from.value_or(first), PlainWords(), [](const Shipped&) {});
}

TEST(RowReaderTest, ARowWaitsForAHeadAndNamesTheSmallestOverIt) {
  ShippedLog log;
  log.Grow(3);
  EXPECT_THAT(*RowReader(log.store(), log.kid(), Uncovered::kWait).Next(0), testing::IsEmpty());
  const Checkpoint first = log.Sign();  // over 0..2, cited by record 3
  log.Grow(2);
  const Checkpoint second = log.Sign();  // over 0..5
  log.Grow(4);
  RowReader reader(log.store(), log.kid(), Uncovered::kWait);
  const auto rows = reader.Next(0);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 6u);
  for (Seq seq = 0; seq < 6; ++seq) {
    EXPECT_EQ((*rows)[seq].record.seq, seq);
    EXPECT_EQ((*rows)[seq].checkpoint, seq < 3 ? first : second);
    EXPECT_EQ((*rows)[seq].leaf, tlog::LeafHash((*rows)[seq].body));
  }
  EXPECT_THAT(*reader.Next(6), testing::IsEmpty());
  const auto all = RowReader(log.store(), log.kid(), Uncovered::kTake).Next(4);
  ASSERT_EQ(all->size(), 7u);
  EXPECT_EQ((*all)[0].checkpoint, second);
  EXPECT_EQ((*all)[2].checkpoint, std::nullopt);
  EXPECT_EQ(RowReader(log.store(), log.kid(), Uncovered::kTake).Next(4, 6)->size(), 2u);
}

TEST(RowReaderTest, AHeadThatTheLogDoesNotLeadToLetsNothingOut) {
  ShippedLog log;
  log.Grow(3);
  log.Sign(Filled<Digest>(9));
  const auto rows = RowReader(log.store(), log.kid(), Uncovered::kWait).Next(0);
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Text(rows.status()), HasSubstr("another root"));
}

TEST(RowReaderTest, AHeadThatIsNotOnTheShelfLetsNothingOut) {
  ShippedLog log;
  log.Grow(3);
  authority::Observe cites;
  cites.kind = authority::RecordKind::kCheckpoint;
  cites.evidence = Filled<Digest>(9);
  cites.intent_gen = 2;
  log.Add(cites);
  EXPECT_THAT(Text(RowReader(log.store(), log.kid(), Uncovered::kWait).Next(0).status()),
              HasSubstr("not in the store"));
}

TEST(RowReaderTest, HeadsOfNonsenseAreNoHeads) {
  ShippedLog log;
  log.Grow(3);
  for (const uint64_t size : {uint64_t{0}, uint64_t{77}, kMost}) {  // none; more than there is
    authority::Observe cites;
    cites.kind = authority::RecordKind::kCheckpoint;
    cites.evidence = Filled<Digest>(9);
    cites.intent_gen = size;
    log.Add(cites);
  }
  const auto rows = RowReader(log.store(), log.kid(), Uncovered::kWait).Next(0);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(*rows, testing::IsEmpty());
}

TEST(RowReaderTest, AnotherLogsRecordsAreNotShippedAsThisOnes) {
  ShippedLog log;
  log.Grow(1);
  log.Sign();
  EXPECT_EQ(RowReader(log.store(), LogKid(), Uncovered::kTake).Next(0).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(RowReaderTest, BlocksAreBoundedAndHeadsAreFoundInTurns) {
  ShippedLog log;
  while (log.store().size() < 2 * kHeadsAhead + 100) {
    log.Grow(1);
    log.Sign();
  }
  RowReader reader(log.store(), log.kid(), Uncovered::kWait);
  Seq next = 0;
  while (true) {
    const auto rows = reader.Next(next);
    ASSERT_TRUE(rows.ok()) << rows.status();
    if (rows->empty()) break;
    EXPECT_LE(rows->size(), kBlockRows);
    for (const Row& row : *rows) {
      EXPECT_EQ(row.record.seq, next++);
      EXPECT_EQ(row.checkpoint->size, row.record.seq / 2 * 2 + 1 + row.record.seq % 2 * 2);
    }
  }
  EXPECT_EQ(next, log.store().size() - 1);
}

TEST(ShipperTest, GoesOnWhereTheTableEnds) {
  ShippedLog log;
  Table table;
  log.Grow(5);
  log.Sign();
  EXPECT_EQ(Ship(table, log)->next, 5u);
  EXPECT_EQ(Ship(table, log)->waiting, 1u);  // the CHECKPOINT record itself
  log.Grow(3);
  log.Sign();
  EXPECT_EQ(Ship(table, log)->first, 5u);
  EXPECT_EQ(table.rows.size(), 9u);
  EXPECT_EQ(table.twice, 0u);
}

TEST(ShipperTest, EachRowIsThereOnceWhereverItWasKilled) {
  ShippedLog log;
  for (int i = 0; i < 2; ++i) {
    log.Grow(kGroupRecordsMax - 1);
    log.Sign();
  }
  const uint64_t covered = log.store().size() - 1;
  for (const bool after : {false, true}) {
    for (int blocks = 0; blocks < 3; ++blocks) {
      SCOPED_TRACE(testing::Message() << blocks << (after ? " and the commit" : ""));
      Table table;
      table.kill_after_commit = after;
      table.puts_left = blocks;
      const auto first = Ship(table, log);
      EXPECT_EQ(first.ok(), blocks >= 2 && table.puts_left >= 0) << first.status();
      table.puts_left = 1'000;
      EXPECT_TRUE(Ship(table, log).ok());
      EXPECT_EQ(table.rows.size(), covered);
      EXPECT_EQ(table.twice, 0u);
      EXPECT_LE(table.largest, kBlockRows);
    }
  }
}

TEST(ShipperTest, FromGoesOverTheLogAgainAndPutsBackWhatIsMissing) {
  ShippedLog log;
  Table table;
  log.Grow(9);
  log.Sign();
  ASSERT_TRUE(Ship(table, log).ok());
  table.rows.erase({log.kid(), 4});
  EXPECT_EQ(Ship(table, log)->first, 9u);  // nobody asked
  EXPECT_EQ(table.rows.size(), 8u);
  EXPECT_TRUE(Ship(table, log, 2).ok());
  EXPECT_EQ(table.rows.size(), 9u);
}

TEST(ShipperTest, AStoreThatWasPutBackIsRefused) {
  ShippedLog before, after;
  before.Grow(9);
  before.Sign();
  Table table;
  ASSERT_TRUE(Ship(table, before).ok());
  after.Grow(4);
  after.Sign();
  const auto shorter = Ship(table, after);
  EXPECT_EQ(shorter.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Text(shorter.status()), HasSubstr("has record 8"));
  for (int i = 0; i < 9; ++i) after.Add(Decided(9));
  const auto other = Ship(table, after);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Text(other.status()), HasSubstr("another record 8"));
}

TEST(SinkTest, AnAddressIsReadStrictlyAndNoPasswordIsTakenFromIt) {
  const struct {
    const char* address;
    const char* words;  // "" for a good one
  } cases[] = {{"postgres://aq@db.example/fleet", ""},
               {"postgresql:///fleet?host=/run/postgresql", ""},
               {"postgres://aq:secret@db/fleet", "PGPASSWORD"},
               {"postgres://db/fleet?password=secret", "PGPASSWORD"},
               {"postgres://db/fleet?nonsense=1", "not an address of PostgreSQL"},
               {"http://db", ""},
               {"https://aq@db:8443/fleet/", ""},
               {"http://aq:secret@db/", "CLICKHOUSE_PASSWORD"},
               {"http://db/a/b", "no name of a database"},
               {"http://db/a?query=DROP", "nothing behind"},
               {"http://", "not an address"},
               {"mysql://aq:secret@db/", "wants postgres://"},
               {"", "wants postgres://"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.address);
    const auto sink = MakeSink(c.address, {});
    EXPECT_EQ(sink.ok(), *c.words == '\0') << sink.status();
    if (sink.ok()) continue;
    EXPECT_THAT(Text(sink.status()), HasSubstr(c.words));
    EXPECT_THAT(Text(sink.status()), testing::Not(HasSubstr("secret")));
  }
  EXPECT_FALSE(MakeSink("http://db", {.table = "a; DROP TABLE b"}).ok());
}

TEST(SinkTest, ClickHousesOwnPortsAreTheUsualOnes) {
  EXPECT_EQ(ParseHttpAddress("http://db")->base, "http://db:8123/");
  EXPECT_EQ(ParseHttpAddress("https://db")->base, "https://db:8443/");
  const auto whole = ParseHttpAddress("http://a%40b@[::1]:9000/fleet");
  EXPECT_EQ(whole->base, "http://[::1]:9000/");
  EXPECT_EQ(whole->user, "a@b");
  EXPECT_EQ(whole->database, "fleet");
}

TEST(SinkTest, NobodyThereIsUnavailableAndAStopEndsTheWait) {
  for (const char* address : {"postgres://127.0.0.1:1/x", "http://127.0.0.1:1/x"}) {
    SCOPED_TRACE(address);
    SinkOptions options;
    options.hooks.pause = [](std::chrono::milliseconds) {};
    auto sink = MakeSink(address, options);
    EXPECT_EQ((*sink)->Open().code(), absl::StatusCode::kUnavailable);
    options.hooks.stop = [] { return true; };
    sink = MakeSink(address, options);
    EXPECT_FALSE((*sink)->Open().ok());
  }
}

}  // namespace
}  // namespace aqmesh::lineage::ship
