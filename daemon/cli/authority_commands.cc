// authority, grant, fragment, revoke: what this machine's keys may say, said into files and into
// the store.
#include "core/authority/address.h"
#include "core/authority/chain.h"
#include "core/authority/render.h"
#include "core/authority/transforms.h"
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/text.h"
#include "issuing/line.h"
#include "issuing/rules.h"

namespace aqmesh::cli {

namespace {

using authority::Class;

// What every signing command takes.
struct SigningFlags {
  bool root = false;
  PassphraseFlags passphrase;
  std::string out, ttl;
};
void AddSigning(CLI::App* app, SigningFlags& flags) {
  app->add_flag("--root", flags.root, "Sign by the root key");
  app->add_option("-o,--output", flags.out, "File to write; - for stdout");
  app->add_option("--ttl", flags.ttl, "How long it lives, such as 30d");
  AddPassphrase(app, flags.passphrase);
}

std::string NameOrKid(const KnownObjects& known, const Kid& kid) {
  for (const auto& g : known.grants) {
    if (!g.body.name.empty() && authority::KidOf(g.body.suite, g.body.key) == kid)
      return g.body.name;
  }
  return ToHex(kid).substr(0, 8);
}

// Into the store, and where -o says: a whole chain, so that the file can be checked with the
// charter alone.
absl::Status Publish(Session& s,
                     const StateDir& state,
                     const Pen& pen,
                     const SignedPtr& object,
                     const SigningFlags& flags) {
  const SignedPtr fresh[] = {object};
  AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  s.Say(Join("Signed ",
             authority::CtxName(object->ctx()),
             " ",
             ShortId(object->oid()),
             ". Undo: aqmesh revoke --oid ",
             ToHex(object->oid()),
             flags.root ? " --root" : ""));
  if (flags.out.empty()) return absl::OkStatus();
  std::vector<SignedPtr> bundle;
  for (const auto* g = pen.grant(); g; g = pen.known().GrantNamed(g->body.parent))
    bundle.push_back(g->envelope);
  bundle.push_back(object);
  return s.WriteFile(flags.out, ArmourAll(bundle));
}

// ---- authority list, show, export, paper

absl::StatusOr<int> List(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, s.Known(state));
  if (!known.charter())
    return FailedPrecondition("no mesh in ", state.path(), " yet; `aqmesh import FILE` first");
  const authority::Charter& charter = known.charter()->body;
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
  const std::string scope = ToHex(issuing::ScopeOfCharter(*known.charter()));
  wire::JsonWriter w;
  w.Object()
      .Field("schema", "aqmesh.authorities/1")
      .Field("mesh", charter.name)
      .Field("scope", scope);
  w.Field("charter_version", charter.version).Key("authorities").Array();
  Table table({"NAME", "KIND", "KEY", "MAY", "SIGNED BY", "LEFT"});
  for (const authority::Voter& v : charter.voters) {
    const Kid kid = authority::KidOf(v.suite, v.key);
    const auto root = state.KidOfKey(kRootKey);
    const bool here = root.ok() && *root == kid;
    w.Object()
        .Field("name", v.group)
        .Field("kind", "VOTER")
        .Field("kid", ToHex(kid))
        .Field("here", here)
        .End();
    table.Row(
        {v.group, "VOTER", ToHex(kid), here ? "everything (key is here)" : "everything", "", ""});
  }
  for (const auto& g : known.grants) {
    if ((g.body.caps & authority::kCapsIssue) == 0) continue;
    const Kid kid = authority::KidOf(g.body.suite, g.body.key);
    const uint64_t end = g.body.not_before + g.body.ttl;
    w.Object()
        .Field("name", NameOrKid(known, kid))
        .Field("kind", authority::ClassName(g.body.cls))
        .Field("kid", ToHex(kid));
    w.Field("signer", ToHex(g.signer())).Field("end", end).Field("oid", ToHex(g.oid())).End();
    table.Row({NameOrKid(known, kid),
               std::string(authority::ClassName(g.body.cls)),
               ToHex(kid),
               (g.body.caps & authority::kCapIssueGrant) != 0 ? "grant" : "rules",
               ToHex(g.signer()).substr(0, 8),
               end > s.now() ? SpanText(end - s.now()) : "ended"});
  }
  w.End().End();
  s.Out(s.json ? Join(w.Take(), "\n")
               : Join("mesh ", charter.name, "  id ", scope, "\n", table.Print(s.env().columns)));
  return 0;
}

bool Picks(const authority::Grant& g, const KnownObjects& known, std::string_view which) {
  const Kid kid = authority::KidOf(g.suite, g.key);
  return which.empty() || NameOrKid(known, kid) == which ||
         (which.size() >= 4 && ToHex(kid).starts_with(which));
}

absl::StatusOr<int> ShowAll(Session& s,
                            const std::vector<SignedPtr>& objects,
                            std::string_view what) {
  if (objects.empty())
    return NotFound("no such ",
                    what,
                    " here; `aqmesh authority list` and `aqmesh grant show` list what there is");
  std::string out;
  for (const SignedPtr& o : objects) {
    out += Join(out.empty() || s.json ? "" : "\n",
                s.json ? Join(authority::RenderJson(*o), "\n") : authority::Render(*o));
  }
  s.Out(out);
  return 0;
}

absl::StatusOr<int> ShowGrants(Session& s, const std::string& which, uint32_t caps) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, s.Known(state));
  std::vector<SignedPtr> out;
  for (const auto& g : known.grants) {
    if ((caps == 0 || (g.body.caps & caps) != 0) && Picks(g.body, known, which))
      out.push_back(g.envelope);
  }
  return ShowAll(s, out, "grant");
}

absl::StatusOr<int> ShowFragments(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, s.Known(state));
  if (s.json) {
    std::vector<SignedPtr> out;
    for (const auto& f : known.fragments) out.push_back(f.envelope);
    return ShowAll(s, out, "fragment");
  }
  std::string out;
  for (const auto& f : known.fragments) {
    const uint64_t end = f.body.not_before + f.body.ttl;
    out += Join("fragment ",
                ShortId(f.oid()),
                "  signed by ",
                ToHex(f.signer()).substr(0, 8),
                "  ",
                end > s.now() ? Join(SpanText(end - s.now()), " left") : "ended",
                "\n");
    for (const authority::Rule& r : f.body.rules) out += Join("  ", issuing::PrintRule(r), "\n");
  }
  s.Out(out);
  if (out.empty())
    s.Say(
        "No fragments here: nothing is allowed. aqmesh fragment create --rule \"tag:member -> "
        "tag:member any\" --root");
  return 0;
}

struct ExportFlags {
  std::string what = "charter", out = "-";
};
absl::StatusOr<int> Export(Session& s, const ExportFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, s.Known(state));
  std::vector<SignedPtr> out;
  for (const SignedPtr& o : known.All()) {
    if (flags.what == "all" || authority::CtxName(o->ctx()) == flags.what) out.push_back(o);
  }
  if (out.empty())
    return NotFound(
        "nothing of kind `", flags.what, "` here; there are charter, grant, fragment, revoke, all");
  AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, ArmourAll(out)));
  return 0;
}

struct PaperFlags {
  std::string key = "root";
  bool forget = false;
  PassphraseFlags passphrase;
};
absl::StatusOr<int> Paper(Session& s, const PaperFlags& flags) {
  if (flags.key != kRootKey)
    return s.Usage(Join("only `root` has a paper key, not `", flags.key, "`"));
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  if (!keys.Has(kRootNextKey))
    return NotFound("the paper key is not on this machine any more; it is where you wrote it down");
  if (flags.forget) {
    AQ_RETURN_IF_ERROR(keys.Remove(kRootNextKey));
    s.Say("Forgotten here. The paper is now the only one.");
    return 0;
  }
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info info, keys.Look(kRootNextKey));
  issuing::SecretText passphrase;
  if (info.sealed) {
    AQ_ASSIGN_OR_RETURN(passphrase, s.Passphrase(flags.passphrase, kRootNextKey));
  }
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed next,
                      keys.LoadEd25519(kRootNextKey, passphrase.view()));
  s.Out(Join(issuing::PaperOf(next), "\n"));
  s.Say(
      "Write it down and keep it apart: it takes over from the root key. Then: aqmesh authority "
      "paper root --forget");
  return 0;
}

// ---- authority create, delegate; grant create

absl::StatusOr<int> CreateKey(Session& s, const std::string& name, const PassphraseFlags& flags) {
  for (const std::string_view own : {kIdentityKey, kStaticKey, kLogKey, kRootKey, kRootNextKey}) {
    if (name == own)
      return s.Usage(Join("`", name, "` is a name of this machine's own keys; choose another"));
  }
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const issuing::SecretText passphrase, s.NewPassphrase(flags));
  AQ_ASSIGN_OR_RETURN(const auto signer,
                      issuing::FileSigner::Create(
                          keys, name, s.rng(), {passphrase.view(), issuing::KdfCost::kModerate}));
  const std::string key = ToHex(signer->signer().key());
  if (s.json) {
    wire::JsonWriter w;
    w.Object()
        .Field("schema", "aqmesh.key/1")
        .Field("name", name)
        .Field("kid", ToHex(signer->signer().kid()))
        .Field("key", key)
        .End();
    s.Out(Join(w.Take(), "\n"));
  } else {
    s.Out(Join("key ", key, "\nkid ", ToHex(signer->signer().kid()), "\n"));
  }
  s.Say(Join("Public both. Give it authority: aqmesh authority delegate ",
             key,
             " --name ",
             name,
             " --root"));
  return 0;
}

struct GrantFlags {
  SigningFlags signing;
  std::string key, name, cls = "NODE";
  std::vector<std::string> tags, prefixes, must;
  uint32_t generation = 1;
};

// The words of --must as bits of an obligation.
absl::StatusOr<uint16_t> Obligations(Session& s, const std::vector<std::string>& words) {
  uint16_t out = 0;
  for (const std::string& word : words) {
    uint16_t bits = 0;
    if (word == "log_flow") bits = authority::kMustLogFlow;
    if (word == "log_headers") bits = authority::kMustLogHeaders;
    if (word == "escalate_first_use") bits = authority::kMustEscalateFirstUse;
    if (word == "no_relay") bits = authority::kMustNoRelay;
    if (word == "no_export") bits = authority::kMustNoExport;
    if (word.size() == 6 && word.starts_with("rate:") && word[5] >= '1' && word[5] <= '7')
      bits = static_cast<uint16_t>((word[5] - '0') << 8);
    if (bits == 0)
      return s.Usage(Join("--must ",
                          word,
                          ": there are log_flow, log_headers, escalate_first_use, no_relay, "
                          "no_export and rate:1 (100 Mbit/s) to rate:7 (64 kbit/s)"));
    out = authority::JoinObligations(out, bits);
  }
  return out;
}

bool AddressTaken(const KnownObjects& known, const IpAddress& a) {
  return std::ranges::any_of(known.grants, [&](const Held<authority::Grant>& g) {
    return std::ranges::find(g.body.prefixes, Prefix::Host(a)) != g.body.prefixes.end();
  });
}

absl::StatusOr<int> CreateGrant(Session& s, const GrantFlags& flags) {
  const std::optional<Class> cls = authority::ClassNamed(flags.cls);
  if (!cls)
    return s.Usage(Join("--class: no class `",
                        flags.cls,
                        "`; some are NODE, ENROLLER, PLAIN, ROUTER, RELAY, SEGMENT"));
  // A stock device's key is its WireGuard static, which people know as `wg pubkey` prints it.
  const bool plain = *cls == Class::kPlain;
  const std::optional<Bytes> bytes =
      plain && flags.key.size() == 44 ? FromBase64(flags.key) : FromHex(flags.key);
  const std::optional<Ed25519Key> key = bytes ? Ed25519Key::From(*bytes) : std::nullopt;
  if (!key)
    return s.Usage(Join("key `",
                        flags.key,
                        plain
                            ? "`: wants the device's WireGuard public key, as `wg pubkey` prints it"
                            : "`: wants the 64 hex digits that `aqmesh authority create` prints"));
  AQ_ASSIGN_OR_RETURN(const uint64_t ttl, SpanFlag(s, "--ttl", flags.signing.ttl, 0));
  authority::Grant wanted;
  wanted.suite = plain ? authority::Suite::kX25519Static : authority::Suite::kEd25519;
  wanted.key = *key;
  wanted.cls = *cls;
  wanted.name = flags.name;
  wanted.tags = flags.tags;
  wanted.generation = flags.generation;
  AQ_ASSIGN_OR_RETURN(wanted.obligations, Obligations(s, flags.must));
  for (const std::string& text : flags.prefixes) {
    const auto prefix = Prefix::Parse(text);
    if (!prefix) return s.Usage(Join("--prefix `", text, "`: write 10.1.0.0/16"));
    wanted.prefixes.push_back(*prefix);
  }
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto pen,
                      s.TakePen(state, flags.signing.root, flags.signing.passphrase));
  const uint64_t now = s.now();
  if (plain && wanted.prefixes.empty()) {
    // The addresses that are its own by derivation: its config is written by hand, so they are
    // said.
    const ScopeId scope = issuing::ScopeOfCharter(pen->issuer().charter);
    const Kid kid = authority::KidOf(wanted.suite, *key);
    wanted.prefixes = {Prefix::Host(authority::DerivedIp6(scope, kid))};
    const auto pool = pen->issuer().charter.body.pool4;
    for (const IpAddress& a : authority::Ip4Candidates(scope, kid, pool)) {
      if (AddressTaken(pen->known(), a)) continue;
      wanted.prefixes.insert(wanted.prefixes.begin(), Prefix::Host(a));
      break;
    }
    for (const Prefix& p : wanted.prefixes) s.Say(Join("address ", p.ToString()));
  }
  const auto of = [&]() -> absl::StatusOr<Held<authority::Grant>> {
    if (*cls == Class::kEnroller) {
      issuing::EnrollerTerms terms{.key = *key,
                                   .name = flags.name,
                                   .generation = flags.generation,
                                   .obligations = wanted.obligations};
      if (!flags.tags.empty()) terms.tags = flags.tags;
      if (ttl > 0) terms.ttl = static_cast<uint32_t>(ttl);
      return issuing::EnrollerGrant(pen->issuer(), terms, now);
    }
    wanted.ttl = static_cast<uint32_t>(ttl);
    return issuing::MakeGrant(pen->issuer(), std::move(wanted), now);
  };
  AQ_ASSIGN_OR_RETURN(const auto grant, of());
  AQ_RETURN_IF_ERROR(Publish(s, state, *pen, grant.envelope, flags.signing));
  return 0;
}

// ---- fragment create

struct FragmentFlags {
  SigningFlags signing;
  std::vector<std::string> rules;
  std::string file;
};
absl::StatusOr<int> CreateFragment(Session& s, const FragmentFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const uint64_t ttl,
                      SpanFlag(s, "--ttl", flags.signing.ttl, issuing::kLongTtl));
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto pen,
                      s.TakePen(state, flags.signing.root, flags.signing.passphrase));
  const auto lookup = [&](std::string_view name) -> std::optional<Kid> {
    for (const auto& g : pen->known().grants) {
      if (g.body.name == name) return authority::KidOf(g.body.suite, g.body.key);
    }
    return std::nullopt;
  };
  std::string text;
  if (!flags.file.empty()) {
    AQ_ASSIGN_OR_RETURN(text, s.ReadFile(flags.file, issuing::kRulesMax * issuing::kRuleTextMax));
  }
  for (const std::string& r : flags.rules)
    text += Join(text.empty() || text.ends_with('\n') ? "" : "\n", r, "\n");
  auto rules = issuing::ParseRules(text, lookup);
  if (!rules.ok()) return Annotate(rules.status(), flags.file.empty() ? "--rule" : flags.file);
  if (rules->empty()) return s.Usage("give rules by --rule \"SRC -> DST SERVICE\" or --file FILE");
  issuing::FragmentTerms terms{.rules = *std::move(rules), .ttl = static_cast<uint32_t>(ttl)};
  AQ_ASSIGN_OR_RETURN(const auto fragment, issuing::MakeFragment(pen->issuer(), terms, s.now()));
  AQ_RETURN_IF_ERROR(Publish(s, state, *pen, fragment.envelope, flags.signing));
  for (const authority::Rule& r : fragment.body.rules) s.Out(Join(issuing::PrintRule(r), "\n"));
  return 0;
}

// ---- revoke

struct RevokeFlags {
  SigningFlags signing;
  std::string target, kid, name, oid;
  bool key = false, offline = false;
  uint8_t reason = 0;
};

absl::StatusOr<int> RevokeLive(Session& s, const RevokeFlags& flags, const std::string& target) {
  const boost::json::object args{
      {"target", target}, {"reason", flags.reason}, {"type", flags.key ? "key" : "floor"}};
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer,
                      s.Live()->Call({.verb = "revoke", .json = boost::json::serialize(args)}));
  const boost::json::object o = ReadObject(answer.json);
  s.Out(s.json ? Join(answer.json, "\n")
               : Join("Revoked ",
                      TextIn(o, "target"),
                      ", key ",
                      TextIn(o, "kid"),
                      TrueIn(o, "released") ? ", for good: by what it left here for this day" : "",
                      "; told ",
                      NumberIn(o, "told"),
                      " of ",
                      NumberIn(o, "peers"),
                      " peers in reach, the rest will learn it as they meet\n"));
  return answer.exit;
}

// The subject's grants up to the highest generation held here lose their force; a later grant is
// above that.
absl::StatusOr<issuing::RevokeTerms> TermsOf(const KnownObjects& known,
                                             const RevokeFlags& flags,
                                             const std::string& target) {
  issuing::RevokeTerms terms{.reason = flags.reason};
  if (!flags.oid.empty()) {
    const auto bytes = FromHex(flags.oid);
    const auto oid = bytes ? Oid::From(*bytes) : std::nullopt;
    if (!oid) return InvalidArgument("--oid: wants the 64 hex digits that `aqmesh inspect` shows");
    terms.type = authority::RevokeType::kOid;
    terms.oid = *oid;
    return terms;
  }
  std::optional<Kid> found;
  for (const auto& g : known.grants) {
    const Kid kid = authority::KidOf(g.body.suite, g.body.key);
    if (!Picks(g.body, known, target)) continue;
    if (found && *found != kid)
      return InvalidArgument("`", target, "` names more than one key; give more digits of it");
    found = kid;
    terms.floor = std::max(terms.floor, g.body.generation + 1);
  }
  if (!found)
    return NotFound("nobody here is called `", target, "`; `aqmesh grant show` lists who is known");
  terms.kid = *found;
  terms.type = flags.key ? authority::RevokeType::kKey : authority::RevokeType::kFloor;
  if (flags.key) terms.floor = 0;
  return terms;
}

absl::StatusOr<int> Revoke(Session& s, const RevokeFlags& flags) {
  const std::string target = !flags.target.empty() ? flags.target
                             : !flags.kid.empty()  ? flags.kid
                                                   : flags.name;
  if (target.empty() == flags.oid.empty())
    return s.Usage("name what to revoke: NAME, a key, or --oid OID; one of them");
  const bool by_file = flags.signing.root || !flags.signing.out.empty() || !flags.oid.empty();
  if (!by_file) return RevokeLive(s, flags, target);
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto pen,
                      s.TakePen(state, flags.signing.root, flags.signing.passphrase));
  AQ_ASSIGN_OR_RETURN(const issuing::RevokeTerms terms, TermsOf(pen->known(), flags, target));
  const ScopeId scope = issuing::ScopeOfCharter(*pen->known().charter());
  // A crash may have kept the last one from the store, with its number taken: it goes first.
  AQ_ASSIGN_OR_RETURN(const auto last, issuing::ResignLast(pen->signer()));
  AQ_ASSIGN_OR_RETURN(
      const auto revoke,
      issuing::MakeRevoke(pen->signer(), scope, terms, issuing::Hlc(s.wall().millis())));
  std::vector<SignedPtr> fresh = {revoke.envelope};
  if (last) fresh.insert(fresh.begin(), std::make_shared<const authority::Signed>(*last));
  AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  if (!flags.signing.out.empty())
    AQ_RETURN_IF_ERROR(s.WriteFile(flags.signing.out, ArmourAll(fresh)));
  s.Say(
      Join("Revoked. It takes force where it is known: here from now on, elsewhere by reconciling, "
           "or by: aqmesh import ",
           flags.signing.out.empty() || flags.signing.out == "-" ? "FILE" : flags.signing.out));
  return 0;
}

// ---- the verbs, in the order in which help lists them ----

void AddCreateKey(Tree& tree, CLI::App* noun) {
  auto name = std::make_shared<std::string>();
  auto pass = std::make_shared<PassphraseFlags>();
  CLI::App* app = tree.Command(noun,
                               "create",
                               "Make a key for an authority",
                               "aqmesh authority create prod --passphrase-file pass",
                               [=](Session& s) { return CreateKey(s, *name, *pass); });
  app->add_option("NAME", *name, "Name of the key")->required();
  app->add_flag("--no-passphrase", pass->none, "Leave the key unencrypted");
  AddPassphrase(app, *pass);
  tree.Json(app);
}

void AddGrantOptions(CLI::App* app, GrantFlags& flags) {
  app->add_option(
         "KEY", flags.key, "Public key: 64 hex digits; of a PLAIN device as `wg pubkey` prints it")
      ->required();
  app->add_option("--name", flags.name, "Name of its subject");
  app->add_option("--class", flags.cls, "Class of the grant")->capture_default_str();
  app->add_option("--tag", flags.tags, "Tag, one or more");
  app->add_option("--prefix", flags.prefixes, "Network, one or more");
  app->add_option("--must",
                  flags.must,
                  "What it owes, and all that it grants: log_flow, log_headers, "
                  "escalate_first_use, no_relay, no_export, rate:1 to rate:7; one or more");
  app->add_option("--generation", flags.generation, "Above the last revoked one")
      ->capture_default_str();
  AddSigning(app, flags.signing);
}

void AddDelegate(Tree& tree, CLI::App* noun) {
  auto flags = std::make_shared<GrantFlags>();
  flags->cls = "ENROLLER";
  CLI::App* app =
      tree.Command(noun,
                   "delegate",
                   "Let a key sign in turn",
                   "aqmesh authority delegate 8d2f... --name prod --class ENROLLER --root",
                   [=](Session& s) { return CreateGrant(s, *flags); });
  AddGrantOptions(app, *flags);
}

void AddAuthorityShow(Tree& tree, CLI::App* noun) {
  tree.Json(tree.Command(noun, "list", "Who may sign here", "aqmesh authority list", List));
  auto who = std::make_shared<std::string>();
  CLI::App* app =
      tree.Command(noun,
                   "show",
                   "Show grants that let their subject sign",
                   "aqmesh authority show atlas",
                   [=](Session& s) { return ShowGrants(s, *who, authority::kCapsIssue); });
  app->add_option("WHO", *who, "Name, or first digits of the key");
  tree.Json(app);
}

void AddExport(Tree& tree, CLI::App* noun) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* app = tree.Command(noun,
                               "export",
                               "Write signed objects as text",
                               "aqmesh authority export charter -o home.charter",
                               [=](Session& s) { return Export(s, *flags); });
  app->add_option("KIND", flags->what, "charter, grant, fragment, revoke or all")
      ->capture_default_str();
  app->add_option("-o,--output", flags->out, "File to write; - for stdout")->capture_default_str();
}

void AddPaper(Tree& tree, CLI::App* noun) {
  auto flags = std::make_shared<PaperFlags>();
  CLI::App* app = tree.Command(noun,
                               "paper",
                               "Print the next root key, to write down",
                               "aqmesh authority paper root",
                               [=](Session& s) { return Paper(s, *flags); });
  app->add_option("KEY", flags->key, "root")->capture_default_str();
  app->add_flag("--forget", flags->forget, "Remove it from this machine, once it is on paper");
  AddPassphrase(app, flags->passphrase);
}

void AddGrant(Tree& tree, CLI::App* noun) {
  auto flags = std::make_shared<GrantFlags>();
  CLI::App* app = tree.Command(noun,
                               "create",
                               "Sign a grant",
                               "aqmesh grant create 8d2f... --class NODE --name nas --root",
                               [=](Session& s) { return CreateGrant(s, *flags); });
  AddGrantOptions(app, *flags);
  auto who = std::make_shared<std::string>();
  app = tree.Command(
      noun, "show", "Show grants known here", "aqmesh grant show borealis", [=](Session& s) {
        return ShowGrants(s, *who, 0);
      });
  app->add_option("WHO", *who, "Name, or first digits of the key");
  tree.Json(app);
}

void AddFragment(Tree& tree, CLI::App* noun) {
  auto flags = std::make_shared<FragmentFlags>();
  CLI::App* app =
      tree.Command(noun,
                   "create",
                   "Sign rules",
                   "aqmesh fragment create --rule \"tag:member -> tag:web tcp:443\" --root",
                   [=](Session& s) { return CreateFragment(s, *flags); });
  app->add_option("--rule",
                  flags->rules,
                  "SRC -> DST SERVICE, then words: one-way, forward, log, log-headers, escalate, "
                  "rate:N, drop-after:N, transform:NAME, hours:...; one or more. Transforms: " +
                      authority::KnownTransforms());
  app->add_option("--file", flags->file, "Rules, one a line");
  AddSigning(app, flags->signing);
  tree.Json(tree.Command(
      noun, "show", "Show the rules known here", "aqmesh fragment show", ShowFragments));
}

void AddRevoke(Tree& tree) {
  auto flags = std::make_shared<RevokeFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "revoke",
                               "Take authority back, at once where it is heard",
                               "aqmesh revoke laptop     (off line: --root -o laptop.revoke)",
                               [=](Session& s) { return Revoke(s, *flags); });
  app->add_option("WHO", flags->target, "Name, or first digits of the key");
  app->add_option("--kid", flags->kid, "Key of the subject");
  app->add_option("--name", flags->name, "Name of the subject");
  app->add_option("--oid", flags->oid, "One object alone");
  app->add_flag("--key", flags->key, "The key itself, for good, not only its grants so far");
  app->add_option("--reason", flags->reason, "Reason code, 0 to 255");
  AddSigning(app, flags->signing);
  tree.Json(app);
}

}  // namespace

void AddAuthority(Tree& tree) {
  CLI::App* noun = tree.Noun("authority", "Keys and grants of who may sign");
  AddCreateKey(tree, noun);
  AddDelegate(tree, noun);
  AddAuthorityShow(tree, noun);
  AddExport(tree, noun);
  AddPaper(tree, noun);
  CLI::App* grant = tree.Noun("grant", "Who is who, for how long");
  AddGrant(tree, grant);
  AddGrantVote(tree, grant);
  AddFragment(tree, tree.Noun("fragment", "Who may reach what"));
  AddRevoke(tree);
}

}  // namespace aqmesh::cli
