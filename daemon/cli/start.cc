// init, invite, join, up, down: the first five minutes, and every start after them.
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <qrcodegen.hpp>

#include "core/authority/chain.h"
#include "core/authority/charter.h"
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/daemon_start.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/local_policy_file.h"
#include "daemon/cli/text.h"
#include "issuing/line.h"
#include "issuing/rules.h"

namespace aqmesh::cli {

namespace {

namespace json = boost::json;

// ---- init

constexpr uint64_t kParamIdMax = 25;  // spec: objects#2

struct InitFlags {
  std::string name, machine, profile = "small-mesh";
  std::vector<std::string> params;
  PassphraseFlags passphrase;
  bool no_enroll = false, invite = false, yes = false;
  std::vector<std::string> endpoints;
  uint16_t port = 41'641;
};

struct InviteFlags {
  std::vector<std::string> tags;
  std::string ttl, out;
  bool reusable = false, no_enroll = false, ephemeral = false, qr = false, wait = false,
       yes = false;
};

absl::StatusOr<Config> ConfigOf(Session& s,
                                const std::string& name,
                                const std::vector<std::string>& endpoints,
                                uint16_t port) {
  Config config;
  config.name = name;
  config.listen_port = port;
  for (const std::string& text : endpoints) {
    const auto e = Endpoint::Parse(text);
    if (!e)
      return s.Usage(Join("--endpoint `", text, "`: write 192.0.2.1:41641 or [2001:db8::1]:41641"));
    config.endpoints.push_back(*e);
  }
  if (config.endpoints.size() > kConfigEndpointsMax)
    return s.Usage(Join("--endpoint: at most ", kConfigEndpointsMax));
  return config;
}

// For a state that is new: a daemon that answers already serves another one, or serves this one
// without knowing.
absl::Status StartAnew(Session& s) {
  AQ_ASSIGN_OR_RETURN(const bool started, s.env().start_daemon(s.state_path, s.socket_path));
  if (started) return absl::OkStatus();
  return FailedPrecondition(
      "a daemon that was there before answers at ",
      s.socket_path,
      "; give another --socket PATH, or `aqmesh down --stop` and then `aqmesh up`");
}

struct Born {
  Held<authority::Charter> charter;
  issuing::JoinGrants grants;
  Held<authority::Fragment> fragment;
  Kid root{};
};

// The profile, and what differs from it.
absl::Status TermsOf(Session& s, const InitFlags& flags, issuing::GenesisOptions& out) {
  if (flags.profile != "small-mesh" && flags.profile != "standard")
    return s.Usage(Join("--profile ", flags.profile, ": small-mesh or standard"));
  out.profile =
      flags.profile == "standard" ? authority::Profile::kStandard : authority::Profile::kSmallMesh;
  for (const std::string& text : flags.params) {
    const size_t equals = text.find('=');
    const auto number = [&](std::string_view digits) -> std::optional<uint64_t> {
      uint64_t n = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
      return error == std::errc() && end == digits.data() + digits.size() ? std::optional(n)
                                                                          : std::nullopt;
    };
    const auto id = number(std::string_view(text).substr(0, equals));
    const auto value =
        equals == std::string::npos ? id : number(std::string_view(text).substr(equals + 1));
    if (equals == std::string::npos || !id || !value || *id == 0 || *id > kParamIdMax)
      return s.Usage(Join("--param ", text, ": write ID=NUMBER, the ids 1 to ", kParamIdMax));
    const auto same = [&](const authority::Param& p) { return p.id == *id; };
    if (std::ranges::any_of(out.params, same))
      return s.Usage(Join("--param ", text, ": that id was given already"));
    out.params.push_back({static_cast<uint16_t>(*id), *value});
  }
  return absl::OkStatus();
}

// Keys first, each with its counter on disk before it signs; then what the root says about this
// machine.
absl::StatusOr<Born> MakeMesh(Session& s,
                              const StateDir& state,
                              const InitFlags& flags,
                              issuing::GenesisOptions genesis,
                              const std::string& machine,
                              std::string_view passphrase) {
  AQ_RETURN_IF_ERROR(state.MakeMachineKeys(s.rng()));
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const auto root,
                      issuing::FileSigner::Create(
                          keys, kRootKey, s.rng(), {passphrase, issuing::KdfCost::kModerate}));
  // Stays here, as well sealed as the root, until it is on paper: `authority paper root --forget`.
  const crypto::Ed25519Seed next = crypto::NewEd25519(s.rng());
  AQ_RETURN_IF_ERROR(
      passphrase.empty()
          ? keys.SaveEd25519(kRootNextKey, next)
          : keys.SealEd25519(kRootNextKey, next, passphrase, issuing::KdfCost::kModerate, s.rng()));
  const uint64_t now = s.now();
  genesis.name = flags.name;
  genesis.next_key = authority::NextKeyOf(authority::Suite::kEd25519, crypto::Ed25519Public(next));
  genesis.now = now;
  AQ_ASSIGN_OR_RETURN(auto charter, issuing::Genesis(genesis, root->signer().seed(), s.rng()));
  const issuing::Issuer by_root{.signer = root->signer(), .charter = charter};
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info identity, keys.Look(kIdentityKey));
  issuing::FirstMachine first{
      .name = machine, .enroll = !flags.no_enroll, .enroller_tags = {"*", "member"}};
  first.key.bytes = identity.public_key;
  AQ_ASSIGN_OR_RETURN(auto grants, issuing::RootGrants(by_root, first, now));
  AQ_ASSIGN_OR_RETURN(auto fragment, issuing::DefaultFragment(by_root, now));
  const Kid root_kid = root->signer().kid();
  return Born{std::move(charter), std::move(grants), std::move(fragment), root_kid};
}

void PrintBorn(Session& s,
               const InitFlags& flags,
               const Born& born,
               const Kid& me,
               const std::string& machine,
               bool sealed) {
  const std::vector<std::string> addresses = AddressesOf(born.grants.node.body);
  const std::string scope = ToHex(authority::ScopeIdOf(born.charter));
  if (s.json) {
    wire::JsonWriter w;
    w.Object()
        .Field("schema", "aqmesh.init/1")
        .Field("mesh", flags.name)
        .Field("scope", scope)
        .Field("name", machine);
    w.Field("kid", ToHex(me)).Field("root", ToHex(born.root)).Field("root_sealed", sealed);
    w.Field("enroller", born.grants.enroller.has_value())
        .Field("state", s.state_path)
        .Key("addresses")
        .Array();
    for (const std::string& a : addresses) w.Value(a);
    w.End().End();
    s.Out(Join(w.Take(), "\n"));
    return;
  }
  s.Out(Join("Mesh \"",
             flags.name,
             "\" is made, id ",
             scope,
             ". You are ",
             machine,
             ", ",
             Listed(addresses),
             ", ",
             machine,
             ".",
             flags.name,
             ".aq\n"));
  s.Say(Join(
      "Root key: ",
      sealed ? "encrypted with your passphrase." : "NOT encrypted, in " + s.state_path + "/keys.",
      " Paper key (the next root key, not a copy of this one): aqmesh authority paper root"));
}

absl::StatusOr<int> InviteAndWait(Session& s, const InviteFlags& flags);

absl::StatusOr<int> Init(Session& s, const InitFlags& flags) {
  if (!issuing::IsLab(flags.name))
    return s.Usage(Join("mesh name `", flags.name, "`: use a-z, 0-9 and -, such as home"));
  const std::string machine = flags.machine.empty() ? s.env().host_name : flags.machine;
  if (!issuing::IsLab(machine))
    return s.Usage(Join("machine name `", machine, "`: give --machine NAME of a-z, 0-9 and -"));
  AQ_ASSIGN_OR_RETURN(Config config, ConfigOf(s, machine, flags.endpoints, flags.port));
  if (auto there = StateDir::Open(s.state_path); there.ok()) {
    if (const auto old = there->ReadConfig(); !absl::IsNotFound(old.status())) {
      return AlreadyExists(
          s.state_path,
          " already belongs to a mesh; `aqmesh whoami` says which, or give another --state DIR");
    }
  }
  issuing::GenesisOptions genesis;
  AQ_RETURN_IF_ERROR(TermsOf(s, flags, genesis));
  AQ_ASSIGN_OR_RETURN(const issuing::SecretText passphrase, s.NewPassphrase(flags.passphrase));
  AQ_ASSIGN_OR_RETURN(StateDir state, StateDir::Create(s.state_path));
  AQ_ASSIGN_OR_RETURN(const Born born,
                      MakeMesh(s, state, flags, std::move(genesis), machine, passphrase.view()));
  {
    AQ_ASSIGN_OR_RETURN(const auto store, state.OpenStore());
    std::vector<SignedPtr> objects = {
        born.charter.envelope, born.grants.node.envelope, born.fragment.envelope};
    if (born.grants.enroller) objects.push_back(born.grants.enroller->envelope);
    AQ_RETURN_IF_ERROR(StoreObjects(*store, objects));
  }
  config.mesh = authority::ScopeIdOf(born.charter);
  if (!state.HasPolicy()) AQ_RETURN_IF_ERROR(state.WritePolicy(DefaultPolicyText()));
  AQ_RETURN_IF_ERROR(state.WriteConfig(config));  // last: it says that all the rest is there
  AQ_ASSIGN_OR_RETURN(const Kid me, state.KidOfKey(kIdentityKey));
  PrintBorn(s, flags, born, me, machine, !passphrase.view().empty());
  if (!flags.invite) {
    s.Say("Next: aqmesh up     then, for another machine: aqmesh invite");
    return 0;
  }
  AQ_RETURN_IF_ERROR(StartAnew(s));
  InviteFlags invite;
  invite.wait = true;
  invite.yes = flags.yes;
  return InviteAndWait(s, invite);
}

// ---- invite

std::string QrText(const std::string& line) {
  const qrcodegen::QrCode code =
      qrcodegen::QrCode::encodeText(line.c_str(), qrcodegen::QrCode::Ecc::LOW);
  constexpr int kQuiet = 2;
  std::string out;
  // Two modules a character cell: dark is blank, so that a dark terminal shows dark on light.
  for (int y = -kQuiet; y < code.getSize() + kQuiet; y += 2) {
    for (int x = -kQuiet; x < code.getSize() + kQuiet; ++x) {
      const bool top = !code.getModule(x, y), bottom = !code.getModule(x, y + 1);
      out += top && bottom ? "\u2588" : top ? "\u2580" : bottom ? "\u2584" : " ";
    }
    out += "\n";
  }
  return out;
}

// Follows joiners: asks for each "the same words?", and ends after `ends_after` joined (0: never).
absl::StatusOr<int> FollowJoins(Session& s, bool yes, bool once) {
  absl::Status status;
  const LiveRequest request{
      .verb = "follow",
      .json = json::serialize(
          json::object{{"kinds", {"ask", "joined", "refused"}}, {"until", once ? "joined" : ""}})};
  const auto on_event = [&](const LiveAnswer& event) {
    const json::object e = ReadObject(event.json);
    const std::string kind = TextIn(e, "event"), name = TextIn(e, "name");
    if (kind == "ask") {
      const std::string endpoint = TextIn(e, "endpoint");
      const std::string line = Join(name,
                                    endpoint.empty() ? "" : Join(" (", endpoint, ")"),
                                    " asks to join. Its words: ",
                                    TextIn(e, "words"),
                                    ". ");
      if (yes) s.Say(Join(line, "Taken as the same (--yes)."));
      const std::optional<bool> same =
          yes ? std::optional(true) : s.env().ask(Join(line, "The same? [Y/n] "));
      if (!same) {
        s.Say(Join(line, "No terminal to ask on: answer elsewhere, or repeat with --yes."));
        return true;
      }
      status = s.Live()
                   ->Call({.verb = "answer",
                           .json = json::serialize(
                               json::object{{"kid", TextIn(e, "kid")}, {"yes", *same}})})
                   .status();
      return status.ok();
    }
    if (kind == "joined") {
      const uint64_t end = NumberIn(e, "grant_end");
      s.Out(Join(name,
                 " joined: ",
                 Listed(TextsIn(e, "addresses")),
                 ", ",
                 TextIn(e, "rung"),
                 end > s.now() ? Join(", grant ", SpanText(end - s.now())) : "",
                 "\n"));
      return !once;
    }
    if (kind == "refused")
      s.Say(Join(name, " was refused: ", TextIn(e, "reason"), ". ", TextIn(e, "mend")));
    return true;
  };
  const auto done = s.Live()->Call(request, on_event);
  AQ_RETURN_IF_ERROR(status);
  AQ_RETURN_IF_ERROR(done.status());
  return 0;
}

absl::StatusOr<int> InviteAndWait(Session& s, const InviteFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const uint64_t ttl, SpanFlag(s, "--ttl", flags.ttl, 3'600));
  json::array tags(flags.tags.begin(), flags.tags.end());
  if (tags.empty()) tags.emplace_back("member");
  const json::object args{{"tags", std::move(tags)},
                          {"ttl_s", ttl},
                          {"uses", flags.reusable ? 0 : 1},
                          {"enroller", !flags.no_enroll},
                          {"ephemeral", flags.ephemeral}};
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer,
                      s.Live()->Call({.verb = "invite", .json = json::serialize(args)}));
  if (s.json) {
    s.Out(Join(answer.json, "\n"));
  } else {
    const std::string line = TextIn(ReadObject(answer.json), "line");
    if (!flags.out.empty()) {
      const mode_t old = umask(077);  // the line is a secret
      const absl::Status written = s.WriteFile(flags.out, Join(line, "\n"));
      umask(old);
      AQ_RETURN_IF_ERROR(written);
    }
    s.Say(Join("On the next machine, within ",
               SpanText(ttl),
               ", type (it is a secret, for ",
               flags.reusable ? "any number of machines" : "one machine",
               "):"));
    if (flags.out.empty()) s.Out(Join(s.env().out_tty ? "    sudo aqmesh join " : "", line, "\n"));
    if (!flags.out.empty()) s.Out(Join("    sudo aqmesh join ", flags.out, "\n"));
    if (flags.qr) s.Out(QrText(line));
  }
  if (!flags.wait) return 0;
  s.Say("Waiting for it here; Ctrl-C leaves the invitation open.");
  return FollowJoins(s, flags.yes, !flags.reusable);
}

// ---- join

struct JoinFlags {
  std::string line, name;
  std::vector<std::string> endpoints;
  uint16_t port = 41'641;
  bool no_wait = false;
};

// The line itself, a file that holds it, or stdin: argv is visible to every user of the machine.
absl::StatusOr<std::string> LineOf(Session& s, const std::string& text) {
  struct stat info{};
  if (text == "-" || stat(text.c_str(), &info) == 0) return s.ReadFile(text, issuing::kLineTextMax);
  return text;
}

// The daemon's word on who we are; empty while there is no grant.
json::object OwnGrant(Session& s) {
  const auto answer = s.Live()->Call({.verb = "whoami"});
  json::object me = answer.ok() ? ReadObject(answer->json) : json::object();
  return NumberIn(me, "grant_end") > 0 ? std::move(me) : json::object();
}

void PrintJoined(Session& s, const json::object& me) {
  s.Out(Join("Joined mesh \"",
             TextIn(me, "mesh"),
             "\". You are ",
             TextIn(me, "name"),
             ", ",
             Listed(TextsIn(me, "addresses")),
             "\n"));
  s.Say("Next: aqmesh status");
}

absl::StatusOr<int> FollowOwnJoin(Session& s) {
  json::object joined;
  absl::Status refused;
  const auto on_event = [&](const LiveAnswer& event) {
    const json::object e = ReadObject(event.json);
    const std::string kind = TextIn(e, "event");
    if (kind == "found")
      s.Say(Join("Found ", TextIn(e, "name"), " at ", TextIn(e, "endpoint"), "."));
    if (kind == "words")
      s.Say(Join("Words: ", TextIn(e, "words"), ". The other machine shows the same ones."));
    if (kind == "refused")
      refused = PermissionDenied("refused: ", TextIn(e, "reason"), ". ", TextIn(e, "mend"));
    if (kind == "joined") joined = e;
    return joined.empty() && refused.ok();
  };
  const auto done =
      s.Live()->Call({.verb = "follow",
                      .json = R"({"kinds":["found","words","joined","refused"],"until":"joined"})"},
                     on_event);
  AQ_RETURN_IF_ERROR(refused);
  if (const json::object me = OwnGrant(s); !me.empty()) joined = me;
  if (joined.empty()) AQ_RETURN_IF_ERROR(done.status());
  if (joined.empty())
    return Unavailable("not joined yet; the daemon goes on trying: aqmesh status");
  PrintJoined(s, joined);
  return 0;
}

// The order was given before, and this state's own daemon is on it, or done with it.
bool IsAtWork(Session& s, const StateDir& state, const std::string& line) {
  const auto me = state.KidOfKey(kIdentityKey);
  if (!me.ok()) return false;
  const auto answer = s.Live()->Call({.verb = "status"});
  if (!answer.ok()) return false;
  const json::object status = ReadObject(answer->json);
  if (TextIn(status, "kid") != ToHex(*me)) return false;
  const auto held = state.ReadInvitation();
  return TrueIn(status, "joined") || (held.ok() && *held && (*held)->view() == line);
}

absl::StatusOr<int> JoinMesh(Session& s, const JoinFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::string line, LineOf(s, flags.line));
  auto parsed = issuing::ParseLine(line);
  if (!parsed.ok()) return Annotate(parsed.status(), "this is no invitation");
  const issuing::Invitation& invitation = *parsed;
  const authority::Invite& invite = invitation.invite.body;
  if (authority::Lapsed(invite.not_before, invite.ttl, s.now())) {
    return FailedPrecondition("the invitation ended at ",
                              UtcText(invite.not_before + invite.ttl),
                              "; on a member: aqmesh invite");
  }
  const std::string name = flags.name.empty() ? s.env().host_name : flags.name;
  if (!issuing::IsLab(name))
    return s.Usage(Join("machine name `", name, "`: give --name NAME of a-z, 0-9 and -"));
  AQ_ASSIGN_OR_RETURN(Config config, ConfigOf(s, name, flags.endpoints, flags.port));
  config.mesh = invite.scope;
  AQ_ASSIGN_OR_RETURN(StateDir state, StateDir::Create(s.state_path));
  if (const auto old = state.ReadConfig(); old.ok() && old->mesh && *old->mesh != invite.scope) {
    return FailedPrecondition(s.state_path,
                              " belongs to another mesh, ",
                              ToHex(*old->mesh),
                              "; give another --state DIR");
  }
  if (IsAtWork(s, state, line)) return flags.no_wait ? 0 : FollowOwnJoin(s);
  AQ_RETURN_IF_ERROR(state.MakeMachineKeys(s.rng()));
  if (!state.HasPolicy()) AQ_RETURN_IF_ERROR(state.WritePolicy(DefaultPolicyText()));
  AQ_RETURN_IF_ERROR(state.WriteInvitation(line));
  AQ_RETURN_IF_ERROR(state.WriteConfig(config));
  AQ_RETURN_IF_ERROR(StartAnew(s));
  if (flags.no_wait) return 0;
  return FollowOwnJoin(s);
}

// ---- up, down

absl::StatusOr<int> Up(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_RETURN_IF_ERROR(state.ReadConfig().status());
  AQ_ASSIGN_OR_RETURN(const bool started, s.env().start_daemon(s.state_path, s.socket_path));
  if (!started) AQ_RETURN_IF_ERROR(s.Live()->Call({.verb = "up"}).status());
  s.Say("Up. Undo: aqmesh down");
  return 0;
}

absl::StatusOr<int> Down(Session& s, bool stop) {
  AQ_RETURN_IF_ERROR(s.Live()->Call({.verb = stop ? "stop" : "down"}).status());
  if (const auto state = s.State(); stop && state.ok())
    AQ_RETURN_IF_ERROR(AwaitDaemonEnd(state->store_path()));
  s.Say(stop ? "Stopped. Undo: aqmesh up"
             : "Down; the daemon stays, to answer questions. Undo: aqmesh up");
  return 0;
}

void AddInit(Tree& tree) {
  auto init = std::make_shared<InitFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "init",
                               "Start a mesh on this machine",
                               "sudo aqmesh init home --invite",
                               [init](Session& s) { return Init(s, *init); });
  app->add_option("NAME", init->name, "Name of the mesh")->required();
  app->add_flag("--no-passphrase", init->passphrase.none, "Leave the root key unencrypted");
  AddPassphrase(app, init->passphrase);
  app->add_option("--machine", init->machine, "Name of this machine; default: the host's");
  app->add_option(
         "--profile",
         init->profile,
         "small-mesh, or standard: trust is earned, and others have to speak for a machine")
      ->capture_default_str();
  app->add_option("--param", init->params, "A parameter of the charter, ID=NUMBER; once each")
      ->take_all();
  app->add_flag(
      "--no-enroll", init->no_enroll, "This machine may not enroll others; only the root key may");
  app->add_option("--endpoint", init->endpoints, "Where others may find this machine, IP:PORT");
  app->add_option("--port", init->port, "UDP port to listen on")
      ->check(CLI::Range(1, 65'535))
      ->capture_default_str();
  app->add_flag(
      "--invite", init->invite, "Then start, print an invitation and wait for who uses it");
  app->add_flag("--yes", init->yes, "With --invite: take the words as the same without asking");
  tree.Json(app);
}

void AddInvite(Tree& tree) {
  auto invite = std::make_shared<InviteFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "invite",
                               "Print an invitation for another machine",
                               "aqmesh invite --tag web --ttl 1h --wait",
                               [invite](Session& s) { return InviteAndWait(s, *invite); });
  app->add_option(
         "--tag,--tags", invite->tags, "Tag of who joins by it, one or more; default: member")
      ->delimiter(',');
  app->add_option("--ttl", invite->ttl, "How long it is good for; default 1h");
  app->add_flag("--reusable", invite->reusable, "For any number of machines");
  app->add_flag("--ephemeral", invite->ephemeral, "Who joins by it is forgotten when it goes");
  app->add_flag("--no-enroll", invite->no_enroll, "Who joins by it may not enroll others");
  app->add_option(
      "-o,--output", invite->out, "Write the line into this file, for `aqmesh join FILE`");
  app->add_flag("--qr", invite->qr, "Show it as a QR code too");
  app->add_flag("--wait", invite->wait, "Wait for who uses it, and compare words");
  app->add_flag("--yes", invite->yes, "With --wait: take the words as the same without asking");
  tree.Json(app);
}

}  // namespace

void AddStart(Tree& tree) {
  AddInit(tree);
  AddInvite(tree);
  auto join = std::make_shared<JoinFlags>();
  CLI::App* app =
      tree.Command(nullptr,
                   "join",
                   "Join a mesh by an invitation",
                   "sudo aqmesh join aq1-7H3KQ-...     (or: aqmesh join FILE, aqmesh join -)",
                   [join](Session& s) { return JoinMesh(s, *join); });
  app->add_option("LINE", join->line, "The line, a file that holds it, or - for stdin")->required();
  app->add_option("--name", join->name, "Name of this machine; default: the host's");
  app->add_option("--endpoint", join->endpoints, "Where others may find this machine, IP:PORT");
  app->add_option("--port", join->port, "UDP port to listen on")
      ->check(CLI::Range(1, 65'535))
      ->capture_default_str();
  app->add_flag("--no-wait", join->no_wait, "Do not wait until it has joined");

  tree.Command(nullptr, "up", "Carry traffic; starts the daemon if need be", "sudo aqmesh up", Up);
  auto stop = std::make_shared<bool>(false);
  app = tree.Command(nullptr,
                     "down",
                     "Leave the mesh for now: no tunnel carries anything",
                     "sudo aqmesh down",
                     [stop](Session& s) { return Down(s, *stop); });
  app->add_flag("--stop", *stop, "End the daemon too");
}

}  // namespace aqmesh::cli
