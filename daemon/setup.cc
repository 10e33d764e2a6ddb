#include "daemon/setup.h"

#include <fstream>
#include <sstream>

#include "core/base/status.h"
#include "daemon/cli/witness_file.h"

namespace aqmesh::daemon {

namespace {

absl::StatusOr<node::Image> ReadImage(const lineage::RocksStore& store) {
  node::Image image;
  AQ_RETURN_IF_ERROR(store.ScanObjects(lineage::Shelf::kSigned, [&](const Oid&, ByteView bytes) {
    image.objects.emplace_back(bytes.begin(), bytes.end());
    return image.objects.size() < kImageObjectsMax;
  }));
  AQ_RETURN_IF_ERROR(store.ScanState("", [&](std::string_view name, ByteView value) {
    image.state.emplace(name, Bytes(value.begin(), value.end()));
    return image.state.size() < kImageStateMax;
  }));
  if (const auto head = store.head()) {
    AQ_ASSIGN_OR_RETURN(image.last_record, store.Read(head->seq));
  }
  image.edge = store.edge();
  return image;
}

}  // namespace

absl::Status SettleLogKey(issuing::KeyStore& keys, const lineage::RocksStore& store) {
  if (!keys.Has(kNextLogKey)) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed next, keys.LoadEd25519(kNextLogKey));
  AQ_ASSIGN_OR_RETURN(const auto logs, store.Logs());
  const Kid kid = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(next));
  if (logs.back().kid == kid) {
    // Whatever step of this a crash comes after, the next start ends up here again.
    if (keys.Has(cli::kLogKey)) AQ_RETURN_IF_ERROR(keys.Remove(cli::kLogKey));
    AQ_RETURN_IF_ERROR(keys.SaveEd25519(cli::kLogKey, next));
  }
  return keys.Remove(kNextLogKey);
}

absl::StatusOr<cli::Config> ReadConfigFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return NotFound("config ", path, ": cannot be read; name another with --config");
  std::string text(cli::kStateFileMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > cli::kStateFileMax)
    return InvalidArgument("config ", path, ": over ", cli::kStateFileMax, " bytes");
  return cli::ParseConfig(text, path);
}

absl::StatusOr<Setup> LoadSetup(const std::string& state_path, const std::string& config_path) {
  Setup setup;
  AQ_ASSIGN_OR_RETURN(cli::StateDir dir, cli::StateDir::Open(state_path));
  setup.dir = std::make_unique<cli::StateDir>(std::move(dir));
  setup.config_path = config_path.empty() ? setup.dir->config_path() : config_path;
  AQ_ASSIGN_OR_RETURN(setup.file, ReadConfigFile(setup.config_path));
  if (auto policy = cli::LoadWitnesses(setup.dir->witnesses_path()); policy.ok()) {
    setup.witnesses = cli::Asked(*policy);
  } else if (!absl::IsNotFound(policy.status())) {
    setup.witnesses_file = policy.status();
  }
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, setup.dir->Keys());
  setup.keys = std::make_unique<issuing::KeyStore>(std::move(keys));
  setup.seqs = std::make_unique<issuing::SeqCounter>(setup.keys->dir());
  AQ_ASSIGN_OR_RETURN(setup.store, setup.dir->OpenStore());
  AQ_RETURN_IF_ERROR(SettleLogKey(*setup.keys, *setup.store));
  AQ_ASSIGN_OR_RETURN(setup.image, ReadImage(*setup.store));
  return setup;
}

absl::StatusOr<node::Config> NodeConfig(Setup& setup) {
  node::Config config;
  AQ_ASSIGN_OR_RETURN(config.identity, setup.keys->LoadEd25519(cli::kIdentityKey));
  AQ_ASSIGN_OR_RETURN(config.static_key, setup.keys->LoadX25519(cli::kStaticKey));
  AQ_ASSIGN_OR_RETURN(config.log, setup.keys->LoadEd25519(cli::kLogKey));
  config.store = setup.store.get();
  config.name = setup.file.name;
  config.mtu = setup.file.mtu;
  config.endpoints = setup.file.endpoints;
  config.seqs = setup.seqs.get();
  for (const auto& w : setup.witnesses) config.witnesses.push_back({w.name, w.key});
  cli::LoadedPolicy loaded = cli::LoadLocalPolicy(setup.dir->policy_path());
  config.policy = std::move(loaded.policy);
  setup.policy = std::move(loaded.status);
  AQ_ASSIGN_OR_RETURN(const auto line, setup.dir->ReadInvitation());
  if (line) {
    auto invitation = issuing::ParseLine(line->view());
    if (!invitation.ok()) return Annotate(invitation.status(), setup.dir->invitation_path());
    config.invitation = *std::move(invitation);
  }
  return config;
}

}  // namespace aqmesh::daemon
