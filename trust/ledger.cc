#include "trust/ledger.h"

#include <algorithm>
#include <tuple>

#include "core/base/check.h"

namespace aqmesh::trust {
namespace {

// Stops at the widest memory, so that a sum does not depend on the order of its parts.
uint32_t Plus(uint32_t sum, uint32_t more) {
  return static_cast<uint32_t>(std::min<uint64_t>(uint64_t{sum} + more, kBadMax));
}

// What a finding adds to what was counted of the same evidence before.
template <class Before>
uint32_t Beyond(const Finding& f, const Before& before) {
  const uint32_t counted = before.WeightOf(f.key);
  return f.weight > counted ? f.weight - counted : 0;
}

template <class Before, class Findings>
void Remember(Before& before, Findings& findings, uint64_t epoch) {
  for (const Finding& f : findings.all()) before.Add(f, epoch);
  findings.clear();
}

}  // namespace

uint32_t Ledger::Row::PaidFor(const Kid* subject, uint64_t in) const {
  uint32_t sum = 0;
  for (const Charge& c : paid) {
    if (in - c.epoch < kLiableEpochs && (subject == nullptr || c.subject == *subject))
      sum += c.amount;
  }
  return sum;
}

void Ledger::Advance(uint64_t epoch, Settled& out) {
  if (epoch <= epoch_) return;
  AQ_CHECK(epoch <= kEpochMax);
  for (auto& [key, row] : rows_) {
    if (row.open()) Fold(key, row, out);
  }
  epoch_ = epoch;
}

bool Ledger::Meet(const Kid& key, uint32_t prior, uint64_t epoch, Settled& out, Role role) {
  AQ_CHECK(prior <= kOne);
  Advance(epoch, out);
  auto it = rows_.find(key);
  if (it == rows_.end()) {
    if (rows_.size() >= keys_max_ && !MakeRoom(out)) return false;
    it = rows_.try_emplace(key).first;
    it->second.standing = Standing::New(0, epoch_);
  }
  Row& row = it->second;
  Reopen(key, row, out);
  const bool authority = role == Role::kAuthority;
  bool& met = authority ? row.authority : row.peer;
  if (!met || !row.folded) (authority ? row.a_authority : row.standing.a) = prior;
  met = true;
  return true;
}

Standing Ledger::As(const Row& row, Role role) {
  Standing s = row.standing;
  if (role == Role::kAuthority) s.a = row.a_authority;
  return s;
}

bool Ledger::MakeRoom(Settled& out) {
  const auto says = [](const Kid& key, const Row& row) {
    const Standing& s = row.standing;
    const bool marked = s.kap != 0 || s.s_f != 0 || s.s_s != 0 || row.seen_against != 0 ||
                        !row.once.empty() || !row.due.empty() || !row.paid.empty();
    return std::tuple(marked, row.open() ? row.epoch : s.last, key);
  };
  auto least = rows_.end();
  for (auto it = rows_.begin(); it != rows_.end(); ++it) {
    if (it->second.standing.col) continue;
    if (least == rows_.end() || says(it->first, it->second) < says(least->first, least->second))
      least = it;
  }
  if (least == rows_.end()) return false;
  out.forgotten.push_back(least->first);
  rows_.erase(least);
  return true;
}

Noted Ledger::Note(const Observation& o, Settled& out) {
  Advance(o.epoch, out);
  const auto row = rows_.find(o.subject);
  if (row == rows_.end()) return Noted::kStranger;
  Reopen(row->first, row->second, out);
  const bool names_none = o.evidence.is_zero();
  const bool seen = o.basis == Basis::kSeen;
  if (seen ? o.event == Event::kEquivocation : names_none) return Noted::kNoEvidence;
  if (o.basis == Basis::kHeard) return NoteHeard(row->second, o);
  if (!names_none) return NoteOnce(row->second, o, out);
  const EventRule& rule = RuleOf(o.event);
  uint32_t& sum = rule.against ? row->second.seen_against : row->second.seen_for;
  sum = Plus(sum, rule.weight);
  row->second.epoch = epoch_;
  return Noted::kCounted;
}

Noted Ledger::NoteOnce(Row& row, const Observation& o, Settled& out) {
  const EventRule& rule = RuleOf(o.event);
  const Finding f{{rule.against, o.evidence}, rule.weight, {}};
  if (Beyond(f, row.once_before) == 0) return Noted::kKnown;
  const bool news = row.once.WeightOf(f.key) < f.weight;
  row.once.Add(f);
  row.epoch = epoch_;
  if (o.basis == Basis::kProven && rule.against && rule.weight >= kMajor) {
    Owe(o.issuer, o.subject, rule.weight / 4, out);
    Owe(o.grand_issuer, o.subject, rule.weight / 16, out);
  }
  return news ? Noted::kCounted : Noted::kKnown;
}

Noted Ledger::NoteHeard(Row& row, const Observation& o) {
  const EventRule& rule = RuleOf(o.event);
  const auto weight =
      static_cast<uint32_t>((uint64_t{rule.weight} * std::min(o.reporter_ladm, kOne)) >> 17);
  if (weight == 0 || o.reporter == o.subject) return Noted::kWeightless;
  const Finding f{{rule.against, o.evidence}, weight, rule.against ? Kid{} : o.group};
  // An echo of what we know ourselves says nothing.
  if (Beyond(f, row.once_before) == 0) return Noted::kKnown;
  if (Beyond(f, rule.against ? row.slander_before : row.praise_before) == 0) return Noted::kKnown;
  (rule.against ? row.slander : row.praise).Add(f);
  row.epoch = epoch_;
  return Noted::kCounted;
}

// Up to the most that this subject may cost; less what it cost already in these 28 days.
void Ledger::Owe(const std::optional<Kid>& issuer,
                 const Kid& subject,
                 uint32_t share,
                 Settled& out) {
  if (!issuer || *issuer == subject) return;
  const auto it = rows_.find(*issuer);
  if (it == rows_.end()) return;
  Row& row = it->second;
  Reopen(it->first, row, out);
  const uint32_t amount = std::min(share, kLiablePerSubject);
  if (amount <= row.PaidFor(&subject, epoch_)) return;
  const auto at =
      std::lower_bound(row.due.begin(), row.due.end(), subject, [](const Charge& c, const Kid& k) {
        return c.subject < k;
      });
  if (at != row.due.end() && at->subject == subject) {
    at->amount = std::max(at->amount, amount);
    return;
  }
  row.due.insert(at, {subject, amount, epoch_});
  row.epoch = epoch_;
  if (row.due.size() <= kChargesMax) return;
  row.due.pop_back();
  row.overdue = true;
}

Ledger::Sum Ledger::SumOf(const Row& row) const {
  Sum sum;
  Evidence& e = sum.evidence;
  e.r = row.seen_for;
  e.s = row.seen_against;
  for (const Finding& f : row.once.all()) {
    if (f.key.against && f.weight == RuleOf(Event::kEquivocation).weight) e.equivocation = true;
    uint32_t& side = f.key.against ? e.s : e.r;
    side = Plus(side, Beyond(f, row.once_before));
  }
  e.r = Plus(e.r, SumPraise(row));
  e.u = SumSlander(row);
  SumCharges(row, sum);
  return sum;
}

uint32_t Ledger::SumPraise(const Row& row) const {
  struct Group {
    Kid kid;
    uint32_t sum;
  };
  std::vector<Group> groups;
  for (const Finding& f : row.praise.all()) {
    if (row.once.Has(f.key)) continue;
    auto at = std::find_if(
        groups.begin(), groups.end(), [&f](const Group& g) { return g.kid == f.group; });
    if (at == groups.end()) at = groups.insert(groups.end(), {f.group, 0});
    at->sum = Plus(at->sum, Beyond(f, row.praise_before));
  }
  uint32_t all = 0;
  for (const Group& g : groups) all = Plus(all, std::min(g.sum, kPraisePerGroup));
  return std::min(all, kPraisePerEpoch);
}

uint32_t Ledger::SumSlander(const Row& row) const {
  uint32_t sum = 0;
  for (const Finding& f : row.slander.all()) {
    if (!row.once.Has(f.key)) sum = Plus(sum, Beyond(f, row.slander_before));
  }
  return sum;
}

void Ledger::SumCharges(const Row& row, Sum& sum) const {
  uint32_t room = kLiablePerIssuer - row.PaidFor(nullptr, row.epoch);
  sum.escalate = row.overdue;
  for (const Charge& c : row.due) {
    const uint32_t owed = c.amount - row.PaidFor(&c.subject, row.epoch);
    const uint32_t amount = std::min(owed, room);
    if (amount < owed) sum.escalate = true;
    if (amount == 0) continue;
    room -= amount;
    sum.charges.push_back({c.subject, amount, row.epoch});
    sum.evidence.s = Plus(sum.evidence.s, amount);
  }
}

// A row that came off a disk may be open in an epoch that was over before the others'.
void Ledger::Reopen(const Kid& key, Row& row, Settled& out) {
  if (row.open() && row.epoch < epoch_) Fold(key, row, out);
}

void Ledger::Fold(const Kid& key, Row& row, Settled& out) {
  const uint64_t epoch = row.epoch;
  Sum sum = SumOf(row);
  // A debt beyond the cap may be all there was: the state changes only where something counted.
  const Standing before = As(row, MainRole(row));
  if (sum.evidence != Evidence{}) {
    row.standing.Step(epoch, sum.evidence);
    row.folded = true;
  }
  row.seen_for = row.seen_against = 0;
  Remember(row.once_before, row.once, epoch);
  Remember(row.praise_before, row.praise, epoch);
  Remember(row.slander_before, row.slander, epoch);
  std::erase_if(row.paid, [epoch](const Charge& c) { return epoch - c.epoch >= kLiableEpochs; });
  row.paid.insert(row.paid.end(), sum.charges.begin(), sum.charges.end());
  row.due.clear();
  row.overdue = false;
  row.epoch = 0;
  out.folded.push_back({key, epoch, before, sum.evidence});
  if (sum.escalate) out.escalate.push_back(key);
}

std::optional<Folded> Ledger::Open(const Kid& key) const {
  const auto it = rows_.find(key);
  if (it == rows_.end()) return std::nullopt;
  const Row& row = it->second;
  return Folded{key, row.epoch, As(row, MainRole(row)), SumOf(row).evidence};
}

Standing Ledger::Now(const Row& row, Role role) const {
  Standing now = As(row, role);
  const Evidence pending = SumOf(row).evidence;
  if (pending != Evidence{}) now.Step(row.epoch, pending);
  return now;
}

Standing Ledger::At(const Kid& key, Role role, uint32_t prior) const {
  const auto it = rows_.find(key);
  if (it == rows_.end()) return Standing::New(prior, epoch_);
  const Row& row = it->second;
  Standing now = Now(row, role);
  if (!row.folded || !(role == Role::kAuthority ? row.authority : row.peer)) now.a = prior;
  return now;
}

std::optional<Standing> Ledger::At(const Kid& key) const {
  const auto it = rows_.find(key);
  if (it == rows_.end()) return std::nullopt;
  return Now(it->second, MainRole(it->second));
}

}  // namespace aqmesh::trust
