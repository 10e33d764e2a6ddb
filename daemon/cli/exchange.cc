// request, sign, import: joining by file, for machines that no network connects yet.
#include <algorithm>

#include "core/authority/chain.h"
#include "core/authority/charter.h"
#include "core/authority/standalone.h"
#include "core/wire/json.h"
#include "daemon/cli/charters_held.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/local_policy_file.h"
#include "daemon/cli/text.h"
#include "issuing/rules.h"

namespace aqmesh::cli {

namespace {

using authority::Class;

// ---- request

struct RequestFlags {
  std::string name, mesh, out = "-";
  std::vector<std::string> tags, endpoints;
};

// A mesh is named by its 32 hex digits, or by a file that holds its charter.
absl::StatusOr<ScopeId> MeshNamed(Session& s, const std::string& text) {
  if (const std::optional<Bytes> bytes = FromHex(text)) {
    if (const auto scope = ScopeId::From(*bytes)) return *scope;
  }
  absl::StatusOr<Held<authority::Charter>> charter = s.ReadOne<authority::Charter>(text);
  if (!charter.ok()) {
    return Annotate(charter.status(),
                    "--mesh wants 32 hex digits (`aqmesh authority list` on a member shows them) "
                    "or a charter file");
  }
  return authority::ScopeIdOf(*charter);
}

absl::StatusOr<int> Request(Session& s, const RequestFlags& flags) {
  if (!issuing::IsLab(flags.name))
    return s.Usage(Join("--name `", flags.name, "`: use a-z, 0-9 and -, such as borealis"));
  AQ_ASSIGN_OR_RETURN(const ScopeId mesh, MeshNamed(s, flags.mesh));
  AQ_ASSIGN_OR_RETURN(StateDir state, StateDir::Create(s.state_path));
  Config config;
  if (auto old = state.ReadConfig(); old.ok()) {
    config = *std::move(old);
  } else if (!absl::IsNotFound(old.status())) {
    return old.status();
  }
  if (config.mesh && *config.mesh != mesh) {
    return FailedPrecondition(
        state.path(), " belongs to mesh ", ToHex(*config.mesh), "; give another --state DIR");
  }
  config.name = flags.name;
  config.mesh = mesh;
  for (const std::string& text : flags.endpoints) {
    const auto e = Endpoint::Parse(text);
    if (!e || config.endpoints.size() >= kConfigEndpointsMax)
      return s.Usage(Join("--endpoint `", text, "`: write 192.0.2.1:41641"));
    config.endpoints.push_back(*e);
  }
  AQ_RETURN_IF_ERROR(state.MakeMachineKeys(s.rng()));
  if (!state.HasPolicy()) AQ_RETURN_IF_ERROR(state.WritePolicy(DefaultPolicyText()));
  AQ_RETURN_IF_ERROR(state.WriteConfig(config));
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed identity, keys.LoadEd25519(kIdentityKey));
  AQ_ASSIGN_OR_RETURN(const crypto::X25519Private static_key, keys.LoadX25519(kStaticKey));
  const issuing::RequestTerms terms{.scope = mesh,
                                    .static_key = crypto::X25519Public(static_key),
                                    .now = s.now(),
                                    .name = flags.name,
                                    .tags = flags.tags};
  AQ_ASSIGN_OR_RETURN(const auto request, issuing::MakeRequest(identity, terms, nullptr, nullptr));
  const SignedPtr objects[] = {request.envelope};
  AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, ArmourAll(objects)));
  s.Say(Join("Request of ", flags.name, ", key ", ToHex(request.signer()), ". It is not secret."));
  s.Say(Join("On a member: aqmesh sign ",
             flags.out == "-" ? "FILE" : flags.out,
             " -o ",
             flags.name,
             ".grant     then here: aqmesh import ",
             flags.name,
             ".grant"));
  return 0;
}

// ---- sign

struct SignFlags {
  std::string file, out = "-", ttl;
  std::vector<std::string> tags;
  bool root = false, no_enroll = false;
  PassphraseFlags passphrase;
};

absl::Status CheckRequest(const Held<authority::Request>& request, const std::string& file) {
  if (request.body.h)
    return InvalidArgument(
        file, ": a live request, bound to one handshake; make one with `aqmesh request`");
  if (request.signer() != authority::KidOf(request.body.suite, request.body.key) ||
      !authority::VerifySignature(*request.envelope, request.body.key)) {
    return Unauthenticated(
        file, ": the request's signature is wrong; it was altered on its way: copy it again");
  }
  return absl::OkStatus();
}

// Charter, the signer's own chain and this machine's addresses: what the new member cannot do
// without.
std::vector<SignedPtr> Foundations(const Pen& pen, uint64_t now) {
  const KnownObjects& known = pen.known();
  std::vector<SignedPtr> out;
  for (const auto& c : known.charters) out.push_back(c.envelope);
  for (const SignedPtr& o : known.others) {  // the votes that made them so
    if (o->ctx() == authority::Ctx::kCosign) out.push_back(o);
  }
  for (const auto* g = pen.grant(); g; g = known.GrantNamed(g->body.parent))
    out.push_back(g->envelope);
  for (const auto& f : known.fragments) {
    if (!authority::Lapsed(f.body.not_before, f.body.ttl, now) &&
        std::ranges::find(known.charters, f.body.authority, &Held<authority::Charter>::oid) !=
            known.charters.end()) {
      out.push_back(f.envelope);
    }
  }
  return out;
}

absl::StatusOr<int> Sign(Session& s, const SignFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const uint64_t ttl, SpanFlag(s, "--ttl", flags.ttl, issuing::kNodeTtl));
  AQ_ASSIGN_OR_RETURN(const auto request, s.ReadOne<authority::Request>(flags.file));
  AQ_RETURN_IF_ERROR(CheckRequest(request, flags.file));
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto pen, s.TakePen(state, flags.root, flags.passphrase));
  const uint64_t now = s.now();
  const auto taken = [&](const IpAddress& address) {
    return std::ranges::any_of(pen->known().grants, [&](const auto& g) {
      if (authority::Lapsed(g.body.not_before, g.body.ttl, now)) return false;
      if (authority::KidOf(g.body.suite, g.body.key) == request.signer())
        return false;  // signed once before
      return std::ranges::any_of(g.body.prefixes,
                                 [&](const Prefix& p) { return p.Contains(address); });
    });
  };
  const issuing::SponsorOptions options{
      .enroll = !flags.no_enroll, .tags = flags.tags, .ttl = static_cast<uint32_t>(ttl)};
  AQ_ASSIGN_OR_RETURN(const issuing::JoinGrants grants,
                      issuing::SponsorGrants(pen->issuer(), request, options, taken, now));

  std::vector<SignedPtr> fresh = {grants.node.envelope};
  if (grants.enroller) fresh.push_back(grants.enroller->envelope);
  AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  std::vector<SignedPtr> bundle = Foundations(*pen, now);
  bundle.insert(bundle.end(), fresh.begin(), fresh.end());
  AQ_ASSIGN_OR_RETURN(const Config config, state.ReadConfig());
  if (!config.endpoints.empty()) {  // where the new member finds its first peer
    AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
    AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed identity, keys.LoadEd25519(kIdentityKey));
    AQ_ASSIGN_OR_RETURN(const crypto::X25519Private static_key, keys.LoadX25519(kStaticKey));
    issuing::AnnounceTerms terms{.scope = grants.node.body.scope,
                                 .static_key = crypto::X25519Public(static_key),
                                 .endpoints = config.endpoints,
                                 .name = config.name,
                                 .ttl = issuing::kDay};
    AQ_ASSIGN_OR_RETURN(const auto announce,
                        issuing::MakeAnnounce(identity, std::move(terms), now));
    bundle.push_back(announce.envelope);
    const Kid kid = announce.signer();
    if (const auto* own = pen->known().GrantOf(kid, Class::kNode, now))
      bundle.push_back(own->envelope);
  }
  AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, ArmourAll(bundle)));
  s.Say(Join("Signed: ",
             grants.node.body.name,
             ", key ",
             ToHex(request.signer()),
             ", ",
             Listed(AddressesOf(grants.node.body)),
             ", ",
             SpanText(grants.node.body.ttl),
             ", tags ",
             Listed(grants.node.body.tags),
             grants.enroller ? ", may enroll others" : "",
             "."));
  s.Say(
      "Was that the key that `aqmesh request` showed there? If not, take it back: aqmesh revoke " +
      ToHex(request.signer()));
  return 0;
}

// ---- import

struct ImportFlags {
  std::vector<std::string> files;
};

// The bundle's genesis must be that of the mesh that was asked for.
absl::Status CheckGenesis(const std::vector<SignedPtr>& bundle,
                          const std::optional<ScopeId>& pinned) {
  if (!pinned)
    return FailedPrecondition(
        "this machine asked for no mesh yet; `aqmesh request --name NAME --mesh ID` first");
  for (const SignedPtr& o : bundle) {
    if (o->ctx() != authority::Ctx::kCharter) continue;
    AQ_ASSIGN_OR_RETURN(auto charter, authority::ParseObject<authority::Charter>(*o));
    if (charter.body.version != 1) continue;
    if (authority::ScopeIdOf(charter) != *pinned) {
      return PermissionDenied("the charter is of mesh ",
                              ToHex(authority::ScopeIdOf(charter)),
                              ", and this machine asked mesh ",
                              ToHex(*pinned),
                              "; nothing was taken");
    }
    return absl::OkStatus();
  }
  return NotFound("no charter of the mesh in these files; import what `aqmesh sign` wrote, whole");
}

// The charter to judge by: the newest in force, with what the bundle brings.
absl::StatusOr<Held<authority::Charter>> CharterFor(const StateDir& state,
                                                    const KnownObjects& known,
                                                    const std::vector<SignedPtr>& bundle,
                                                    const std::optional<ScopeId>& pinned) {
  node::Charters charters;
  if (known.charter()) {
    AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
    AQ_ASSIGN_OR_RETURN(charters, ChartersIn(*store, known));
  } else {
    AQ_RETURN_IF_ERROR(CheckGenesis(bundle, pinned));
  }
  AQ_RETURN_IF_ERROR(TakeCharters(charters, bundle));
  return charters.all().back();
}

// All or none: the first object that does not hold stops the import.
absl::Status CheckBundle(const Held<authority::Charter>& charter,
                         const std::vector<SignedPtr>& bundle,
                         const std::vector<SignedPtr>& held,
                         WallTime now) {
  std::vector<SignedPtr> others = held;
  others.insert(others.end(), bundle.begin(), bundle.end());
  for (const SignedPtr& o : bundle) {
    const std::string what = Join(authority::CtxName(o->ctx()), " ", ShortId(o->oid()));
    AQ_RETURN_IF_ERROR(Annotate(CheckBody(*o), what));
    if (o->oid() == charter.oid() || o->ctx() == authority::Ctx::kCharter || IsProposed(*o))
      continue;  // judged together
    std::vector<SignedPtr> rest;
    for (const SignedPtr& other : others) {
      if (other->oid() != o->oid()) rest.push_back(other);
    }
    const authority::StandaloneReport report =
        authority::VerifyStandalone(o->bytes(), charter, rest, now);
    const absl::Status status = Annotate(report.status, what);
    if (report.overreach)
      return PermissionDenied(Text(status),
                              "; that is a proof against its signer, ",
                              ShortId(report.overreach->signer),
                              ": `aqmesh trust report` shows it to this mesh");
    AQ_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Import(Session& s, const ImportFlags& flags) {
  std::vector<SignedPtr> bundle;
  for (const std::string& file : flags.files) {
    AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> objects, s.ReadObjects(file));
    bundle.insert(bundle.end(), objects.begin(), objects.end());
  }
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const Config config, state.ReadConfig());
  KnownObjects known;
  if (auto held = s.Known(state); held.ok())
    known = *std::move(held);  // no store yet: the first import makes it
  AQ_ASSIGN_OR_RETURN(const auto charter, CharterFor(state, known, bundle, config.mesh));
  AQ_RETURN_IF_ERROR(
      Annotate(CheckBundle(charter, bundle, known.All(), s.wall()), Listed(flags.files)));

  const std::vector<SignedPtr> held = known.All();
  std::vector<SignedPtr> fresh;
  for (const SignedPtr& o : bundle) {
    const auto same = [&](const SignedPtr& other) { return other->oid() == o->oid(); };
    if (std::ranges::none_of(held, same) && std::ranges::none_of(fresh, same)) fresh.push_back(o);
  }
  AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  AQ_ASSIGN_OR_RETURN(const Kid me, state.KidOfKey(kIdentityKey));
  std::optional<authority::Grant> mine;
  for (const SignedPtr& o : bundle) {
    if (o->ctx() != authority::Ctx::kGrant) continue;
    const auto grant = authority::ParseBody<authority::Grant>(o->body());
    if (grant.ok() && grant->cls == Class::kNode &&
        authority::KidOf(grant->suite, grant->key) == me)
      mine = *grant;
  }
  if (s.json) {
    wire::JsonWriter w;
    w.Object()
        .Field("schema", "aqmesh.import/1")
        .Field("mesh", charter.body.name)
        .Field("imported", fresh.size());
    w.Field("known", bundle.size() - fresh.size()).Field("granted", mine.has_value());
    w.Key("addresses").Array();
    if (mine) {
      for (const std::string& a : AddressesOf(*mine)) w.Value(a);
    }
    w.End().End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join("Imported ",
             fresh.size(),
             " objects of mesh \"",
             charter.body.name,
             "\", ",
             bundle.size() - fresh.size(),
             " were known.\n"));
  if (mine)
    s.Out(Join("You are ",
               mine->name,
               ", ",
               Listed(AddressesOf(*mine)),
               ", grant ",
               SpanText(mine->ttl),
               ".\n"));
  s.Say(mine ? "Next: aqmesh up" : "None of them is a grant to this machine.");
  return 0;
}

}  // namespace

void AddExchange(Tree& tree) {
  auto request = std::make_shared<RequestFlags>();
  CLI::App* app =
      tree.Command(nullptr,
                   "request",
                   "Ask for a grant by file (air gap, step 1 of 3)",
                   "aqmesh request --name borealis --mesh home.charter -o borealis.request",
                   [request](Session& s) { return Request(s, *request); });
  app->add_option("--name", request->name, "Name of this machine")->required();
  app->add_option("--mesh", request->mesh, "The mesh: its id in hex, or a file with its charter")
      ->required();
  app->add_option("-o,--output", request->out, "File to write; - for stdout")
      ->capture_default_str();
  app->add_option("--tag", request->tags, "Tag to ask for, one or more");
  app->add_option("--endpoint", request->endpoints, "Where others may find this machine, IP:PORT");

  auto sign = std::make_shared<SignFlags>();
  app = tree.Command(nullptr,
                     "sign",
                     "Sign another machine's request (air gap, step 2 of 3)",
                     "aqmesh sign borealis.request -o borealis.grant",
                     [sign](Session& s) { return Sign(s, *sign); });
  app->add_option("REQUEST", sign->file, "File from `aqmesh request`; - for stdin")->required();
  app->add_option("-o,--output", sign->out, "File to write; - for stdout")->capture_default_str();
  app->add_option("--tag",
                  sign->tags,
                  "Tag to grant, one or more; default: what the request asks, else member");
  app->add_option("--ttl", sign->ttl, "How long the grant lives, such as 30d");
  app->add_flag("--no-enroll", sign->no_enroll, "It may not enroll others");
  app->add_flag("--root", sign->root, "Sign by the root key");
  AddPassphrase(app, sign->passphrase);

  auto import = std::make_shared<ImportFlags>();
  app = tree.Command(nullptr,
                     "import",
                     "Take in signed objects (air gap, step 3 of 3)",
                     "aqmesh import borealis.grant",
                     [import](Session& s) { return Import(s, *import); });
  app->add_option("FILE", import->files, "Armoured files; - for stdin")->required();
  tree.Json(app);
}

}  // namespace aqmesh::cli
