// lineage: questions to this machine's own record, beside a running daemon or without one.
#include "core/wire/json.h"
#include "daemon/cli/attempts_view.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"
#include "lineage/rocks/head_file.h"

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
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
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

constexpr std::chrono::milliseconds kFollowEvery{500};

// Prints what a store has from a record on, and says which is the first that it has not.
class Follower {
 public:
  Follower(Session& s, const lineage::Filter& filter, const lineage::Names& names)
      : s_(s), filter_(filter), names_(names) {}

  // DataLoss if what follows does not follow from what was there.
  absl::Status Take(const lineage::Store& store, lineage::Seq first) {
    absl::Status broken;
    AQ_RETURN_IF_ERROR(store.WalkLog(
        first,
        lineage::kSeqEnd,
        lineage::Order::kOldestFirst,
        [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
          const auto record = authority::ParseBody<authority::Observe>(body);
          if (!record.ok())
            broken = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
          if (record.ok() && last_ && record->prev != last_)
            broken = DataLoss("record ", seq, " does not follow from the one shown before it");
          if (!broken.ok()) return false;
          last_ = leaf;
          ++seen_;
          if (!lineage::Matches(filter_, *record, leaf)) return true;
          ++shown_;
          s_.Out(Join(s_.json ? lineage::RenderJson(*record, leaf, names_)
                              : lineage::RenderLine(*record, leaf, names_),
                      "\n"));
          return !Ended();
        }));
    return broken;
  }
  void Begin() { last_.reset(); }  // what comes is another log
  bool Ended() const {
    ended_ = ended_ || (s_.env().interrupted && s_.env().interrupted()) ||
             (s_.env().out_gone && s_.env().out_gone());
    return ended_;
  }
  std::string Summary() const { return Join(shown_, " of ", seen_, " records shown"); }

 private:
  Session& s_;
  const lineage::Filter& filter_;
  const lineage::Names& names_;
  std::optional<Digest> last_;
  uint64_t seen_ = 0, shown_ = 0;
  mutable bool ended_ = false;
};

// The store is opened again whenever HEAD says that it has more; between times nothing is held.
absl::StatusOr<int> Follow(Session& s, const QueryFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::Filter filter, FilterOf(s, flags, *store, known));
  lineage::Names names = NamesOf(known);
  Follower follower(s, filter, names);
  (void)follower.Ended();  // from here on Ctrl-C is ours
  lineage::Seq next = store->size();
  if (!flags.since.empty()) {
    AQ_ASSIGN_OR_RETURN(next, store->SeqAt(filter.from));
  }
  AQ_RETURN_IF_ERROR(follower.Take(*store, next));
  next = store->size();
  uint64_t commit = store->commits();
  store.reset();
  while (!follower.Ended()) {
    s.env().pause(kFollowEvery);
    const auto head = lineage::HeadFile::Open(state.store_path() + "/HEAD", false);
    if (!head.ok()) return head.status();
    if (head->mark().commit == commit) continue;
    AQ_ASSIGN_OR_RETURN(store, state.ReadStore());
    // Who joined has a name from now on.
    AQ_ASSIGN_OR_RETURN(known, LoadObjects(*store));
    names = NamesOf(known);
    if (store->size() < next) {  // the disk was restored from a backup: another log began
      next = 0;
      follower.Begin();
    }
    AQ_RETURN_IF_ERROR(follower.Take(*store, next));
    next = store->size();
    commit = store->commits();
    store.reset();
  }
  s.Say(follower.Summary());
  return 0;
}

void AddFilters(CLI::App* app, QueryFlags& flags) {
  app->add_option("--since", flags.since, "From this time: 2h (ago), 2026-11-21T14:00Z");
  app->add_option("--subject", flags.subject, "About this node: name or key");
  app->add_option("--peer", flags.peer, "About this node, or told by it");
  app->add_option(
      "--authority", flags.authority, "Decided under authority with this digest, first digits");
  app->add_option("--outcome", flags.outcome, "That led to this rung, such as REFUSE");
  app->add_option("--kind", flags.kind, "Of this kind, such as decided");
}

struct ShowFlags {
  std::string which;
};

absl::StatusOr<int> Show(Session& s, const ShowFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::FoundRecord found, FindRecord(*store, flags.which));
  const lineage::Names names = NamesOf(known);
  AQ_ASSIGN_OR_RETURN(const lineage::Content content, lineage::ReadContent(*store, found.record));
  AQ_ASSIGN_OR_RETURN(const lineage::Attempts attempts, lineage::AttemptsIn(content));
  if (!s.json) {
    s.Out(Join(lineage::RenderPage(found.record, found.leaf, names),
               AttemptLines(content, attempts, names)));
    return 0;
  }
  wire::JsonWriter tried;
  PutAttempts(content, attempts, names, tried);
  s.Out(
      Join("{\"schema\":\"aqmesh.record/1\",\"record\":",
           lineage::RenderJson(found.record, found.leaf, names),
           content.state == lineage::Content::State::kNone ? "" : Join(",\"tried\":", tried.Take()),
           "}\n"));
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
  AddFilters(app, *query);
  app->add_option("--until", query->until, "Before this time");
  app->add_option("--limit", query->limit, "At most so many")->capture_default_str();
  tree.Lineage(app);
  tree.Json(app);

  auto show = std::make_shared<ShowFlags>();
  app = tree.Command(
      noun, "show", "Show one record in full", "aqmesh lineage show 9f3a", [show](Session& s) {
        return Show(s, *show);
      });
  app->add_option("RECORD", show->which, "Its number, or the first digits of its id")->required();
  tree.Lineage(app);
  tree.Json(app);

  auto follow = std::make_shared<QueryFlags>();
  app = tree.Command(noun,
                     "follow",
                     "Print records as they come, until Ctrl-C",
                     "aqmesh lineage follow --outcome REFUSE",
                     [follow](Session& s) { return Follow(s, *follow); });
  AddFilters(app, *follow);
  tree.Json(app);

  AddSql(tree, noun);
  AddRowFiles(tree, noun);
  AddShip(tree, noun);
  AddVerify(tree, noun);
  AddEvidence(tree, noun);
  AddHistory(tree, noun);
  AddTrace(tree, noun);
  AddPrivacy(tree, noun);
  AddRetention(tree, noun);
}

}  // namespace aqmesh::cli
