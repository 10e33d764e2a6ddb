// The eleven tables, asked about one day.
#include <gmock/gmock.h>

#include "lineage/content.h"
#include "tests/lineage/sql/asked.h"
#include "tests/lineage/sql/day.h"
#include "transport/frame/envelope.h"

namespace aqmesh::lineage::sql {
namespace {

class TablesTest : public testing::Test {
 protected:
  TablesTest() {
    EXPECT_TRUE(store_.Commit(day_.batch()).ok());
    db_ = OpenOver(store_);
  }
  Rows Of(std::string_view sql) { return Ask(*db_, sql); }

  Day day_;
  MemStore store_;
  std::unique_ptr<Database> db_;
};

TEST_F(TablesTest, RecordsHaveEveryFieldAndEachIsTheStores) {
  ASSERT_EQ(Of("SELECT count(*), min(seq), max(seq) FROM records"),
            (Rows{Join(store_.size(), "|0|", store_.size() - 1)}));
  Rows want;
  ASSERT_TRUE(store_
                  .WalkLog(0,
                           kSeqEnd,
                           Order::kOldestFirst,
                           [&want](Seq seq, const Digest& leaf, ByteView body) {
                             const auto r = *authority::ParseBody<authority::Observe>(body);
                             want.push_back(Join(seq,
                                                 "|",
                                                 ToHex(leaf),
                                                 "|",
                                                 TimeText(r.hlc),
                                                 "|",
                                                 MillisFromHlc(r.hlc),
                                                 "|",
                                                 r.hlc,
                                                 "|",
                                                 KindName(r.kind),
                                                 "|",
                                                 static_cast<int>(r.kind),
                                                 "|",
                                                 r.prev ? ToHex(*r.prev) : "NULL",
                                                 "|",
                                                 ToHex(body)));
                             return true;
                           })
                  .ok());
  EXPECT_EQ(
      Of("SELECT seq, id, time, ms, hlc, kind, kind_code, prev, lower(hex(body)) FROM records"),
      want);
  EXPECT_EQ(
      Of("SELECT machine, subject_name, gate_crypto, gate_freshness, gate_local, ladm_q16, "
         "slope_q16, corr_milli, outcome, outcome_code, action, action_code, reason, "
         "reason_code FROM records WHERE kind = 'proposed' AND subject_name = 'draco'"),
      (Rows{"atlas|draco|ADMIT|CONSTRAIN|ADMIT|49152|64|1000|CONSTRAIN|5|install_peer|3|stale|"
            "14"}));
  EXPECT_EQ(Of("SELECT frames, bytes, first, last, dropped, presentations, kind FROM records WHERE "
               "frames = 40"),
            (Rows{Join("40|31000|1|43|3|[\"", ToHex(All<Oid>(0xd1)), "\"]|flow")}));
  EXPECT_EQ(Of("SELECT d.value ->> 'reason_code', d.value ->> 'count' FROM records, "
               "json_each(drops) d WHERE kind = 'drops'"),
            (Rows{"66|40", "67|2"}));
  // Whose it is: the subject; of a record about nobody, the log's own.
  EXPECT_EQ(Of("SELECT count(*) FROM records WHERE peer <> coalesce(subject, log)"), (Rows{"0"}));
  EXPECT_EQ(Of("SELECT count(*) FROM records WHERE peer = log"), (Rows{"2"}));
}

TEST_F(TablesTest, DecisionsSayWhichGateHeldThemAndWhatTheyWereMadeFrom) {
  EXPECT_EQ(Of("SELECT time, kind, outcome, held_by, reason, previous, age_s FROM decisions WHERE "
               "subject_name = 'cygnus'"),
            (Rows{"2026-11-21T09:05:00.000Z|decided|REFUSE|crypto|expired|NULL|4",
                  "2026-11-21T09:06:30.000Z|decided|REFUSE|crypto|expired|NULL|4",
                  "2026-11-21T09:30:00.000Z|approved|NULL|NULL|join granted|NULL|NULL",
                  "2026-11-21T09:31:00.000Z|proposed|ADMIT|NULL|NULL|NULL|4"}));
  EXPECT_EQ(Of("SELECT DISTINCT policy, json_array_length(rests_on) FROM decisions WHERE policy IS "
               "NOT NULL"),
            (Rows{Join(ToHex(All<Digest>(0x77)), "|3")}));
}

TEST_F(TablesTest, FlowsLeadToTheDecisionThatLetThemThrough) {
  EXPECT_EQ(
      Of("SELECT f.subject_name, f.bytes, d.outcome FROM flows f, json_each(f.presentations) p "
         "JOIN decisions d ON d.authority = auth_digest(p.value) AND d.kind = 'proposed' "
         "ORDER BY f.seq"),
      (Rows{"borealis|96000|ADMIT", "draco|31000|CONSTRAIN", "borealis|71000000|ADMIT"}));
  const Oid presentation = All<Oid>(0xb1);
  EXPECT_EQ(AuthDigestOf(presentation), frame::AuthDigestOf(presentation));
}

TEST_F(TablesTest, SlopesComeFromTheRecordAndFromWhatItRead) {
  EXPECT_EQ(Of("SELECT source, name, ladm_q16, a FROM slopes WHERE subject_name = 'borealis'"),
            (Rows{"record|borealis|49152|NULL",
                  "input|borealis|NULL|49152",
                  "record|borealis|49152|NULL",
                  "input|borealis|NULL|49152"}));
}

TEST_F(TablesTest, AnActuationIsOneRowWithItsStagesAndItsEnd) {
  EXPECT_EQ(
      Of("SELECT action, subject_name, state, outcome, substr(armed, 12, 12), substr(committed, "
         "12, "
         "12), substr(rolled_back, 12, 12), substr(diverged, 12, 12), took_ms FROM actuations"),
      (Rows{"add_route|atlas|committed|NULL|09:00:00.000|09:00:00.012|NULL|NULL|12",
            "install_peer|borealis|rolled_back|ADMIT|09:00:10.000|09:00:10.012|11:30:00.000|NULL|"
            "8990000",
            "install_peer|draco|rolled_back|CONSTRAIN|09:10:00.000|09:10:00.012|11:00:00.000|NULL|"
            "6600000",
            "install_peer|cygnus|committed|ADMIT|09:31:00.000|09:31:00.012|NULL|NULL|12",
            "install_peer|borealis|committed|ADMIT|11:30:01.000|11:30:01.012|NULL|NULL|12",
            "add_route|atlas|diverged|NULL|11:50:00.000|NULL|NULL|11:50:30.000|30000"}));
  EXPECT_EQ(Of("SELECT count(*) FROM actuations WHERE armed >= '2026-11-21T09:31'"), (Rows{"3"}));
}

TEST_F(TablesTest, EdgesLeadFromEachRecordToWhatItRestsOn) {
  EXPECT_EQ(Of("SELECT relation, count(*), count(to_seq) FROM edges GROUP BY relation ORDER BY 1"),
            (Rows{"action|18|18",
                  "authority|3|3",
                  "cites|27|0",
                  "decision|4|4",
                  "evidence|3|0",
                  "inputs|9|0",
                  "presentation|3|0",
                  Join("prev|", store_.size() - 1, "|", store_.size() - 1)}));
  // Every record that is pointed to is there under that number and id, and came before.
  EXPECT_EQ(
      Of("SELECT count(*) FROM edges e LEFT JOIN records r ON r.seq = e.to_seq WHERE e.to_type "
         "= 'record' AND (r.id IS NOT e.to_id OR e.to_seq >= e.seq)"),
      (Rows{"0"}));
  // Every object is on its shelf, but for the presentations, which this story did not keep.
  EXPECT_EQ(
      Of("SELECT e.relation, count(*) FROM edges e LEFT JOIN objects o ON o.oid = e.to_id WHERE "
         "e.to_type <> 'record' AND o.oid IS NULL GROUP BY 1"),
      (Rows{"presentation|3"}));
  // From what was carried back to who allowed it.
  EXPECT_EQ(Of("SELECT d.kind, d.outcome FROM edges e JOIN decisions d ON d.id = e.to_id WHERE "
               "e.relation = 'authority' AND e.kind = 'flow' AND e.subject_name = 'draco'"),
            (Rows{"proposed|CONSTRAIN"}));
}

TEST_F(TablesTest, AuthoritiesAndObjectsAreTheSignedOnes) {
  EXPECT_EQ(Of("SELECT type, name, class, not_after FROM authorities ORDER BY type, name, class"),
            (Rows{"grant|atlas|ENROLLER|2024-12-18T22:13:20.000Z",
                  "grant|atlas|NODE|2023-12-14T22:13:20.000Z",
                  "grant|borealis|NODE|2026-12-20T09:00:00.000Z",
                  "grant|cygnus|NODE|2026-12-20T09:00:00.000Z",
                  "grant|draco|NODE|2026-12-20T09:00:00.000Z",
                  "voter|home|ROOT|NULL"}));
  EXPECT_EQ(Of("SELECT name, caps, prefixes, tags FROM authorities WHERE name = 'draco'"),
            (Rows{"draco|join,accept,forward,attest|100.79.3.7/32|member"}));
  EXPECT_EQ(Of("SELECT shelf, type, count(*) FROM objects GROUP BY 1, 2 ORDER BY 1, 2"),
            (Rows{"inputs|NULL|9",
                  "note|NULL|1",
                  "signed|charter|1",
                  "signed|fragment|1",
                  "signed|grant|5",
                  "signed|revoke|1"}));
  EXPECT_EQ(Of("SELECT json ->> 'type', json ->> 'floor', signer_name FROM objects WHERE type = "
               "'revoke'"),
            (Rows{"1|2|atlas"}));
}

TEST_F(TablesTest, CheckpointsAndWhoCosignedThem) {
  EXPECT_EQ(Of("SELECT seq = size, time, own, lines, note LIKE origin || '%' FROM checkpoints"),
            (Rows{"1|2026-11-21T10:15:00.000Z|1|3|1"}));
  // The log's key is not on the shelf, so its line is neither right nor wrong here.
  EXPECT_EQ(Of("SELECT role, name, time, valid FROM cosignatures"),
            (Rows{"log|NULL|NULL|NULL",
                  "cosigner|borealis|2026-11-21T10:15:02.000Z|1",
                  "cosigner|NULL|2026-11-21T10:15:02.000Z|NULL"}));
}

TEST_F(TablesTest, AForgedCosignatureOfAKnownKeyShows) {
  MemStore store;
  Batch batch = day_.batch();
  for (ObjectEntry& object : batch.objects) {
    if (object.shelf != Shelf::kNote) continue;
    auto head = *tlog::ParseCheckpoint(AsText(object.bytes));
    head.note.lines[1].signature[30] ^= 1;
    const std::string text = head.note.Text();
    object.bytes.assign(text.begin(), text.end());
  }
  ASSERT_TRUE(store.Commit(batch).ok());
  EXPECT_EQ(Ask(*OpenOver(store), "SELECT name, valid FROM cosignatures WHERE name IS NOT NULL"),
            (Rows{"borealis|0"}));
}

TEST_F(TablesTest, FunctionsNameKeysAndTimes) {
  EXPECT_EQ(Of(Join("SELECT name('",
                    ToHex(day_.draco()),
                    "'), kid('draco') = '",
                    ToHex(day_.draco()),
                    "', id8('0123456789'), name(NULL), kid('nobody')")),
            (Rows{"draco|1|01234567|NULL|NULL"}));
  const auto clocked = OpenOver(store_, {.when = [](std::string_view) { return 1'795'269'600; }});
  EXPECT_EQ(Ask(*clocked, "SELECT ago('x'), at('x'), at(NULL)"),
            (Rows{"2026-11-21T14:00:00.000Z|2026-11-21T14:00:00.000Z|NULL"}));
  EXPECT_THAT(Text(Refusal(*db_, "SELECT ago('2h')")), testing::HasSubstr("need a clock"));
}

TEST_F(TablesTest, SeveralStoresAreToldApartByTheirMachine) {
  MemStore empty;
  auto both = Database::Open({{"atlas", &store_}, {"copy", &store_}, {"new", &empty}}, {});
  ASSERT_TRUE(both.ok()) << both.status();
  const std::string n = Join(store_.size());
  EXPECT_EQ(Ask(**both, "SELECT machine, count(*) FROM records GROUP BY machine"),
            (Rows{"atlas|" + n, "copy|" + n}));
  EXPECT_EQ(Ask(**both, "SELECT count(*) FROM actuations WHERE machine = 'copy'"), (Rows{"6"}));
  EXPECT_EQ(Ask(**both, "SELECT machine, seq FROM records ORDER BY seq DESC, machine LIMIT 3"),
            (Rows{Join("atlas|", store_.size() - 1),
                  Join("copy|", store_.size() - 1),
                  Join("atlas|", store_.size() - 2)}));
}

TEST_F(TablesTest, TwoStoresOfOneNameAreRefused) {
  const auto both = Database::Open({{"atlas", &store_}, {"atlas", &store_}}, {});
  EXPECT_TRUE(absl::IsInvalidArgument(both.status())) << both.status();
}

TEST_F(TablesTest, ARottenRecordIsAnErrorAndNotALine) {
  store_.Rot(3, 40);
  EXPECT_TRUE(absl::IsDataLoss(Refusal(*db_, "SELECT id FROM records")));
  EXPECT_EQ(Of("SELECT count(*) FROM records WHERE seq < 3"), (Rows{"3"}));
}

TEST_F(TablesTest, AttemptsAreWhatFlowsCommitToAsLongAsTheKeyIsThere) {
  EXPECT_EQ(Of("SELECT count(*) FROM attempts"), (Rows{"0"}));
  Rng rng({7});
  const ContentKey key = ContentKey::Make(rng);
  Bytes value = {kAttemptsContent};
  const Bytes body =
      EncodeAttempts({.rows = {{.src = *IpAddress::Parse("100.79.3.7"),
                                .dst = *IpAddress::Parse("100.79.3.2"),
                                .proto = 6,
                                .port = 22,
                                .opened_here = false,
                                .reason = static_cast<uint16_t>(authority::Reason::kNoRule),
                                .rule = {},
                                .count = 3,
                                .first_millis = kNine * 1000,
                                .last_millis = kNine * 1000 + 1}},
                      .unlisted = 5});
  value.insert(value.end(), body.begin(), body.end());
  const SealedContent sealed = SealContent(key, day_.draco(), value, rng);
  const auto last = *store_.Read(store_.size() - 1);
  Chain chain = *Chain::Resume(authority::ParseBody<authority::Observe>(last)->log, last);
  authority::Observe flow;
  flow.kind = authority::RecordKind::kFlow;
  flow.subject = day_.draco();
  flow.flow = authority::FlowSummary{};
  flow.commits = {sealed.commit};
  Batch batch;
  batch.records.push_back(chain.Add(flow, WallTime::FromSeconds(kNine + 40'000)));
  batch.objects.push_back({Shelf::kContent, ContentName(sealed.commit), sealed.bytes});
  batch.puts.push_back({ContentKeyName(day_.draco()), key.Encode()});
  ASSERT_TRUE(store_.Commit(batch).ok());
  EXPECT_EQ(Of("SELECT subject_name, state, opened_by, proto, src, dst, port, allowed, reason, "
               "rule, count, first FROM attempts"),
            (Rows{"draco|open|subject|tcp|100.79.3.7|100.79.3.2|22|0|no rule|NULL|3|"
                  "2026-11-21T09:00:00.000Z",
                  "draco|unlisted|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|5|NULL"}));
  EXPECT_EQ(Of("SELECT count(*) FROM attempts WHERE subject_name = 'borealis'"), (Rows{"0"}));
  Batch redacted;
  redacted.deletes = {ContentKeyName(day_.draco())};
  redacted.shreds = true;
  ASSERT_TRUE(store_.Commit(redacted).ok());
  EXPECT_EQ(Of("SELECT subject_name, state, port, count FROM attempts"),
            (Rows{"draco|closed|NULL|NULL"}));
}

}  // namespace
}  // namespace aqmesh::lineage::sql
