#include "lineage/sql/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/authority/signed.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/sql/module.h"

namespace aqmesh::lineage::sql {
namespace {

static_assert(SQLITE_VERSION_NUMBER >= 3'038'000);  // sqlite3_vtab_in, sqlite3_error_offset

constexpr int kStepsPerStop = 1'000;  // of SQLite's machine, between two looks at Options::stop

struct Limit {
  int what;
  int value;
};
constexpr Limit kLimits[] = {{SQLITE_LIMIT_LENGTH, kValueBytesMax},
                             {SQLITE_LIMIT_SQL_LENGTH, kSqlBytesMax},
                             {SQLITE_LIMIT_EXPR_DEPTH, 200},
                             {SQLITE_LIMIT_COMPOUND_SELECT, 64},
                             {SQLITE_LIMIT_COLUMN, 256},
                             {SQLITE_LIMIT_FUNCTION_ARG, 32},
                             {SQLITE_LIMIT_ATTACHED, 0},
                             {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256},
                             {SQLITE_LIMIT_VARIABLE_NUMBER, 256},
                             {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
                             {SQLITE_LIMIT_WORKER_THREADS, 0}};

// Nothing of the database can be changed, and no schema is trusted: there is none.
struct Setting {
  int what;
  int value;
};
constexpr Setting kSettings[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                 {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                 {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
                                 {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
                                 {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                 {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                 {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
                                 {SQLITE_DBCONFIG_DQS_DML, 0},
                                 {SQLITE_DBCONFIG_DQS_DDL, 0}};

bool IsOneOf(const char* word, std::initializer_list<std::string_view> words) {
  return word != nullptr && std::ranges::find(words, std::string_view(word)) != words.end();
}

// Read-only by construction: what is not a question is refused before it runs.
int Authorize(void*, int action, const char*, const char* detail, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_FUNCTION:
      return IsOneOf(detail, {"load_extension", "fts3_tokenizer"}) ? SQLITE_DENY : SQLITE_OK;
    default: return SQLITE_DENY;
  }
}

// "line 2, column 7" of a byte.
std::string PlaceText(std::string_view sql, int offset) {
  const std::string_view before = sql.substr(0, static_cast<size_t>(offset));
  const size_t line_start = before.rfind('\n') + 1;  // 0 where there is none
  return Join(
      "line ", std::ranges::count(before, '\n') + 1, ", column ", before.size() - line_start + 1);
}

// Where the thing is that a message names, if SQLite does not say it: "no such table: recrds".
int OffsetOf(std::string_view sql, std::string_view message) {
  constexpr std::string_view kNoTable = "no such table: ";
  if (!message.starts_with(kNoTable)) return -1;
  const size_t at = sql.find(message.substr(kNoTable.size()));
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// SQLite makes a virtual table of ours, and of those that come with it, when it is first named.
// That is a CREATE TABLE to the authorizer, so it is done before there is one.
absl::Status NameTables(sqlite3* db) {
  std::vector<std::string> names = {"json_each", "json_tree"};
  for (const auto& table : AllTables()) names.emplace_back(table->name());
  for (const std::string& name : names) {
    sqlite3_stmt* statement = nullptr;
    const std::string sql = Join("SELECT 1 FROM ", name);
    const int rc = sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr);
    sqlite3_finalize(statement);
    if (rc != SQLITE_OK) return Internal("table ", name, ": ", sqlite3_errmsg(db));
  }
  return absl::OkStatus();
}

// A number if SQLite would write it so: 12 is one, 0012 and 9f3a are text.
void Bind(sqlite3_stmt* statement, int at, const std::string& value) {
  int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error == std::errc() && stop == end && std::to_string(number) == value) {
    sqlite3_bind_int64(statement, at, number);
  } else {
    sqlite3_bind_text64(statement, at, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
}

absl::Status BindAll(sqlite3_stmt* statement, std::span<const Param> params) {
  std::vector<bool> used(params.size(), false);
  const int places = sqlite3_bind_parameter_count(statement);
  for (int at = 1; at <= places; ++at) {
    const char* name = sqlite3_bind_parameter_name(statement, at);
    if (name == nullptr)
      return InvalidArgument("a parameter without a name: write :name and give its value");
    const auto found = std::ranges::find(params, std::string_view(name).substr(1), &Param::name);
    if (found == params.end()) return InvalidArgument("no value for the parameter ", name);
    Bind(statement, at, found->value);
    used[static_cast<size_t>(found - params.begin())] = true;
  }
  for (size_t i = 0; i < params.size(); ++i) {
    if (!used[i]) return InvalidArgument("the question has no parameter :", params[i].name);
  }
  return absl::OkStatus();
}

Value ValueOf(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT: return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, column)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement, column));
      return Bytes(bytes, bytes + sqlite3_column_bytes(statement, column));
    }
    default: return std::monostate();
  }
}

}  // namespace

struct Database::Impl {
  Shared shared;
  sqlite3* db = nullptr;

  ~Impl() { sqlite3_close(db); }

  // Why `rc` came, in our words where they say more.
  absl::Status Why(int rc, std::string_view sql) {
    if (!shared.broken.ok()) return std::exchange(shared.broken, absl::OkStatus());
    const std::string text = sqlite3_errmsg(db);
    int offset = sqlite3_error_offset(db);
    if (offset < 0) offset = OffsetOf(sql, text);
    const bool denied = text.starts_with("not authorized") || text.ends_with("may not be modified");
    switch (denied ? SQLITE_AUTH : rc & 0xff) {
      case SQLITE_AUTH:
        return PermissionDenied(
            "the lineage is asked, never changed: only SELECT, VALUES, WITH and EXPLAIN are run (",
            text,
            ")");
      case SQLITE_NOMEM:
        return ResourceExhausted("the question needs more than ",
                                 kMemoryBytesMax >> 20,
                                 " MiB: narrow it, or count instead of listing");
      case SQLITE_TOOBIG:
        return ResourceExhausted("a text or value over ", kValueBytesMax >> 20, " MiB: ", text);
      default: break;
    }
    if (offset >= 0) return InvalidArgument("SQL: ", text, ", at ", PlaceText(sql, offset));
    return InvalidArgument("SQL: ", text);
  }

  absl::Status Step(sqlite3_stmt* statement, std::string_view sql, Answer& answer) {
    const int columns = sqlite3_column_count(statement);
    std::vector<std::string> names;
    for (int i = 0; i < columns; ++i) names.emplace_back(sqlite3_column_name(statement, i));
    if (!answer.Columns(names)) return absl::OkStatus();
    std::vector<Value> row(static_cast<size_t>(columns));
    while (true) {
      const int rc = sqlite3_step(statement);
      if (rc == SQLITE_DONE) return absl::OkStatus();
      if (rc != SQLITE_ROW) return Why(rc, sql);
      for (int i = 0; i < columns; ++i) row[static_cast<size_t>(i)] = ValueOf(statement, i);
      if (!answer.Row(row)) return absl::OkStatus();
    }
  }

  absl::Status Prepare(std::string_view sql, sqlite3_stmt** out, const char** rest) {
    if (sql.size() >= kSqlBytesMax)
      return ResourceExhausted("a question of ", sql.size(), " bytes: at most ", kSqlBytesMax);
    const int rc = sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), out, rest);
    if (rc != SQLITE_OK) return Why(rc, sql);
    // Behind the authorizer's back nothing that changes anything gets as far as a step.
    if (*out != nullptr && (sqlite3_column_count(*out) == 0 || sqlite3_stmt_readonly(*out) == 0)) {
      sqlite3_finalize(std::exchange(*out, nullptr));
      return PermissionDenied(
          "the lineage is asked, never changed: only SELECT, VALUES, WITH and EXPLAIN are run");
    }
    return absl::OkStatus();
  }
};

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

absl::StatusOr<std::unique_ptr<Database>> Database::Open(std::vector<Source> sources,
                                                         Options options) {
  AQ_CHECK(!sources.empty());
  auto impl = std::make_unique<Impl>();
  World& world = impl->shared.world;
  for (Source& source : sources) {
    if (std::ranges::find(world.logs, source.name, &Log::name) != world.logs.end())
      return InvalidArgument("two stores are called `", source.name, "`; give each its own name");
    Log log{std::move(source.name), source.store};
    if (log.store->head()) {
      AQ_ASSIGN_OR_RETURN(const Bytes body, log.store->Read(log.store->head()->seq));
      AQ_ASSIGN_OR_RETURN(const auto record, authority::ParseBody<authority::Observe>(body));
      log.kid = record.log;
    }
    AQ_RETURN_IF_ERROR(world.directory.Load(*log.store));
    world.logs.push_back(std::move(log));
  }
  world.names.drop = std::move(options.drop);
  world.names.peer = [&world](const Kid& kid) { return world.directory.NameOf(kid); };
  world.stop = std::move(options.stop);

  AQ_CHECK(sqlite3_libversion_number() >= 3'038'000);
  sqlite3_hard_heap_limit64(kMemoryBytesMax);
  const int rc = sqlite3_open_v2(":memory:",
                                 &impl->db,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
                                 nullptr);
  if (rc != SQLITE_OK) return ResourceExhausted("SQLite: ", sqlite3_errstr(rc));
  sqlite3* db = impl->db;
  for (const Limit& limit : kLimits) sqlite3_limit(db, limit.what, limit.value);
  for (const Setting& setting : kSettings)
    AQ_CHECK(sqlite3_db_config(db, setting.what, setting.value, nullptr) == SQLITE_OK);
  // A sort that outgrows the memory above goes on in a temporary file, which SQLite unlinks as it
  // opens it: counting ten million records by kind is such a sort.
  AQ_CHECK(
      sqlite3_exec(
          db, "PRAGMA temp_store = FILE; PRAGMA query_only = ON;", nullptr, nullptr, nullptr) ==
      SQLITE_OK);
  AQ_RETURN_IF_ERROR(AddTables(db, impl->shared));
  AQ_RETURN_IF_ERROR(AddFunctions(db, impl->shared, options));
  AQ_RETURN_IF_ERROR(NameTables(db));
  AQ_CHECK(sqlite3_set_authorizer(db, Authorize, nullptr) == SQLITE_OK);
  sqlite3_progress_handler(
      db,
      kStepsPerStop,
      [](void* shared) {
        auto& self = *static_cast<Shared*>(shared);
        const absl::Status stop = self.world.Stop();
        if (!stop.ok()) self.broken = stop;
        return stop.ok() ? 0 : 1;
      },
      &impl->shared);
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

absl::StatusOr<std::string_view> Database::Run(std::string_view sql,
                                               std::span<const Param> params,
                                               Answer& answer) {
  impl_->shared.broken = absl::OkStatus();
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  AQ_RETURN_IF_ERROR(impl_->Prepare(sql, &statement, &rest));
  absl::Status status;
  if (statement != nullptr) {
    status = BindAll(statement, params);
    if (status.ok()) status = impl_->Step(statement, sql, answer);
    sqlite3_finalize(statement);
  }
  AQ_RETURN_IF_ERROR(status);
  return sql.substr(static_cast<size_t>(rest - sql.data()));
}

bool Database::IsWhole(std::string_view sql) {
  return sqlite3_complete(std::string(sql).c_str()) != 0;
}

std::vector<TableInfo> Database::Tables() {
  std::vector<TableInfo> out;
  for (const auto& table : AllTables()) {
    TableInfo info{table->name(), table->about(), {}};
    for (const Column& c : table->columns()) info.columns.emplace_back(c.declared);
    out.push_back(std::move(info));
  }
  return out;
}

}  // namespace aqmesh::lineage::sql
