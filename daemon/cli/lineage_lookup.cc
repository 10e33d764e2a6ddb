#include "daemon/cli/lineage_lookup.h"

#include <charconv>
#include <filesystem>
#include <map>

#include "admission/packet.h"
#include "core/base/status.h"
#include "daemon/cli/history_view.h"
#include "lineage/history/replay.h"
#include "transport/frame/drop.h"

namespace aqmesh::cli {

namespace {

absl::Status AddCited(const lineage::Store& store, KnownObjects& known) {
  const auto folded = lineage::StateOf(store, store.size());
  // Segments that begin in the middle of a log come to no state: who they are about has no names.
  if (absl::IsFailedPrecondition(folded.status()) && store.first() > 0) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const lineage::State state, folded);
  return ViewOf(store, state, Kid{}, known).status();
}

}  // namespace

absl::StatusOr<Kid> KidNamed(const KnownObjects& known, std::string_view text) {
  std::optional<Kid> found;
  for (const auto& g : known.grants) {
    const Kid kid = authority::KidOf(g.body.suite, g.body.key);
    if (g.body.name != text && (text.size() < 4 || !ToHex(kid).starts_with(text))) continue;
    if (found && *found != kid)
      return InvalidArgument("`", text, "` names more than one key; give more digits of it");
    found = kid;
  }
  if (found) return *found;
  if (const auto bytes = FromHex(text)) {
    if (const auto kid = Kid::From(*bytes)) return *kid;
  }
  return NotFound("nobody here is called `", text, "`; `aqmesh grant show` lists who is known");
}

absl::StatusOr<Kid> KidInLog(const lineage::Store& store,
                             std::string_view text,
                             KnownObjects& known) {
  absl::StatusOr<Kid> kid = KidNamed(known, text);
  if (!absl::IsNotFound(kid.status())) return kid;
  AQ_RETURN_IF_ERROR(AddCited(store, known));
  return KidNamed(known, text);
}

absl::StatusOr<KnownObjects> LoadWithCited(const lineage::Store& store) {
  AQ_ASSIGN_OR_RETURN(KnownObjects known, LoadObjects(store));
  AQ_RETURN_IF_ERROR(AddCited(store, known));
  return known;
}

std::string MachineNameOf(const std::string& path) {
  std::filesystem::path dir = std::filesystem::path(path).lexically_normal();
  if (!dir.has_filename()) dir = dir.parent_path();
  if (dir.filename() == "store" && dir.has_parent_path()) dir = dir.parent_path();
  const std::string name = dir.filename().string();
  return name.empty() || name.starts_with(".") ? "copy" : name;
}

std::string MachineName(Session& s, const StateDir& state) {
  const auto config = state.ReadConfig();
  return config.ok() && !config->name.empty() ? config->name : s.env().host_name;
}

std::string_view DropName(uint16_t code) {
  const auto number = static_cast<uint16_t>(code + lineage::kFirstDropReason);
  if (number < frame::kDropEnd) return frame::NameOf(static_cast<frame::Drop>(number));
  if (number < admission::kDropRecordBase ||
      number - admission::kDropRecordBase >= static_cast<int>(admission::kDropCount))
    return "";
  return admission::DropName(static_cast<admission::Drop>(number - admission::kDropRecordBase));
}

lineage::Names NamesOf(const KnownObjects& known) {
  lineage::Names names;
  names.drop = DropName;
  std::map<Kid, std::string> by_kid;  // made once: a kid is the hash of a key
  for (const auto& g : known.grants) {
    if (!g.body.name.empty())
      by_kid.try_emplace(authority::KidOf(g.body.suite, g.body.key), g.body.name);
  }
  names.peer = [by_kid = std::move(by_kid)](const Kid& kid) {
    const auto at = by_kid.find(kid);
    return at == by_kid.end() ? std::string() : at->second;
  };
  return names;
}

absl::StatusOr<lineage::FoundRecord> FindRecord(const lineage::Store& store,
                                                const std::string& which) {
  uint64_t seq = 0;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), seq);
  const bool number = error == std::errc() && end == which.data() + which.size();
  std::vector<lineage::FoundRecord> found;
  if (number && seq < store.size()) {
    AQ_ASSIGN_OR_RETURN(const Bytes body, store.Read(seq));
    AQ_ASSIGN_OR_RETURN(const lineage::RecordEntry entry, lineage::ParseEntry(body));
    AQ_ASSIGN_OR_RETURN(authority::Observe record, authority::ParseBody<authority::Observe>(body));
    found.push_back({entry.leaf, std::move(record)});
  } else {
    const auto prefix = FromHex(which);
    if (!prefix || prefix->empty() || prefix->size() > 32) {
      return NotFound("no record ",
                      which,
                      " among ",
                      store.size(),
                      "; give a number below that, or an even number of digits of an id");
    }
    lineage::Filter filter;
    filter.id_prefix = *prefix;
    filter.limit = 2;
    AQ_ASSIGN_OR_RETURN(found, store.Query(filter));
  }
  if (found.empty()) return NotFound("no record whose id starts with ", which);
  if (found.size() > 1)
    return InvalidArgument("more than one record's id starts with ", which, "; give more digits");
  return std::move(found[0]);
}

}  // namespace aqmesh::cli
