// lineage sql, lineage export: questions in SQL, and records for other engines.
#include "daemon/cli/sql_commands.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/wire/json.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "daemon/cli/text.h"
#include "lineage/rocks/head_file.h"
#include "lineage/sealed/seal.h"
#include "lineage/tlog/text.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

using lineage::sql::Param;

struct SqlFlags {
  std::string query, timeout;
  std::vector<std::string> params, with;
  bool csv = false;
};

absl::StatusOr<std::vector<Param>> ParamsOf(Session& s, const std::vector<std::string>& words) {
  std::vector<Param> out;
  for (const std::string& word : words) {
    const size_t at = word.find('=');
    if (at == std::string::npos || at == 0)
      return s.Usage(Join("--param: wants NAME=VALUE, not `", word, "`"));
    out.push_back({word.substr(0, at), word.substr(at + 1)});
  }
  return out;
}

absl::StatusOr<int> Sql(Session& s, const SqlFlags& flags) {
  if (s.json && flags.csv) return s.Usage("--json or --csv, not both");
  const SqlMode mode = s.json ? SqlMode::kJson : flags.csv ? SqlMode::kCsv : SqlMode::kTable;
  AQ_ASSIGN_OR_RETURN(const std::vector<Param> params, ParamsOf(s, flags.params));
  std::optional<uint64_t> timeout;
  if (!flags.timeout.empty()) {
    AQ_ASSIGN_OR_RETURN(timeout, SpanFlag(s, "--timeout", flags.timeout, 0));
  }
  AQ_ASSIGN_OR_RETURN(const auto desk, SqlDesk::Open(s, flags.with, timeout));
  if (flags.query.empty() && s.env().line_reader) return RunShell(s, *desk, params, mode);
  std::string query = flags.query;
  if (query.empty()) {
    AQ_ASSIGN_OR_RETURN(query, s.env().read_stdin(lineage::sql::kSqlBytesMax));
  }
  AQ_RETURN_IF_ERROR(desk->Ask(query, params, mode, [&s](std::string_view text) { s.Out(text); }));
  return 0;
}

struct ExportFlags {
  std::string format = "jsonl", since, until, file, sealed;
};

// Where an export goes: stdout, or a new file for its owner alone.
class ExportSink {
 public:
  static absl::StatusOr<std::unique_ptr<ExportSink>> Open(Session& s, const std::string& path) {
    auto sink = std::unique_ptr<ExportSink>(new ExportSink(s));
    if (path.empty() || path == "-") return sink;
    sink->path_ = path;
    sink->fd_ = os::Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (sink->fd_.valid()) return sink;
    return os::ErrnoStatus(errno,
                           Join("writing ", path),
                           errno == EEXIST ? "name another file, or remove that one" : "");
  }
  void Write(std::string_view text) {
    if (!fd_.valid()) return s_.Out(text);
    while (!text.empty() && status_.ok()) {
      const ssize_t n = write(fd_.get(), text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) status_ = os::ErrnoStatus(errno, Join("writing ", path_));
      if (n > 0) text.remove_prefix(static_cast<size_t>(n));
    }
  }
  const absl::Status& status() const { return status_; }
  bool to_file() const { return fd_.valid(); }
  // Half an export passes for a whole one: it does not stay.
  void Discard() {
    if (to_file()) unlink(path_.c_str());
  }

 private:
  explicit ExportSink(Session& s) : s_(s) {}
  Session& s_;
  std::string path_;
  os::Fd fd_;
  absl::Status status_;
};

// A record with all that its proof needs: SHA-256(00 || body) is record_digest.
std::string JsonRow(const SqlDesk& desk,
                    const authority::Observe& record,
                    const Digest& leaf,
                    ByteView body,
                    const lineage::Names& names) {
  std::string machine;
  wire::AppendJsonString(machine, desk.name());
  const std::string fields = lineage::RenderJson(record, leaf, names);
  return Join("{\"machine\":",
              machine,
              ",\"record_digest\":\"",
              ToHex(leaf),
              "\",\"leaf_index\":",
              record.seq,
              ",",
              fields.substr(1, fields.size() - 2),
              ",\"body\":\"",
              ToBase64(body),
              "\"}\n");
}

absl::Status ExportJson(Session& s,
                        const SqlDesk& desk,
                        std::pair<lineage::Seq, lineage::Seq> range,
                        ExportSink& sink) {
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(desk.own()));
  const lineage::Names names = NamesOf(known);
  absl::Status broken;
  std::string held;
  const auto visit = [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
    const auto record = authority::ParseBody<authority::Observe>(body);
    if (!record.ok()) broken = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
    if (broken.ok() && s.env().interrupted && s.env().interrupted())
      broken = absl::CancelledError("interrupted");
    if (!broken.ok()) return false;
    held += JsonRow(desk, *record, leaf, body, names);
    if (held.size() < 65'536) return true;
    sink.Write(held);
    held.clear();
    return sink.status().ok() && !(s.env().out_gone && s.env().out_gone());
  };
  AQ_RETURN_IF_ERROR(
      desk.own().WalkLog(range.first, range.second, lineage::Order::kOldestFirst, visit));
  AQ_RETURN_IF_ERROR(broken);
  sink.Write(held);
  return absl::OkStatus();
}

constexpr std::string_view kCsvQuestion =
    "SELECT machine, id AS record_digest, seq AS leaf_index, time, ms, kind, log, prev, scope, "
    "subject, subject_name, authority, inputs, gate_crypto, gate_trust, gate_corroboration, "
    "gate_freshness, gate_action, gate_local, ladm_q16, slope_q16, corr_milli, outcome, action, "
    "action_id, intent_gen, observed_gen, evidence, reason, reason_code, commits, frames, bytes, "
    "first, last, tags, presentations, dropped, drops, lower(hex(body)) AS body "
    "FROM records WHERE seq >= :first AND seq < :end ORDER BY seq";

// "--until 5000" is a number of records, anything else a time.
absl::StatusOr<lineage::Seq> UntilOf(Session& s,
                                     const lineage::Store& store,
                                     const std::string& text) {
  if (text.empty()) return store.size();
  constexpr size_t kSeqDigitsMax = 9;  // what is longer is Unix seconds
  if (text.size() <= kSeqDigitsMax) {
    if (const auto seq = tlog::ParseDecimal(text)) return *seq;
  }
  const auto at = ParseWhen(text, s.now());
  if (!at.ok()) return s.Usage(Join("--until: ", Text(at.status())));
  return store.SeqAt(lineage::HlcFromMillis(*at * 1'000));
}

absl::StatusOr<int> ExportSealed(Session& s, const ExportFlags& flags) {
  if (!flags.since.empty() || !flags.file.empty())
    return s.Usage("--sealed goes on where the directory ends: it takes no --since and no -o");
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const lineage::Seq until, UntilOf(s, *store, flags.until));
  AQ_ASSIGN_OR_RETURN(const lineage::SealReport report,
                      lineage::Seal(*store, flags.sealed, until));
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.sealed/1").Field("segments", report.segments);
    w.Field("records", report.records).Field("first", report.first).Field("end", report.end);
    w.Field("waits_for_head", report.uncovered).End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join(report.records,
             " records in ",
             report.segments,
             " segments; ",
             flags.sealed,
             " has ",
             report.end == report.first ? "none"
                                        : Join("records ", report.first, " to ", report.end - 1),
             "\n"));
  if (report.uncovered) s.Say("More can be sealed once a signed head covers it.");
  return 0;
}

absl::StatusOr<int> Export(Session& s, const ExportFlags& flags) {
  if (!flags.sealed.empty()) return ExportSealed(s, flags);
  if (flags.format != "jsonl" && flags.format != "csv")
    return s.Usage(Join("--format: wants jsonl or csv, not `", flags.format, "`"));
  const auto when = [&s](std::string_view flag,
                         const std::string& text) -> absl::StatusOr<uint64_t> {
    auto at = ParseWhen(text, s.now());
    return at.ok() ? at : s.Usage(Join(flag, ": ", Text(at.status())));
  };
  std::optional<uint64_t> since, until;
  if (!flags.since.empty()) {
    AQ_ASSIGN_OR_RETURN(since, when("--since", flags.since));
  }
  if (!flags.until.empty()) {
    AQ_ASSIGN_OR_RETURN(until, when("--until", flags.until));
  }
  AQ_ASSIGN_OR_RETURN(const auto desk, SqlDesk::Open(s, {}, std::nullopt));
  lineage::Seq first = 0, end = desk->own().size();
  if (since) {
    AQ_ASSIGN_OR_RETURN(first, desk->own().SeqAt(lineage::HlcFromMillis(*since * 1'000)));
  }
  if (until) {
    AQ_ASSIGN_OR_RETURN(end, desk->own().SeqAt(lineage::HlcFromMillis(*until * 1'000)));
  }
  AQ_ASSIGN_OR_RETURN(const auto sink, ExportSink::Open(s, flags.file));
  const std::vector<Param> range = {{"first", Join(first)}, {"end", Join(end)}};
  absl::Status status = flags.format == "csv"
                            ? desk->Ask(kCsvQuestion,
                                        range,
                                        SqlMode::kCsv,
                                        [&sink](std::string_view text) { sink->Write(text); })
                            : ExportJson(s, *desk, {first, end}, *sink);
  if (status.ok()) status = sink->status();
  if (!status.ok()) {
    sink->Discard();
    return status;
  }
  if (sink->to_file()) s.Say(Join(end > first ? end - first : 0, " records in ", flags.file));
  return 0;
}

}  // namespace

absl::Status SqlDesk::Stop() const {
  Env& env = session_.env();
  if (env.interrupted && env.interrupted()) return absl::CancelledError("interrupted");
  if (env.out_gone && env.out_gone()) return absl::CancelledError("nobody reads any more");
  if (env.now().mono < deadline_) return absl::OkStatus();
  return absl::DeadlineExceededError(Join("no answer within ",
                                          *timeout_seconds_,
                                          " s; give it longer with --timeout, or narrow it by time "
                                          "or subject"));
}

absl::StatusOr<std::unique_ptr<SqlDesk>> SqlDesk::Open(Session& session,
                                                       const std::vector<std::string>& others,
                                                       std::optional<uint64_t> timeout_seconds) {
  std::unique_ptr<SqlDesk> desk(new SqlDesk(session));
  desk->timeout_seconds_ = timeout_seconds;
  if (others.size() >= kStoresMax)
    return session.Usage(Join("--with: at most ", kStoresMax - 1, " other stores"));
  if (session.from.empty()) {
    AQ_ASSIGN_OR_RETURN(const StateDir state, session.State());
    const auto config = state.ReadConfig();
    desk->places_.push_back(
        {config.ok() && !config->name.empty() ? config->name : session.env().host_name,
         state.path(),
         {}});
  } else {
    desk->places_.push_back({session.env().host_name, session.from, {}});
  }
  for (const std::string& other : others) {
    const size_t at = other.find('=');
    if (at == std::string::npos || at == 0)
      return session.Usage(Join("--with: wants NAME=DIR, not `", other, "`"));
    desk->places_.push_back({other.substr(0, at), other.substr(at + 1), {}});
  }
  for (Place& place : desk->places_) {
    for (const std::string& head : {place.dir + "/store/HEAD", place.dir + "/HEAD"}) {
      if (place.head.empty() && ::access(head.c_str(), F_OK) == 0) place.head = head;
    }
  }
  AQ_RETURN_IF_ERROR(desk->Load());
  if (session.env().interrupted) (void)session.env().interrupted();  // from here on it is caught
  return desk;
}

absl::Status SqlDesk::Load() {
  db_.reset();  // before what it borrows
  stores_.clear();
  std::vector<lineage::sql::Source> sources;
  for (const Place& place : places_) {
    const bool own = stores_.empty();
    AQ_ASSIGN_OR_RETURN(auto store,
                        own ? session_.Lineage() : OpenLineageAt(place.dir));
    stores_.push_back(std::move(store));
    sources.push_back({place.name, stores_.back().get()});
  }
  lineage::sql::Options options;
  options.drop = DropName;
  options.when = [this](std::string_view text) { return ParseWhen(text, session_.now()); };
  options.stop = [this] { return Stop(); };
  AQ_ASSIGN_OR_RETURN(db_, lineage::sql::Database::Open(std::move(sources), std::move(options)));
  return absl::OkStatus();
}

absl::Status SqlDesk::Refresh() {
  if (db_ == nullptr) return Load();
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].head.empty()) continue;
    const auto head = lineage::HeadFile::Open(places_[i].head, false);
    if (!head.ok() || head->mark().commit != stores_[i]->commits()) return Load();
  }
  return absl::OkStatus();
}

absl::Status SqlDesk::Ask(std::string_view sql,
                          std::span<const Param> params,
                          SqlMode mode,
                          const TextSink& out) {
  if (timeout_seconds_)
    deadline_ = After(session_.env().now().mono, std::chrono::seconds(*timeout_seconds_));
  const size_t columns = session_.env().out_tty ? session_.env().columns : 0;
  while (!sql.empty()) {
    const auto printer = MakePrinter(mode, columns, out);
    const auto rest = db_->Run(sql, params, *printer);
    if (rest.ok() || printer->any()) printer->End();
    if (!rest.ok()) return rest.status();
    sql = *rest;
  }
  return absl::OkStatus();
}

void AddSql(Tree& tree, CLI::App* noun) {
  auto sql = std::make_shared<SqlFlags>();
  CLI::App* app =
      tree.Command(noun,
                   "sql",
                   "Ask in SQL: eleven tables over the live store, or a shell to type in",
                   "aqmesh lineage sql \"SELECT time, subject_name, outcome, reason "
                   "FROM decisions WHERE time >= ago('2h')\"",
                   [sql](Session& s) { return Sql(s, *sql); });
  app->add_option("QUERY", sql->query, "Statements; without it they come from stdin");
  app->add_flag("--csv", sql->csv, "Print CSV");
  app->add_option("--param", sql->params, "NAME=VALUE, for :NAME in the query")
      ->allow_extra_args(false);
  tree.Lineage(app);
  app->add_option("--with", sql->with, "NAME=DIR: ask a copy of another machine's store too")
      ->allow_extra_args(false);
  app->add_option("--timeout", sql->timeout, "Give up after so long, such as 30s");
  tree.Json(app);

  auto flags = std::make_shared<ExportFlags>();
  app = tree.Command(noun,
                     "export",
                     "Write records out, each with what its proof needs",
                     "aqmesh lineage export --since 1d -o yesterday.jsonl",
                     [flags](Session& s) { return Export(s, *flags); });
  app->add_option("--format", flags->format, "jsonl or csv")->capture_default_str();
  app->add_option("--since", flags->since, "From this time: 2h (ago), 2026-11-21T14:00Z");
  app->add_option("--until", flags->until, "Before this time; with --sealed also before record SEQ");
  app->add_option("--sealed",
                  flags->sealed,
                  "As sealed segments into this directory, those that it has not yet");
  tree.Lineage(app);
  tree.Json(app);
  app->add_option("-o,--output", flags->file, "To this file, which must be new; else to stdout");
}

}  // namespace aqmesh::cli
