// lineage: questions to this machine's own record, beside a running daemon or without one.
#include <charconv>

#include "admission/packet.h"
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/text.h"
#include "transport/frame/drop.h"

namespace aqmesh::cli {

namespace {

struct QueryFlags {
  std::string since, until, subject, peer, authority, outcome, kind;
  size_t limit = 100;
};

// A name of a grant held here, or the first digits of its key.
absl::StatusOr<Kid> KidNamed(const KnownObjects& known, std::string_view text) {
  std::optional<Kid> found;
  for (const auto& g : known.grants) {
    const Kid kid = authority::KidOf(g.body.suite, g.body.key);
    if (g.body.name != text && (text.size() < 4 || !ToHex(kid).starts_with(text))) continue;
    if (found && *found != kid)
      return InvalidArgument("`", text, "` names more than one key; give more digits of it");
    found = kid;
  }
  if (found) return *found;
  if (const auto bytes = FromHex(text)) {
    if (const auto kid = Kid::From(*bytes)) return *kid;
  }
  return NotFound("nobody here is called `", text, "`; `aqmesh grant show` lists who is known");
}

lineage::Names NamesOf(const KnownObjects& known) {
  lineage::Names names;
  names.drop = [](uint16_t code) -> std::string_view {
    const uint16_t number = static_cast<uint16_t>(code + lineage::kFirstDropReason);
    if (number < frame::kDropEnd) return frame::NameOf(static_cast<frame::Drop>(number));
    if (number < admission::kDropRecordBase ||
        number - admission::kDropRecordBase >= static_cast<int>(admission::kDropCount))
      return "";
    return admission::DropName(static_cast<admission::Drop>(number - admission::kDropRecordBase));
  };
  names.peer = [&known](const Kid& kid) -> std::string {
    for (const auto& g : known.grants) {
      if (!g.body.name.empty() && authority::KidOf(g.body.suite, g.body.key) == kid)
        return g.body.name;
    }
    return "";
  };
  return names;
}

absl::StatusOr<lineage::Filter> FilterOf(Session& s,
                                         const QueryFlags& flags,
                                         const KnownObjects& known) {
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
    AQ_ASSIGN_OR_RETURN(out.subject, KidNamed(known, flags.subject));
  }
  if (!flags.peer.empty()) {
    AQ_ASSIGN_OR_RETURN(out.peer, KidNamed(known, flags.peer));
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
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::Filter filter, FilterOf(s, flags, known));
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
  const std::string& which = flags.which;
  uint64_t seq = 0;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), seq);
  const bool number = error == std::errc() && end == which.data() + which.size();
  std::vector<lineage::FoundRecord> found;
  if (number && seq < store->size()) {
    AQ_ASSIGN_OR_RETURN(const Bytes body, store->Read(seq));
    AQ_ASSIGN_OR_RETURN(const lineage::RecordEntry entry, lineage::ParseEntry(body));
    AQ_ASSIGN_OR_RETURN(authority::Observe record, authority::ParseBody<authority::Observe>(body));
    found.push_back({entry.leaf, std::move(record)});
  } else {
    const auto prefix = FromHex(which);
    if (!prefix || prefix->empty() || prefix->size() > 32) {
      return NotFound("no record ",
                      which,
                      " among ",
                      store->size(),
                      "; give a number below that, or an even number of digits of an id");
    }
    lineage::Filter filter;
    filter.id_prefix = *prefix;
    filter.limit = 2;
    AQ_ASSIGN_OR_RETURN(found, store->Query(filter));
  }
  if (found.empty()) return NotFound("no record whose id starts with ", which);
  if (found.size() > 1)
    return InvalidArgument("more than one record's id starts with ", which, "; give more digits");
  const lineage::Names names = NamesOf(known);
  s.Out(s.json ? Join("{\"schema\":\"aqmesh.record/1\",\"record\":",
                      lineage::RenderJson(found[0].record, found[0].leaf, names),
                      "}\n")
               : lineage::RenderPage(found[0].record, found[0].leaf, names));
  return 0;
}

absl::StatusOr<int> VerifyLog(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  const absl::Status status = store->Verify();
  if (s.json) {
    wire::JsonWriter w;
    w.Object()
        .Field("schema", "aqmesh.lineage-verify/1")
        .Field("ok", status.ok())
        .Field("size", store->size());
    if (!status.ok()) w.Field("why", Text(status));
    w.End();
    s.Out(Join(w.Take(), "\n"));
    return status.ok() ? 0 : 1;
  }
  AQ_RETURN_IF_ERROR(status);
  s.Out(Join(store->size(),
             " records, each follows from the one before",
             store->head() ? Join("; head ", ToHex(store->head()->leaf)) : "",
             "\n"));
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

  app =
      tree.Command(noun, "verify", "Recompute the whole chain", "aqmesh lineage verify", VerifyLog);
  tree.Json(app);
}

}  // namespace aqmesh::cli
