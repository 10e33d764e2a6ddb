#include "core/authority/armour.h"

#include <algorithm>

#include "core/base/status.h"

namespace aqmesh::authority {

namespace {

constexpr std::string_view kBegin = "-----BEGIN AQMESH ";
constexpr std::string_view kEnd = "-----END AQMESH ";
constexpr std::string_view kDashes = "-----";
constexpr size_t kLineChars = 64;
constexpr size_t kBase64Max = (kObjectBytesMax + 2) / 3 * 4;
std::string Word(Ctx ctx) {
  std::string word(CtxName(ctx));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return static_cast<char>(c - 'a' + 'A');
  });
  return word;
}

// Lines without their ends: LF, CRLF, and blanks before them.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> Next() {
    if (rest_.empty()) return std::nullopt;
    ++number_;
    const size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    const size_t last = line.find_last_not_of(" \t\r");
    return line.substr(0, last == std::string_view::npos ? 0 : last + 1);
  }
  size_t number() const { return number_; }

 private:
  std::string_view rest_;
  size_t number_ = 0;
};

absl::Status Refused(size_t line, std::string_view rule) {
  return InvalidArgument("armour: line ", line, ": ", rule, " (spec/objects.md §5)");
}

// The word of a delimiter line, or nullopt if the line is none.
std::optional<std::string_view> WordOf(std::string_view line, std::string_view opening) {
  if (!line.starts_with(opening) || !line.ends_with(kDashes)) return std::nullopt;
  line.remove_prefix(opening.size());
  if (line.size() < kDashes.size()) return std::nullopt;
  line.remove_suffix(kDashes.size());
  return line;
}

absl::StatusOr<Signed> ParseBlock(Lines& lines, std::string_view word) {
  const size_t begin = lines.number();
  const std::optional<Ctx> ctx = CtxNamed(word);
  if (!ctx || Word(*ctx) != word) return Refused(begin, "not the name of an object");
  std::string text;
  bool last = false;  // a line shorter than 64 has to be the last
  for (;;) {
    const auto line = lines.Next();
    if (!line) return Refused(begin, "block without its END line");
    if (const auto end = WordOf(*line, kEnd)) {
      if (*end != word) return Refused(lines.number(), "END line of another object");
      break;
    }
    if (line->empty() || line->size() > kLineChars || last)
      return Refused(lines.number(), "not base64 in lines of 64");
    last = line->size() < kLineChars;
    text += *line;
    if (text.size() > kBase64Max) return Refused(lines.number(), "block larger than any object");
  }
  const auto bytes = FromBase64(text);
  if (!bytes) {
    return Refused(begin, "base64 of this block encodes differently when written again");
  }
  absl::StatusOr<Signed> object = Signed::Parse(*bytes);
  if (!object.ok()) return Annotate(object.status(), Join("armour: line ", begin));
  if (object->ctx() != *ctx)
    return Refused(begin, Join("the block holds a ", CtxName(object->ctx())));
  return object;
}

}  // namespace

std::string Armour(const Signed& object) {
  const std::string word = Word(object.ctx());
  std::string out = Join(kBegin, word, kDashes, "\n");
  const std::string text = ToBase64(object.bytes());
  for (size_t at = 0; at < text.size(); at += kLineChars) out += text.substr(at, kLineChars) + "\n";
  return out + Join(kEnd, word, kDashes, "\n");
}

absl::StatusOr<std::vector<Signed>> ParseArmour(std::string_view text) {
  if (text.size() > kArmourTextMax)
    return InvalidArgument("armour: text of more than ", kArmourTextMax, " bytes; split it");
  std::vector<Signed> out;
  Lines lines(text);
  while (const auto line = lines.Next()) {
    if (WordOf(*line, kEnd)) return Refused(lines.number(), "END line without its BEGIN line");
    const auto word = WordOf(*line, kBegin);
    if (!word) continue;
    if (out.size() == kArmourBlocksMax)
      return Refused(lines.number(), Join("more than ", kArmourBlocksMax, " blocks"));
    AQ_ASSIGN_OR_RETURN(Signed object, ParseBlock(lines, *word));
    out.push_back(std::move(object));
  }
  if (out.empty())
    return InvalidArgument(
        "armour: no line \"-----BEGIN AQMESH ...-----\" in the text (spec/objects.md §5)");
  return out;
}

absl::StatusOr<Signed> ParseArmourOne(std::string_view text) {
  AQ_ASSIGN_OR_RETURN(std::vector<Signed> blocks, ParseArmour(text));
  if (blocks.size() != 1)
    return InvalidArgument("armour: ", blocks.size(), " blocks where one belongs");
  return std::move(blocks[0]);
}

bool LooksLikeArmour(std::string_view text) {
  return text.starts_with(kBegin) || text.find(Join("\n", kBegin)) != std::string_view::npos;
}

}  // namespace aqmesh::authority
