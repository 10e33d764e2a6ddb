#include <algorithm>

#include "core/base/status.h"
#include "node/control.h"

// The heads of this machine's log and of its fellows': what is said about them inside the tunnels.
// Spec: spec/lineage.md §7.
namespace aqmesh::node {

using ControlKind = frame::Control;

std::vector<Fellow> Control::Fellows() const {
  std::vector<Fellow> out;
  for (const auto& [id, peer] : peers_) {
    if (!peer.speaks() || !peer.kid || peer.rung < authority::Rung::kProbation) continue;
    if (const auto key = mesh_.KeyOf(*peer.kid)) out.push_back({*peer.kid, *key});
  }
  return out;
}

void Control::TickHeads(Turn& t) {
  if (!mesh_.has_charter() || config_.store == nullptr) return;
  cosigner_.Expire(t.now.mono);
  notary_.Tick(t.now, mesh_.scope(), Fellows());
}

void Control::OnHeads(Turn& t, const Peer& peer, const frame::Message& m) {
  const auto key = peer.kid ? mesh_.KeyOf(*peer.kid) : std::nullopt;
  if (!key) return;
  const Fellow from{*peer.kid, *key};
  switch (m.kind) {
    case ControlKind::kAsk: {
      const auto log = Kid::From(m.body);
      if (!log) {
        Dropped(frame::Drop::kControlBody);
      } else if (*log == notary_.log()) {
        notary_.OnAsk(from, m.request);
      } else {
        cosigner_.OnAsk(from, m.request, *log);
      }
      break;
    }
    case ControlKind::kNote: {
      const auto log = letters_.Answered(m.request, from.kid);
      if (!log) {
        Dropped(frame::Drop::kUnasked);
      } else if (*log == notary_.log()) {
        notary_.OnNote(from, m.body);
      } else {
        cosigner_.OnNote(t.now, *log, m.body);
      }
      break;
    }
    case ControlKind::kCosign: {
      const auto d =
          cosigner_.OnCosign(t.now, mesh_.scope(), from, m, [this] { return Fellows(); });
      if (d != frame::Drop::kNone) Dropped(d);
      break;
    }
    default: notary_.OnCosigned(t.now, from, m.request, m.body);
  }
}

// What the two halves want done, at the end of each round of a turn.
void Control::SettleHeads(Turn& t) {
  if (notary_.fresh()) notary_.Gather(t.now, Fellows());
  for (const Letter& letter : letters_.Take()) {
    for (const auto& [id, peer] : peers_) {
      if (peer.kid == letter.to && peer.speaks())
        SendControl(t, peer, letter.kind, letter.body, letter.request);
    }
  }
  for (WitnessAsk& ask : notary_.witnesses().TakeAsks()) t.out.asks.push_back(std::move(ask));
  for (const PublicWitnesses::News& news : notary_.witnesses().TakeNews()) {
    const auto kind = news.trouble.empty() ? Event::Kind::kWitnessed : Event::Kind::kUnwitnessed;
    Say(t, kind, mesh_.kid(), news.name, news.trouble);
  }
  for (const Cosigner::Fork& fork : cosigner_.TakeForks()) NoteFork(t, fork);
  for (const auto& [member, head] : cosigner_.TakeFresh()) {
    trust_.Note({.subject = member, .event = trust::Event::kCheckpointFresh, .evidence = head},
                t.now);
  }
  if (auto beyond = notary_.TakeBeyond()) {
    Say(t,
        Event::Kind::kLogBehind,
        mesh_.kid(),
        config_.name,
        Join("others hold its head of ", beyond->checkpoint.size, " records"));
    beyond_ = std::move(beyond);
  }
}

void Control::OnWitnessReply(Now now, const WitnessReply& reply, Outbox& out) {
  Turn t{now, out};
  notary_.OnWitnessReply(now, reply);
  EndTurn(t);
}

// The two heads convict the log by themselves; what follows for its owner is a person's to say.
void Control::NoteFork(Turn& t, const Cosigner::Fork& fork) {
  for (const tlog::SignedCheckpoint& head : fork.heads) {
    recorder_.PutObject(
        lineage::Shelf::kNote, tlog::NoteOid(head.note.text), AsBytes(head.note.Text()));
  }
  // Whose log it is, for who has to believe it elsewhere.
  if (const auto keybind = authority::Signed::Parse(fork.keybind); keybind.ok())
    recorder_.PutObject(lineage::Shelf::kInputs, keybind->oid(), keybind->bytes());
  authority::Observe o;
  o.kind = authority::RecordKind::kEscalated;
  o.scope = mesh_.scope();
  o.subject = fork.owner;
  o.evidence = Digest{tlog::NoteOid(fork.heads[1].note.text).bytes};
  o.intent_gen = fork.heads[1].checkpoint.size;
  o.reason = static_cast<uint16_t>(authority::Reason::kEquivocation);
  recorder_.Record(std::move(o), t.now.wall);
  OpenItem(t, fork.owner, authority::Cause::kCrypto, {.reason = authority::Reason::kEquivocation});
  Say(t,
      Event::Kind::kForked,
      fork.owner,
      "",
      Join("its log ",
           ToHex(fork.log).substr(0, 8),
           " signed two heads of ",
           fork.heads[0].checkpoint.size,
           " records"));
}

// What is in effect already, for a log that must stand by itself: in the order in which it came.
void Control::RecordRestrictions(Turn& t) {
  std::vector<SignedPtr> all = mesh_.restrictions().Beyond({}, SIZE_MAX);
  std::ranges::sort(all, {}, [this](const SignedPtr& s) {
    return std::pair(mesh_.HeldBefore(s->oid()), s->oid());
  });
  for (const SignedPtr& s : all) RecordRestriction(t, s);
}

absl::Status Control::BeginLog(Now now, const crypto::Ed25519Seed& log, Outbox& out) {
  if (!beyond_) return FailedPrecondition("this log is not behind any head that others hold");
  const uint64_t had = recorder_.chain().next();
  const bool was_up = up_;
  SetUp(now, false, out);
  Turn t{now, out};
  const Kid kid = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(log));
  recorder_.BeginLog(kid, out.commits);
  notary_.BeginLog(log, *std::exchange(beyond_, std::nullopt), had, now);
  cosigner_.OnRolledBack();
  RecordRestrictions(t);
  recorder_.WhenDurable(
      [this, kid] { Say(*turn_, Event::Kind::kLogBegun, mesh_.kid(), config_.name, ToHex(kid)); });
  EndTurn(t);
  SetUp(now, was_up, out);
  return absl::OkStatus();
}

}  // namespace aqmesh::node
