#include "lineage/heads.h"

#include <algorithm>

#include "core/authority/signed.h"
#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::lineage {

namespace {

constexpr std::string_view kLogPrefix = "aqmesh/1/log/";
constexpr std::string_view kCosignerPrefix = "aqmesh/1/";

Kid KidOf(const Ed25519Key& key) { return authority::KidOf(authority::Suite::kEd25519, key); }

}  // namespace

std::string LogOrigin(const Kid& log) { return Join(kLogPrefix, ToHex(log)); }

std::optional<Kid> LogOfOrigin(std::string_view origin) {
  if (!origin.starts_with(kLogPrefix)) return std::nullopt;
  const auto bytes = FromHex(origin.substr(kLogPrefix.size()));
  const auto log = bytes ? Kid::From(*bytes) : std::nullopt;
  return log && LogOrigin(*log) == origin ? log : std::nullopt;
}

std::string CosignerName(const Kid& cosigner) { return Join(kCosignerPrefix, ToHex(cosigner)); }

std::optional<Kid> CosignerOfName(std::string_view name) {
  if (!name.starts_with(kCosignerPrefix)) return std::nullopt;
  const auto bytes = FromHex(name.substr(kCosignerPrefix.size()));
  const auto kid = bytes ? Kid::From(*bytes) : std::nullopt;
  return kid && CosignerName(*kid) == name ? kid : std::nullopt;
}

tlog::NoteKey LogNoteKey(const Ed25519Key& log) {
  return {LogOrigin(KidOf(log)), tlog::KeyType::kEd25519, log};
}

tlog::NoteKey CosignerNoteKey(const Ed25519Key& cosigner) {
  return {CosignerName(KidOf(cosigner)), tlog::KeyType::kCosignature, cosigner};
}

tlog::NoteSigner LogSigner(const crypto::Ed25519Seed& log) {
  const Kid kid = KidOf(crypto::Ed25519Public(log));
  return tlog::NoteSigner(LogOrigin(kid), tlog::KeyType::kEd25519, log);
}

tlog::NoteSigner CosignerSigner(const crypto::Ed25519Seed& identity) {
  const Kid kid = KidOf(crypto::Ed25519Public(identity));
  return tlog::NoteSigner(CosignerName(kid), tlog::KeyType::kCosignature, identity);
}

HeadPen::HeadPen(const tlog::NoteSigner& log, std::optional<tlog::Checkpoint> last, Instant start)
    : log_(log), last_(std::move(last)), last_at_(start) {
  AQ_CHECK(log.key().type == tlog::KeyType::kEd25519);
  AQ_CHECK(!last_ || last_->origin == log.key().name);
}

absl::StatusOr<tlog::Checkpoint> HeadPen::ParseState(ByteView value) {
  auto checkpoint = tlog::ParseCheckpointText(AsText(value));
  if (!checkpoint.ok()) return DataLoss("the stored head of this log: ", Text(checkpoint.status()));
  return checkpoint;
}

Bytes HeadPen::Draft::state() const {
  const std::string text = checkpoint_.Text();
  return Bytes(text.begin(), text.end());
}

Instant HeadPen::DueAt(uint64_t durable_records) const {
  const uint64_t signed_records = last_ ? last_->size : 0;
  if (durable_records <= signed_records) return kNever;
  return durable_records - signed_records >= kRecordsMax ? last_at_ : After(last_at_, kEvery);
}

absl::StatusOr<HeadPen::Draft> HeadPen::Begin(const tlog::Edge& durable, Instant now) {
  tlog::Checkpoint next{log_.key().name, durable.size(), durable.Root()};
  if (last_ && next.size < last_->size) {
    return FailedPrecondition(
        "the log has ", next.size, " records, its last head was of ", last_->size);
  }
  if (last_ && next.size == last_->size && next.root != last_->root) {
    return DataLoss("the log of ",
                    next.size,
                    " records has the root ",
                    ToHex(next.root),
                    ", its head of that size was of ",
                    ToHex(last_->root));
  }
  last_ = next;
  last_at_ = now;
  return Draft(std::move(next));
}

tlog::SignedCheckpoint HeadPen::Sign(Draft draft) const {
  return tlog::SignCheckpoint(std::move(draft.checkpoint_), log_);
}

StartCheck::StartCheck(tlog::NoteKey log, size_t peers)
    : log_(std::move(log)), wanted_(std::min(peers, kAnswersWanted)) {}

absl::StatusOr<StartCheck::Finding> StartCheck::OnAnswer(
    const Kid& peer,
    const std::optional<tlog::SignedCheckpoint>& newest,
    uint64_t own_records,
    RootAt root_at) {
  if (newest) {
    const tlog::Checkpoint& head = newest->checkpoint;
    if (head.origin != log_.name || !tlog::VerifyNote(newest->note, {&log_, 1}).ok())
      return finding();
    bool leads_there = head.size <= own_records;
    if (leads_there) {
      AQ_ASSIGN_OR_RETURN(const Digest own, root_at(head.size));
      leads_there = own == head.root;
    }
    if (!leads_there && (!beyond_ || beyond_->checkpoint.size < head.size)) beyond_ = newest;
  }
  // No more than is wanted, or a crowd that answers unasked would grow the set.
  if (answered_.size() < wanted_) answered_.insert(peer);
  return finding();
}

StartCheck::Finding StartCheck::finding() const {
  if (beyond_) return Finding::kNewLog;
  return answered_.size() < wanted_ ? Finding::kAsk : Finding::kGoOn;
}

authority::Observe LogRestart(const tlog::SignedCheckpoint& beyond, uint64_t own_records) {
  const auto old_log = LogOfOrigin(beyond.checkpoint.origin);
  AQ_CHECK(old_log.has_value());
  authority::Observe record;
  record.kind = authority::RecordKind::kLogRestart;
  record.subject = *old_log;
  record.evidence = Digest{tlog::NoteOid(beyond.note.text).bytes};
  record.intent_gen = beyond.checkpoint.size;
  record.observed_gen = own_records;
  return record;
}

}  // namespace aqmesh::lineage
