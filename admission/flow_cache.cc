#include "admission/flow_cache.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/base/check.h"
#include "core/crypto/hash.h"

namespace aqmesh::admission {

using authority::Reason;

namespace {

enum Flag : uint8_t {
  kPass = 1,      // the ruling
  kReceived = 2,  // opened by the peer
  kAnswered = 4,  // an answer was let through: a conversation, not a scan
  kClosing = 8,   // FIN or RST went by
  kTcp = 16,
  kTurned = 32,  // ruled otherwise than before, and nobody was told yet
  kHeld = 64,    // its rule waits for a person's word
};

// How long a flow may be silent, in seconds. Long for a TCP connection that stood: a forgotten one
// would cut the answers of a session whose client waits.
constexpr uint32_t kDeniedIdle = 10, kClosingIdle = 60, kUnansweredIdle = 120, kAnsweredIdle = 180,
                   kTcpIdle = 86'400;

Direction OpenedBy(uint8_t flags) {
  return flags & kReceived ? Direction::kReceive : Direction::kSend;
}

Judgement Denied(Reason reason) {
  Judgement j;
  j.drop = reason == Reason::kLocalPolicy ? Drop::kLocal : Drop::kNoRule;
  j.reason = reason;
  return j;
}

}  // namespace

FlowTable::FlowTable(Key secret, const Options& options, Instant start)
    : secret_(std::move(secret)),
      start_(start),
      mask_(options.entries - 1),
      entries_(options.entries),
      sources_(kSources, TokenBucket(options.misses_per_second, options.misses_burst, start)) {
  AQ_CHECK(std::has_single_bit(options.entries));
  AQ_CHECK(options.entries >= kWindow);
}

FlowTable::Tag FlowTable::TagOf(uint32_t peer, const Flow& flow) const {
  uint8_t in[4 + Flow::kSize];
  StoreLe(in, peer);
  std::memcpy(in + 4, flow.bytes.data(), Flow::kSize);
  return crypto::SipHash24x128(secret_.view(), in);
}

uint32_t FlowTable::Second(Instant now) const {
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
  return s < 0 ? 1
               : static_cast<uint32_t>(
                     std::min<int64_t>(s, std::numeric_limits<uint32_t>::max() - 1)) +
                     1;
}

bool FlowTable::Dead(const Entry& e, uint32_t second) const {
  if (e.seen == 0) return true;
  uint32_t idle = kUnansweredIdle;
  if (!(e.flags & kPass)) {
    idle = kDeniedIdle;
  } else if (e.flags & kClosing) {
    idle = kClosingIdle;
  } else if (e.flags & kAnswered) {
    idle = e.flags & kTcp ? kTcpIdle : kAnsweredIdle;
  }
  return second > e.seen && second - e.seen > idle;
}

FlowTable::Entry* FlowTable::Find(const Tag& tag, uint32_t second) {
  const size_t at = LoadLe<uint64_t>(tag.data());
  for (size_t i = 0; i < kWindow; ++i) {
    Entry& e = entries_[(at + i) & mask_];
    if (e.seen != 0 && e.tag == tag) return Dead(e, second) ? nullptr : &e;
  }
  return nullptr;
}

// A slot for a new flow. Conversations are pushed out by conversations only, never by a denied
// flow, and last of all: a scan pushes out other scans.
FlowTable::Entry* FlowTable::Place(const Tag& tag, bool pass, uint32_t second) {
  const size_t at = LoadLe<uint64_t>(tag.data());
  Entry* best = nullptr;
  int best_rank = 4;
  for (size_t i = 0; i < kWindow; ++i) {
    Entry& e = entries_[(at + i) & mask_];
    // The same tag once more: an entry that had died where it lay.
    const int rank = Dead(e, second)          ? (e.tag == tag ? -1 : 0)
                     : !(e.flags & kPass)     ? 1
                     : !(e.flags & kAnswered) ? 2
                                              : 3;
    if (rank < best_rank || (rank == best_rank && e.seen < best->seen)) {
      best = &e;
      best_rank = rank;
    }
  }
  if (best_rank >= 2 && !pass) return nullptr;
  if (best_rank > 0) ++counters_.evicted;
  *best = Entry{};
  best->tag = tag;
  return best;
}

void FlowTable::Rule(Entry& e, const PacketInfo& opener, const PolicyView& view, Now now) {
  const Ruling r = view.policies->For(OpenedBy(e.flags)).Evaluate(opener, now.wall);
  e.epoch = view.epoch;
  e.path = r.path;
  e.reason = static_cast<uint8_t>(r.reason);
  e.flags = static_cast<uint8_t>(r.pass() ? e.flags | kPass : e.flags & ~kPass);
}

// Whether the ruling has turned since it was last spoken of.
bool FlowTable::Told(Entry& e) {
  const bool turned = e.flags & kTurned;
  e.flags = static_cast<uint8_t>(e.flags & ~kTurned);
  return turned;
}

// A ruling lasts as long as its epoch and as its policy stands still in time. What is judged again
// is always the flow's opener, under the policy of who opened it, whichever way the packet at hand
// travels.
void FlowTable::Refresh(Entry& e, const Flow& opener, const PolicyView& view, Now now) {
  if (e.epoch == view.epoch && view.policies->For(OpenedBy(e.flags)).Steady(now.wall)) return;
  const uint8_t before = e.flags;
  Rule(e, OpenerOf(opener), view, now);
  if ((e.flags ^ before) & kPass) e.flags |= kTurned;
  ++counters_.rejudged;
}

Judgement FlowTable::Use(
    Entry& e, const PacketInfo& packet, bool answer, const PolicyView& view, Now now) {
  Judgement j;
  j.opened = OpenedBy(e.flags);
  j.path = e.path;
  j.answer = answer;
  e.seen = Second(now.mono);
  const Terms& terms = view.policies->For(j.opened).terms(e.path);
  j.terms = &terms;
  if (terms.held() || (e.flags & kHeld)) {
    const bool held = view.policies->Holds(j.opened, terms, now.wall);
    j.first = held != ((e.flags & kHeld) != 0);
    e.flags = static_cast<uint8_t>(held ? e.flags | kHeld : e.flags & ~kHeld);
    if (held) {
      ++counters_.held;
      j.drop = Drop::kHeld;
      j.reason = Reason::kHeld;
      return j;
    }
  }
  if (e.packets != std::numeric_limits<uint32_t>::max()) ++e.packets;
  if (terms.drop_after != 0 && e.packets > terms.drop_after) {
    j.drop = Drop::kBudget;
    j.reason = Reason::kOverBudget;
    return j;
  }
  if (answer) e.flags |= kAnswered;
  if (packet.classified && packet.proto == kProtoTcp) {
    e.flags |= kTcp;
    if (packet.tcp_flags & (kTcpFin | kTcpRst)) e.flags |= kClosing;
    // The same ports again: a new connection.
    if (packet.part == Part::kOpensOnly)
      e.flags = static_cast<uint8_t>(e.flags & ~(kClosing | kAnswered));
  }
  j.drop = Drop::kNone;
  j.reason = Reason::kNone;
  return j;
}

std::optional<Judgement> FlowTable::Answer(
    const PacketInfo& p, const Flow& flow, Direction d, const PolicyView& view, Now now) {
  const Flow original = flow.Reversed();
  const uint32_t second = Second(now.mono);
  Entry* e = Find(TagOf(view.peer, original), second);
  if (!e || OpenedBy(e->flags) == d) return std::nullopt;
  Refresh(*e, original, view, now);
  if (!(e->flags & kPass) || view.policies->For(OpenedBy(e->flags)).terms(e->path).one_way)
    return std::nullopt;
  ++counters_.answers;
  return Begin(*e, p, d, true, view, now);
}

// An ICMP error goes with the flow that it quotes, if it comes back to whoever sent the quoted
// packet. It refreshes nothing: an error keeps no flow alive.
std::optional<Judgement> FlowTable::Related(const PacketInfo& p,
                                            Direction d,
                                            const PolicyView& view,
                                            Now now) {
  if (!p.about || OpenerOf(*p.about).src != p.dst) return std::nullopt;
  const uint32_t second = Second(now.mono);
  // The quoted packet travelled the other way: as an opener's, or as an answer's.
  const std::pair<Flow, Direction> readings[] = {{*p.about, Opposite(d)}, {p.about->Reversed(), d}};
  for (const auto& [original, opened] : readings) {
    Entry* e = Find(TagOf(view.peer, original), second);
    if (!e || OpenedBy(e->flags) != opened) continue;
    Refresh(*e, original, view, now);
    if (!(e->flags & kPass)) continue;
    const Terms& terms = view.policies->For(opened).terms(e->path);
    if (terms.one_way || view.policies->Holds(opened, terms, now.wall)) continue;
    ++counters_.related;
    Judgement j;
    j.drop = Drop::kNone;
    j.reason = Reason::kNone;
    j.opened = opened;
    j.path = e->path;
    j.answer = true;
    j.terms = &terms;
    return j;
  }
  return std::nullopt;
}

Judgement FlowTable::Open(
    const PacketInfo& p, const Tag& tag, Direction d, const PolicyView& view, Now now) {
  uint8_t who[5];
  StoreLe(who, view.peer);
  who[4] = static_cast<uint8_t>(d);
  if (!sources_[crypto::SipHash24(secret_.view(), who) % kSources].Take(1, now.mono)) {
    ++counters_.over_rate;
    Judgement j;
    j.drop = Drop::kMissRate;
    j.reason = Reason::kOverBudget;
    return j;
  }
  ++counters_.misses;
  Judgement j;
  Entry fresh{};
  fresh.flags = d == Direction::kReceive ? kReceived : 0;
  Rule(fresh, p, view, now);
  const uint32_t second = Second(now.mono);
  fresh.seen = second;
  fresh.tag = tag;
  const bool pass = fresh.flags & kPass;
  if (Entry* slot = Place(tag, pass, second)) *slot = fresh;
  if (pass) {
    j = Use(*Find(tag, second), p, false, view, now);
  } else {
    ++counters_.denied;
    j = Denied(static_cast<Reason>(fresh.reason));
  }
  j.opened = d;
  j.first = true;
  return j;
}

std::optional<Judgement> FlowTable::Again(const PacketInfo& p,
                                          Direction d,
                                          const PolicyView& view,
                                          Now now) {
  const PacketInfo& last = run_.packet;
  const bool same = run_.entry != nullptr && run_.at == now && run_.direction == d &&
                    run_.view == view && p.classified && p.part == Part::kEither &&
                    p.proto == last.proto && p.sport == last.sport && p.dport == last.dport &&
                    p.src == last.src && p.dst == last.dst;
  // What is no longer the flow's own entry, or no longer passes, is looked up.
  if (!same || run_.entry->tag != run_.tag || !(run_.entry->flags & kPass)) return std::nullopt;
  ++(run_.answer ? counters_.answers : counters_.hits);
  return Use(*run_.entry, p, run_.answer, view, now);
}

Judgement FlowTable::Begin(
    Entry& e, const PacketInfo& p, Direction d, bool answer, const PolicyView& view, Now now) {
  if (p.classified && HasPorts(p.proto) && p.part == Part::kEither) {
    run_ = {.entry = &e,
            .tag = e.tag,
            .packet = p,
            .direction = d,
            .answer = answer,
            .view = view,
            .at = now};
  }
  return Use(e, p, answer, view, now);
}

Judgement FlowTable::Judge(const PacketInfo& p, Direction d, const PolicyView& view, Now now) {
#ifdef AQMESH_SABOTAGE_ACL  // SABOTAGE: no rule is asked. Only in the build whose demo must fail.
  Judgement open;
  open.drop = Drop::kNone;
  open.reason = Reason::kNone;
  open.opened = d;
  return open;
#endif
  if (!view.policies) return Denied(Reason::kNoRule);
  if (auto j = Again(p, d, view, now)) return *j;
  const uint32_t second = Second(now.mono);
  const Flow flow = p.flow();
  const Tag tag = TagOf(view.peer, flow);
  Entry* e = p.part == Part::kAnswersOnly ? nullptr : Find(tag, second);
  if (e) {
    // The other side's packet with our addresses in their place: nothing that a peer may send.
    if (OpenedBy(e->flags) != d) return Denied(Reason::kNoRule);
    Refresh(*e, flow, view, now);
    if (e->flags & kPass) {
      ++counters_.hits;
      const bool turned = Told(*e);
      Judgement j = Begin(*e, p, d, false, view, now);
      j.first |= turned;
      return j;
    }
  }
  // A denied opener may still be an answer: the conversation's first packet can come after it.
  if (p.part == Part::kEither || p.part == Part::kAnswersOnly) {
    if (auto j = Answer(p, flow, d, view, now)) return *j;
  }
  if (p.part == Part::kError) {
    if (auto j = Related(p, d, view, now)) return *j;
  }
  if (e) {
    ++counters_.hits;
    ++counters_.denied;
    Judgement j = Denied(static_cast<Reason>(e->reason));
    j.opened = d;
    j.first = Told(*e);
    return j;
  }
  if (p.part == Part::kAnswersOnly) return Denied(Reason::kNoRule);
  return Open(p, tag, d, view, now);
}

size_t FlowTable::live(Instant now) const {
  const uint32_t second = Second(now);
  return static_cast<size_t>(std::count_if(
      entries_.begin(), entries_.end(), [&](const Entry& e) { return !Dead(e, second); }));
}

}  // namespace aqmesh::admission
