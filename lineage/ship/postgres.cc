// PostgreSQL: a block is copied to a table of the session's own, and taken over from there in the
// same transaction: ON CONFLICT (log, seq) DO NOTHING. Whatever dies, and when, a block is there
// once or not at all; so it is too when several ship the same log.
#include <algorithm>

#include "core/base/status.h"
#include "lineage/ship/encode.h"
#include "lineage/ship/pg_link.h"
#include "lineage/tlog/text.h"

namespace aqmesh::lineage::ship {
namespace {

constexpr const char* kStage = "pg_temp.\"aqmesh_ship_stage\"";

class Postgres final : public Sink {
 public:
  Postgres(std::string address, std::string name, SinkOptions options)
      : address_(std::move(address)),
        name_(std::move(name)),
        table_(Join("\"", options.table, "\"")),
        options_(std::move(options)),
        link_(options_.hooks) {}

  absl::Status Open() override;
  absl::StatusOr<std::optional<Newest>> NewestOf(const Kid& log) override;
  absl::Status Put(std::span<const Row> rows, const Words& words) override;
  std::string Name() const override { return name_; }

 private:
  absl::Status Prepare();
  absl::Status MakeTable();
  absl::Status PutBlock(std::span<const Row> rows, const Words& words);
  absl::Status CheckShape();
  // Adds where it happened, and leaves no half transaction behind.
  absl::Status Placed(const absl::Status& status) {
    if (status.ok()) return status;
    link_.Close();
    return Annotate(status, name_);
  }

  std::string address_, name_, table_;
  SinkOptions options_;
  PgLink link_;
  std::string text_;
};

absl::Status Postgres::Open() { return Placed(Prepare()); }

absl::Status Postgres::Prepare() {
  AQ_RETURN_IF_ERROR(link_.Connect(address_));
  AQ_ASSIGN_OR_RETURN(const PgLink::Rows there,
                      link_.Run("SELECT to_regclass($1) IS NOT NULL", {table_}));
  // Asked first: who may insert need not be allowed to create.
  if (there[0][0] != "t") {
    const absl::Status made = MakeTable();
    if (!made.ok()) return Annotate(made, Join("making table ", table_));
  }
  AQ_RETURN_IF_ERROR(CheckShape());
  std::string columns;
  for (const Column& c : Columns())
    columns += Join(columns.empty() ? "" : ", ", "\"", c.name, "\" ", PostgresType(c));
  return link_
      .Run(Join("CREATE TEMP TABLE \"aqmesh_ship_stage\" (", columns, ") ON COMMIT DELETE ROWS"))
      .status();
}

// IF NOT EXISTS alone does not keep two from making it at once.
absl::Status Postgres::MakeTable() {
  AQ_RETURN_IF_ERROR(link_.Run("BEGIN").status());
  AQ_RETURN_IF_ERROR(
      link_.Run("SELECT pg_advisory_xact_lock(hashtext('aqmesh lineage ship'))").status());
  AQ_RETURN_IF_ERROR(link_.Run(PostgresDdl(options_.table)).status());
  return link_.Run("COMMIT").status();
}

absl::Status Postgres::CheckShape() {
  AQ_ASSIGN_OR_RETURN(
      const PgLink::Rows columns,
      link_.Run("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid "
                "= to_regclass($1) AND attnum > 0 AND NOT attisdropped",
                {table_}));
  for (const Column& c : Columns()) {
    const auto at =
        std::ranges::find_if(columns, [&c](const auto& row) { return row[0] == c.name; });
    if (at != columns.end() && (*at)[1] == PostgresType(c)) continue;
    return FailedPrecondition("table ",
                              table_,
                              at == columns.end() ? Join(" has no column ", c.name)
                                                  : Join(" has ", c.name, " as ", (*at)[1]),
                              ", which is ",
                              PostgresType(c),
                              " here; name another with --table, or make it as --ddl prints it");
  }
  AQ_ASSIGN_OR_RETURN(
      const PgLink::Rows keys,
      link_.Run("SELECT 1 FROM pg_index i WHERE indrelid = to_regclass($1) AND indisunique AND "
                "indpred IS NULL AND indnkeyatts = 2 AND ARRAY(SELECT attname::text FROM "
                "pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey[0:1]) "
                "ORDER BY 1) = ARRAY['log', 'seq']",
                {table_}));
  if (!keys.empty()) return absl::OkStatus();
  return FailedPrecondition("table ",
                            table_,
                            " has no unique index on (log, seq), without which a row could be "
                            "there twice; make it as --ddl prints it");
}

absl::StatusOr<std::optional<Sink::Newest>> Postgres::NewestOf(const Kid& log) {
  const auto rows = link_.Run(Join("SELECT \"seq\", \"record_digest\" FROM ",
                                   table_,
                                   " WHERE \"log\" = $1 ORDER BY \"seq\" DESC LIMIT 1"),
                              {ToHex(log)});
  if (!rows.ok()) return Placed(rows.status());
  if (rows->empty()) return std::optional<Newest>();
  const auto seq = tlog::ParseDecimal((*rows)[0][0]);
  if (!seq) return FailedPrecondition(name_, ": a row of this log has seq ", (*rows)[0][0]);
  return Newest{*seq, (*rows)[0][1]};
}

absl::Status Postgres::Put(std::span<const Row> rows, const Words& words) {
  return Placed(PutBlock(rows, words));
}

absl::Status Postgres::PutBlock(std::span<const Row> rows, const Words& words) {
  text_.clear();
  for (const Row& row : rows) AppendCopyLine(text_, row, words);
  const std::string columns = QuotedColumns();
  AQ_RETURN_IF_ERROR(link_.Run("BEGIN").status());
  AQ_RETURN_IF_ERROR(link_.CopyIn(Join("COPY ", kStage, " (", columns, ") FROM STDIN"), text_));
  AQ_RETURN_IF_ERROR(link_
                         .Run(Join("INSERT INTO ",
                                   table_,
                                   " (",
                                   columns,
                                   ") SELECT ",
                                   columns,
                                   " FROM ",
                                   kStage,
                                   " ORDER BY \"seq\" ON CONFLICT (\"log\", \"seq\") DO NOTHING"))
                         .status());
  return link_.Run("COMMIT").status();
}

struct FreeOptions {
  void operator()(PQconninfoOption* o) const { PQconninfoFree(o); }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Sink>> MakePostgres(const std::string& address,
                                                   SinkOptions options) {
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> parsed(
      PQconninfoParse(address.c_str(), &why));
  const std::string words = why == nullptr ? "" : why;
  PQfreemem(why);
  if (parsed == nullptr) {
    return InvalidArgument("not an address of PostgreSQL: ",
                           std::string_view(words).substr(0, words.find('\n')));
  }
  std::string host, name;
  for (const PQconninfoOption* o = parsed.get(); o->keyword != nullptr; ++o) {
    if (o->val == nullptr) continue;
    const std::string_view key = o->keyword;
    if (key == "password" || key == "sslpassword") {
      return InvalidArgument(
          "a password in the address is seen by everybody on this machine; set PGPASSWORD, or "
          "write it to ~/.pgpass");
    }
    if (key == "host") host = o->val;
    if (key == "dbname") name = o->val;
  }
  return std::make_unique<Postgres>(
      address, Join("postgres://", host, "/", name), std::move(options));
}

}  // namespace aqmesh::lineage::ship
