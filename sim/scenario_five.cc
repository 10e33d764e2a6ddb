#include "sim/scenario.h"

// Five machines, and no one that matters more than another: whichever is lost, the first one too,
// the rest find each other after eight days, strangers meet, a new machine joins, and revocation
// works, by an enroller and by a custodian.
namespace aqmesh::sim {

using namespace std::chrono_literals;

namespace {

// Two who are kept apart until one of the others is gone. Neither invites the other.
std::pair<std::string, std::string> StrangersWithout(const std::string& gone) {
  if (gone == "d") return {"b", "e"};
  if (gone == "e") return {"c", "d"};
  return {"d", "e"};
}

// The rest wake up: some laptops only slept, others were off.
void EightDaysLater(Story& s, const Story::Names& rest) {
  const bool off = s.Flip();
  for (const std::string& name : rest) {
    if (off || s.Flip()) s.Crashes(name);
  }
  s.Sleeps(8 * 24h);
  s.Calms();
  for (const std::string& name : rest) {
    s.Restarts(name);
    s.Passes(std::chrono::milliseconds(s.Below(1'500)));
  }
}

}  // namespace

void AnyOneOfFiveGone(Story& s) {
  const Story::Names all = {"a", "b", "c", "d", "e"};
  const std::string gone = s.OneOf(all);
  const Story::Names rest = Without(all, gone);
  const auto [x, y] = StrangersWithout(gone);
  s.Founds("a");
  s.CutsBoth(x, y);
  s.Joins("b", "a");
  s.Joins("c", "a");
  s.Joins("d", "b");
  s.Joins("e", "c");
  for (const std::string& name : rest) s.Talk(gone, name);
  s.Silent(x, y, 3s);  // they have never met

  s.Crashes(gone);  // for good, as far as its owner knows
  EightDaysLater(s, rest);
  s.AllTalk(rest);

  const std::string sponsor = s.OneOf(rest);
  Story::Names with_new = rest;
  with_new.push_back("f");
  s.Joins("f", sponsor);
  s.AllTalk(with_new);

  s.Revokes(sponsor, "f");
  s.Knows(rest, "f", 60s);
  s.CutFrom("f", rest);

  // The lost machine's own last word, kept by a custodian. Then a thief switches it on.
  s.Releases(gone);
  s.Knows(rest, gone, 60s);
  s.AllTalk(rest);
  s.Restarts(gone);
  s.CutFrom(gone, rest, 10s);

  // What was taken back stays so, and what was not goes on, whoever starts again.
  for (const std::string& name : rest) {
    s.Crashes(name);
    s.Restarts(name);
  }
  s.AllTalk(rest);
  s.CutFrom(gone, rest, 10s);
  s.CutFrom("f", rest, 10s);
}

}  // namespace aqmesh::sim
