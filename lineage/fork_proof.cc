#include "lineage/fork_proof.h"

#include <algorithm>

#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/tlog/text.h"

namespace aqmesh::lineage {

namespace {

constexpr std::string_view kIdLabel = "aqmesh-prf-v1";

struct KindName {
  ForkKind kind;
  std::string_view word;
};
constexpr KindName kKinds[] = {{ForkKind::kStatements, "statements"},
                               {ForkKind::kVotes, "votes"},
                               {ForkKind::kHeads, "heads"},
                               {ForkKind::kHistory, "history"}};

// The lines of a file, one after the other; each error names its line.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  // The next line, if it is "WORD rest".
  std::optional<std::string_view> TakeAfter(std::string_view word) {
    std::string_view rest = text_;
    const auto line = tlog::TakeLine(rest);
    if (!line || !line->starts_with(word) || line->size() <= word.size() ||
        (*line)[word.size()] != ' ')
      return std::nullopt;
    text_ = rest;
    ++number_;
    return line->substr(word.size() + 1);
  }
  absl::StatusOr<Bytes> Take(std::string_view word, size_t bytes_max) {
    const auto rest = TakeAfter(word);
    auto bytes = rest ? FromBase64(*rest) : std::nullopt;
    if (!bytes || bytes->empty() || bytes->size() > bytes_max) return Wrong(Join(word, " BASE64"));
    return *std::move(bytes);
  }
  absl::Status Wrong(std::string_view wanted) const {
    return InvalidArgument("line ", number_ + 1, " of the file is no \"", wanted, "\"");
  }

 private:
  std::string_view text_;
  size_t number_ = 1;  // the header is read
};

bool IsOfHeads(ForkKind kind) { return kind == ForkKind::kHeads || kind == ForkKind::kHistory; }

absl::StatusOr<Digest> TakeHash(Lines& lines, std::string_view word) {
  const auto text = lines.TakeAfter(word);
  const auto hash = text ? tlog::ParseHash(*text) : std::nullopt;
  if (!hash) return lines.Wrong(Join(word, " BASE64"));
  return *hash;
}

// Whether the next line is of that word, and nothing taken.
bool Next(Lines lines, std::string_view word) { return lines.TakeAfter(word).has_value(); }

}  // namespace

std::string_view ForkKindName(ForkKind kind) {
  return std::ranges::find(kKinds, kind, &KindName::kind)->word;
}

std::string ForkProof::Text() const {
  std::string out = Join(kForkHeader,
                         "\nkind ",
                         ForkKindName(kind),
                         "\nfirst ",
                         ToBase64(two[0]),
                         "\nsecond ",
                         ToBase64(two[1]),
                         "\n");
  if (kind == ForkKind::kHistory) {
    out += Join("root ", ToBase64(root), "\n");
    for (const Digest& hash : hashes) out += Join("hash ", ToBase64(hash), "\n");
  }
  for (const Bytes& object : cited) out += Join("signed ", ToBase64(object), "\n");
  return out;
}

Digest ForkProof::Id() const {
  std::array<Bytes, 2> names;  // what each is cited by
  for (size_t i = 0; i < 2; ++i) {
    if (IsOfHeads(kind)) {
      const auto note = tlog::ParseNote(AsText(two[i]));
      const Oid oid = note.ok() ? tlog::NoteOid(note->text) : Oid{};
      Append(names[i], oid);
      continue;
    }
    const auto object = authority::Signed::Parse(two[i]);
    if (object.ok()) Append(names[i], object->oid());
    AppendLe(names[i], static_cast<uint16_t>(two[i].size()));
    Append(names[i], two[i]);
  }
  std::ranges::sort(names);
  Bytes whole;
  for (const Bytes& n : names) {
    // Of statements the oid said the order alone: their proof is what lies behind it.
    Append(whole, IsOfHeads(kind) ? ByteView(n) : ByteView(n).subspan(n.size() < 32 ? 0 : 32));
  }
  return *Digest::From(crypto::Blake2bPersonal(kIdLabel, {ByteView(whole)}));
}

absl::StatusOr<ForkProof> ParseForkProof(std::string_view text) {
  if (text.size() > kForkBytesMax)
    return InvalidArgument("a proof of ", text.size(), " bytes is too large");
  if (tlog::TakeLine(text) != kForkHeader)
    return InvalidArgument("line 1 of such a file is ", kForkHeader);
  Lines lines(text);
  ForkProof proof;
  const auto word = lines.TakeAfter("kind");
  const auto* kind = word ? std::ranges::find(kKinds, *word, &KindName::word) : std::end(kKinds);
  if (kind == std::end(kKinds)) return lines.Wrong("kind statements|votes|heads|history");
  proof.kind = kind->kind;
  const size_t each = IsOfHeads(proof.kind) ? tlog::kNoteBytesMax : authority::kObjectBytesMax;
  AQ_ASSIGN_OR_RETURN(proof.two[0], lines.Take("first", each));
  AQ_ASSIGN_OR_RETURN(proof.two[1], lines.Take("second", each));
  if (proof.kind == ForkKind::kHistory) {
    AQ_ASSIGN_OR_RETURN(proof.root, TakeHash(lines, "root"));
    while (Next(lines, "hash")) {
      if (proof.hashes.size() == tlog::kProofHashesMax)
        return InvalidArgument("a proof has at most ", tlog::kProofHashesMax, " hashes");
      AQ_ASSIGN_OR_RETURN(const Digest hash, TakeHash(lines, "hash"));
      proof.hashes.push_back(hash);
    }
  }
  while (!lines.done()) {
    if (proof.cited.size() == kForkCitedMax)
      return InvalidArgument("such a file cites at most ", kForkCitedMax, " objects");
    AQ_ASSIGN_OR_RETURN(Bytes object, lines.Take("signed", authority::kObjectBytesMax));
    proof.cited.push_back(std::move(object));
  }
  return proof;
}

}  // namespace aqmesh::lineage
