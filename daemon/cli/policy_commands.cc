// policy what-if: which past flows would have ended otherwise under other fragments.
#include "core/wire/json.h"
#include "daemon/cli/attempts_view.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/local_policy_file.h"
#include "daemon/cli/text.h"
#include "node/what_if.h"

namespace aqmesh::cli {

namespace {

using authority::Fragment;

struct WhatIfFlags {
  std::vector<std::string> files, without;
  std::string since = "30d";
  bool beside = false;
};

bool Begins(const Oid& oid, const std::vector<std::string>& digits) {
  const std::string hex = ToHex(oid);
  return std::ranges::any_of(digits, [&](const std::string& d) { return hex.starts_with(d); });
}

// What is proposed: the fragments in the files, and with --beside those in force here too.
absl::StatusOr<std::vector<Held<Fragment>>> Proposed(Session& s,
                                                     const WhatIfFlags& flags,
                                                     const KnownObjects& known) {
  std::vector<Held<Fragment>> out;
  for (const std::string& file : flags.files) {
    AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> objects, s.ReadObjects(file));
    const size_t before = out.size();
    for (const SignedPtr& o : objects) {
      if (o->ctx() != authority::Ctx::kFragment) continue;
      auto body = authority::ParseBody<Fragment>(o->body());
      if (!body.ok()) return Annotate(body.status(), file);
      out.push_back({o, *std::move(body)});
    }
    if (out.size() == before)
      return NotFound(file, ": holds no fragment; make one with `aqmesh fragment create`");
  }
  if (!flags.beside && !flags.without.empty())
    return s.Usage("--without leaves out what --beside takes in: give both");
  for (const auto& f : known.fragments) {
    if (flags.beside && !Begins(f.oid(), flags.without)) out.push_back(f);
  }
  return out;
}

struct Asked {
  std::unique_ptr<lineage::Store> store;
  KnownObjects known;
  node::WhatIfReport report;
  lineage::Seq first = 0;
};

absl::StatusOr<Asked> Ask(Session& s, const WhatIfFlags& flags) {
  if (flags.files.empty() && !flags.beside)
    return s.Usage("name a file of fragments, or take those in force with --beside");
  Asked out;
  AQ_ASSIGN_OR_RETURN(out.store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(out.known, LoadWithCited(*out.store));
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> own, s.OwnerOf(*out.store, out.known));
  if (!own) return NotFound("nothing here says whose log this is");
  AQ_ASSIGN_OR_RETURN(const std::vector<Held<Fragment>> proposed, Proposed(s, flags, out.known));
  const auto since = ParseWhen(flags.since, s.now());
  if (!since.ok()) return s.Usage(Join("--since: ", Text(since.status())));
  AQ_ASSIGN_OR_RETURN(out.first, out.store->SeqAt(lineage::HlcFromMillis(*since * 1'000)));
  AQ_ASSIGN_OR_RETURN(const node::Redecider decisions,
                      node::Redecider::Open(*out.store, KeptPolicy));
  const auto party = [&](uint64_t second) -> std::optional<admission::Party> {
    const auto* grant = out.known.GrantOf(*own, authority::Class::kNode, second);
    return grant ? std::optional(admission::PartyOf(*own, grant->body)) : std::nullopt;
  };
  node::WhatIf what_if(*out.store, decisions, proposed, party);
  AQ_ASSIGN_OR_RETURN(out.report, what_if.From(out.first));
  return out;
}

std::string ThenText(const node::Change& c, const lineage::Names& names) {
  return c.attempt.allowed() ? "allowed"
                             : Join("refused: ", lineage::ReasonName(c.attempt.reason, names));
}
std::string NowText(const node::Change& c, const lineage::Names& names) {
  if (!c.now.pass())
    return Join("refused: ", lineage::ReasonName(static_cast<uint16_t>(c.now.reason), names));
  return Join("allowed by rule ", c.by->rule + 1, " of ", ShortId(c.by->fragment));
}

std::string Json(const Asked& asked, const lineage::Names& names) {
  const node::WhatIfReport& r = asked.report;
  wire::JsonWriter w;
  w.Object().Field("schema", "aqmesh.what-if/1").Field("flows", r.flows);
  w.Field("changed", r.changed).Field("allowed_now", r.allowed_now);
  w.Field("refused_now", r.changed - r.allowed_now).Field("unlisted", r.unlisted);
  w.Field("unreadable_records", r.unreadable).Field("unknown", r.unknown);
  w.Key("changes").Array();
  for (const node::Change& c : r.changes) {
    w.Object().Field("subject", ToHex(c.subject));
    if (const std::string name = names.peer(c.subject); !name.empty())
      w.Field("subject_name", name);
    PutAttempt(c.attempt, names, w);
    w.Key("now").Object().Field("allowed", c.now.pass());
    if (!c.now.pass())
      w.Field("reason", lineage::ReasonName(static_cast<uint16_t>(c.now.reason), names));
    if (c.by) w.Field("fragment", ToHex(c.by->fragment)).Field("rule", c.by->rule + 1);
    w.End().End();
  }
  w.End().End();
  return w.Take();
}

std::string Summary(const node::WhatIfReport& r) {
  std::string out = Join(r.flows,
                         " flows were tried; ",
                         r.changed,
                         " would have ended otherwise: ",
                         r.changed - r.allowed_now,
                         " refused, ",
                         r.allowed_now,
                         " allowed.");
  if (r.unlisted != 0) out += Join(" ", r.unlisted, " more were counted and not listed.");
  if (r.unreadable != 0)
    out += Join(" ", r.unreadable, " records cannot be read: redacted, or not in this copy.");
  if (r.unknown != 0) out += Join(" ", r.unknown, " came before any decision in this log.");
  if (r.unsaid != 0) out += Join(" ", r.unsaid, " changed flows are not shown.");
  return out;
}

absl::StatusOr<int> Print(Session& s, const WhatIfFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const Asked asked, Ask(s, flags));
  const lineage::Names names = NamesOf(asked.known);
  if (s.json) {
    s.Out(Join(Json(asked, names), "\n"));
    return 0;
  }
  Table table({"WITH", "FLOW", "FLOWS", "THEN", "NOW"});
  for (const node::Change& c : asked.report.changes) {
    const std::string name = names.peer(c.subject);
    table.Row({name.empty() ? ShortId(c.subject) : name,
               FlowText(c.attempt),
               Join(c.attempt.count),
               ThenText(c, names),
               NowText(c, names)});
  }
  if (!asked.report.changes.empty()) s.Out(table.Print(s.env().out_tty ? s.env().columns : 0));
  s.Say(Summary(asked.report));
  return 0;
}

}  // namespace

void AddPolicy(Tree& tree) {
  CLI::App* noun = tree.Noun("policy", "Try rules on what has happened");
  auto flags = std::make_shared<WhatIfFlags>();
  CLI::App* app = tree.Command(
      noun,
      "what-if",
      "Judge every recorded flow again under other fragments, and list which would change",
      "aqmesh policy what-if narrower.fragment --since 30d     (revoking one: --beside --without "
      "9f3a)",
      [flags](Session& s) { return Print(s, *flags); });
  app->add_option("FILE", flags->files, "Fragments in place of those in force");
  app->add_flag("--beside", flags->beside, "Beside those in force, not in place of them");
  app->add_option("--without", flags->without, "With --beside: leave out this one, first digits");
  app->add_option("--since", flags->since, "From this time: 30d (ago), 2026-11-21T14:00Z")
      ->capture_default_str();
  tree.Lineage(app);
  tree.Json(app);
}

}  // namespace aqmesh::cli
