// charter show, draft, propose, vote, list: what the voters of a mesh agreed on, and the next of
// it.
#include <unistd.h>

#include <algorithm>

#include "core/authority/certificate.h"
#include "core/authority/charter.h"
#include "core/authority/render.h"
#include "core/wire/json.h"
#include "daemon/cli/charter_file.h"
#include "daemon/cli/charters_held.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/text.h"
#include "issuing/custody/vote_file.h"

namespace aqmesh::cli {

namespace {

using authority::Charter;
using authority::Voter;
using Proposal = node::Charters::Proposal;

struct ShowFlags {
  uint32_t version = 0;
};
struct VoteFlags {
  std::string what, key = std::string(kRootKey), out;
  PassphraseFlags passphrase;
};

// ---- what is held

// A voter's machine may belong to no mesh: then the file has to bring everything.
absl::StatusOr<node::Charters> Read(Session& s, const StateDir& state) {
  const auto known = s.Known(state);
  if (absl::IsNotFound(known.status())) return node::Charters();
  AQ_RETURN_IF_ERROR(known.status());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  return ChartersIn(*store, *known);
}

absl::StatusOr<node::Charters> ReadOwn(Session& s, const StateDir& state) {
  AQ_ASSIGN_OR_RETURN(node::Charters charters, Read(s, state));
  if (charters.empty())
    return FailedPrecondition("no mesh in ", state.path(), " yet; `aqmesh import FILE` first");
  return charters;
}

Kid KidOf(const Voter& v) { return authority::KidOf(v.suite, v.key); }

// Once each, those of today first.
std::vector<Voter> VotersOf(const Charter& now, const Charter& next) {
  std::vector<Voter> out = now.voters;
  for (const Voter& v : next.voters) {
    if (std::ranges::find(out, v.key, &Voter::key) == out.end()) out.push_back(v);
  }
  return out;
}
bool Said(const Proposal& p, const Kid& kid) {
  return p.charter.signer() == kid || p.votes.contains(kid);
}

std::string QuorumText(const Charter& c, bool sensitive) {
  uint64_t weight = 0;
  for (const Voter& v : c.voters) weight += v.weight;
  const auto counting = authority::CountingOf(c);
  if (counting.ok() && *counting == authority::Counting::kNestedGroups)
    return "two thirds and one of its groups";
  return Join(sensitive ? c.q_sens : c.q_reg, " of ", weight);
}

// "3 of 4 of the voters of version 1, 3 of 4 of its own, and each new voter: a1b2c3d4".
std::string NeedsText(const Charter& now, const Charter& next) {
  std::string out = Join(QuorumText(now, authority::IsSensitive(next, now)),
                         " of the voters of version ",
                         now.version);
  if (next.voters == now.voters) return out;
  out += Join(", ", QuorumText(next, false), " of its own");
  std::vector<std::string> fresh;
  for (const Voter& v : next.voters) {
    if (std::ranges::find(now.voters, v.key, &Voter::key) == now.voters.end())
      fresh.push_back(ToHex(KidOf(v)).substr(0, 8));
  }
  return out + (fresh.empty() ? "" : Join(", and each new voter: ", Listed(fresh)));
}

std::string ChangesText(const Charter& now, const Charter& next) {
  std::string out = Join("Version ", next.version, " of mesh ", next.name, " changes:\n");
  for (const std::string& line : ChangesOf(now, next)) out += Join("  ", line, "\n");
  return out + Join("It needs ", NeedsText(now, next), ".\n");
}

void VotersJson(wire::JsonWriter& w, const Charter& now, const Proposal& p) {
  w.Key("voters").Array();
  for (const Voter& v : VotersOf(now, p.charter.body)) {
    w.Object().Field("kid", ToHex(KidOf(v))).Field("group", v.group);
    w.Field("weight", v.weight).Field("said", Said(p, KidOf(v))).End();
  }
  w.End();
}

void ProposalJson(wire::JsonWriter& w, const node::Charters& charters, const Proposal& p) {
  const Charter& now = charters.all().back().body;
  w.Field("oid", ToHex(p.charter.oid())).Field("version", p.charter.body.version);
  w.Field("signer", ToHex(p.charter.signer())).Key("changes").Array();
  for (const std::string& line : ChangesOf(now, p.charter.body)) w.Value(line);
  w.End().Field("needs", NeedsText(now, p.charter.body));
  w.Field("wants", Text(charters.Wants(p, nullptr)));
  VotersJson(w, now, p);
}

// ---- show, draft, list

absl::StatusOr<int> Show(Session& s, const ShowFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const node::Charters charters, ReadOwn(s, state));
  const size_t newest = charters.all().size();
  const size_t version = flags.version == 0 ? newest : flags.version;
  if (version > newest)
    return NotFound("version ", version, " is not in force here; the newest is ", newest);
  const auto& c = charters.all()[version - 1];
  s.Out(s.json ? Join(authority::RenderJson(*c.envelope), "\n") : authority::Render(*c.envelope));
  if (!s.json && version < newest)
    s.Say(Join("It is not in force any more: version ", newest, " is."));
  return 0;
}

absl::StatusOr<int> Draft(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const node::Charters charters, ReadOwn(s, state));
  Charter next = issuing::NextOf(charters.all().back(), s.now());
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.charter-draft/1").Field("text", PrintCharter(next)).End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(PrintCharter(next));
  return 0;
}

absl::StatusOr<int> List(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const node::Charters charters, ReadOwn(s, state));
  const auto& now = charters.all().back();
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.charters/1").Field("mesh", now.body.name);
    w.Field("version", now.body.version).Key("in_force").Array();
    for (const auto& c : charters.all())
      w.Object().Field("version", c.body.version).Field("oid", ToHex(c.oid())).End();
    w.End().Key("proposed").Array();
    for (const auto& [oid, p] : charters.proposals()) {
      w.Object();
      ProposalJson(w, charters, p);
      w.End();
    }
    w.End().End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  Table table({"VERSION", "CHARTER", "STATE", "SAID", "SIGNED BY"});
  for (const auto& c : charters.all()) {
    table.Row({Join(c.body.version),
               ShortId(c.oid()),
               &c == &now ? "in force" : "was in force",
               "",
               ShortId(c.signer())});
  }
  std::string open;
  for (const auto& [oid, p] : charters.proposals()) {
    table.Row({Join(p.charter.body.version),
               ShortId(oid),
               "proposed",
               Join(1 + p.votes.size(), " of ", VotersOf(now.body, p.charter.body).size()),
               ShortId(p.charter.signer())});
    open += Join("\n", ShortId(oid), ": ", ChangesText(now.body, p.charter.body));
    for (const Voter& v : VotersOf(now.body, p.charter.body)) {
      const bool said = Said(p, KidOf(v));
      open += Join("  ", ShortId(KidOf(v)), " (", v.group, ") ", said ? "signed" : "has not", "\n");
    }
    open += Join("Missing: ", Text(charters.Wants(p, nullptr)), "\n");
    open += Join("Sign it by: aqmesh charter vote ", ShortId(oid), "\n");
  }
  s.Out(Join(table.Print(s.env().columns), open));
  return 0;
}

// ---- propose, vote

// A key of --state that speaks for a voter of either charter.
absl::StatusOr<crypto::Ed25519Seed> TakeKey(Session& s,
                                            issuing::KeyStore& keys,
                                            const VoteFlags& flags,
                                            const Charter& now,
                                            const Charter& next) {
  if (!keys.Has(flags.key))
    return FailedPrecondition("key `",
                              flags.key,
                              "` is not on this machine (",
                              keys.dir().path(),
                              "); name the voter's: --key NAME, or sign where it is");
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info info, keys.Look(flags.key));
  const auto key = Ed25519Key::From(info.public_key);
  const std::vector<Voter> voters = VotersOf(now, next);
  if (info.x25519 || std::ranges::find(voters, *key, &Voter::key) == voters.end())
    return PermissionDenied("key `",
                            flags.key,
                            "` is no voter of version ",
                            now.version,
                            " nor of the proposed one; name another: --key NAME");
  issuing::SecretText passphrase;
  if (info.sealed) {
    AQ_ASSIGN_OR_RETURN(passphrase, s.Passphrase(flags.passphrase, flags.key));
  }
  return keys.LoadEd25519(flags.key, passphrase.view());
}

// Into the store or the daemon; and where -o says, with all that a voter elsewhere needs to judge.
absl::Status Deliver(Session& s,
                     const StateDir& state,
                     const node::Charters& charters,
                     bool member,
                     std::span<const SignedPtr> fresh,
                     const VoteFlags& flags) {
  if (member) AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  if (!flags.out.empty()) AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, ArmourAll(charters.Beyond(0))));
  if (!member && flags.out.empty())
    return FailedPrecondition(
        "this machine belongs to no mesh: give -o FILE, and import that on a member");
  return absl::OkStatus();
}

// What it came to: in force, or what it waits for.
int Answer(Session& s,
           const node::Charters& charters,
           const Held<Charter>& c,
           std::string_view did) {
  const auto open = charters.proposals().find(c.oid());
  const bool in_force = open == charters.proposals().end();
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.vote/1").Field("in_force", in_force);
    if (in_force) {
      w.Field("oid", ToHex(c.oid())).Field("version", c.body.version);
    } else {
      ProposalJson(w, charters, open->second);
    }
    w.End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join(did, " charter ", ShortId(c.oid()), ", version ", c.body.version, ". "));
  s.Out(in_force ? "It is in force where it is heard.\n"
                 : Join("It is not in force yet: ",
                        Text(charters.Wants(open->second, nullptr)),
                        "\nThe others: aqmesh charter vote ",
                        ShortId(c.oid()),
                        "\n"));
  return 0;
}

// Its shape, before anybody signs it: under a key that is thrown away.
absl::Status CheckShape(Session& s, const Charter& body, const Held<Charter>& now) {
  const crypto::Ed25519Seed nobody = crypto::NewEd25519(s.rng());
  AQ_ASSIGN_OR_RETURN(const Held<Charter> sample, issuing::TrySeal(body, nobody));
  const absl::Status sound = authority::VerifyCharter(sample, &now, {}, nullptr);
  return absl::IsInvalidArgument(sound) ? sound : absl::OkStatus();
}

absl::StatusOr<int> Propose(Session& s, const VoteFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::string text, s.ReadFile(flags.what, kCharterFileMax));
  AQ_ASSIGN_OR_RETURN(const Charter body, ParseCharter(text, flags.what));
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(node::Charters charters, ReadOwn(s, state));
  const Held<Charter> now = charters.all().back();
  if (body.version != now.body.version + 1 || body.prev != now.oid() ||
      body.scope != authority::ScopeIdOf(now)) {
    return FailedPrecondition(flags.what,
                              ": it does not follow version ",
                              now.body.version,
                              ", which is in force here; write it anew: aqmesh charter draft");
  }
  if (ChangesOf(now.body, body).empty())
    return InvalidArgument(flags.what, ": it changes nothing; edit it first");
  AQ_RETURN_IF_ERROR(Annotate(CheckShape(s, body, now), flags.what));
  if (!s.json) s.Out(ChangesText(now.body, body));
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed seed, TakeKey(s, keys, flags, now.body, body));
  issuing::VoteFile votes(keys.dir());
  AQ_ASSIGN_OR_RETURN(const Held<Charter> made, issuing::Propose(body, seed, votes, s.now()));
  const std::vector<SignedPtr> fresh = {made.envelope};
  AQ_RETURN_IF_ERROR(TakeCharters(charters, fresh));
  AQ_RETURN_IF_ERROR(Deliver(s, state, charters, true, fresh, flags));
  return Answer(s, charters, made, "Proposed");
}

// By the first digits of a proposal that is held here, or what a file brings.
absl::StatusOr<Held<Charter>> ProposalNamed(const node::Charters& charters,
                                            std::span<const SignedPtr> brought,
                                            const std::string& what) {
  std::vector<Held<Charter>> found;
  for (const auto& [oid, p] : charters.proposals()) {
    const bool came = std::ranges::any_of(
        brought, [&](const SignedPtr& o) { return o->oid() == p.charter.oid(); });
    if (came || (brought.empty() && ToHex(oid).starts_with(what))) found.push_back(p.charter);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1)
    return InvalidArgument(
        "`", what, "` has more than one proposal; name one by its digits: aqmesh charter list");
  return NotFound("no proposal `", what, "` is open here; aqmesh charter list");
}

absl::StatusOr<int> Vote(Session& s, const VoteFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(node::Charters charters, Read(s, state));
  const bool member = !charters.empty();
  std::vector<SignedPtr> brought, fresh;
  if (flags.what == "-" || access(flags.what.c_str(), F_OK) == 0) {
    AQ_ASSIGN_OR_RETURN(brought, s.ReadObjects(flags.what));
    for (const SignedPtr& o : brought) {
      const bool ours = o->ctx() == authority::Ctx::kCharter || o->ctx() == authority::Ctx::kCosign;
      if (ours && charters.Find(o->ref()) == nullptr) fresh.push_back(o);
    }
    AQ_RETURN_IF_ERROR(Annotate(TakeCharters(charters, fresh), flags.what));
  }
  if (charters.empty())
    return FailedPrecondition(
        "no mesh in ", state.path(), " yet; take the file that `aqmesh charter propose -o` wrote");
  AQ_ASSIGN_OR_RETURN(const Held<Charter> proposal, ProposalNamed(charters, brought, flags.what));
  const Held<Charter> now = charters.all().back();
  if (!s.json) s.Out(ChangesText(now.body, proposal.body));
  if (!member && !s.json)
    s.Out(Join("Mesh ", now.body.name, ", id ", ToHex(authority::ScopeIdOf(now)), "\n"));
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed seed,
                      TakeKey(s, keys, flags, now.body, proposal.body));
  issuing::VoteFile votes(keys.dir());
  AQ_ASSIGN_OR_RETURN(const auto vote, issuing::Vote(*proposal.envelope, seed, votes, s.now()));
  // Who proposed it said so already; its vote is nothing new.
  const std::vector<SignedPtr> own = {vote.envelope};
  AQ_RETURN_IF_ERROR(TakeCharters(charters, own));
  if (proposal.signer() != vote.signer()) fresh.push_back(vote.envelope);
  AQ_RETURN_IF_ERROR(Deliver(s, state, charters, member, fresh, flags));
  return Answer(s, charters, proposal, "Voted for");
}

// ---- grant vote

// By the first digits of its oid, or what a file brings.
absl::StatusOr<Held<authority::Grant>> GrantNamed(Session& s,
                                                  const KnownObjects& known,
                                                  const std::string& what) {
  if (what == "-" || access(what.c_str(), F_OK) == 0) return s.ReadOne<authority::Grant>(what);
  std::vector<Held<authority::Grant>> found;
  for (const auto& g : known.grants) {
    if (what.size() >= 4 && ToHex(g.oid()).starts_with(what)) found.push_back(g);
  }
  if (found.size() == 1) return found.front();
  return NotFound("`",
                  what,
                  "` names ",
                  found.empty() ? "no" : "more than one",
                  " grant here; aqmesh grant show");
}

absl::StatusOr<int> VoteForGrant(Session& s, const VoteFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, s.Known(state));
  AQ_ASSIGN_OR_RETURN(const node::Charters charters, ReadOwn(s, state));
  const Held<Charter>& now = charters.all().back();
  AQ_ASSIGN_OR_RETURN(const Held<authority::Grant> grant, GrantNamed(s, known, flags.what));
  AQ_ASSIGN_OR_RETURN(const authority::Slot slot, authority::SlotOf(*grant.envelope));
  AQ_ASSIGN_OR_RETURN(authority::ConsensusRule rule,
                      authority::RuleFor(slot, grant.envelope, now, nullptr));
  if (!s.json) s.Out(authority::Render(*grant.envelope));
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed seed, TakeKey(s, keys, flags, now.body, now.body));
  issuing::VoteFile votes(keys.dir());
  AQ_ASSIGN_OR_RETURN(const auto vote, issuing::Vote(*grant.envelope, seed, votes, s.now()));
  for (const SignedPtr& o : known.others) {
    if (o->ctx() != authority::Ctx::kCosign) continue;
    auto body = authority::ParseBody<authority::Cosign>(o->body());
    if (body.ok()) rule.Add({o, *std::move(body)});
  }
  rule.Add(vote);
  const std::vector<SignedPtr> fresh = {grant.envelope, vote.envelope};
  AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  if (!flags.out.empty()) AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, ArmourAll(fresh)));
  const authority::Count count = rule.Counted();
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.grant-vote/1").Field("grant", ToHex(grant.oid()));
    w.Field("have", count.have).Field("need", count.need).Field("certified", count.enough()).End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join("Voted for grant ",
             ShortId(grant.oid()),
             ": ",
             count.have,
             " of ",
             count.need,
             std::string(count.unit),
             count.enough() ? ". It holds where that is heard.\n" : ". It does not hold yet.\n"));
  return 0;
}

void AddSigning(Tree& tree, CLI::App* app, VoteFlags& flags) {
  app->add_option("--key", flags.key, "Name of the voter's key, as `authority create` made it")
      ->capture_default_str();
  app->add_option(
      "-o,--output", flags.out, "File to write, for voters whom no network connects; - for stdout");
  AddPassphrase(app, flags.passphrase);
  tree.Json(app);
}

}  // namespace

void AddGrantVote(Tree& tree, CLI::App* grant) {
  auto flags = std::make_shared<VoteFlags>();
  CLI::App* app = tree.Command(grant,
                               "vote",
                               "Sign another voter's grant of a class that needs their certificate",
                               "aqmesh grant vote 5e571f57 --key east",
                               [=](Session& s) { return VoteForGrant(s, *flags); });
  app->add_option("WHAT", flags->what, "First digits of the grant's oid, or a file that has it")
      ->required();
  AddSigning(tree, app, *flags);
}

void AddCharter(Tree& tree) {
  CLI::App* noun = tree.Noun("charter", "What the voters of this mesh agreed on");
  auto show = std::make_shared<ShowFlags>();
  CLI::App* app = tree.Command(noun,
                               "show",
                               "The charter in force, or an older one",
                               "aqmesh charter show --version 1",
                               [=](Session& s) { return Show(s, *show); });
  app->add_option("--version", show->version, "Another than the newest");
  tree.Json(app);
  tree.Json(tree.Command(noun,
                         "list",
                         "What is in force, what is proposed, who signed it and what is missing",
                         "aqmesh charter list",
                         List));
  tree.Json(tree.Command(noun,
                         "draft",
                         "The next charter as a text to edit",
                         "aqmesh charter draft > next.toml",
                         Draft));
  auto propose = std::make_shared<VoteFlags>();
  app = tree.Command(noun,
                     "propose",
                     "Sign an edited draft, for the voters to agree on",
                     "aqmesh charter propose next.toml",
                     [=](Session& s) { return Propose(s, *propose); });
  app->add_option("FILE", propose->what, "The edited draft; - for stdin")->required();
  AddSigning(tree, app, *propose);
  auto vote = std::make_shared<VoteFlags>();
  app = tree.Command(noun,
                     "vote",
                     "Sign what another voter proposed; once, and for good",
                     "aqmesh charter vote 5e571f57 --key east",
                     [=](Session& s) { return Vote(s, *vote); });
  app->add_option("WHAT", vote->what, "First digits of the proposal, or a file that has it")
      ->required();
  AddSigning(tree, app, *vote);
}

}  // namespace aqmesh::cli
