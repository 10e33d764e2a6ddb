#include "daemon/cli/state.h"

#include <algorithm>

#include "core/authority/chain.h"
#include "daemon/cli/charters_held.h"
#include "daemon/cli/retention.h"
#include "daemon/cli/toml_reader.h"
#include "issuing/custody/file_signer.h"
#include "issuing/rules.h"
#include "node/charters.h"

namespace aqmesh::cli {

namespace {

using authority::Signed;
using SignedPtr = std::shared_ptr<const Signed>;
using issuing::PrivateDir;

constexpr std::string_view kConfigFile = "aqmesh.toml", kPolicyFile = "policy.toml",
                           kInvitationFile = "invitation";

// Objects on the shelf were parsed when they came: one that fails now is a damaged store.
template <class T>
absl::Status Take(const SignedPtr& object, std::vector<authority::Held<T>>& out) {
  absl::StatusOr<T> body = authority::ParseBody<T>(object->body());
  if (!body.ok())
    return DataLoss("store: object ", ToHex(object->oid()), ": ", Text(body.status()));
  out.push_back({object, *std::move(body)});
  return absl::OkStatus();
}

}  // namespace

std::string PrintConfig(const Config& config) {
  std::string endpoints;
  for (const Endpoint& e : config.endpoints)
    endpoints += Join(endpoints.empty() ? "" : ", ", "\"", e.ToString(), "\"");
  return Join("# This machine's settings. `aqmesh down --stop` and `aqmesh up` apply a change.\n",
              "name = \"",
              config.name,
              "\"\n",
              config.mesh ? Join("mesh = \"", ToHex(*config.mesh), "\"\n") : "",
              "listen_port = ",
              config.listen_port,
              "\n",
              "interface = \"",
              config.interface,
              "\"\n",
              "endpoints = [",
              endpoints,
              "]  # where others may find this machine, as \"IP:PORT\"\n",
              "mtu = ",
              config.mtu,
              "\n",
              config.sealed.empty()
                  ? ""
                  : Join("sealed = \"", config.sealed, "\"  # where sealed records are kept\n"),
              "offloads = \"",
              os::PrintOffloads(config.offloads),
              "\"  # all, none, a list, or such as no-tun-uso; `aqmesh status` shows them\n");
}

namespace {

void ReadOffloads(TomlReader& reader, os::OffloadSet& out) {
  const auto words = reader.Words("offloads", os::kOffloadWordsMax);
  if (!words) return;
  if (words->empty()) out = os::kNoOffloads;
  for (const TomlReader::Word& w : *words) {
    const absl::Status taken = os::TakeOffloadWord(w.text, &w == words->data(), out);
    if (!taken.ok()) return reader.Fail("offloads", w, Text(taken));
  }
}

}  // namespace

absl::StatusOr<Config> ParseConfig(std::string_view text, std::string_view file_name) {
  AQ_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, file_name));
  TomlReader reader(table, file_name);
  Config out;
  out.name = reader.String("name").value_or("");
  if (!out.name.empty() && !issuing::IsLab(out.name))
    reader.Fail("name", "wants a-z, 0-9 and -, such as atlas");
  if (const auto mesh = reader.String("mesh")) {
    const std::optional<Bytes> bytes = FromHex(*mesh);
    out.mesh = bytes ? ScopeId::From(*bytes) : std::nullopt;
    if (!out.mesh) reader.Fail("mesh", "wants the 32 hex digits that `aqmesh whoami` shows");
  }
  out.listen_port =
      static_cast<uint16_t>(reader.Number("listen_port", 1, 65'535).value_or(out.listen_port));
  out.mtu = static_cast<uint16_t>(reader.Number("mtu", 1'280, 65'000).value_or(out.mtu));
  if (const auto name = reader.String("interface")) {
    out.interface = *name;
    // The kernel's own rule for names of interfaces.
    const bool bad =
        name->empty() || name->size() > 15 || name->find_first_of("/ \t\n:") != std::string::npos;
    if (bad || *name == "." || *name == "..")
      reader.Fail("interface", "wants 1 to 15 characters without / : or blanks");
  }
  for (const std::string& e : reader.Strings("endpoints", kConfigEndpointsMax)) {
    if (const auto endpoint = Endpoint::Parse(e)) {
      out.endpoints.push_back(*endpoint);
    } else {
      reader.Fail("endpoints",
                  Join("`", e, "` is no endpoint; write 192.0.2.1:41641 or [2001:db8::1]:41641"));
    }
  }
  out.sealed = reader.String("sealed").value_or("");
  if (!out.sealed.empty() &&
      (out.sealed.front() != '/' || out.sealed.find_first_of("\"\\\n") != std::string::npos))
    reader.Fail("sealed", "wants the whole path of a directory, such as /srv/aqmesh-sealed");
  ReadOffloads(reader, out.offloads);
  AQ_RETURN_IF_ERROR(reader.Done());
  return out;
}

const KnownObjects::Held<authority::Grant>* KnownObjects::GrantOf(const Kid& kid,
                                                                  authority::Class cls,
                                                                  uint64_t now) const {
  const Held<authority::Grant>* best = nullptr;
  for (const Held<authority::Grant>& g : grants) {
    if (g.body.cls != cls || authority::KidOf(g.body.suite, g.body.key) != kid) continue;
    if (authority::NotYet(g.body.not_before, now) ||
        authority::Lapsed(g.body.not_before, g.body.ttl, now))
      continue;
    if (!best || g.body.not_before >= best->body.not_before) best = &g;
  }
  return best;
}

const KnownObjects::Held<authority::Grant>* KnownObjects::GrantNamed(const Oid& oid) const {
  for (const Held<authority::Grant>& g : grants) {
    if (g.oid() == oid) return &g;
  }
  return nullptr;
}

std::vector<SignedPtr> KnownObjects::All() const {
  std::vector<SignedPtr> out;
  for (const auto& o : charters) out.push_back(o.envelope);
  for (const auto& o : grants) out.push_back(o.envelope);
  for (const auto& o : fragments) out.push_back(o.envelope);
  out.insert(out.end(), others.begin(), others.end());
  return out;
}

absl::StatusOr<StateDir> StateDir::Create(const std::string& path) {
  AQ_ASSIGN_OR_RETURN(PrivateDir dir, PrivateDir::Open(path, true));
  return StateDir(std::move(dir));
}

absl::StatusOr<StateDir> StateDir::Open(const std::string& path) {
  absl::StatusOr<PrivateDir> dir = PrivateDir::Open(path, false);
  if (absl::IsNotFound(dir.status())) {
    return NotFound("no state in ",
                    path,
                    "; start a mesh with `aqmesh init NAME`, or join one with `aqmesh join LINE`");
  }
  if (!dir.ok()) return dir.status();
  return StateDir(*std::move(dir));
}

absl::StatusOr<issuing::KeyStore> StateDir::Keys(bool create) const {
  return issuing::KeyStore::Open(keys_path(), create);
}

absl::Status StateDir::MakeMachineKeys(Rng& rng) const {
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, Keys(true));
  for (const std::string_view name : {kIdentityKey, kLogKey}) {
    if (!keys.Has(name))
      AQ_RETURN_IF_ERROR(issuing::FileSigner::Create(keys, name, rng, {}).status());
  }
  if (!keys.Has(kStaticKey))
    AQ_RETURN_IF_ERROR(keys.SaveX25519(kStaticKey, crypto::NewX25519(rng)));
  return absl::OkStatus();
}

absl::StatusOr<Kid> StateDir::KidOfKey(std::string_view name) const {
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, Keys());
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info info, keys.Look(name));
  return authority::KidOf(authority::Suite::kEd25519, info.public_key);
}

absl::StatusOr<std::string> StateDir::SealedPath() const {
  AQ_ASSIGN_OR_RETURN(const Config config, ReadConfig());
  return config.sealed.empty() ? path() + "/sealed" : config.sealed;
}

absl::StatusOr<std::unique_ptr<lineage::RocksStore>> StateDir::OpenStore() const {
  auto store = lineage::RocksStore::Open(store_path());
  // Any other reason, as a disk that is full or fails, says itself which it is.
  if (absl::IsUnavailable(store.status()) && lineage::RocksStore::IsOpenElsewhere(store_path())) {
    return Unavailable(store_path(),
                       " is in use, by the daemon most likely; `aqmesh down --stop` first");
  }
  // What cannot be ended now is at the next opening: the records that are left do no harm.
  if (store.ok()) (void)FinishPruning(**store);
  return store;
}

absl::StatusOr<std::unique_ptr<lineage::RocksStore>> StateDir::ReadStore() const {
  return lineage::RocksStore::OpenReadOnly(store_path());
}

absl::StatusOr<Config> StateDir::ReadConfig() const {
  absl::StatusOr<issuing::SecretText> text = dir_.Read(kConfigFile, kStateFileMax);
  if (absl::IsNotFound(text.status())) {
    return NotFound("no ",
                    config_path(),
                    "; start a mesh with `aqmesh init NAME`, or join one with `aqmesh join LINE`");
  }
  if (!text.ok()) return text.status();
  return ParseConfig(text->view(), config_path());
}

absl::Status StateDir::WriteConfig(const Config& config) {
  return dir_.Write(kConfigFile, PrintConfig(config), PrivateDir::Replace::kAlways);
}

absl::Status StateDir::WritePolicy(std::string_view text) {
  return dir_.Write(kPolicyFile, text, PrivateDir::Replace::kNever);
}

absl::StatusOr<std::optional<issuing::SecretText>> StateDir::ReadInvitation() const {
  absl::StatusOr<issuing::SecretText> text = dir_.Read(kInvitationFile, kStateFileMax);
  if (absl::IsNotFound(text.status())) return std::optional<issuing::SecretText>();
  if (!text.ok()) return text.status();
  return std::optional<issuing::SecretText>(*std::move(text));
}

absl::Status StateDir::WriteInvitation(std::string_view line) {
  return dir_.Write(kInvitationFile, line, PrivateDir::Replace::kAlways);
}

absl::Status StateDir::RemoveInvitation() {
  const absl::Status s = dir_.Remove(kInvitationFile);
  return absl::IsNotFound(s) ? absl::OkStatus() : s;
}

constexpr uint8_t kSlotCharter = 3;

// A charter that follows another, or a vote for one.
bool IsProposed(const Signed& object) {
  if (object.ctx() == authority::Ctx::kCharter) {
    const auto c = authority::ParseBody<authority::Charter>(object.body());
    return c.ok() && c->version > 1;
  }
  if (object.ctx() != authority::Ctx::kCosign) return false;
  const auto vote = authority::ParseBody<authority::Cosign>(object.body());
  return vote.ok() && vote->slot == kSlotCharter;
}

namespace {

// What was voted for while no daemon ran is in force all the same.
absl::Status AddVotedCharters(const lineage::Store& store, KnownObjects& known) {
  bool proposed = false;
  AQ_RETURN_IF_ERROR(store.ScanState(node::kProposalState, [&](std::string_view, ByteView) {
    proposed = true;
    return false;
  }));
  if (!proposed) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const node::Charters charters, ChartersIn(store, known));
  const auto held = static_cast<uint32_t>(known.charters.size());
  for (const SignedPtr& o : charters.InForceBeyond(held)) {
    if (o->ctx() == authority::Ctx::kCosign) known.others.push_back(o);
  }
  known.charters = charters.all();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<KnownObjects> LoadObjects(const lineage::Store& store) {
  KnownObjects out;
  absl::Status status;
  AQ_RETURN_IF_ERROR(
      store.ScanObjects(lineage::Shelf::kSigned, [&](const Oid& oid, ByteView bytes) {
        absl::StatusOr<Signed> parsed = Signed::Parse(bytes);
        if (!parsed.ok()) {
          status = DataLoss("store: object ", ToHex(oid), ": ", Text(parsed.status()));
          return false;
        }
        auto object = std::make_shared<const Signed>(*std::move(parsed));
        switch (object->ctx()) {
          case authority::Ctx::kCharter: status = Take(object, out.charters); break;
          case authority::Ctx::kGrant: status = Take(object, out.grants); break;
          case authority::Ctx::kFragment: status = Take(object, out.fragments); break;
          default: out.others.push_back(std::move(object));
        }
        return status.ok();
      }));
  AQ_RETURN_IF_ERROR(status);
  std::ranges::sort(out.charters, {}, [](const auto& c) { return c.body.version; });
  std::ranges::sort(
      out.grants, {}, [](const auto& g) { return std::pair(g.body.not_before, g.body.seq); });
  std::ranges::sort(
      out.fragments, {}, [](const auto& f) { return std::pair(f.body.not_before, f.body.seq); });
  AQ_RETURN_IF_ERROR(AddVotedCharters(store, out));
  return out;
}

absl::Status StoreObjects(lineage::Store& store, std::span<const SignedPtr> objects) {
  lineage::Batch batch;
  for (const SignedPtr& o : objects) {
    if (o->ctx() == authority::Ctx::kAnnounce) {  // the newest of each signer, under the name that
                                                  // the node reads
      batch.puts.push_back({Join("announce/", ToHex(o->kid())), o->bytes()});
    } else if (IsProposed(*o)) {  // the node judges it, and it alone says what is in force
      const bool vote = o->ctx() == authority::Ctx::kCosign;
      batch.puts.push_back(
          {Join(vote ? node::kVoteState : node::kProposalState, ToHex(o->oid())), o->bytes()});
    } else {
      batch.objects.push_back({lineage::Shelf::kSigned, o->oid(), o->bytes()});
    }
  }
  return store.Commit(batch);
}

}  // namespace aqmesh::cli
