#include "lineage/history/state.h"

#include <algorithm>

// The fold, one rule a function. What it says of who is in force is what the engine's own table
// held: node::Control is the other half of each rule, and tests/node/history_test.cc compares them.
namespace aqmesh::lineage {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;

namespace {

// F's row of what changes this machine's own tables (spec/authority.md F), and the intent under
// which they are taken down again.
constexpr uint16_t kAddRoute = 4;
constexpr uint64_t kIntentDown = 2;

Stage StageOf(RecordKind kind) {
  switch (kind) {
    case RecordKind::kApplied: return Stage::kApplied;
    case RecordKind::kVerified: return Stage::kVerified;
    case RecordKind::kCommitted: return Stage::kCommitted;
    case RecordKind::kDiverged: return Stage::kDiverged;
    default: return Stage::kArmed;
  }
}

Ruling RulingOf(const Observe& r, const Digest& leaf) {
  return {.seq = r.seq,
          .leaf = leaf,
          .hlc = r.hlc,
          .kind = r.kind,
          .rung = r.rung,
          .gates = r.gates,
          .authority = r.authority,
          .inputs = r.inputs,
          .ladm = r.ladm,
          .slope = r.slope,
          .corr = r.corr,
          .reason = r.reason,
          .action = r.action};
}

// Keeps the newest ruling, the standing one, and those that actions carry out.
void Trim(Subject& s) {
  if (s.rulings.size() < 2) return;
  const Ruling* standing = s.standing();
  const Seq keep = standing ? standing->seq : s.rulings.back().seq;
  const Seq newest = s.rulings.back().seq;
  std::erase_if(s.rulings, [&](const Ruling& w) {
    const auto carries = [&w](const Deed& d) { return d.ruling == w.seq; };
    return w.seq != newest && w.seq != keep && !(s.in_force && carries(*s.in_force)) &&
           std::ranges::none_of(s.open, carries);
  });
}

}  // namespace

const Ruling* Subject::RulingAt(std::optional<Seq> seq) const {
  if (!seq) return nullptr;
  const auto it = std::ranges::find(rulings, *seq, &Ruling::seq);
  return it == rulings.end() ? nullptr : &*it;
}

const Ruling* Subject::standing() const {
  const auto it = std::find_if(
      rulings.rbegin(), rulings.rend(), [](const Ruling& r) { return r.rung >= Rung::kEscalate; });
  return it == rulings.rend() ? nullptr : &*it;
}

const Subject* State::Find(const Kid& kid) const {
  const auto it = subjects_.find(kid);
  return it == subjects_.end() ? nullptr : &it->second;
}

std::vector<Kid> State::Subjects() const {
  std::vector<Kid> out;
  out.reserve(subjects_.size());
  for (const auto& [kid, s] : subjects_) out.push_back(kid);
  std::ranges::sort(out);
  return out;
}

// A refusal under the authority that is in force, or that was decided on last, is that session
// judged again: it ends. One under any other authority is somebody's attempt, and ends nothing. A
// lower rung under the authority in force acts at once; a higher one when its action is committed.
void State::OnDecision(const Observe& r, const Digest& leaf, Subject& s) {
  const Ruling* ground = s.ground();
  const Ruling* standing = s.standing();
  const bool same_ground = ground && r.authority && ground->authority == r.authority;
  const bool same_standing = standing && r.authority && standing->authority == r.authority;
  if (r.rung < Rung::kEscalate) {
    if (same_ground || same_standing) s.in_force.reset();
  } else if (same_ground && r.rung < s.in_force->rung) {
    s.in_force->rung = r.rung;
  }
  s.rulings.push_back(RulingOf(r, leaf));
  Trim(s);
}

// One edge of an action's life.
void State::OnEdge(const Observe& r, Subject& s) {
  if (!r.action_id) return;
  if (r.kind == RecordKind::kRolledBack) {
    const auto open = std::ranges::find(s.open, *r.action_id, &Deed::id);
    // Undone after it was applied: it had taken the place of what was in force before it.
    const bool applied = open != s.open.end() && open->stage != Stage::kArmed;
    // So had this machine's own tables: what was there of them went, or died with the process.
    const bool tables = r.action == kAddRoute && r.intent_gen != kIntentDown;
    if (applied || tables || (s.in_force && s.in_force->id == *r.action_id)) s.in_force.reset();
    if (open != s.open.end()) s.open.erase(open);
    Trim(s);
    return;
  }
  auto it = std::ranges::find(s.open, *r.action_id, &Deed::id);
  if (it == s.open.end()) {
    if (s.open.size() == Subject::kOpenMax) s.open.erase(s.open.begin());
    Deed fresh{.id = *r.action_id, .action = r.action, .armed = r.seq};
    if (const Ruling* newest = s.newest(); newest && newest->action == r.action)
      fresh.ruling = newest->seq;
    s.open.push_back(fresh);
    it = std::prev(s.open.end());
  }
  it->stage = StageOf(r.kind);
  it->newest = r.seq;
  it->since = r.hlc;
  it->rung = r.rung;
  it->intent = r.intent_gen;
  it->observed = r.observed_gen;
  if (it->stage == Stage::kCommitted) {
    const bool down = it->action == kAddRoute && it->intent == kIntentDown;
    s.in_force.reset();
    if (!down) s.in_force = *it;
    s.open.erase(it);
  }
  Trim(s);
}

void State::Apply(const Observe& r, const Digest& leaf) {
  ++records_;
  head_ = Head{r.seq, leaf};
  log_ = r.log;
  hlc_ = r.hlc;
  if (const auto kind = static_cast<size_t>(r.kind); kind < kKinds) ++kinds_[kind];
  for (const authority::DropCount& d : r.drops) {
    const bool room = drops_.size() < kDropReasonsMax || drops_.contains(d.reason);
    if (room) drops_[d.reason] += d.count;
  }
  if (r.kind == RecordKind::kCheckpoint) checkpoint_ = r.seq;
  if (r.kind == RecordKind::kRevokeSeen && r.evidence) {
    if (restrictions_.size() == kRestrictionsMax) restrictions_.pop_front();
    restrictions_.push_back({r.seq, r.hlc, *r.evidence, r.subject});
  }
  if (!r.subject || r.kind == RecordKind::kLogRestart) return;
  Subject& s = subjects_[*r.subject];
  s.touched = r.seq;
  switch (r.kind) {
    case RecordKind::kProposed:
    case RecordKind::kDecided: OnDecision(r, leaf, s); break;
    case RecordKind::kArmed:
    case RecordKind::kApplied:
    case RecordKind::kVerified:
    case RecordKind::kCommitted:
    case RecordKind::kRolledBack:
    case RecordKind::kDiverged: OnEdge(r, s); break;
    case RecordKind::kRevokeSeen: s.restricted = r.seq; break;
    case RecordKind::kApproved:
      if (!r.action_id) s.approved = r.evidence;  // else an escalation was answered
      break;
    case RecordKind::kFlow:
      ++s.carried.records;
      s.carried.frames += r.flow ? r.flow->frames : 0;
      s.carried.bytes += r.flow ? r.flow->bytes : 0;
      s.carried.hlc = r.hlc;
      break;
    default: break;  // they touch the subject and no more
  }
  if (subjects_.size() > kSubjectsMax) Forget();
}

// A total order, so that every fold of one log forgets the same.
void State::Forget() {
  struct Candidate {
    bool ended;
    Seq touched;
    Kid kid;
  };
  std::vector<Candidate> all;
  all.reserve(subjects_.size());
  for (const auto& [kid, s] : subjects_) all.push_back({s.ended(), s.touched, kid});
  const size_t leave = kSubjectsMax / 8;
  const auto first = [](const Candidate& a, const Candidate& b) {
    return a.ended != b.ended ? a.ended : a.touched < b.touched;
  };
  std::nth_element(all.begin(), all.begin() + static_cast<ptrdiff_t>(leave), all.end(), first);
  for (size_t i = 0; i < leave; ++i) subjects_.erase(all[i].kid);
  forgotten_ += leave;
}

}  // namespace aqmesh::lineage
