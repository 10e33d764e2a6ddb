#include "lineage/tlog/policy.h"

#include <algorithm>

#include "core/base/status.h"
#include "lineage/tlog/text.h"

namespace aqmesh::tlog {

namespace {

constexpr std::string_view kBlank = " \t";

std::vector<std::string_view> WordsOf(std::string_view line) {
  std::vector<std::string_view> words;
  for (size_t at = line.find_first_not_of(kBlank); at != std::string_view::npos;
       at = line.find_first_not_of(kBlank, at)) {
    const size_t end = std::min(line.find_first_of(kBlank, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

absl::StatusOr<Policy::Peer> ParsePeer(std::span<const std::string_view> words, KeyType type) {
  AQ_ASSIGN_OR_RETURN(NoteKey key, NoteKey::Parse(words[0]));
  if (key.type != type) return InvalidArgument("that key is not of the type that this needs");
  return Policy::Peer{std::move(key), std::string(words.size() > 1 ? words[1] : ""), ""};
}

bool SameKey(const Policy::Peer& a, const Policy::Peer& b) { return a.key.key == b.key.key; }

}  // namespace

absl::StatusOr<Policy> Policy::Parse(std::string_view text) {
  if (text.size() > kPolicyBytesMax)
    return InvalidArgument("a policy of ", text.size(), " bytes is too large");
  Policy policy;
  for (size_t number = 1; !text.empty(); ++number) {
    const auto line = tlog::TakeLine(text);
    if (!line) return InvalidArgument("line ", number, ": it has no newline");
    const std::vector<std::string_view> words = WordsOf(*line);
    if (words.empty() || words[0].starts_with('#')) continue;
    const absl::Status taken = policy.TakeLine(words);
    if (!taken.ok()) return Annotate(taken, Join("line ", number));
  }
  if (!policy.has_quorum_) return InvalidArgument("the policy has no line quorum");
  return policy;
}

absl::Status Policy::TakeLine(std::span<const std::string_view> words) {
  const std::string_view what = words[0];
  words = words.subspan(1);
  if (what == "log" && (words.size() == 1 || words.size() == 2)) return TakeLog(words);
  if (what == "witness" && (words.size() == 2 || words.size() == 3)) return TakeWitness(words);
  if (what == "group" && words.size() >= 3) return TakeGroup(words);
  if (what == "quorum" && words.size() == 1) return TakeQuorum(words);
  return InvalidArgument("not a line of a policy: ", what, " with ", words.size(), " words");
}

absl::Status Policy::TakeLog(std::span<const std::string_view> words) {
  AQ_ASSIGN_OR_RETURN(Peer log, ParsePeer(words, KeyType::kEd25519));
  if (std::ranges::any_of(logs_, [&](const Peer& other) { return SameKey(other, log); }))
    return InvalidArgument("this log is there twice");
  if (logs_.size() == kPolicyNamesMax)
    return InvalidArgument("a policy has at most ", kPolicyNamesMax, " logs");
  logs_.push_back(std::move(log));
  return absl::OkStatus();
}

absl::Status Policy::TakeWitness(std::span<const std::string_view> words) {
  AQ_ASSIGN_OR_RETURN(Peer witness, ParsePeer(words.subspan(1), KeyType::kCosignature));
  for (const Named& other : named_) {
    if (other.witness && SameKey(*other.witness, witness))
      return InvalidArgument("the key of ", words[0], " is that of ", other.name);
  }
  witness.name = std::string(words[0]);
  return Define({witness.name, std::move(witness), 1, {}});
}

absl::Status Policy::TakeGroup(std::span<const std::string_view> words) {
  Named group{std::string(words[0]), std::nullopt, 1, {}};
  for (const std::string_view name : words.subspan(2)) {
    const auto member = Find(name);
    if (!member) return InvalidArgument(name, " is no witness and no group of an earlier line");
    if (std::ranges::find(group.members, *member) != group.members.end())
      return InvalidArgument(name, " is there twice");
    group.members.push_back(*member);
  }
  if (words[1] == "all") {
    group.wanted = group.members.size();
  } else if (words[1] != "any") {
    const auto wanted = ParseDecimal(words[1]);
    if (!wanted || *wanted < 1 || *wanted > group.members.size())
      return InvalidArgument(
          "a group wants any, all, or 1 to ", group.members.size(), " of its own");
    group.wanted = static_cast<size_t>(*wanted);
  }
  return Define(std::move(group));
}

absl::Status Policy::TakeQuorum(std::span<const std::string_view> words) {
  if (has_quorum_) return InvalidArgument("a policy has one line quorum");
  has_quorum_ = true;
  if (words[0] == "none") return absl::OkStatus();
  quorum_ = Find(words[0]);
  if (!quorum_) return InvalidArgument(words[0], " is no witness and no group of an earlier line");
  return absl::OkStatus();
}

absl::Status Policy::Define(Named named) {
  if (named.name == "none" || Find(named.name))
    return InvalidArgument("the name ", named.name, " is taken");
  if (named_.size() == kPolicyNamesMax)
    return InvalidArgument("a policy has at most ", kPolicyNamesMax, " witnesses and groups");
  named_.push_back(std::move(named));
  return absl::OkStatus();
}

std::optional<size_t> Policy::Find(std::string_view name) const {
  const auto found = std::ranges::find(named_, name, &Named::name);
  if (found == named_.end()) return std::nullopt;
  return static_cast<size_t>(found - named_.begin());
}

std::vector<Policy::Peer> Policy::witnesses() const {
  std::vector<Peer> out;
  for (const Named& n : named_) {
    if (n.witness) out.push_back(*n.witness);
  }
  return out;
}

absl::Status Policy::Accept(const SignedCheckpoint& head) const {
  std::vector<NoteKey> logs;
  for (const Peer& log : logs_) logs.push_back(log.key);
  return AcceptFrom(head, logs);
}

absl::Status Policy::AcceptFrom(const SignedCheckpoint& head, std::span<const NoteKey> keys) const {
  // The logs of that origin first, then all witnesses: who signed says who they are.
  std::vector<NoteKey> known;
  for (const NoteKey& key : keys) {
    if (key.name == head.checkpoint.origin) known.push_back(key);
  }
  const size_t logs = known.size();
  if (logs == 0)
    return Unauthenticated("the policy knows no log of the origin ", head.checkpoint.origin);
  std::vector<size_t> place(named_.size());
  for (size_t i = 0; i < named_.size(); ++i) {
    if (!named_[i].witness) continue;
    place[i] = known.size();
    known.push_back(named_[i].witness->key);
  }
  AQ_ASSIGN_OR_RETURN(const std::vector<Signer> signers, VerifyNote(head.note, known));
  if (signers.front().key >= logs)
    return Unauthenticated("the log ", head.checkpoint.origin, " has not signed the head");
  if (!quorum_) return absl::OkStatus();

  // Members stand before their groups, so one pass decides all.
  std::vector<bool> has(named_.size());
  std::string who;
  for (size_t i = 0; i < named_.size(); ++i) {
    if (named_[i].witness) {
      has[i] = std::ranges::find(signers, place[i], &Signer::key) != signers.end();
      if (has[i]) who += Join(" ", named_[i].name);
      continue;
    }
    const auto& members = named_[i].members;
    const auto have = std::ranges::count_if(members, [&has](size_t member) { return has[member]; });
    has[i] = static_cast<size_t>(have) >= named_[i].wanted;
  }
  if (has[*quorum_]) return absl::OkStatus();
  return PermissionDenied("the head has not the quorum ",
                          named_[*quorum_].name,
                          "; it is cosigned by:",
                          who.empty() ? " nobody" : who);
}

}  // namespace aqmesh::tlog
