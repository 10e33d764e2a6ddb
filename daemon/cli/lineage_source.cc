#include "daemon/cli/lineage_source.h"

#include <vector>

#include "core/base/status.h"
#include "lineage/sealed/files.h"
#include "lineage/sealed/joined_store.h"

namespace aqmesh::cli {

namespace {

using lineage::RocksStore;
using lineage::SealedStore;
using lineage::Store;

// The one among `logs` that the digits begin.
absl::StatusOr<std::optional<Kid>> Fit(const std::vector<Kid>& logs, std::string_view digits) {
  std::optional<Kid> found;
  for (const Kid& kid : logs) {
    if (!ToHex(kid).starts_with(digits)) continue;
    if (found && *found != kid)
      return InvalidArgument("--log: several logs begin with ", digits, "; give more digits");
    found = kid;
  }
  return found;
}

absl::StatusOr<std::vector<Kid>> LogsOf(const RocksStore& store) {
  AQ_ASSIGN_OR_RETURN(const auto logs, store.Logs());
  std::vector<Kid> out;
  for (const RocksStore::Log& log : logs) {
    if (log.kid) out.push_back(*log.kid);
  }
  return out;
}

absl::Status NoSuchLog(std::string_view log, std::string_view path) {
  return NotFound("no log ", log, " in ", path);
}

absl::StatusOr<std::unique_ptr<Store>> OpenSealed(const std::string& dir, std::string_view log) {
  if (log.empty()) {
    AQ_ASSIGN_OR_RETURN(std::unique_ptr<Store> only, SealedStore::Open(dir));
    return only;
  }
  AQ_ASSIGN_OR_RETURN(const std::vector<Kid> logs, lineage::SealedLogs(dir));
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> kid, Fit(logs, log));
  if (!kid) return NoSuchLog(log, dir);
  AQ_ASSIGN_OR_RETURN(std::unique_ptr<Store> chosen, SealedStore::Open(dir, kid));
  return chosen;
}

// A store, and in front of its log what the archive has of it.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& dir,
                                                 const std::string& archive,
                                                 const std::string& log) {
  AQ_ASSIGN_OR_RETURN(auto store, RocksStore::OpenReadOnly(dir));
  AQ_ASSIGN_OR_RETURN(const std::vector<Kid> logs, LogsOf(*store));
  std::optional<Kid> kid;
  if (log.empty()) {
    AQ_ASSIGN_OR_RETURN(kid, LogKidOf(*store));
  } else {
    AQ_ASSIGN_OR_RETURN(kid, Fit(logs, log));
    if (!kid) {
      if (lineage::HasSealed(archive)) return OpenSealed(archive, log);
      return NoSuchLog(log, dir);
    }
    if (logs.empty() || *kid != logs.back()) {
      AQ_ASSIGN_OR_RETURN(store, RocksStore::OpenReadOnly(dir, {.log = kid}));
    }
  }
  const bool sealed =
      store->first() > 0 && kid && lineage::HasSealed(lineage::SealedDirOf(archive, *kid));
  if (!sealed) return std::unique_ptr<Store>(std::move(store));
  AQ_ASSIGN_OR_RETURN(auto before, SealedStore::Open(archive, kid));
  // More has left since the import: what is between is in neither, and the live log is asked alone.
  if (before->size() < store->first()) return std::unique_ptr<Store>(std::move(store));
  AQ_ASSIGN_OR_RETURN(std::unique_ptr<Store> joined,
                      lineage::JoinedStore::Make(std::move(store), std::move(before)));
  return joined;
}

}  // namespace

absl::StatusOr<std::optional<Kid>> LogKidOf(const Store& store) {
  const auto head = store.head();
  if (!head) return std::optional<Kid>();
  AQ_ASSIGN_OR_RETURN(const Bytes body, store.Read(head->seq));
  AQ_ASSIGN_OR_RETURN(const auto record, authority::ParseBody<authority::Observe>(body));
  return std::optional<Kid>(record.log);
}

absl::StatusOr<std::unique_ptr<Store>> OpenLineageAt(const std::string& path,
                                                     const std::string& log) {
  if (lineage::IsDirectory(path + "/store/db"))
    return OpenStore(path + "/store", path + "/archive", log);
  if (lineage::IsDirectory(path + "/db")) return OpenStore(path, path + "/archive", log);
  if (lineage::HasSealed(path)) return OpenSealed(path, log);
  return NotFound(
      path, ": no lineage here; wants a state directory, the store in one, or sealed segments");
}

absl::StatusOr<std::unique_ptr<Store>> OpenLineageOf(const StateDir& state,
                                                     const std::string& log) {
  return OpenStore(state.store_path(), state.archive_path(), log);
}

const std::shared_ptr<const authority::Signed>* KeybindOf(const KnownObjects& known,
                                                          const Kid& log,
                                                          authority::Keybind& body) {
  const std::shared_ptr<const authority::Signed>* best = nullptr;
  for (const auto& o : known.others) {
    if (o->ctx() != authority::Ctx::kKeybind) continue;
    const auto k = authority::ParseBody<authority::Keybind>(o->body());
    if (!k.ok() || k->kind != 2 || authority::KidOf(k->suite, k->key) != log) continue;
    if (best != nullptr && body.not_before >= k->not_before) continue;
    best = &o;
    body = *k;
  }
  return best;
}

}  // namespace aqmesh::cli
