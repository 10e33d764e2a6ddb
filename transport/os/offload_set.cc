#include "transport/os/offload_set.h"

#include <algorithm>
#include <array>

namespace aqmesh::os {

namespace {

constexpr std::string_view kNot = "no-";

constexpr OffloadName OfTun(std::string_view name, uint32_t bits) {
  return {name, {.tun = bits, .udp_gso = false, .udp_gro = false}};
}
constexpr std::array kNames = {
    OfTun("tun-csum", kTunCsum),
    OfTun("tun-tso4", kTunTso4),
    OfTun("tun-tso6", kTunTso6),
    OfTun("tun-uso", kTunUso4 | kTunUso6),
    OffloadName{"udp-gso", {.tun = 0, .udp_gso = true, .udp_gro = false}},
    OffloadName{"udp-gro", {.tun = 0, .udp_gso = false, .udp_gro = true}},
};

absl::Status NoSuchWord(std::string_view word) {
  std::string known;
  for (const OffloadName& n : kNames) known += Join(n.name, ", ");
  return InvalidArgument(
      "`", word, "` is no offload; there are: ", known, "each also as no-NAME, and all, none");
}

void Add(const OffloadSet& part, OffloadSet& set) {
  set.tun |= part.tun;
  if (set.tun != 0) set.tun |= kTunCsum;
  set.udp_gso |= part.udp_gso;
  set.udp_gro |= part.udp_gro;
}

void TakeAway(const OffloadSet& part, OffloadSet& set) {
  set.tun &= ~part.tun;
  if ((set.tun & kTunCsum) == 0) set.tun = 0;
  set.udp_gso &= !part.udp_gso;
  set.udp_gro &= !part.udp_gro;
}

}  // namespace

std::span<const OffloadName> OffloadNames() { return kNames; }

bool Holds(const OffloadSet& set, const OffloadSet& part) {
  return (set.tun & part.tun) == part.tun && (set.udp_gso || !part.udp_gso) &&
         (set.udp_gro || !part.udp_gro);
}

absl::Status TakeOffloadWord(std::string_view word, bool first, OffloadSet& set) {
  if (word == "all" || word == "none") {
    set = word == "all" ? OffloadSet{} : kNoOffloads;
    return absl::OkStatus();
  }
  const bool away = word.starts_with(kNot);
  const auto named = std::ranges::find(
      kNames, away ? word.substr(kNot.size()) : word, [](const OffloadName& n) { return n.name; });
  if (named == kNames.end()) return NoSuchWord(word);
  if (first) set = away ? OffloadSet{} : kNoOffloads;
  away ? TakeAway(named->alone, set) : Add(named->alone, set);
  return absl::OkStatus();
}

std::vector<std::string> SplitWords(std::string_view text) {
  constexpr std::string_view kBetween = ", \t\n";
  std::vector<std::string> out;
  while (true) {
    const size_t from = text.find_first_not_of(kBetween);
    if (from == std::string_view::npos) return out;
    text.remove_prefix(from);
    const size_t size = std::min(text.find_first_of(kBetween), text.size());
    out.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
}

absl::StatusOr<OffloadSet> ParseOffloads(std::string_view text) {
  OffloadSet set = kNoOffloads;
  const std::vector<std::string> words = SplitWords(text);
  if (words.size() > kOffloadWordsMax)
    return InvalidArgument("offloads: at most ", kOffloadWordsMax, " words");
  for (size_t i = 0; i < words.size(); ++i)
    AQ_RETURN_IF_ERROR(TakeOffloadWord(words[i], i == 0, set));
  return set;
}

std::string PrintOffloads(const OffloadSet& set) {
  if (set == OffloadSet{}) return "all";
  std::string out;
  for (const OffloadName& n : kNames) {
    if (Holds(set, n.alone)) out += Join(out.empty() ? "" : ",", n.name);
  }
  return out.empty() ? "none" : out;
}

}  // namespace aqmesh::os
