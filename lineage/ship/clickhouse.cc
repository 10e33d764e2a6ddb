// ClickHouse has no transactions and no unique keys. A block is sent as a table of the request's
// own, and one INSERT ... SELECT takes over what is not there yet. Its query_id is the same for all
// shippers of a log, and the server runs no two queries of one id: so nobody inserts between the
// look and the insert, neither a second shipper nor what a killed one left running.
// ReplacingMergeTree stands behind that, for what copies of the server may do.
// Only what version 18.16 and those of today share is used.
#include <algorithm>
#include <charconv>

#include "core/base/status.h"
#include "lineage/ship/encode.h"
#include "lineage/ship/http.h"
#include "lineage/tlog/text.h"

namespace aqmesh::lineage::ship {
namespace {

constexpr std::string_view kBlock = "aqmesh_block";

// Codes of ClickHouse's exceptions.
constexpr int kSameQueryIdRuns = 216;
// Timeouts, too many queries or parts, memory, shutting down: later it may do.
constexpr int kMayMend[] = {
    3, 159, 160, 164, 202, 203, 209, 210, 225, 236, 241, 242, 252, 285, 319, 394, 425, 439, 999};

// "Code: 60, e.displayText() = DB::Exception: Table ..." or "Code: 60. DB::Exception: ..."; 0:
// none.
int CodeOf(std::string_view body) {
  constexpr std::string_view kMark = "Code: ";
  const size_t at = body.find(kMark);
  if (at == std::string_view::npos) return 0;
  int code = 0;
  std::from_chars(body.data() + at + kMark.size(), body.data() + body.size(), code);
  return code;
}

std::string WordsOf(std::string_view body) {
  constexpr std::string_view kMark = "DB::Exception: ";
  const size_t at = body.find(kMark);
  std::string out(at == std::string_view::npos ? body : body.substr(at + kMark.size()));
  out.resize(std::min<size_t>(out.size(), 300));
  std::ranges::replace(out, '\n', ' ');
  while (out.ends_with(' ')) out.pop_back();
  return CleanText(std::move(out));
}

// Fields of TabSeparated; what we ask for has nothing to unescape but in types, which have none.
std::vector<std::vector<std::string>> Fields(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  while (const auto line = tlog::TakeLine(text)) {
    std::string_view rest = *line;
    rows.emplace_back();
    while (true) {
      const size_t tab = rest.find('\t');
      rows.back().emplace_back(rest.substr(0, tab));
      if (tab == std::string_view::npos) break;
      rest.remove_prefix(tab + 1);
    }
  }
  return rows;
}

class ClickHouse final : public Sink {
 public:
  ClickHouse(const HttpAddress& address, SinkOptions options)
      : database_(address.database),
        name_(Join(address.base, address.database)),
        table_(Join("\"", options.table, "\"")),
        bare_table_(options.table),
        http_(address.base,
              address.user.empty() ? options.user : address.user,
              options.password,
              options.hooks),
        pause_(std::move(options.hooks.pause)) {}

  absl::Status Open() override;
  absl::StatusOr<std::optional<Newest>> NewestOf(const Kid& log) override;
  absl::Status Put(std::span<const Row> rows, const Words& words) override;
  std::string Name() const override { return name_; }

 private:
  using Parameters = HttpClient::Parameters;
  using Rows = std::vector<std::vector<std::string>>;
  absl::StatusOr<Rows> Ask(std::string_view query);
  absl::Status CheckShape(const Rows& columns);
  absl::StatusOr<int> TryInsert(const Parameters& parameters);  // the code of a refusal, or 0

  std::string database_, name_, table_, bare_table_;
  HttpClient http_;
  std::function<void(std::chrono::milliseconds)> pause_;
  std::string text_;
};

absl::Status Refusal(const std::string& name, std::string_view body, long status) {
  const int code = CodeOf(body);
  const std::string words = body.empty() ? Join("HTTP ", status) : WordsOf(body);
  if (status == 401 || status == 403 || code == 192 || code == 193 || code == 516) {
    return FailedPrecondition(
        name, ": ", words, "; the user is CLICKHOUSE_USER's, the password CLICKHOUSE_PASSWORD's");
  }
  const bool mends =
      std::ranges::find(kMayMend, code) != std::end(kMayMend) || (code == 0 && status >= 500);
  return mends ? Unavailable(name, ": ", words) : FailedPrecondition(name, ": ", words);
}

absl::StatusOr<ClickHouse::Rows> ClickHouse::Ask(std::string_view query) {
  Parameters parameters;
  if (!database_.empty()) parameters.emplace_back("database", database_);
  const auto answer = http_.Post(parameters, query);
  if (!answer.ok()) return Annotate(answer.status(), name_);
  if (answer->status != 200) return Refusal(name_, answer->body, answer->status);
  return Fields(answer->body);
}

absl::Status ClickHouse::Open() {
  const std::string asked =
      Join("SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '",
           bare_table_,
           "' FORMAT TabSeparated");
  AQ_ASSIGN_OR_RETURN(Rows columns, Ask(asked));
  if (columns.empty()) {
    std::string ddl = ClickHouseDdl(bare_table_);
    ddl.resize(ddl.rfind(';'));  // one statement a request, and none behind it
    AQ_RETURN_IF_ERROR(Ask(ddl).status());
    AQ_ASSIGN_OR_RETURN(columns, Ask(asked));
  }
  AQ_RETURN_IF_ERROR(CheckShape(columns));
  AQ_ASSIGN_OR_RETURN(
      const Rows engine,
      Ask(Join("SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = '",
               bare_table_,
               "' FORMAT TabSeparated")));
  if (!engine.empty() && engine[0][0].ends_with("MergeTree")) return absl::OkStatus();
  return FailedPrecondition(name_,
                            ": table ",
                            table_,
                            " is no MergeTree, so what was inserted may not be seen at once; make "
                            "it as --ddl prints it");
}

absl::Status ClickHouse::CheckShape(const Rows& columns) {
  for (const Column& c : Columns()) {
    const auto at =
        std::ranges::find_if(columns, [&c](const auto& row) { return row[0] == c.name; });
    if (at != columns.end() && at->size() > 1 && (*at)[1] == ClickHouseType(c)) continue;
    return FailedPrecondition(name_,
                              ": table ",
                              table_,
                              at == columns.end() ? Join(" has no column ", c.name)
                                                  : Join(" has ", c.name, " as ", at->back()),
                              ", which is ",
                              ClickHouseType(c),
                              " here; name another with --table, or make it as --ddl prints it");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Sink::Newest>> ClickHouse::NewestOf(const Kid& log) {
  const std::string where = Join(" FROM ", table_, " WHERE \"log\" = '", ToHex(log), "'");
  AQ_ASSIGN_OR_RETURN(const Rows newest,
                      Ask(Join("SELECT max(\"seq\"), count()", where, " FORMAT TabSeparated")));
  if (newest.size() != 1 || newest[0].size() != 2)
    return FailedPrecondition(name_, ": is this ClickHouse? It answers as nobody would");
  if (newest[0][1] == "0") return std::optional<Newest>();
  const auto seq = tlog::ParseDecimal(newest[0][0]);
  if (!seq) return FailedPrecondition(name_, ": a row of this log has seq ", newest[0][0]);
  AQ_ASSIGN_OR_RETURN(const Rows digest,
                      Ask(Join("SELECT \"record_digest\"",
                               where,
                               " AND \"seq\" = ",
                               *seq,
                               " LIMIT 1 FORMAT TabSeparated")));
  return Newest{*seq, digest.empty() ? "" : digest[0][0]};
}

absl::StatusOr<int> ClickHouse::TryInsert(const Parameters& parameters) {
  const auto answer = http_.Post(parameters, text_, kBlock.data());
  if (!answer.ok()) return Annotate(answer.status(), name_);
  if (answer->status == 200) return 0;
  const int code = CodeOf(answer->body);
  if (code == kSameQueryIdRuns) return code;
  return Refusal(name_, answer->body, answer->status);
}

absl::Status ClickHouse::Put(std::span<const Row> rows, const Words& words) {
  if (rows.empty()) return absl::OkStatus();
  text_.clear();
  for (const Row& row : rows) AppendJsonLine(text_, row, words);
  const std::string log = ToHex(rows.front().record.log);
  std::string structure;
  for (const Column& c : Columns())
    structure += Join(structure.empty() ? "" : ", ", c.name, " ", ClickHouseType(c));
  const std::string columns = QuotedColumns();
  Parameters parameters = {{"query_id", Join("aqmesh-ship-", bare_table_, "-", log)},
                           {"wait_end_of_query", "1"},
                           {Join(kBlock, "_format"), "JSONEachRow"},
                           {Join(kBlock, "_structure"), structure},
                           {"query",
                            Join("INSERT INTO ",
                                 table_,
                                 " (",
                                 columns,
                                 ") SELECT ",
                                 columns,
                                 " FROM ",
                                 kBlock,
                                 " WHERE \"seq\" NOT IN (SELECT \"seq\" FROM ",
                                 table_,
                                 " WHERE \"log\" = '",
                                 log,
                                 "' AND \"seq\" >= ",
                                 rows.front().record.seq,
                                 " AND \"seq\" <= ",
                                 rows.back().record.seq,
                                 ")")}};
  if (!database_.empty()) parameters.emplace_back("database", database_);
  for (std::chrono::milliseconds waited{0}; waited < kBusyWithin; waited += kPatience) {
    AQ_ASSIGN_OR_RETURN(const int code, TryInsert(parameters));
    if (code == 0) return absl::OkStatus();
    pause_(waited.count() == 0 ? kPatience / 10 : kPatience);
  }
  return Unavailable(name_, ": another shipper of log ", log, " is at work there all the time");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sink>> MakeClickHouse(const std::string& address,
                                                     SinkOptions options) {
  AQ_ASSIGN_OR_RETURN(const HttpAddress parsed, ParseHttpAddress(address));
  return std::make_unique<ClickHouse>(parsed, std::move(options));
}

absl::StatusOr<std::unique_ptr<Sink>> MakeSink(const std::string& address, SinkOptions options) {
  if (!IsTableName(options.table))
    return InvalidArgument("`", options.table, "` is no name of a table: letters, digits and _");
  if (address.starts_with("postgres://") || address.starts_with("postgresql://"))
    return MakePostgres(address, std::move(options));
  if (address.starts_with("http://") || address.starts_with("https://"))
    return MakeClickHouse(address, std::move(options));
  // Without the address: there may be a password in it.
  return InvalidArgument(
      "wants postgres://[USER@]HOST[:PORT]/DATABASE, or http[s]://[USER@]HOST[:PORT][/DATABASE] of "
      "ClickHouse");
}

}  // namespace aqmesh::lineage::ship
