#include "node/heads/notary.h"

#include <algorithm>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "issuing/issue.h"
#include "lineage/tlog/text.h"
#include "lineage/tlog/witness.h"

namespace aqmesh::node {

using ControlKind = frame::Control;
using Finding = lineage::StartCheck::Finding;

namespace {

constexpr std::string_view kHeadName = "head";
constexpr size_t kFellowsKnownMax = 16'384;

Kid LogKid(const crypto::Ed25519Seed& log) {
  return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(log));
}
std::string KeybindName(const Kid& log) { return "keybind/" + ToHex(log); }

// Who is asked first: spread over the fellows, and the same from head to head.
std::vector<Kid> InOrder(const Kid& log, std::span<const Fellow> fellows) {
  std::vector<std::pair<std::array<uint8_t, 16>, Kid>> order;
  for (const Fellow& f : fellows)
    order.emplace_back(crypto::H128({log.view(), f.kid.view()}), f.kid);
  std::ranges::sort(order);
  std::vector<Kid> out;
  for (const auto& [hash, kid] : order) out.push_back(kid);
  return out;
}

}  // namespace

Notary::Notary(const Ties& ties,
               const crypto::Ed25519Seed& log,
               size_t peers,
               PublicWitnesses witnesses,
               Now start)
    : ties_(ties),
      identity_(ties.identity, *ties.seqs),
      log_(LogKid(log)),
      signer_(lineage::LogSigner(log)),
      started_(start.mono),
      witnesses_(std::move(witnesses)) {
  check_.emplace(signer_->key(), peers);
}

void Notary::Load(std::string_view name, ByteView value) {
  if (name == kHeadName) {
    auto last = lineage::HeadPen::ParseState(value);
    if (last.ok() && last->origin == signer_->key().name) {
      last_ = *std::move(last);
      bare_ = head_ = tlog::SignCheckpoint(*last_, *signer_);
      LoadNote();
    } else {
      trouble_ = last.ok() ? DataLoss("the stored head is of log ", last->origin) : last.status();
    }
  } else if (name == KeybindName(log_)) {
    auto object = authority::Signed::Parse(value);
    if (!object.ok()) return;
    auto body = authority::ParseBody<authority::Keybind>(object->body());
    if (body.ok())
      keybind_ = {std::make_shared<const authority::Signed>(*std::move(object)), *std::move(body)};
  }
}

// The cosignatures that were gathered in an earlier life.
void Notary::LoadNote() {
  if (ties_.store == nullptr) return;
  const auto kept = ties_.store->GetObject(lineage::Shelf::kNote, tlog::NoteOid(head_->note.text));
  if (!kept.ok() || !*kept) return;
  auto note = tlog::ParseCheckpoint(AsText(**kept));
  if (note.ok() && note->note.text == head_->note.text) head_ = *std::move(note);
}

void Notary::Tick(Now now, const ScopeId& scope, std::span<const Fellow> fellows) {
  if (ties_.store == nullptr || !trouble_.ok()) return;
  scope_ = scope;
  // The first head of a life is due at once: a start has written records of its own.
  if (!pen_)
    pen_.emplace(*signer_, std::exchange(last_, std::nullopt), now.mono - lineage::HeadPen::kEvery);
  EnsureKeybind(now, scope);
  AskAround(now, fellows);
  SignIfDue(now);
  Gather(now, fellows);
}

// So that others can tell whose log it is. Renewed at half of its time.
void Notary::EnsureKeybind(Now now, const ScopeId& scope) {
  const uint64_t seconds = now.wall.seconds();
  if (keybind_ && keybind_->body.scope == scope &&
      seconds < keybind_->body.not_before + keybind_->body.ttl / 2)
    return;
  auto made =
      issuing::MakeKeybind(identity_, scope, {.kind = 2, .key = signer_->key().key}, seconds);
  if (!made.ok()) return;  // the counter's file; the next tick tries again
  keybind_ = *std::move(made);
  const authority::Signed& object = *keybind_->envelope;
  ties_.recorder.PutObject(lineage::Shelf::kSigned, object.oid(), object.bytes());
  ties_.recorder.PutState(KeybindName(log_), object.bytes());
}

void Notary::AskAround(Now now, std::span<const Fellow> fellows) {
  if (check_->finding() != Finding::kAsk) return;
  if (now.mono - started_ >= kOneIsEnough) check_->SettleForOne();
  for (const Fellow& f : fellows) {
    if (!check_->HasAnswered(f.kid) && !ties_.letters.Asked(f.kid, log_, now.mono - kPatience))
      ties_.letters.Ask(f.kid, log_, now.mono);
  }
}

void Notary::OnNote(const Fellow& from, ByteView note) {
  if (ties_.store == nullptr) return;
  std::optional<tlog::SignedCheckpoint> newest;
  if (!note.empty()) {
    auto parsed = tlog::ParseCheckpoint(AsText(note));
    if (!parsed.ok()) return;  // no answer
    newest = *std::move(parsed);
  }
  const bool settled = check_->finding() == Finding::kNewLog;
  const auto root_at = [this](uint64_t size) -> absl::StatusOr<Digest> {
    AQ_ASSIGN_OR_RETURN(tlog::Prover prover, ties_.store->ProverAt(size));
    AQ_ASSIGN_OR_RETURN(const tlog::Edge edge, prover.EdgeAt(size));
    return edge.Root();
  };
  const auto found = check_->OnAnswer(from.kid, newest, ties_.store->size(), root_at);
  if (!found.ok()) {
    trouble_ = found.status();
  } else if (*found == Finding::kNewLog && !settled) {
    beyond_ = check_->beyond();
  }
}

std::optional<tlog::SignedCheckpoint> Notary::TakeBeyond() {
  return std::exchange(beyond_, std::nullopt);
}

void Notary::BeginLog(const crypto::Ed25519Seed& log,
                      const tlog::SignedCheckpoint& beyond,
                      uint64_t had,
                      Now now) {
  ++life_;
  pen_.reset();
  signer_.emplace(lineage::LogSigner(log));
  log_ = LogKid(log);
  check_.emplace(signer_->key(), 0);  // nobody can hold a head of a log that begins now
  pen_.emplace(*signer_, std::nullopt, now.mono - lineage::HeadPen::kEvery);
  keybind_.reset();
  last_.reset(), bare_.reset(), head_.reset();
  under_way_.clear(), cosigned_.clear(), refused_.clear(), tries_.clear(), known_.clear();
  witnesses_.Forget();
  drafting_ = false;
  trouble_ = absl::OkStatus();
  worth_ = 0;
  authority::Observe restart = lineage::LogRestart(beyond, had);
  restart.scope = scope_;
  ties_.recorder.PutObject(
      lineage::Shelf::kNote, tlog::NoteOid(beyond.note.text), AsBytes(beyond.note.Text()));
  ties_.recorder.Record(std::move(restart), now.wall);
  ties_.recorder.DeleteState(std::string(kHeadName));
  EnsureKeybind(now, scope_);
}

void Notary::SignIfDue(Now now) {
  if (drafting_ || !keybind_ || check_->finding() != Finding::kGoOn) return;
  // A CHECKPOINT record alone does not call for another checkpoint.
  const uint64_t last = pen_->last() ? pen_->last()->size : 0;
  if (now.mono < pen_->DueAt(last + ties_.recorder.worth() - worth_)) return;
  // Its records and its text are durable together, or not at all.
  auto draft = pen_->Begin(ties_.recorder.edge(), now.mono);
  if (!draft.ok()) {
    trouble_ = draft.status();
    return;
  }
  drafting_ = true;
  worth_ = ties_.recorder.worth();
  ties_.recorder.PutState(std::string(kHeadName), draft->state());
  ties_.recorder.WhenDurable(
      [this, life = life_, wall = now.wall, d = *std::move(draft)]() mutable {
        if (life != life_) return;
        drafting_ = false;
        bare_ = head_ = pen_->Sign(std::move(d));
        under_way_.clear(), cosigned_.clear(), refused_.clear(), tries_.clear();
        authority::Observe o;
        o.kind = authority::RecordKind::kCheckpoint;
        o.scope = scope_;
        o.evidence = Digest{tlog::NoteOid(head_->note.text).bytes};
        o.intent_gen = head_->checkpoint.size;
        ties_.recorder.Record(std::move(o), wall);
        KeepNote();
        fresh_ = true;
      });
}

// With what cosignatures there are; its oid is of the text alone.
void Notary::KeepNote() {
  ties_.recorder.PutObject(
      lineage::Shelf::kNote, tlog::NoteOid(head_->note.text), AsBytes(head_->note.Text()));
}

void Notary::Gather(Now now, std::span<const Fellow> fellows) {
  fresh_ = false;
  if (!bare_ || drafting_ || check_->finding() != Finding::kGoOn) return;
  GatherPublic(now);
  std::erase_if(under_way_, [&](const auto& u) { return now.mono - u.second.sent >= kPatience; });
  for (const Kid& kid : InOrder(log_, fellows)) {
    if (cosigned_.size() + under_way_.size() >= kCosignersWanted) return;
    if (cosigned_.contains(kid) || refused_.contains(kid) || under_way_.contains(kid)) continue;
    if (++tries_[kid] > kTriesMax) continue;
    Request(now, kid);
  }
}

void Notary::Request(Now now, const Kid& to) {
  const auto known = known_.find(to);
  tlog::AddCheckpoint add{known == known_.end() ? 0 : known->second, {}, *bare_};
  if (add.old_size != 0) {
    auto proof = ProveFrom(add.old_size);
    if (!proof.ok()) {
      trouble_ = proof.status();
      return;
    }
    add.proof = *std::move(proof);
  }
  const uint32_t request = ties_.letters.NewRequest();
  under_way_[to] = {request, add.old_size, now.mono};
  const Bytes whole = frame::EncodeCosign(keybind_->envelope->bytes(), add.Text());
  const Ref16 ref = frame::CosignRef(whole);
  for (size_t at = 0; at < whole.size(); at += frame::kObjectPiece)
    ties_.letters.Send(
        {to, ControlKind::kCosign, request, frame::EncodeObjectPiece(ref, whole, at)});
}

absl::StatusOr<tlog::Proof> Notary::ProveFrom(uint64_t old_size) const {
  AQ_ASSIGN_OR_RETURN(tlog::Prover prover, ties_.store->ProverAt(bare_->checkpoint.size));
  AQ_ASSIGN_OR_RETURN(auto proven, prover.Consistency(old_size));
  return std::move(proven.proof);
}

void Notary::GatherPublic(Now now) {
  witnesses_.Gather(
      now, *bare_, head_->note, [this](uint64_t old_size) { return ProveFrom(old_size); });
}

void Notary::OnWitnessReply(Now now, const WitnessReply& reply) {
  if (!head_) return;
  if (witnesses_.OnReply(now, reply, *head_)) KeepNote();
  if (!drafting_ && check_->finding() == Finding::kGoOn) GatherPublic(now);
}

void Notary::OnCosigned(Now now, const Fellow& from, uint32_t request, ByteView body) {
  const auto it = under_way_.find(from.kid);
  const auto answer = frame::ParseCosigned(body);
  if (it == under_way_.end() || it->second.request != request || !answer) return;
  const UnderWay asked = it->second;
  under_way_.erase(it);
  switch (static_cast<tlog::WitnessStatus>(answer->status)) {
    case tlog::WitnessStatus::kCosigned: {
      const tlog::NoteKey key = lineage::CosignerNoteKey(from.key);
      const auto taken = tlog::TakeCosignatures(answer->body, {&key, 1}, *head_);
      if (!taken.ok()) break;
      cosigned_.insert(from.kid);
      if (known_.size() < kFellowsKnownMax) known_[from.kid] = head_->checkpoint.size;
      KeepNote();
      return;
    }
    case tlog::WitnessStatus::kConflict: {
      std::string_view text = answer->body;
      if (!text.ends_with('\n')) break;
      text.remove_suffix(1);
      const auto size = tlog::ParseDecimal(text);
      if (!size || *size == asked.old_size) break;
      if (*size > bare_->checkpoint.size) {  // it holds more of our log than we have
        ties_.letters.Ask(from.kid, log_, now.mono);
        break;
      }
      if (known_.size() < kFellowsKnownMax) known_[from.kid] = *size;
      if (++tries_[from.kid] > kTriesMax) break;
      Request(now, from.kid);
      return;
    }
    case tlog::WitnessStatus::kNoClock: return;  // not now: the next tick tries again
    default: break;
  }
  refused_.insert(from.kid);
}

void Notary::OnAsk(const Fellow& from, uint32_t request) {
  const std::string note = bare_ ? bare_->note.Text() : "";
  ties_.letters.Send({from.kid, ControlKind::kNote, request, Bytes(note.begin(), note.end())});
}

}  // namespace aqmesh::node
