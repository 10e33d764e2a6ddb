#include "node/heads/cosigner.h"

#include <algorithm>

#include "core/authority/chain.h"
#include "core/authority/signed.h"
#include "core/base/status.h"

namespace aqmesh::node {

using ControlKind = frame::Control;
using frame::Drop;
using tlog::WitnessStatus;

namespace {

constexpr std::string_view kWitnessFamily = "witness/", kHeardFamily = "heard/",
                           kRolledBack = "rolled-back";

Bytes OwnedRecord(const Kid& owner, ByteView record) {
  Bytes out(owner.bytes.begin(), owner.bytes.end());
  Append(out, record);
  return out;
}

std::optional<Kid> KidIn(std::string_view name, std::string_view family) {
  if (!name.starts_with(family)) return std::nullopt;
  const auto bytes = FromHex(name.substr(family.size()));
  return bytes ? Kid::From(*bytes) : std::nullopt;
}

}  // namespace

Cosigner::Cosigner(const crypto::Ed25519Seed& identity, Recorder& recorder, Letters& letters)
    : signer_(lineage::CosignerSigner(identity)),
      witness_(signer_),
      recorder_(recorder),
      letters_(letters),
      pieces_({.objects_max = 64, .bytes_max = size_t{256} << 10, .peer_bytes_max = 16'384}) {}

void Cosigner::Load(std::string_view name, ByteView value) {
  if (name == kRolledBack) rolled_back_ = true;
  if (const auto heard = KidIn(name, kHeardFamily)) heard_.insert(*heard);
  const auto log = KidIn(name, kWitnessFamily);
  if (!log || value.size() < Kid::kSize) return;
  auto last = tlog::Witnessed::Parse(value.subspan(Kid::kSize));
  // A head that cannot be read means that this log is cosigned no more: its first request would
  // start from nothing, so it is as if we had been rolled back.
  if (!last.ok() || !witness_.Restore(*std::move(last)).ok()) {
    rolled_back_ = true;
    return;
  }
  owners_[*log] = *Kid::From(value.first(Kid::kSize));
}

void Cosigner::OnRolledBack() {
  rolled_back_ = true;
  recorder_.PutState(std::string(kRolledBack), Bytes{1});
  for (const Kid& log : std::exchange(heard_, {}))
    recorder_.DeleteState(Join(kHeardFamily, ToHex(log)));
}

Drop Cosigner::OnCosign(Now now,
                        const ScopeId& scope,
                        const Fellow& from,
                        const frame::Message& piece,
                        Fellows fellows) {
  frame::Piece p;
  if (const Drop d = frame::ParseObjectPiece(piece.body, p); d != Drop::kNone) return d;
  std::optional<Bytes> whole;
  const auto key = *frame::ObjectAssembler::PeerKey::From(from.kid.view());
  if (const Drop d = pieces_.Add(now.mono, key, p, whole); d != Drop::kNone) return d;
  if (!whole) return Drop::kNone;
  const auto request = frame::ParseCosign(*whole);
  if (!request || frame::CosignRef(*whole) != p.ref) return Drop::kControlBody;
  if (!WithinRate(now.mono, from.kid)) return Drop::kSourceRate;
  const auto bound = BoundKey(now, scope, from, request->keybind);
  if (!bound) {
    Answer(from.kid, piece.request, {.status = WitnessStatus::kNotSigned});
    return Drop::kNone;
  }
  const Kid log = authority::KidOf(authority::Suite::kEd25519, *bound);
  const bool known = MayKnow(from.kid, log) &&
                     witness_.Trust(lineage::LogOrigin(log), {lineage::LogNoteKey(*bound)}).ok();
  if (!known) {
    Answer(from.kid, piece.request, {.status = WitnessStatus::kUnknownOrigin});
    return Drop::kNone;
  }
  keys_[log] = *bound;
  if (recorder_.Full() || !Heard(now, from, log, fellows)) {
    Answer(from.kid, piece.request, {.status = WitnessStatus::kNoClock});
    return Drop::kNone;
  }
  Judge(now, from, piece.request, log, *request);
  return Drop::kNone;
}

std::optional<Ed25519Key> Cosigner::BoundKey(Now now,
                                             const ScopeId& scope,
                                             const Fellow& from,
                                             ByteView keybind) const {
  const auto object = authority::Signed::Parse(keybind);
  if (!object.ok() || object->ctx() != authority::Ctx::kKeybind || object->kid() != from.kid)
    return std::nullopt;
  const auto body = authority::ParseBody<authority::Keybind>(object->body());
  if (!body.ok() || body->kind != 2 || body->suite != authority::Suite::kEd25519 ||
      body->scope != scope)
    return std::nullopt;
  const uint64_t seconds = now.wall.seconds();
  if (authority::NotYet(body->not_before, seconds) ||
      authority::Lapsed(body->not_before, body->ttl, seconds) ||
      !authority::VerifySignature(*object, from.key))
    return std::nullopt;
  return Ed25519Key{body->key.bytes};
}

bool Cosigner::WithinRate(Instant now, const Kid& member) {
  Instant& until = paid_until_[member];
  until = std::max(until, now);
  if (until - now > (kBurst - 1) * kEvery) return false;
  until += kEvery;
  return true;
}

bool Cosigner::MayKnow(const Kid& owner, const Kid& log) {
  const auto it = owners_.find(log);
  if (it != owners_.end()) return it->second == owner;
  const auto mine =
      std::ranges::count_if(owners_, [&](const auto& entry) { return entry.second == owner; });
  if (static_cast<size_t>(mine) >= kLogsEachMax || owners_.size() >= tlog::Witness::kOriginsMax)
    return false;
  owners_[log] = owner;
  return true;
}

// After a rollback: not before another member has told what it knows of that log. With nobody else
// there, there is nobody to show another history to.
bool Cosigner::Heard(Now now, const Fellow& from, const Kid& log, Fellows fellows) {
  if (!rolled_back_ || heard_.contains(log)) return true;
  bool others = false;
  for (const Fellow& f : fellows()) {
    if (f.kid == from.kid) continue;
    others = true;
    if (!letters_.Asked(f.kid, log, now.mono - kPatience)) letters_.Ask(f.kid, log, now.mono);
  }
  return !others;
}

void Cosigner::OnNote(Now now, const Kid& log, ByteView note) {
  const auto key = keys_.find(log);
  if (!rolled_back_ || key == keys_.end()) return;
  if (!note.empty()) {
    auto head = tlog::ParseCheckpoint(AsText(note));
    const tlog::NoteKey trusted = lineage::LogNoteKey(key->second);
    if (!head.ok() || head->checkpoint.origin != trusted.name ||
        !tlog::VerifyNote(head->note, {&trusted, 1}).ok() || now.wall.seconds() == 0)
      return;  // no answer
    // Older than ours is refused, and ours stands.
    tlog::Witnessed newest{now.wall.seconds(), *std::move(head)};
    std::erase_if(newest.head.note.lines,
                  [&](const tlog::NoteLine& l) { return l.name != trusted.name; });
    const Bytes record = newest.Encode();
    if (witness_.Restore(std::move(newest)).ok())
      recorder_.PutState(Join(kWitnessFamily, ToHex(log)), OwnedRecord(owners_[log], record));
  }
  heard_.insert(log);
  recorder_.PutState(Join(kHeardFamily, ToHex(log)), Bytes{1});
}

void Cosigner::Judge(Now now,
                     const Fellow& from,
                     uint32_t request,
                     const Kid& log,
                     const frame::CosignRequest& cosign) {
  // Its own log and no other: what is refused here would otherwise have moved on for that one.
  if (const auto add = tlog::ParseAddCheckpoint(cosign.request);
      add.ok() && add->head.checkpoint.origin != lineage::LogOrigin(log)) {
    Answer(from.kid, request, {.status = WitnessStatus::kUnknownOrigin});
    return;
  }
  auto judged = witness_.Judge(cosign.request, now.wall);
  if (auto* answer = std::get_if<tlog::WitnessAnswer>(&judged)) {
    if (answer->equivocation) {
      forks_.push_back({from.kid,
                        log,
                        Bytes(cosign.keybind.begin(), cosign.keybind.end()),
                        *answer->equivocation});
    }
    Answer(from.kid, request, *answer);
    return;
  }
  auto& grant = std::get<tlog::Witness::Grant>(judged);
  recorder_.PutState(Join(kWitnessFamily, ToHex(log)), OwnedRecord(from.kid, grant.record()));
  fresh_.emplace_back(from.kid, Digest{tlog::NoteOid(grant.head().note.text).bytes});
  recorder_.WhenDurable([this, to = from.kid, request, g = std::move(grant)]() mutable {
    Answer(to, request, witness_.Release(std::move(g)));
  });
}

void Cosigner::Answer(const Kid& to, uint32_t request, const tlog::WitnessAnswer& answer) {
  letters_.Send({to,
                 ControlKind::kCosigned,
                 request,
                 frame::EncodeCosigned(static_cast<uint16_t>(answer.status), answer.body)});
}

void Cosigner::OnAsk(const Fellow& from, uint32_t request, const Kid& log) {
  std::string note;
  if (const auto head = witness_.Latest(lineage::LogOrigin(log))) note = head->note.Text();
  if (note.size() > frame::kMessageBodyMax) note.clear();
  letters_.Send({from.kid, ControlKind::kNote, request, Bytes(note.begin(), note.end())});
}

}  // namespace aqmesh::node
