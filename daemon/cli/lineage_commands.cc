// lineage: questions to this machine's own record, beside a running daemon or without one.
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

struct QueryFlags {
  std::string since, until, subject, peer, authority, outcome, kind;
  size_t limit = 100;
};

absl::StatusOr<lineage::Filter> FilterOf(Session& s,
                                         const QueryFlags& flags,
                                         const lineage::Store& store,
                                         KnownObjects& known) {
  lineage::Filter out;
  const auto when =
      [&](std::string_view flag, const std::string& text, uint64_t& hlc) -> absl::Status {
    if (text.empty()) return absl::OkStatus();
    const auto at = ParseWhen(text, s.now());
    if (!at.ok()) return s.Usage(Join(flag, ": ", Text(at.status())));
    hlc = lineage::HlcFromMillis(*at * 1'000);
    return absl::OkStatus();
  };
  AQ_RETURN_IF_ERROR(when("--since", flags.since, out.from));
  AQ_RETURN_IF_ERROR(when("--until", flags.until, out.to));
  if (!flags.subject.empty()) {
    AQ_ASSIGN_OR_RETURN(out.subject, KidInLog(store, flags.subject, known));
  }
  if (!flags.peer.empty()) {
    AQ_ASSIGN_OR_RETURN(out.peer, KidInLog(store, flags.peer, known));
  }
  if (!flags.authority.empty()) {
    const auto prefix = FromHex(flags.authority);
    if (!prefix || prefix->size() > 32)
      return s.Usage("--authority: wants an even number of hex digits");
    out.authority_prefix = *prefix;
  }
  if (!flags.outcome.empty()) {
    out.rung = lineage::RungNamed(flags.outcome);
    if (!out.rung)
      return s.Usage("--outcome: wants ADMIT, CONSTRAIN, PROBATION, ESCALATE, DEFER or REFUSE");
  }
  if (!flags.kind.empty()) {
    out.kind = lineage::KindNamed(flags.kind);
    if (!out.kind)
      return s.Usage(Join(
          "--kind: no kind `", flags.kind, "`; some are decided, applied, committed, revoke_seen"));
  }
  if (flags.limit == 0 || flags.limit > lineage::kQueryLimitMax)
    return s.Usage(Join("--limit: 1 to ", lineage::kQueryLimitMax));
  out.limit = flags.limit;
  return out;
}

absl::StatusOr<int> Query(Session& s, const QueryFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::Filter filter, FilterOf(s, flags, *store, known));
  AQ_ASSIGN_OR_RETURN(std::vector<lineage::FoundRecord> found, store->Query(filter));
  std::ranges::reverse(found);  // the newest are chosen, and read from the oldest down
  const lineage::Names names = NamesOf(known);
  std::string out;
  for (const lineage::FoundRecord& r : found) {
    if (!s.json) {
      out += Join(lineage::RenderLine(r.record, r.leaf, names), "\n");
      continue;
    }
    out += Join(out.empty() ? "" : ",", lineage::RenderJson(r.record, r.leaf, names));
  }
  s.Out(s.json ? Join("{\"schema\":\"aqmesh.lineage/1\",\"size\":",
                      store->size(),
                      ",\"records\":[",
                      out,
                      "]}\n")
               : out);
  if (!s.json && found.empty()) s.Say(Join("None of ", store->size(), " records match."));
  if (!s.json && found.size() == filter.limit)
    s.Say(Join("The newest ", filter.limit, " that match; more with --limit."));
  return 0;
}

struct ShowFlags {
  std::string which;
};

absl::StatusOr<int> Show(Session& s, const ShowFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::FoundRecord found, FindRecord(*store, flags.which));
  const lineage::Names names = NamesOf(known);
  s.Out(s.json ? Join("{\"schema\":\"aqmesh.record/1\",\"record\":",
                      lineage::RenderJson(found.record, found.leaf, names),
                      "}\n")
               : lineage::RenderPage(found.record, found.leaf, names));
  return 0;
}

}  // namespace

void AddLineage(Tree& tree) {
  CLI::App* noun = tree.Noun("lineage", "Ask this machine's record of every decision");
  auto query = std::make_shared<QueryFlags>();
  CLI::App* app =
      tree.Command(noun,
                   "query",
                   "List records",
                   "aqmesh lineage query --since 2h --subject borealis --outcome REFUSE",
                   [query](Session& s) { return Query(s, *query); });
  app->add_option("--since", query->since, "From this time: 2h (ago), 2026-11-21T14:00Z");
  app->add_option("--until", query->until, "Before this time");
  app->add_option("--subject", query->subject, "About this node: name or key");
  app->add_option("--peer", query->peer, "About this node, or told by it");
  app->add_option(
      "--authority", query->authority, "Decided under authority with this digest, first digits");
  app->add_option("--outcome", query->outcome, "That led to this rung, such as REFUSE");
  app->add_option("--kind", query->kind, "Of this kind, such as decided");
  app->add_option("--limit", query->limit, "At most so many")->capture_default_str();
  tree.Json(app);

  auto show = std::make_shared<ShowFlags>();
  app = tree.Command(
      noun, "show", "Show one record in full", "aqmesh lineage show 9f3a", [show](Session& s) {
        return Show(s, *show);
      });
  app->add_option("RECORD", show->which, "Its number, or the first digits of its id")->required();
  tree.Json(app);

  AddVerify(tree, noun);
  AddEvidence(tree, noun);
  AddHistory(tree, noun);
  AddTrace(tree, noun);
}

}  // namespace aqmesh::cli
