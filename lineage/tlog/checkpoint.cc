#include "lineage/tlog/checkpoint.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/tlog/text.h"

namespace aqmesh::tlog {

namespace {
constexpr std::string_view kProofHeader = "c2sp.org/tlog-proof@v1";
constexpr size_t kExtraBytesMax = 16'384;
}  // namespace

std::string Checkpoint::Text() const {
  std::string out = Join(origin, "\n", size, "\n", ToBase64(root), "\n");
  for (const std::string& line : extensions) out.append(line).append("\n");
  return out;
}

absl::StatusOr<Checkpoint> ParseCheckpointText(std::string_view text) {
  if (!IsNoteText(text))
    return InvalidArgument("the checkpoint is not UTF-8, or has a control character");
  Checkpoint c;
  const auto origin = TakeLine(text);
  if (!origin || origin->empty()) return InvalidArgument("line 1 of a checkpoint is its origin");
  if (origin->size() > kNameBytesMax)
    return InvalidArgument("an origin has at most ", kNameBytesMax, " bytes");
  c.origin = *origin;
  const auto size = TakeLine(text);
  const auto number = size ? ParseDecimal(*size) : std::nullopt;
  if (!number) return InvalidArgument("line 2 of a checkpoint is its size in decimal");
  c.size = *number;
  const auto root = TakeLine(text);
  const auto hash = root ? ParseHash(*root) : std::nullopt;
  if (!hash) return InvalidArgument("line 3 of a checkpoint is its root hash in base64");
  c.root = *hash;
  while (!text.empty()) {
    const auto line = TakeLine(text);
    if (!line || line->empty())
      return InvalidArgument("line ", c.extensions.size() + 4, " of a checkpoint is empty");
    if (c.extensions.size() == kExtensionsMax)
      return InvalidArgument("a checkpoint has at most ", kExtensionsMax, " further lines");
    c.extensions.emplace_back(*line);
  }
  return c;
}

absl::StatusOr<SignedCheckpoint> ParseCheckpoint(std::string_view bytes) {
  SignedCheckpoint out;
  AQ_ASSIGN_OR_RETURN(out.note, ParseNote(bytes));
  AQ_ASSIGN_OR_RETURN(out.checkpoint, ParseCheckpointText(out.note.text));
  return out;
}

SignedCheckpoint SignCheckpoint(Checkpoint checkpoint, const NoteSigner& log) {
  AQ_CHECK(log.key().name == checkpoint.origin);
  AQ_CHECK(log.key().type == KeyType::kEd25519);
  SignedCheckpoint out{std::move(checkpoint), {}};
  out.note.text = out.checkpoint.Text();
  out.note.lines.push_back(log.Sign(out.note.text, 0));
  return out;
}

absl::StatusOr<size_t> TakeCosignatures(std::string_view answer,
                                        std::span<const NoteKey> cosigners,
                                        SignedCheckpoint& into) {
  AQ_ASSIGN_OR_RETURN(const std::vector<NoteLine> lines, ParseNoteLines(answer));
  std::vector<NoteLine> good;
  for (const NoteKey& key : cosigners) {
    if (key.type != KeyType::kCosignature) continue;
    const uint32_t id = key.id();
    const auto is_its = [&](const NoteLine& line) {
      return line.name == key.name && line.key_id == id;
    };
    const auto line = std::ranges::find_if(lines, is_its);
    if (line == lines.end() || std::ranges::any_of(into.note.lines, is_its)) continue;
    AQ_ASSIGN_OR_RETURN(const uint64_t time, VerifyLine(key, into.note.text, *line));
    if (time == 0) return Unauthenticated("the cosignature of ", key.name, " has no time");
    good.push_back(*line);
  }
  if (into.note.lines.size() + good.size() > kNoteLinesMax)
    return ResourceExhausted("a note has at most ", kNoteLinesMax, " signature lines");
  into.note.lines.insert(into.note.lines.end(), good.begin(), good.end());
  return good.size();
}

Oid NoteOid(std::string_view text) {
  return {crypto::Blake2bPersonal("aqmesh-note-v1", {AsBytes(text)})};
}

std::string LogProof::Text() const {
  std::string out = Join(kProofHeader, "\n");
  if (!extra.empty()) out += Join("extra ", ToBase64(extra), "\n");
  out += Join("index ", index, "\n");
  for (const Digest& hash : hashes) out += ToBase64(hash) + "\n";
  return Join(out, "\n", head.note.Text());
}

absl::StatusOr<LogProof> ParseLogProof(std::string_view bytes) {
  LogProof proof;
  if (TakeLine(bytes) != kProofHeader)
    return InvalidArgument("line 1 of a proof is ", kProofHeader);
  auto line = TakeLine(bytes);
  if (line && line->starts_with("extra ")) {
    const auto extra = FromBase64(line->substr(6));
    if (!extra || extra->empty() || extra->size() > kExtraBytesMax)
      return InvalidArgument("the proof's line extra is not base64");
    proof.extra = *extra;
    line = TakeLine(bytes);
  }
  const auto index =
      line && line->starts_with("index ") ? ParseDecimal(line->substr(6)) : std::nullopt;
  if (!index) return InvalidArgument("a proof's index is a line \"index N\"");
  proof.index = *index;
  for (line = TakeLine(bytes); line && !line->empty(); line = TakeLine(bytes)) {
    const auto hash = ParseHash(*line);
    if (!hash) return InvalidArgument("hash ", proof.hashes.size() + 1, " of the proof is none");
    if (proof.hashes.size() == kProofHashesMax)
      return InvalidArgument("a proof has at most ", kProofHashesMax, " hashes");
    proof.hashes.push_back(*hash);
  }
  if (!line) return InvalidArgument("the proof has no empty line before its checkpoint");
  AQ_ASSIGN_OR_RETURN(proof.head, ParseCheckpoint(bytes));
  return proof;
}

absl::Status VerifyPath(const LogProof& proof, const Digest& leaf) {
  const Checkpoint& head = proof.head.checkpoint;
  return VerifyInclusion(leaf, proof.index, head.size, proof.hashes, head.root);
}

}  // namespace aqmesh::tlog
