// lineage sql: questions in SQL.
#include "daemon/cli/sql_commands.h"

#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "daemon/cli/text.h"
#include "lineage/rocks/head_file.h"

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
    desk->places_.push_back({MachineName(session, state), state.path(), {}});
  } else {
    desk->places_.push_back({MachineNameOf(session.from), session.from, {}});
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
    AQ_ASSIGN_OR_RETURN(auto store, own ? session_.Lineage() : OpenLineageAt(place.dir));
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
}

}  // namespace aqmesh::cli
