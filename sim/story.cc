#include "sim/story.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto kProbeEvery = 500ms;
constexpr auto kJoinWithin = 120s;

// Any of the marks that were sent one way has arrived.
bool AnyOf(const Machine& m, const std::vector<uint32_t>& marks) {
  return std::any_of(
      marks.begin(), marks.end(), [&](uint32_t mark) { return m.got.contains(mark); });
}

}  // namespace

Story::Names Without(Story::Names names, const std::string& one) {
  std::erase(names, one);
  return names;
}

Machine& Story::At(const std::string& name) {
  Machine* m = world_.Find(name);
  AQ_CHECK(m != nullptr);  // a scenario that names nobody is a mistake in the scenario
  return *m;
}

void Story::Expect(bool holds, const std::string& node, std::string_view what) {
  if (over() || holds) return;
  world_.Note(node, Join("VIOLATION ", what));
  world_.checker().Report(Rule::kOutcome, node, std::string(what));
}

const std::string& Story::OneOf(const Names& names) {
  AQ_CHECK(!names.empty());
  return names[world_.choices().Below(names.size())];
}

// ---- machines ----

void Story::Founds(const std::string& name) {
  if (over()) return;
  world_.Start(world_.Found(name));
}

void Story::Joins(const std::string& name, const std::string& sponsor) {
  if (over()) return;
  world_.Note(name, Join("is invited by ", sponsor));
  Machine& m = world_.Add(name, world_.InviteBy(At(sponsor)));
  world_.Start(m);
  const bool joined = world_.RunUntil([&] { return World::Joined(m); }, kJoinWithin);
  Expect(joined, name, Join("did not join by ", sponsor, "'s invitation"));
}

void Story::Crashes(const std::string& name) {
  if (!over() && At(name).running()) world_.Crash(At(name));
}

void Story::Restarts(const std::string& name) {
  if (!over() && !At(name).running()) world_.Start(At(name));
}

Story::Names Story::Running() const {
  Names out;
  for (const auto& m : world_.machines()) {
    if (m->running()) out.push_back(m->name);
  }
  return out;
}

// ---- time and faults ----

void Story::Passes(Span d) {
  if (!over()) world_.RunFor(d);
}

void Story::Sleeps(Span d) {
  if (!over()) world_.Sleep(d);
}

void Story::StormBreaks() {
  if (over()) return;
  const Weather w = Storm(world_.choices());
  world_.Note("world", Join("storm: ", w.ToString()));
  world_.network().SetWeather(w);
}

void Story::Calms() {
  if (over()) return;
  world_.Note("world", "calm");
  world_.network().SetWeather({});
  world_.network().Heal();
}

void Story::Parts(std::vector<std::set<std::string>> sides) {
  if (over()) return;
  std::string text = "parts:";
  for (const auto& side : sides) {
    text += " |";
    for (const std::string& name : side) text += " " + name;
  }
  world_.Note("world", text);
  world_.network().Partition(std::move(sides));
}

void Story::CutsBoth(const std::string& a, const std::string& b) {
  if (over()) return;
  world_.Note("world", Join("cuts ", a, " - ", b));
  world_.network().Cut(a, b);
  world_.network().Cut(b, a);
}

void Story::Shakes(size_t rounds) {
  for (size_t i = 0; i < rounds && !over(); ++i) {
    Passes(std::chrono::milliseconds(Below(4'000)));
    if (over()) return;
    const std::string name = OneOf(Running());
    Crashes(name);
    Passes(std::chrono::milliseconds(Below(3'000)));
    Restarts(name);
  }
}

// ---- authority ----

void Story::Revokes(const std::string& by, const std::string& whom) {
  if (over()) return;
  world_.Note(by, Join("revokes ", whom));
  Machine& m = At(by);
  absl::Status done;
  world_.Do(m, [&](node::Control& c, node::Outbox& out) {
    done = c.Revoke(
        world_.NowOf(m),
        {.type = authority::RevokeType::kFloor, .kid = At(whom).kid, .oid = {}, .floor = 2},
        out);
  });
  Expect(done.ok(), by, Join("could not revoke ", whom, ": ", Text(done)));
}

void Story::Releases(const std::string& whom) {
  if (over()) return;
  for (const std::string& name : Running()) {
    if (name == whom) continue;
    Machine& m = At(name);
    absl::Status done;
    world_.Do(m, [&](node::Control& c, node::Outbox& out) {
      done = c.ReleaseDeposit(world_.NowOf(m), At(whom).kid, out);
    });
    if (done.ok()) {
      world_.Note(name, Join("releases the self-revocation of ", whom));
      return;
    }
  }
  Expect(false, whom, "nobody in reach keeps its self-revocation");
}

// ---- expectations ----

void Story::Talk(const std::string& a, const std::string& b, Span within) {
  if (over()) return;
  Machine &x = At(a), &y = At(b);
  std::vector<uint32_t> there, back;
  const Instant end = world_.time() + within;
  const auto both = [&] { return AnyOf(y, there) && AnyOf(x, back); };
  while (!both() && world_.time() < end && !over()) {
    there.push_back(world_.Send(x, y));
    back.push_back(world_.Send(y, x));
    world_.RunUntil(both, kProbeEvery);
  }
  if (both()) return;
  Expect(false,
         a,
         Join("and ",
              b,
              " do not talk",
              AnyOf(y, there)  ? Join(": nothing comes from ", b)
              : AnyOf(x, back) ? Join(": nothing reaches ", b)
                               : ""));
}

void Story::AllTalk(const Names& names, Span within) {
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = i + 1; j < names.size(); ++j) Talk(names[i], names[j], within);
  }
}

void Story::Silent(const std::string& a, const std::string& b, Span span) { CutFrom(a, {b}, span); }

void Story::CutFrom(const std::string& whom, const Names& others, Span span) {
  if (over()) return;
  Machine& x = At(whom);
  std::vector<std::vector<uint32_t>> there(others.size()), back(others.size());
  const Instant end = world_.time() + span;
  while (world_.time() < end && !over()) {
    for (size_t i = 0; i < others.size(); ++i) {
      Machine& y = At(others[i]);
      if (!x.running() || !y.running()) continue;
      there[i].push_back(world_.Send(x, y));
      back[i].push_back(world_.Send(y, x));
    }
    world_.RunFor(kProbeEvery);
  }
  for (size_t i = 0; i < others.size(); ++i) {
    Expect(!AnyOf(At(others[i]), there[i]), others[i], Join("still hears ", whom));
    Expect(!AnyOf(x, back[i]), whom, Join("still hears ", others[i]));
  }
}

void Story::Knows(const Names& names, const std::string& whom, Span within) {
  if (over()) return;
  const Kid kid = At(whom).kid;
  const auto all = [&] {
    return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return world_.checker().Restricted(name, kid);
    });
  };
  if (world_.RunUntil(all, within)) return;
  for (const std::string& name : names) {
    Expect(world_.checker().Restricted(name, kid),
           name,
           Join("has not heard of the revocation of ", whom));
  }
}

void Story::Admits(const std::string& a, const std::string& b) {
  if (over()) return;
  for (const auto& [at, of] : {std::pair(a, b), std::pair(b, a)}) {
    const auto peers = At(at).control->Peers();
    const auto p = std::find_if(
        peers.begin(), peers.end(), [&](const node::PeerView& v) { return v.kid == At(of).kid; });
    const bool held = p != peers.end();
    Expect(held && p->rung == authority::Rung::kAdmit,
           at,
           Join("holds ", of, " at ", held ? authority::RungName(p->rung) : "nothing"));
  }
}

}  // namespace aqmesh::sim
