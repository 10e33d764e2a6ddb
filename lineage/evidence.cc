#include "lineage/evidence.h"

#include <algorithm>

#include "core/authority/codec.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/heads.h"
#include "lineage/inputs.h"
#include "lineage/tlog/text.h"

namespace aqmesh::lineage {

namespace {

constexpr std::string_view kHeader = "aqmesh/1/evidence";

struct ShelfName {
  Shelf shelf;
  std::string_view word;
};
constexpr ShelfName kShelfNames[] = {{Shelf::kSigned, "signed"},
                                     {Shelf::kInputs, "inputs"},
                                     {Shelf::kProof, "proof"},
                                     {Shelf::kNote, "note"},
                                     {Shelf::kPolicy, "policy"},
                                     {Shelf::kContent, "opening"}};

std::string_view WordOf(Shelf shelf) {
  return std::ranges::find(kShelfNames, shelf, &ShelfName::shelf)->word;
}

// "word base64" of not nothing.
std::optional<std::pair<std::string_view, Bytes>> ParseItem(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  auto bytes = FromBase64(line.substr(space + 1));
  if (!bytes || bytes->empty()) return std::nullopt;
  return std::pair(line.substr(0, space), *std::move(bytes));
}

// In the order of the commitments, each at most once.
absl::StatusOr<Content> CheckOpenings(const Evidence& evidence, const authority::Observe& record) {
  Content out{.state = record.commits.empty() ? Content::State::kNone : Content::State::kClosed};
  auto commit = record.commits.begin();
  for (const Cited& cited : evidence.cited) {
    if (cited.shelf != Shelf::kContent) continue;
    commit = std::find_if(
        commit, record.commits.end(), [&cited](const Digest& d) { return Opens(d, cited.bytes); });
    if (commit == record.commits.end())
      return DataLoss("an opening in the file is not of what the record commits to");
    ++commit;
    out.state = Content::State::kOpen;
    out.values.push_back(ValueOfOpening(cited.bytes));
    out.openings.push_back(cited.bytes);
  }
  AQ_RETURN_IF_ERROR(AttemptsIn(out).status());
  return out;
}

absl::Status CheckCited(const Evidence& evidence, const authority::Observe& record) {
  std::optional<Digest> policy;  // that the inputs name
  for (const Cited& cited : evidence.cited) {
    if (cited.shelf != Shelf::kInputs) continue;
    if (InputsId(cited.bytes) != record.inputs)
      return DataLoss("the inputs in the file are not those that the record names");
    AQ_ASSIGN_OR_RETURN(const Inputs inputs, ParseInputs(cited.bytes));
    policy = inputs.policy;
  }
  for (const Cited& cited : evidence.cited) {
    if (cited.shelf == Shelf::kPolicy && (!policy || crypto::H256({cited.bytes}) != policy->bytes))
      return DataLoss("the policy in the file is not the one that the inputs name");
  }
  return absl::OkStatus();
}

}  // namespace

std::string Evidence::Text() const {
  std::string out = Join(kHeader, "\nrecord ", ToBase64(record), "\n");
  for (const Cited& c : cited) out += Join(WordOf(c.shelf), " ", ToBase64(c.bytes), "\n");
  return Join(out, "\n", proof.Text());
}

absl::StatusOr<Evidence> ParseEvidence(std::string_view text) {
  if (text.size() > kEvidenceBytesMax)
    return InvalidArgument("evidence of ", text.size(), " bytes is too large");
  if (tlog::TakeLine(text) != kHeader)
    return InvalidArgument("line 1 of an evidence file is ", kHeader);
  auto line = tlog::TakeLine(text);
  auto item = line ? ParseItem(*line) : std::nullopt;
  if (!item || item->first != "record" || item->second.size() > kRecordBytesMax)
    return InvalidArgument("line 2 of an evidence file is \"record BASE64\"");
  Evidence evidence;
  evidence.record = std::move(item->second);
  for (line = tlog::TakeLine(text); line && !line->empty(); line = tlog::TakeLine(text)) {
    item = ParseItem(*line);
    const auto name = item ? std::ranges::find(kShelfNames, item->first, &ShelfName::word)
                           : std::end(kShelfNames);
    const size_t number = evidence.cited.size() + 3;
    if (name == std::end(kShelfNames) || item->second.size() > kStoredObjectBytesMax)
      return InvalidArgument("line ", number, " of the evidence cites nothing that is known here");
    if (evidence.cited.size() == kCitedMax)
      return InvalidArgument("an evidence file cites at most ", kCitedMax, " things");
    evidence.cited.push_back({name->shelf, std::move(item->second)});
  }
  if (!line) return InvalidArgument("the evidence has no empty line before its proof");
  AQ_ASSIGN_OR_RETURN(evidence.proof, tlog::ParseLogProof(text));
  return evidence;
}

absl::StatusOr<Proven> CheckEvidence(const Evidence& evidence,
                                     const Ed25519Key& log,
                                     std::span<const tlog::NoteKey> cosigners) {
  Proven out;
  AQ_ASSIGN_OR_RETURN(out.record, authority::ParseBody<authority::Observe>(evidence.record));
  out.leaf = tlog::LeafHash(evidence.record);
  const tlog::NoteKey log_key = LogNoteKey(log);
  if (LogOrigin(out.record.log) != log_key.name)
    return Unauthenticated("the record is of another log than ", log_key.name);
  if (out.record.seq != evidence.proof.index) {
    return Unauthenticated(
        "the proof is of record ", evidence.proof.index, ", the record says ", out.record.seq);
  }
  const tlog::SignedCheckpoint& head = evidence.proof.head;
  if (head.checkpoint.origin != log_key.name)
    return Unauthenticated("the head is of another log: ", head.checkpoint.origin);
  std::vector<tlog::NoteKey> known{log_key};
  known.insert(known.end(), cosigners.begin(), cosigners.end());
  AQ_ASSIGN_OR_RETURN(const std::vector<tlog::Signer> signers, tlog::VerifyNote(head.note, known));
  if (signers.front().key != 0) return Unauthenticated("the log itself has not signed the head");
  for (const tlog::Signer& s : std::span(signers).subspan(1))
    out.cosigned.push_back({s.key - 1, s.time});
  AQ_RETURN_IF_ERROR(tlog::VerifyPath(evidence.proof, out.leaf));
  AQ_RETURN_IF_ERROR(CheckCited(evidence, out.record));
  AQ_ASSIGN_OR_RETURN(out.content, CheckOpenings(evidence, out.record));
  return out;
}

}  // namespace aqmesh::lineage
