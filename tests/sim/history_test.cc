// The log and the engine tell the same story: at any moment when all is durable, what the log folds
// to is what the machine's own tables hold; and every decision in it comes out the same when it is
// made again from what its record names.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/status.h"
#include "lineage/history/replay.h"
#include "node/redecide.h"
#include "sim/story.h"
#include "tests/support/sanitized.h"

namespace aqmesh::sim {
namespace {

using namespace std::chrono_literals;
using authority::Rung;

std::string Told(World& w) {
  std::string out;
  for (const Violation& v : w.checker().violations())
    out += std::string(RuleName(v.rule)) + " on " + v.node + ": " + v.what + "\n";
  return out;
}

struct Row {
  Rung rung = Rung::kNone;          // in force
  std::optional<Digest> authority;  // decided on last
  bool operator==(const Row&) const = default;
};
using Table = std::map<Kid, Row>;

std::string Print(const Table& t) {
  std::string out;
  for (const auto& [kid, row] : t) {
    out += ToHex(kid) + " " + std::string(authority::RungName(row.rung)) + " " +
           (row.authority ? ToHex(*row.authority) : "-") + "\n";
  }
  return out;
}

// What the data path holds, and what the control engine decided on last.
Table Live(const node::Control& c) {
  Table out;
  for (const node::PeerView& p : c.Peers()) {
    const auto verdict = c.datapath().VerdictOf(p.id);
    if (verdict != nullptr) out[p.kid] = {verdict->rung, p.authority};
  }
  return out;
}

Table Folded(const lineage::State& state, const Kid& own) {
  Table out;
  for (const Kid& kid : state.Subjects()) {
    const lineage::Subject& s = *state.Find(kid);
    if (s.in_force && kid != own)
      out[kid] = {s.rung(), s.standing() ? s.standing()->authority : std::nullopt};
  }
  return out;
}

// Compares every machine that has nothing under way to its disk. How many could be compared.
size_t Compare(World& w) {
  size_t compared = 0;
  for (const auto& m : w.machines()) {
    if (!m->running() || !m->writing.empty() || !m->control->recorder().settled()) continue;
    ++compared;
    const auto state = lineage::StateOf(m->disk, m->disk.size());
    EXPECT_TRUE(state.ok()) << Text(state.status());
    if (!state.ok()) continue;
    EXPECT_EQ(Print(Folded(*state, m->kid)), Print(Live(*m->control)))
        << m->name << " at record " << m->disk.size();
  }
  return compared;
}

absl::StatusOr<admission::LocalPolicy> OpenPolicy(const Digest&, const std::optional<Bytes>&) {
  return admission::OpenLocalPolicy();
}

// Every decision of every disk, again. How many there were.
size_t Redecide(World& w) {
  size_t decisions = 0;
  for (const auto& m : w.machines()) {
    auto redecider = node::Redecider::Open(m->disk, OpenPolicy);
    EXPECT_TRUE(redecider.ok()) << Text(redecider.status());
    if (!redecider.ok()) continue;
    const absl::Status all = redecider->All([&](const node::Redecider::Result& r) {
      ++decisions;
      EXPECT_TRUE(r.same()) << m->name << " record " << r.seq << ": " << Text(r.status)
                            << r.differs;
      return true;
    });
    EXPECT_TRUE(all.ok()) << Text(all);
  }
  return decisions;
}

void OneRandomLife(uint64_t seed, size_t& compared, size_t& decisions) {
  World w({.seed = seed, .sync_min = 100us, .sync_max = 20ms});
  Story s(w);
  s.Founds("a");
  s.Joins("b", "a");
  s.Joins("c", "a");
  s.Joins("d", "b");
  for (int step = 0; step < 40 && !s.over(); ++step) {
    s.Passes(std::chrono::milliseconds(w.choices().Below(3'000)));
    compared += Compare(w);
    const auto names = s.Running();
    if (names.empty()) break;
    const std::string one = s.OneOf(names);
    switch (w.choices().Below(8)) {
      case 0: s.Crashes(one); break;
      case 1:
        for (const char* name : {"a", "b", "c", "d"}) {
          if (!w.Find(name)->running()) s.Restarts(name);
        }
        break;
      case 2:
        if (w.Find("a")->running() && step > 20) s.Revokes("a", "d");
        break;
      case 3: s.StormBreaks(); break;
      case 4: s.Calms(); break;
      case 5: s.Sleeps(std::chrono::minutes(w.choices().Below(40))); break;
      default: break;
    }
  }
  s.Calms();
  s.Passes(30s);
  compared += Compare(w);
  decisions += Redecide(w);
  EXPECT_TRUE(w.checker().violations().empty()) << Told(w);
}

TEST(HistoryTest, TheLogFoldsToTheEnginesOwnTablesAndEveryDecisionComesOutAgain) {
  uint64_t first = 1, last = kSanitized ? 6 : 25;
  if (const char* one = std::getenv("AQMESH_SEED")) first = last = std::strtoull(one, nullptr, 10);
  size_t compared = 0, decisions = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("AQMESH_SEED=" + std::to_string(seed));
    OneRandomLife(seed, compared, decisions);
    if (HasFailure()) break;
  }
  if (first != last) {
    EXPECT_GT(compared, 40 * last);
    EXPECT_GT(decisions, 12 * last);
  }
}

// What the check is for: another policy than the one that was in force, or an object that is gone,
// is found in every decision.
TEST(HistoryTest, ADecisionThatWasNotMadeFromItsInputsIsFound) {
  World w({.seed = 5});
  Story s(w);
  s.Founds("a");
  s.Joins("b", "a");
  s.Passes(3s);
  const auto constrained = [](const Digest&, const std::optional<Bytes>&) {
    admission::LocalPolicy policy = admission::OpenLocalPolicy();
    policy.default_rung = Rung::kConstrain;
    return absl::StatusOr<admission::LocalPolicy>(policy);
  };
  size_t admitted = 0;
  auto redecider = node::Redecider::Open(w.Find("a")->disk, constrained);
  ASSERT_TRUE(redecider.ok());
  ASSERT_TRUE(redecider
                  ->All([&](const node::Redecider::Result& r) {
                    EXPECT_TRUE(r.status.ok()) << Text(r.status);
                    const bool found =
                        r.differs.find("rung: recorded ADMIT, made again CONSTRAIN") == 0;
                    if (found) ++admitted;
                    return true;
                  })
                  .ok());
  EXPECT_GT(admitted, 0u);
  // The same log beside none of its objects.
  lineage::MemStore bare;
  lineage::Batch log;
  for (lineage::Seq i = 0; i < w.Find("a")->disk.size(); ++i)
    log.records.push_back(*lineage::ParseEntry(*w.Find("a")->disk.Read(i)));
  ASSERT_TRUE(bare.Commit(log).ok());
  auto without = node::Redecider::Open(bare, OpenPolicy);
  ASSERT_TRUE(without.ok());
  size_t lost = 0;
  ASSERT_TRUE(without
                  ->All([&](const node::Redecider::Result& r) {
                    if (absl::IsDataLoss(r.status)) ++lost;
                    return true;
                  })
                  .ok());
  EXPECT_GT(lost, 0u);
}

// L7: at 200 instants, the state that was there then.
TEST(HistoryTest, AnyInstantLaterIsWhatWasLiveThen) {
  World w({.seed = 77});
  Story s(w);
  s.Founds("a");
  s.Joins("b", "a");
  s.Joins("c", "a");
  struct Then {
    uint64_t hlc;
    std::string live;
  };
  std::map<std::string, std::vector<Then>> seen;
  for (int i = 0; i < 200; ++i) {
    if (i == 120) s.Revokes("a", "c");
    if (i == 60) s.Crashes("b");
    if (i == 70) s.Restarts("b");
    s.Passes(std::chrono::milliseconds(50 + w.choices().Below(900)));
    for (const auto& m : w.machines()) {
      if (!m->running() || !m->writing.empty() || !m->control->recorder().settled()) continue;
      const Bytes newest = *m->disk.Read(m->disk.size() - 1);
      const uint64_t hlc = authority::ParseBody<authority::Observe>(newest)->hlc;
      seen[m->name].push_back({hlc, Print(Live(*m->control))});
    }
  }
  s.Passes(60s);
  size_t instants = 0;
  for (const auto& m : w.machines()) {
    for (const Then& then : seen[m->name]) {
      const auto state = lineage::StateAt(m->disk, then.hlc);
      ASSERT_TRUE(state.ok());
      EXPECT_EQ(Print(Folded(*state, m->kid)), then.live) << m->name;
      ++instants;
    }
  }
  EXPECT_GT(instants, 400u);
}

}  // namespace
}  // namespace aqmesh::sim
