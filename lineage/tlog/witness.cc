#include "lineage/tlog/witness.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/tlog/text.h"

namespace aqmesh::tlog {

namespace {

WitnessAnswer Refusal(WitnessStatus status, std::string why) {
  WitnessAnswer answer{status};
  answer.why = std::move(why);
  return answer;
}

WitnessAnswer Conflict(uint64_t latest, uint64_t asked) {
  return {.status = WitnessStatus::kConflict,
          .body = Join(latest, "\n"),
          .content_type = "text/x.tlog.size",
          .why = Join("the last head cosigned has ", latest, " records, not ", asked)};
}

// Only what was verified is kept: what others appended may be large and is not ours to store.
void KeepLinesOf(std::span<const NoteKey> keys, Note& note) {
  std::erase_if(note.lines, [&](const NoteLine& line) {
    return std::ranges::none_of(
        keys, [&](const NoteKey& key) { return line.name == key.name && line.key_id == key.id(); });
  });
}

}  // namespace

std::string AddCheckpoint::Text() const {
  std::string out = Join("old ", old_size, "\n");
  for (const Digest& hash : proof) out += ToBase64(hash) + "\n";
  return Join(out, "\n", head.note.Text());
}

absl::StatusOr<AddCheckpoint> ParseAddCheckpoint(std::string_view body) {
  if (body.size() > kRequestBytesMax)
    return InvalidArgument("a request of ", body.size(), " bytes is too large");
  AddCheckpoint request;
  auto line = TakeLine(body);
  const auto old = line && line->starts_with("old ") ? ParseDecimal(line->substr(4)) : std::nullopt;
  if (!old) return InvalidArgument("line 1 of a request is \"old N\"");
  request.old_size = *old;
  for (line = TakeLine(body); line && !line->empty(); line = TakeLine(body)) {
    const auto hash = ParseHash(*line);
    if (!hash) return InvalidArgument("hash ", request.proof.size() + 1, " of the request is none");
    if (request.proof.size() == kProofHashesMax)
      return InvalidArgument("a request has at most ", kProofHashesMax, " hashes");
    request.proof.push_back(*hash);
  }
  if (!line) return InvalidArgument("the request has no empty line before its checkpoint");
  AQ_ASSIGN_OR_RETURN(request.head, ParseCheckpoint(body));
  return request;
}

Bytes Witnessed::Encode() const {
  Bytes out;
  AppendBe(out, time);
  Append(out, AsBytes(head.note.Text()));
  return out;
}

absl::StatusOr<Witnessed> Witnessed::Parse(ByteView bytes) {
  if (bytes.size() < 8) return DataLoss("a witnessed head has ", bytes.size(), " bytes");
  Witnessed out;
  out.time = LoadBe<uint64_t>(bytes.data());
  auto head = ParseCheckpoint(AsText(bytes.subspan(8)));
  if (!head.ok()) return DataLoss("a witnessed head: ", Text(head.status()));
  if (out.time == 0 || out.time > kTreeSizeMax) return DataLoss("a witnessed head has no time");
  out.head = *std::move(head);
  return out;
}

Witness::Witness(const NoteSigner& signer) : signer_(signer) {
  AQ_CHECK(signer.key().type == KeyType::kCosignature);
}

absl::Status Witness::Trust(const std::string& origin, std::vector<NoteKey> keys) {
  if (keys.size() > kKeysMax) return InvalidArgument("a log has at most ", kKeysMax, " keys");
  for (const NoteKey& key : keys) {
    if (key.type != KeyType::kEd25519)
      return InvalidArgument("a log signs its heads with a key of type 1, not ", key.Vkey());
  }
  if (!logs_.contains(origin) && logs_.size() == kOriginsMax)
    return ResourceExhausted("this witness knows ", kOriginsMax, " logs already");
  logs_[origin].keys = std::move(keys);
  return absl::OkStatus();
}

absl::Status Witness::Restore(Witnessed last) {
  const std::string& origin = last.head.checkpoint.origin;
  const auto held = logs_.find(origin);
  if (held == logs_.end() && logs_.size() == kOriginsMax)
    return ResourceExhausted("this witness knows ", kOriginsMax, " logs already");
  if (held != logs_.end() && held->second.last &&
      held->second.last->head.checkpoint.size > last.head.checkpoint.size) {
    return DataLoss("the stored head of ", origin, " is older than the one that was cosigned");
  }
  Log& log = logs_[origin];
  log.released = last;
  log.last = std::move(last);
  return absl::OkStatus();
}

// The checks of add-checkpoint behind the signature, in its order.
std::optional<WitnessAnswer> Witness::Refuse(const AddCheckpoint& request, const Log& log) const {
  const Checkpoint& head = request.head.checkpoint;
  const uint64_t latest = log.last ? log.last->head.checkpoint.size : 0;
  const Digest latest_root = log.last ? log.last->head.checkpoint.root : EmptyRoot();
  if (request.old_size > head.size)
    return Refusal(WitnessStatus::kMalformed, "the old size is above the new one");
  if (request.old_size != latest) return Conflict(latest, request.old_size);
  if (head.size == 0 && head.root != EmptyRoot())
    return Refusal(WitnessStatus::kRefused, "an empty log has another root");
  if (request.old_size == 0) {
    if (!request.proof.empty())
      return Refusal(WitnessStatus::kRefused, "there is nothing to prove from an empty log");
    return std::nullopt;
  }
  const auto ok =
      VerifyConsistency(request.old_size, latest_root, head.size, head.root, request.proof);
  if (!ok.ok()) return Refusal(WitnessStatus::kRefused, Text(ok));
  return std::nullopt;
}

std::variant<WitnessAnswer, Witness::Grant> Witness::Judge(std::string_view body, WallTime now) {
  auto request = ParseAddCheckpoint(body);
  if (!request.ok()) return Refusal(WitnessStatus::kMalformed, Text(request.status()));
  const Checkpoint& head = request->head.checkpoint;
  const auto found = logs_.find(head.origin);
  if (found == logs_.end() || found->second.keys.empty())
    return Refusal(WitnessStatus::kUnknownOrigin, "this log is not known here");
  Log& log = found->second;
  if (const auto signers = VerifyNote(request->head.note, log.keys); !signers.ok())
    return Refusal(WitnessStatus::kNotSigned, Text(signers.status()));
  KeepLinesOf(log.keys, request->head.note);

  std::optional<WitnessAnswer> refusal = Refuse(*request, log);
  if (!refusal && now.seconds() == 0)
    refusal = Refusal(WitnessStatus::kNoClock, "this machine has no time");
  if (refusal) {
    // Whatever the answer is: two heads of one size under its signature convict the log.
    if (log.last && log.last->head.checkpoint.size == head.size &&
        log.last->head.checkpoint.root != head.root) {
      refusal->equivocation = {log.last->head, request->head};
    }
    return *std::move(refusal);
  }
  log.last = Witnessed{now.seconds(), std::move(request->head)};
  return Grant(*log.last);
}

WitnessAnswer Witness::Release(Grant grant) {
  const NoteLine line = signer_.Sign(grant.last_.head.note.text, grant.last_.time);
  // Grants are released in the order in which the disk confirms them.
  std::optional<Witnessed>& shown = logs_[grant.origin()].released;
  if (!shown || shown->head.checkpoint.size <= grant.last_.head.checkpoint.size)
    shown = std::move(grant.last_);
  return {.status = WitnessStatus::kCosigned, .body = line.Text()};
}

std::optional<SignedCheckpoint> Witness::Latest(const std::string& origin) const {
  const auto found = logs_.find(origin);
  if (found == logs_.end() || !found->second.released) return std::nullopt;
  SignedCheckpoint head = found->second.released->head;
  head.note.lines.push_back(signer_.Sign(head.note.text, found->second.released->time));
  return head;
}

}  // namespace aqmesh::tlog
