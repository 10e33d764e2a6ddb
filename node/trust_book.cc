#include "node/trust_book.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace aqmesh::node {

using trust::Evidence;
using trust::Folded;
using trust::Standing;

namespace {

constexpr std::string_view kHead = "trust/head", kRows = "trust/", kMemories = "rung/";
constexpr size_t kMemoryBytes = 33;

Bytes EncodeMemory(const TrustBook::Memory& m) {
  Bytes out = {static_cast<uint8_t>(m.gate.rung)};
  AppendBe(out, m.gate.since);
  AppendBe(out, uint64_t{m.gate.epochs});
  AppendBe(out, m.gate.last_epoch);
  AppendBe(out, m.last_use);
  return out;
}

std::optional<TrustBook::Memory> ParseMemory(ByteView b) {
  if (b.size() != kMemoryBytes || b[0] > static_cast<uint8_t>(authority::Rung::kAdmit))
    return std::nullopt;
  const auto at = [&b](size_t i) { return LoadBe<uint64_t>(b.data() + 1 + 8 * i); };
  if (at(1) > UINT32_MAX) return std::nullopt;
  return TrustBook::Memory{.gate = {.rung = static_cast<authority::Rung>(b[0]),
                                    .since = at(0),
                                    .epochs = static_cast<uint32_t>(at(1)),
                                    .last_epoch = at(2)},
                           .last_use = at(3)};
}

}  // namespace

lineage::SlopeInput SlopeInputOf(const Kid& key, const Standing& s) {
  return {.kid = key,
          .a = s.a,
          .r_f = s.r_f,
          .s_f = s.s_f,
          .u = s.u,
          .r_s = s.r_s,
          .s_s = s.s_s,
          .j = s.j,
          .x = s.x,
          .kap = static_cast<uint8_t>(s.kap),
          .last = s.last,
          .col = static_cast<uint8_t>(s.col ? 1 : 0),
          .e_pos = s.e_pos};
}

Standing StandingOf(const lineage::SlopeInput& s) {
  Standing out;
  out.a = s.a;
  out.r_f = s.r_f;
  out.s_f = s.s_f;
  out.u = s.u;
  out.r_s = s.r_s;
  out.s_s = s.s_s;
  out.j = s.j;
  out.x = s.x;
  out.kap = s.kap;
  out.last = s.last;
  out.e_pos = s.e_pos;
  out.col = s.col != 0;
  return out;
}

bool Untouched(const Standing& s) {
  return (s.r_f | s.s_f | s.u | s.r_s | s.s_s | s.j | s.x | s.kap) == 0 && !s.col;
}

// ---- what was kept

void TrustBook::Load(std::string_view name, ByteView value) {
  if (name == kHead) {
    loading_head_.assign(value.begin(), value.end());
  } else if (name.starts_with(kRows)) {
    Append(loading_, value);
  } else if (name.starts_with(kMemories)) {
    const auto kid = FromHex(name.substr(kMemories.size()));
    const auto memory = ParseMemory(value);
    if (kid && kid->size() == Kid::kSize && memory) memories_[*Kid::From(*kid)] = *memory;
  }
}

bool TrustBook::Loaded() {
  Bytes all = std::exchange(loading_head_, {});
  if (all.empty()) all = ledger_.EncodeHead();
  Append(all, std::exchange(loading_, {}));
  auto ledger = trust::Ledger::Decode(all);
  if (ledger.ok()) ledger_ = *std::move(ledger);
  return ledger.ok();
}

void TrustBook::Keep(const Kid& key) {
  if (auto row = ledger_.EncodeRow(key)) {
    recorder_.PutState(std::string(kRows) + ToHex(key), *std::move(row));
  } else {
    recorder_.DeleteState(std::string(kRows) + ToHex(key));
  }
}

// ---- asking

std::vector<trust::Link> TrustBook::LinksOf(std::span<const trust::Step> steps,
                                            const authority::Charter& charter) const {
  return trust::LinksOf(
      steps, charter, epoch(), [this](const Kid& key, trust::Role role, uint32_t prior) {
        return ledger_.At(key, role, prior);
      });
}

TrustBook::Memory TrustBook::MemoryOf(const Kid& subject) const {
  const auto it = memories_.find(subject);
  return it == memories_.end() ? Memory{} : it->second;
}

// ---- what happened

// The time of our own log: it never falls, so no epoch comes twice.
void TrustBook::Advance(Now now) {
  const uint64_t logged = lineage::MillisFromHlc(recorder_.chain().clock().last());
  const uint64_t epoch = trust::EpochOf(std::max<uint64_t>(now.wall.millis(), logged));
  if (epoch <= ledger_.epoch()) return;
  trust::Settled settled;
  ledger_.Advance(epoch, settled);
  head_dirty_ = true;
  Take(std::move(settled));
}

void TrustBook::Take(trust::Settled settled) {
  for (Folded& f : settled.folded) {
    dirty_.insert(f.key);
    folded_.push_back(std::move(f));
  }
  for (const Kid& key : settled.forgotten) dirty_.insert(key);
  overdue_.insert(overdue_.end(), settled.escalate.begin(), settled.escalate.end());
}

void TrustBook::Confirmed(std::span<const trust::Step> steps,
                          const authority::Charter& charter,
                          Now now) {
  Advance(now);
  trust::Settled settled;
  for (const trust::Link& link : LinksOf(steps, charter)) {
    if (!ledger_.Meet(link.key, link.prior, epoch(), settled, link.role)) continue;
    ledger_.Note({.subject = link.key, .event = trust::Event::kSessionConfirmed, .epoch = epoch()},
                 settled);
    dirty_.insert(link.key);
  }
  Take(std::move(settled));
}

void TrustBook::Follow(std::span<const trust::Step> steps,
                       const authority::Charter& charter,
                       Now now) {
  Advance(now);
  trust::Settled settled;
  for (const trust::Link& link : LinksOf(steps, charter)) {
    if (link.role != trust::Role::kAuthority) continue;
    if (ledger_.Meet(link.key, link.prior, epoch(), settled, link.role)) dirty_.insert(link.key);
  }
  Take(std::move(settled));
}

trust::Noted TrustBook::Note(trust::Observation o, Now now) {
  Advance(now);
  o.epoch = epoch();
  trust::Settled settled;
  const trust::Noted noted = ledger_.Note(o, settled);
  Take(std::move(settled));
  if (noted != trust::Noted::kCounted) return noted;
  const bool against = trust::RuleOf(o.event).against;
  for (const Kid& key :
       {o.subject, o.issuer.value_or(o.subject), o.grand_issuer.value_or(o.subject)}) {
    if (!ledger_.At(key)) continue;
    dirty_.insert(key);
    if (!against) continue;
    Fallen& fallen = fallen_.try_emplace(key, Fallen{.said = now.mono - kAgain}).first->second;
    fallen.evidence = o.evidence;
    fallen.unsaid = fallen.due = true;
  }
  return noted;
}

void TrustBook::Remember(const Kid& subject, const Memory& memory) {
  const auto [it, fresh] = memories_.try_emplace(subject);
  if (!fresh && it->second == memory) return;
  it->second = memory;
  recorder_.PutState(std::string(kMemories) + ToHex(subject), EncodeMemory(memory));
  if (memories_.size() <= trust::Ledger::kKeysMax) return;
  const auto oldest = std::ranges::min_element(
      memories_, {}, [](const auto& m) { return std::pair(m.second.last_use, m.first); });
  recorder_.DeleteState(std::string(kMemories) + ToHex(oldest->first));
  memories_.erase(oldest);
}

// ---- what is written of it

void TrustBook::RecordWeighted(const Folded& f,
                               const Digest& evidence,
                               Now now,
                               const Ground& ground) {
  if (f.evidence == Evidence{}) return;  // a debt alone, beyond what anybody is charged
  lineage::Inputs in;
  in.oids = {ground.charter};
  in.policy = ground.policy;
  in.slopes = {SlopeInputOf(f.key, f.before)};
  in.wall_millis = std::max<uint64_t>(now.wall.millis(), 1);
  in.mono_nanos = static_cast<uint64_t>(std::max<int64_t>(now.mono.time_since_epoch().count(), 1));
  in.epoch = f.epoch;
  in.weighed = lineage::WeighedInput{.r = f.evidence.r,
                                     .s = f.evidence.s,
                                     .u = f.evidence.u,
                                     .equivocation = f.evidence.equivocation};
  const Bytes bytes = lineage::EncodeInputs(std::move(in));
  const Oid id = lineage::InputsId(bytes);
  recorder_.PutObject(lineage::Shelf::kInputs, id, bytes);
  Standing after = f.before;
  after.Step(f.epoch, f.evidence);
  const trust::Reading r = after.Read(f.epoch, trust::GapCapOf(ground.body));
  authority::Observe o;
  o.kind = authority::RecordKind::kWeighted;
  o.scope = ground.scope;
  o.subject = f.key;
  o.inputs = id;
  o.ladm = r.ladm;
  o.slope = static_cast<uint32_t>(int32_t{trust::kOne} + r.slope);
  if (!evidence.is_zero()) o.evidence = evidence;
  recorder_.Record(std::move(o), now.wall);
}

void TrustBook::RecordFor(std::span<const trust::Link> links, Now now, const Ground& ground) {
  for (const trust::Link& link : links) {
    std::erase_if(folded_, [&](const Folded& f) {
      if (f.key != link.key) return false;
      RecordWeighted(f, {}, now, ground);
      return true;
    });
    if (const auto it = fallen_.find(link.key); it != fallen_.end())
      RecordFallen(it->first, it->second, now, ground);
  }
}

void TrustBook::RecordFallen(const Kid& key, Fallen& fallen, Now now, const Ground& ground) {
  if (!std::exchange(fallen.unsaid, false)) return;
  // Closed meanwhile, it is among what was folded.
  if (const auto open = ledger_.Open(key); open && open->evidence != Evidence{})
    RecordWeighted(*open, fallen.evidence, now, ground);
}

std::vector<Kid> TrustBook::Settle(Now now, const Ground& ground) {
  size_t left = kTurnMax;
  for (; left > 0 && !folded_.empty(); --left) {
    RecordWeighted(folded_.front(), {}, now, ground);
    folded_.pop_front();
  }
  std::vector<Kid> out;
  for (auto it = fallen_.begin(); it != fallen_.end();) {
    Fallen& f = it->second;
    const bool quiet = now.mono - f.said >= kAgain;
    if (f.due && quiet && left > 0) {
      --left;
      RecordFallen(it->first, f, now, ground);
      f.due = false;
      f.said = now.mono;
      out.push_back(it->first);
    }
    it = !f.due && !f.unsaid && now.mono - f.said >= kAgain ? fallen_.erase(it) : std::next(it);
  }
  if (std::exchange(head_dirty_, false))
    recorder_.PutState(std::string(kHead), ledger_.EncodeHead());
  for (size_t n = 0; n < kTurnMax && !dirty_.empty(); ++n) {
    Keep(*dirty_.begin());
    dirty_.erase(dirty_.begin());
  }
  return out;
}

Instant TrustBook::NextWake() const {
  Instant at = kNever;
  if (!folded_.empty() || !dirty_.empty()) at = Instant{};
  for (const auto& [key, fallen] : fallen_) at = std::min(at, fallen.said + kAgain);
  return at;
}

}  // namespace aqmesh::node
