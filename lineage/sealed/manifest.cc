#include "lineage/sealed/manifest.h"

#include <algorithm>
#include <optional>

#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/tlog/text.h"

namespace aqmesh::lineage {

namespace {

constexpr std::string_view kHeader = "aqmesh/1/sealed", kPacked = ".zst";
constexpr size_t kNameDigits = 12;
constexpr uint64_t kRun = tlog::kTileWidth;

std::string Digits(uint64_t n) {
  const std::string text = std::to_string(n);
  return text.size() < kNameDigits ? std::string(kNameDigits - text.size(), '0') + text : text;
}

std::string EndLine(std::string_view before) {
  return Join("end ", ToHex(crypto::Sha256({AsBytes(before)})), "\n");
}

// Words of a line, which have one space between them.
std::optional<std::vector<std::string_view>> Words(std::string_view line, size_t count) {
  std::vector<std::string_view> out;
  for (size_t at = line.find(' '); out.size() + 1 < count; at = line.find(' ')) {
    if (at == std::string_view::npos) return std::nullopt;
    out.push_back(line.substr(0, at));
    line.remove_prefix(at + 1);
  }
  out.push_back(line);
  return out;
}

template <class Fixed>
std::optional<Fixed> FromHexAs(std::string_view text) {
  const auto bytes = FromHex(text);
  return bytes ? Fixed::From(*bytes) : std::nullopt;
}

// "WORD A B", two numbers.
bool TakeNumbers(std::string_view line, std::string_view word, uint64_t& a, uint64_t& b) {
  const auto words = Words(line, 3);
  if (!words || (*words)[0] != word) return false;
  const auto first = tlog::ParseDecimal((*words)[1]), second = tlog::ParseDecimal((*words)[2]);
  if (!first || !second) return false;
  a = *first;
  b = *second;
  return true;
}

bool MayHold(const Manifest& m, std::string_view path) {
  for (const std::string_view name : {kCheckpointName, kObjectsName, kObjectIndexName, kStateName})
    if (path == name) return true;
  if (const auto tile = tlog::ParseTilePath(path)) return tile->level <= tlog::kTileLevelMax;
  if (!path.ends_with(kPacked)) return false;
  const auto bundle = tlog::ParseBundlePath(path.substr(0, path.size() - kPacked.size()));
  return bundle && bundle->full() && bundle->index >= m.first / kRun &&
         bundle->index < m.end / kRun;
}

absl::Status CheckRange(const Manifest& m) {
  if (m.first >= m.end || m.end - m.first > kSegmentRecordsMax || m.first % kRun != 0 ||
      m.end % kRun != 0 || m.end >= kSeqEnd || m.head_size < m.end || m.hlc_first > m.hlc_last)
    return InvalidArgument("a segment has 256 to ",
                           kSegmentRecordsMax,
                           " records in whole tiles under a head that covers them, not ",
                           m.first,
                           " to ",
                           m.end,
                           " under one of ",
                           m.head_size);
  for (Seq at = m.first; at < m.end; at += kRun) {
    if (m.Find(SealedBundlePath(at / kRun)) == nullptr ||
        m.Find(tlog::TilePath({0, at / kRun, tlog::kTileWidth})) == nullptr)
      return InvalidArgument("no file has the records from ", at, " on");
  }
  for (const std::string_view name : {kCheckpointName, kObjectsName, kObjectIndexName, kStateName})
    if (m.Find(name) == nullptr) return InvalidArgument("there is no ", name);
  return absl::OkStatus();
}

}  // namespace

std::string SegmentName(Seq first, Seq end) { return Join(Digits(first), "-", Digits(end)); }

bool IsSegmentName(std::string_view name) {
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos || name.size() > 48) return false;
  return std::ranges::all_of(name, [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}

std::string SealedBundlePath(uint64_t index) {
  return Join(tlog::BundlePath(index, tlog::kTileWidth), kPacked);
}

std::string Manifest::Text() const {
  std::string out = Join(kHeader, "\nlog ", ToHex(log), "\nrecords ", first, " ", end, "\ntime ");
  out += Join(hlc_first, " ", hlc_last, "\nhead ", head_size, "\n");
  for (const SealedFile& f : files)
    out += Join("file ", ToHex(f.hash), " ", f.bytes, " ", f.path, "\n");
  return Join(out, EndLine(out));
}

const SealedFile* Manifest::Find(std::string_view path) const {
  const auto it = std::ranges::lower_bound(files, path, {}, &SealedFile::path);
  return it != files.end() && it->path == path ? &*it : nullptr;
}

absl::StatusOr<Manifest> ParseManifest(std::string_view text) {
  if (text.size() > kManifestBytesMax)
    return InvalidArgument("a manifest of ", text.size(), " bytes is too large");
  const std::string_view whole = text;
  size_t number = 1;
  const auto wrong = [&number] {
    return InvalidArgument("line ", number, " is not that of a manifest");
  };
  if (tlog::TakeLine(text) != kHeader) return wrong();
  Manifest m;
  for (const std::string_view word : {"log", "records", "time", "head"}) {
    ++number;
    const auto line = tlog::TakeLine(text);
    if (!line) return wrong();
    bool right = true;
    if (word == "records") {
      right = TakeNumbers(*line, word, m.first, m.end);
    } else if (word == "time") {
      right = TakeNumbers(*line, word, m.hlc_first, m.hlc_last);
    } else {
      const auto words = Words(*line, 2);
      right = words && (*words)[0] == word;
      const auto kid = right && word == "log" ? FromHexAs<Kid>((*words)[1]) : std::nullopt;
      const auto size = right && word == "head" ? tlog::ParseDecimal((*words)[1]) : std::nullopt;
      right = kid || size;
      if (kid) m.log = *kid;
      if (size) m.head_size = *size;
    }
    if (!right) return wrong();
  }
  for (;;) {
    ++number;
    const auto line = tlog::TakeLine(text);
    if (!line) return wrong();
    if (line->starts_with("end ")) break;
    const auto words = Words(*line, 4);
    const auto hash = words ? FromHexAs<Digest>((*words)[1]) : std::nullopt;
    const auto bytes = words ? tlog::ParseDecimal((*words)[2]) : std::nullopt;
    const bool right = hash && bytes && *bytes <= kSealedFileBytesMax && (*words)[0] == "file" &&
                       MayHold(m, (*words)[3]) &&
                       (m.files.empty() || m.files.back().path < (*words)[3]);
    if (!right) return wrong();
    m.files.push_back({std::string((*words)[3]), *bytes, *hash});
  }
  // One spelling, and the last line is the hash of all before it.
  if (m.Text() != whole) return DataLoss("the manifest is not as it was written");
  AQ_RETURN_IF_ERROR(CheckRange(m));
  return m;
}

}  // namespace aqmesh::lineage
