// lineage state, diff, trace and verify --decisions over a log that a test wrote: one node let in,
// and refused an hour later.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "core/base/status.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/state.h"
#include "lineage/inputs.h"
#include "tests/daemon/cli/world.h"

namespace aqmesh::cli {
namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Told : World {
  Told() {
    Must({"--state", A(), "init", "home", "--no-passphrase", "--machine", "atlas"});
    Must({"--state", A(), "authority", "export", "-o", Path("home.charter")});
    Must({"--state",
          B(),
          "request",
          "--name",
          "borealis",
          "--mesh",
          Path("home.charter"),
          "-o",
          Path("b.request")});
    Must({"--state", A(), "sign", Path("b.request"), "-o", Path("b.grant")});
    Must({"--state", A(), "import", Path("b.grant")});
    store = *lineage::RocksStore::Open(A() + "/store");
    Write();
    store.reset();
  }
  std::string A() const { return Path("a"); }
  std::string B() const { return Path("b"); }
  void Must(std::vector<std::string> args) {
    const Ran r = Run(std::move(args));
    EXPECT_EQ(r.exit, 0) << r.err;
  }
  Ran Lineage(std::vector<std::string> args) {
    args.insert(args.begin(), {"--state", A(), "lineage"});
    return Run(std::move(args));
  }
  Digest Add(Observe r, uint64_t ago) {
    lineage::Batch batch;
    batch.records.push_back(chain.Add(std::move(r), WallTime::FromSeconds(now - ago)));
    EXPECT_TRUE(store->Commit(batch).ok());
    return batch.records[0].leaf;
  }
  void Write() {
    const KnownObjects known = *LoadObjects(*store);
    lineage::Inputs in;
    in.oids.push_back(known.charter()->oid());
    for (const auto& f : known.fragments) in.oids.push_back(f.oid());
    for (const auto& g : known.grants) {
      if (g.body.name != "borealis" || (g.body.caps & authority::kCapsIssue) != 0) continue;
      subject = authority::KidOf(g.body.suite, g.body.key);
      in.oids.push_back(g.oid());
    }
    in.wall_millis = in.mono_nanos = 1;
    const Bytes bytes = lineage::EncodeInputs(in);
    lineage::Batch batch;
    batch.objects.push_back({lineage::Shelf::kInputs, lineage::InputsId(bytes), bytes});
    EXPECT_TRUE(store->Commit(batch).ok());
    Observe r;
    r.kind = RecordKind::kDecided;
    r.subject = subject;
    r.authority.emplace().bytes.fill(7);
    r.inputs = lineage::InputsId(bytes);
    r.gates = authority::Gates{6, 6, 6, 6, 6, 6};
    r.ladm = 56'032;
    r.slope = 65'536;
    r.rung = Rung::kAdmit;
    r.action = 3;
    const Digest decided = Add(r, 3'600);
    Observe edge;
    edge.subject = subject;
    edge.rung = Rung::kAdmit;
    edge.action = 3;
    edge.action_id.emplace().bytes.fill(5);
    edge.kind = RecordKind::kArmed;
    edge.evidence = decided;
    Add(edge, 3'600);
    edge.evidence.reset();
    for (const RecordKind kind :
         {RecordKind::kApplied, RecordKind::kVerified, RecordKind::kCommitted}) {
      edge.kind = kind;
      Add(edge, 3'599);
    }
    r.rung = Rung::kRefuse;
    r.gates = authority::Gates{1, 6, 6, 6, 6, 6};
    r.reason = 8;
    Add(r, 600);
  }

  Kid subject;
  lineage::Chain chain{Kid{}};
  std::unique_ptr<lineage::RocksStore> store;
};

TEST(CliHistoryTest, StateShowsWhoWasLetInThenAndWhatTheyMayReach) {
  Told w;
  const Ran then = w.Lineage({"state", "--at", "30m"});
  ASSERT_EQ(then.exit, 0) << then.err;
  EXPECT_THAT(
      then.out,
      AllOf(StartsWith("After record 4, 2027-01-15T07:00:01.000Z:\n"
                       "NODE      RUNG   SINCE              SIGNED BY  LEVEL  SLOPE  ROUTES "),
            HasSubstr("borealis  ADMIT  2027-01-15 07:00Z"),
            HasSubstr("0.855  0.000  100."),
            HasSubstr("borealis may reach, as far as the rung and the local policy let it:\n"),
            Not(HasSubstr("NOT LET IN"))));
  const Ran now = w.Lineage({"state", "--node", "borealis"});
  EXPECT_THAT(now.out,
              AllOf(HasSubstr("Nobody was let in.\n"),
                    HasSubstr("NOT LET IN  LAST DECISION  WHEN               WHY      DECISION\n"
                              "borealis    REFUSE         2027-01-15 07:50Z  revoked  ")));
  EXPECT_EQ(w.Lineage({"state", "--at", "2h"}).out, "Nothing was recorded by then.\n");
  const Ran nobody = w.Lineage({"state", "--node", "nobody"});
  EXPECT_EQ(nobody.exit, 1);
  EXPECT_THAT(nobody.err, HasSubstr("nobody here is called `nobody`"));
  EXPECT_EQ(w.Lineage({"state", "--at", "sometime"}).exit, 2);
}

TEST(CliHistoryTest, StateAsJsonHasEveryNumberAndEveryObject) {
  Told w;
  const Ran r = w.Lineage({"state", "--at", "30m", "--json"});
  ASSERT_EQ(r.exit, 0) << r.err;
  const auto root = ReadObject(r.out);
  EXPECT_EQ(TextIn(root, "schema"), "aqmesh.state/1");
  EXPECT_EQ(NumberIn(root, "records"), 5u);
  const auto& subjects = root.at("subjects").as_array();
  ASSERT_EQ(subjects.size(), 1u);
  const auto& s = subjects[0].as_object();
  EXPECT_EQ(TextIn(s, "kid"), ToHex(w.subject));
  EXPECT_EQ(TextIn(s, "rung"), "ADMIT");
  EXPECT_TRUE(s.at("in_force").as_bool());
  EXPECT_EQ(TextIn(s.at("decision").as_object(), "kind"), "decided");
  EXPECT_EQ(NumberIn(s.at("decision").as_object(), "ladm_q16"), 56'032u);
  EXPECT_EQ(TextIn(s.at("action").as_object(), "stage"), "committed");
  EXPECT_GE(s.at("objects").as_array().size(), 3u);
  EXPECT_GE(s.at("rules").as_array().size(), 1u);
}

TEST(CliHistoryTest, DiffSaysWhoIsGoneAndWhy) {
  Told w;
  EXPECT_EQ(w.Lineage({"diff", "30m"}).out, "- borealis  no longer let in, was ADMIT  (revoked)\n");
  EXPECT_EQ(w.Lineage({"diff", "2h", "30m"}).out, "+ borealis  let in, ADMIT\n");
  const Ran none = w.Lineage({"diff", "30m", "20m"});
  EXPECT_EQ(none.out, "");
  EXPECT_EQ(none.err, "0 records lie between; nobody's standing changed.\n");
  const Ran back = w.Lineage({"diff", "20m", "30m"});
  EXPECT_EQ(back.exit, 2);
  EXPECT_THAT(back.err, HasSubstr("the first instant lies after the second"));
  const auto root = ReadObject(w.Lineage({"diff", "30m", "--json"}).out);
  EXPECT_EQ(TextIn(root, "schema"), "aqmesh.state-diff/1");
  EXPECT_EQ(root.at("changes").as_array().size(), 1u);
}

TEST(CliHistoryTest, TraceDrawsATreeDotAndJson) {
  Told w;
  const Ran tree = w.Lineage({"trace", "4"});
  ASSERT_EQ(tree.exit, 0) << tree.err;
  EXPECT_THAT(tree.out,
              AllOf(StartsWith("2027-01-15T07:00:01.000Z  "),
                    HasSubstr("  committed  borealis  ADMIT  install_peer\n`-- follows  "),
                    HasSubstr("\n            `-- carries out  2027-01-15T07:00:00.000Z  "),
                    HasSubstr("made from  "),
                    HasSubstr("NODE grant borealis\n")));
  const Ran down = w.Lineage({"trace", "0", "--down"});
  EXPECT_THAT(down.out, AllOf(HasSubstr("|-- carries out  "), HasSubstr("`-- judged again  ")));
  EXPECT_THAT(w.Lineage({"trace", "4", "--dot"}).out, StartsWith("digraph trace {\n"));
  const auto root = ReadObject(w.Lineage({"trace", "4", "--json"}).out);
  EXPECT_EQ(TextIn(root, "schema"), "aqmesh.trace/1");
  EXPECT_GE(root.at("nodes").as_array().size(), 5u);
  EXPECT_EQ(w.Lineage({"trace", "4", "--up", "--down"}).exit, 2);
  EXPECT_EQ(w.Lineage({"trace", "4", "--dot", "--json"}).exit, 2);
  EXPECT_EQ(w.Lineage({"trace", "44"}).exit, 1);
  const Ran with = w.Lineage({"trace", "4", "--with", w.Path("nothing")});
  EXPECT_EQ(with.exit, 1);
  EXPECT_THAT(with.err, HasSubstr("nothing: no lineage here"));
}

TEST(CliHistoryTest, DecisionsThatCannotBeMadeAgainAreFound) {
  Told w;
  EXPECT_EQ(w.Lineage({"verify"}).exit, 0);
  const Ran r = w.Lineage({"verify", "--decisions"});
  EXPECT_EQ(r.exit, 1);
  EXPECT_THAT(r.out,
              AllOf(HasSubstr("2 of 2 decisions do not come out as they are recorded\n"),
                    HasSubstr("the first: record 0, "),
                    HasSubstr("what was presented is not among its inputs")));
  const auto root = ReadObject(w.Lineage({"verify", "--decisions", "--json"}).out);
  EXPECT_FALSE(root.at("ok").as_bool());
}

}  // namespace
}  // namespace aqmesh::cli
