#include "lineage/sql/directory.h"

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "lineage/history/replay.h"
#include "lineage/inputs.h"

namespace aqmesh::lineage::sql {
namespace {

constexpr uint8_t kLogKeybind = 2;

}  // namespace

absl::Status Directory::Load(const Store& store) {
  size_t seen = 0;
  AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kSigned, [&](const Oid&, ByteView bytes) {
    Take(bytes);
    return ++seen < kEntriesMax;
  }));
  // What peers cited lies beside the inputs of the decisions about them.
  const uint64_t size = store.size();
  AQ_ASSIGN_OR_RETURN(const auto snapshot, store.SnapshotAt(size));
  if (size - (snapshot ? snapshot->records : 0) > kFoldedMax) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const State state, StateOf(store, size));
  for (const Kid& kid : state.Subjects()) {
    const Ruling* ruling = state.Find(kid)->newest();
    if (ruling == nullptr || !ruling->inputs) continue;
    AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(Shelf::kInputs, *ruling->inputs));
    const auto inputs = bytes ? ParseInputs(*bytes) : NotFound("inputs");
    if (!inputs.ok()) continue;
    for (const Oid& oid : inputs->oids) {
      AQ_ASSIGN_OR_RETURN(const auto object, store.GetObject(Shelf::kInputs, oid));
      if (object) Take(*object);
    }
  }
  return absl::OkStatus();
}

void Directory::Take(ByteView bytes) {
  const auto object = authority::Signed::Parse(bytes);
  if (object.ok() && object->ctx() == authority::Ctx::kGrant) {
    const auto grant = authority::ParseBody<authority::Grant>(object->body());
    if (grant.ok()) TakeGrant(*grant);
  } else if (object.ok() && object->ctx() == authority::Ctx::kKeybind) {
    const auto keybind = authority::ParseBody<authority::Keybind>(object->body());
    if (keybind.ok()) TakeKeybind(*keybind, object->kid());
  }
}

void Directory::TakeGrant(const authority::Grant& grant) {
  const Kid kid = authority::KidOf(grant.suite, grant.key);
  if (grant.suite == authority::Suite::kEd25519) keys_.emplace(kid, grant.key);
  if (grant.name.empty()) return;
  const auto [at, fresh] = names_.try_emplace(kid, Named{grant.seq, grant.name});
  if (!fresh && grant.seq < at->second.seq) at->second = {grant.seq, grant.name};
}

void Directory::TakeKeybind(const authority::Keybind& keybind, const Kid& signer) {
  if (keybind.kind != kLogKeybind || keybind.suite != authority::Suite::kEd25519) return;
  const Kid kid = authority::KidOf(keybind.suite, keybind.key);
  machine_of_log_.emplace(kid, signer);
  keys_.emplace(kid, *Ed25519Key::From(keybind.key));
}

std::string Directory::NameOf(const Kid& kid) const {
  auto found = names_.find(kid);
  if (found == names_.end()) {
    const auto machine = machine_of_log_.find(kid);
    if (machine != machine_of_log_.end()) found = names_.find(machine->second);
  }
  return found == names_.end() ? std::string() : found->second.name;
}

std::vector<Kid> Directory::KidsNamed(std::string_view name) const {
  std::vector<Kid> kids;
  for (const auto& [kid, named] : names_) {
    if (named.name == name) kids.push_back(kid);
  }
  for (const auto& [log, machine] : machine_of_log_) {
    if (!names_.contains(log) && NameOf(log) == name) kids.push_back(log);
  }
  return kids;
}

std::optional<Ed25519Key> Directory::KeyOf(const Kid& kid) const {
  const auto found = keys_.find(kid);
  return found == keys_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace aqmesh::lineage::sql
