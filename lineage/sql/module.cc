#include "lineage/sql/module.h"

#include <sqlite3.h>

#include <cstring>

#include "core/base/status.h"

namespace aqmesh::lineage::sql {
namespace {

struct Vtab : sqlite3_vtab {
  const Table* table = nullptr;
  Shared* shared = nullptr;
};
struct VtabCursor : sqlite3_vtab_cursor {
  std::unique_ptr<Cursor> rows;
  sqlite3_int64 number = 0;
};
// What a module is registered with.
struct Registered {
  const Table* table;
  Shared* shared;
};

// What a scan may cost, in rows looked at. Selectivities are guesses; their order is what counts.
struct Cost {
  double rows = 0;
  double work = 0;
};

void Narrow(const Term& term, double all, Cost& cost) {
  const auto by = [&cost, all](double part, double sought) {
    cost.rows = std::max(1.0, cost.rows * part);
    cost.work = std::min(cost.work, cost.rows * 2 + all * sought + 20);
  };
  switch (term.key) {
    case Key::kSeq:
    case Key::kMillis:
    case Key::kTime: return by(term.op == Op::kEqual ? 1e-9 : 0.25, 0);
    case Key::kSubject:
    case Key::kSubjectName:
    case Key::kPeer: return by(0.005, 0);
    // Of these the blocks are looked through, 256 records at a time.
    case Key::kId: return by(term.op == Op::kEqual ? 1e-9 : 0.001, 0.01);
    case Key::kAuthority: return by(0.005, 0.01);
    case Key::kKind:
    case Key::kKindCode: return by(0.1, 0.01);
    case Key::kOutcome:
    case Key::kOutcomeCode: return by(0.2, 0.01);
    case Key::kOid: return by(1e-9, 0);
    case Key::kMachine:
    case Key::kShelf: return by(0.3, 0);
    case Key::kNone:
    case Key::kEnd: return;
  }
}

std::optional<Op> OpOf(unsigned char op) {
  switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return Op::kEqual;
    case SQLITE_INDEX_CONSTRAINT_LT: return Op::kLess;
    case SQLITE_INDEX_CONSTRAINT_LE: return Op::kLessEqual;
    case SQLITE_INDEX_CONSTRAINT_GT: return Op::kGreater;
    case SQLITE_INDEX_CONSTRAINT_GE: return Op::kGreaterEqual;
    case SQLITE_INDEX_CONSTRAINT_LIKE:
    case SQLITE_INDEX_CONSTRAINT_GLOB: return Op::kPrefix;
    default: return std::nullopt;
  }
}

// The term that constraint `i` is, if an index answers it.
std::optional<Term> TermOf(const Table& table, sqlite3_index_info* info, int i) {
  const auto& constraint = info->aConstraint[i];
  const std::optional<Op> op = OpOf(constraint.op);
  if (constraint.usable == 0 || constraint.iColumn < 0 || !op) return std::nullopt;
  Term term{table.columns()[static_cast<size_t>(constraint.iColumn)].key, *op};
  if (!Usable(term.key, term.op)) return std::nullopt;
  // LIKE has its own order, and no collation.
  if (IsText(term.key) && term.op != Op::kPrefix &&
      std::strcmp(sqlite3_vtab_collation(info, i), "BINARY") != 0) {
    return std::nullopt;
  }
  if (term.op == Op::kEqual && TakesLists(term.key) && sqlite3_vtab_in(info, i, -1) != 0) {
    sqlite3_vtab_in(info, i, 1);
    term.op = Op::kIn;
  }
  return term;
}

// Whether rows come in the order that is asked for, and from the newest down.
bool InOrder(const Table& table,
             const World& world,
             const sqlite3_index_info* info,
             const std::vector<Term>& terms,
             bool& newest_first) {
  const bool one_log = world.logs.size() == 1 ||
                       std::ranges::find(terms, Term{Key::kMachine, Op::kEqual}) != terms.end();
  if (table.sorted() == Sorted::kNo || !one_log || info->nOrderBy == 0) return false;
  for (int i = 0; i < info->nOrderBy; ++i) {
    const auto& by = info->aOrderBy[i];
    const Key key =
        by.iColumn < 0 ? Key::kNone : table.columns()[static_cast<size_t>(by.iColumn)].key;
    // A seq is one row's: what comes after it in the order says nothing.
    if (i > 0 && table.sorted() == Sorted::kOneRowASeq &&
        table.columns()[static_cast<size_t>(info->aOrderBy[i - 1].iColumn)].key == Key::kSeq) {
      break;
    }
    if (key != Key::kSeq && key != Key::kMillis && key != Key::kTime) return false;
    if (by.desc != info->aOrderBy[0].desc) return false;
  }
  newest_first = info->aOrderBy[0].desc != 0;
  return true;
}

int BestIndex(sqlite3_vtab* vtab, sqlite3_index_info* info) {
  const auto& self = *static_cast<Vtab*>(vtab);
  const Table& table = *self.table;
  const World& world = self.shared->world;
  std::vector<Term> terms;
  const double all = table.sorted() == Sorted::kNo && std::strcmp(table.name(), "actuations") != 0
                         ? 4'096.0
                         : static_cast<double>(world.records()) + 1;
  Cost cost{all, all * 4 + 100};
  for (int i = 0; i < info->nConstraint && terms.size() < kTermsMax; ++i) {
    const std::optional<Term> term = TermOf(table, info, i);
    if (!term) continue;
    terms.push_back(*term);
    info->aConstraintUsage[i].argvIndex = static_cast<int>(terms.size());
    Narrow(*term, all, cost);
  }
  bool newest_first = false;
  if (InOrder(table, world, info, terms, newest_first)) info->orderByConsumed = 1;
  info->idxNum = static_cast<int>(terms.size());
  info->idxStr = sqlite3_mprintf("%s", PlanText(terms, newest_first).c_str());
  if (info->idxStr == nullptr) return SQLITE_NOMEM;
  info->needToFreeIdxStr = 1;
  info->estimatedCost = cost.work;
  info->estimatedRows = static_cast<sqlite3_int64>(cost.rows);
  return SQLITE_OK;
}

int Connect(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** out, char** error) {
  const auto& registered = *static_cast<Registered*>(aux);
  std::string declared;
  for (const Column& c : registered.table->columns())
    declared += Join(declared.empty() ? "" : ", ", c.declared);
  const int rc = sqlite3_declare_vtab(db, Join("CREATE TABLE t(", declared, ")").c_str());
  if (rc != SQLITE_OK) {
    *error = sqlite3_mprintf("%s", sqlite3_errmsg(db));
    return rc;
  }
  auto vtab = std::make_unique<Vtab>();
  static_cast<sqlite3_vtab&>(*vtab) = {};
  vtab->table = registered.table;
  vtab->shared = registered.shared;
  *out = vtab.release();
  return SQLITE_OK;
}

int Disconnect(sqlite3_vtab* vtab) {
  delete static_cast<Vtab*>(vtab);
  return SQLITE_OK;
}

int OpenCursor(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
  auto cursor = std::make_unique<VtabCursor>();
  static_cast<sqlite3_vtab_cursor&>(*cursor) = {};
  *out = cursor.release();
  return SQLITE_OK;
}

int CloseCursor(sqlite3_vtab_cursor* cursor) {
  delete static_cast<VtabCursor*>(cursor);
  return SQLITE_OK;
}

// What came of a step: a status of ours ends the statement, and Database::Run says which it was.
int Told(sqlite3_vtab_cursor* cursor, const absl::Status& status) {
  if (status.ok()) return SQLITE_OK;
  auto& vtab = *static_cast<Vtab*>(cursor->pVtab);
  vtab.shared->broken = status;
  sqlite3_free(vtab.zErrMsg);
  vtab.zErrMsg = sqlite3_mprintf("%s", Text(status).c_str());
  return SQLITE_ERROR;
}

int Step(sqlite3_vtab_cursor* cursor) {
  auto& self = *static_cast<VtabCursor*>(cursor);
  ++self.number;
  return Told(cursor, self.rows->Next());
}

int Filter(
    sqlite3_vtab_cursor* cursor, int, const char* plan_text, int values, sqlite3_value** value) {
  auto& self = *static_cast<VtabCursor*>(cursor);
  const auto& vtab = *static_cast<Vtab*>(cursor->pVtab);
  const Plan plan = ParsePlan(plan_text == nullptr ? "" : plan_text);
  Bounds bounds;
  bounds.newest_first = plan.newest_first;
  for (size_t i = 0; i < plan.terms.size() && i < static_cast<size_t>(values); ++i)
    bounds.Take(plan.terms[i], value[i], vtab.shared->world.directory);
  self.rows = vtab.table->Open(vtab.shared->world, bounds);
  self.number = 0;
  return Step(cursor);
}

int AtEnd(sqlite3_vtab_cursor* cursor) {
  return static_cast<VtabCursor*>(cursor)->rows->done() ? 1 : 0;
}

int PutColumn(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int column) {
  Cell cell(context);
  static_cast<VtabCursor*>(cursor)->rows->Put(static_cast<size_t>(column), cell);
  return SQLITE_OK;
}

int RowNumber(sqlite3_vtab_cursor* cursor, sqlite3_int64* number) {
  *number = static_cast<VtabCursor*>(cursor)->number;
  return SQLITE_OK;
}

// No xCreate: the tables are there without being made. No xUpdate, xBegin or xRename: they are
// read.
constexpr sqlite3_module kModule = [] {
  sqlite3_module m{};
  m.iVersion = 1;
  m.xConnect = Connect;
  m.xBestIndex = BestIndex;
  m.xDisconnect = Disconnect;
  m.xOpen = OpenCursor;
  m.xClose = CloseCursor;
  m.xFilter = Filter;
  m.xNext = Step;
  m.xEof = AtEnd;
  m.xColumn = PutColumn;
  m.xRowid = RowNumber;
  return m;
}();

}  // namespace

const std::vector<std::unique_ptr<Table>>& AllTables() {
  static const auto* const tables = [] {
    auto* all = new std::vector<std::unique_ptr<Table>>();
    all->push_back(ActuationsTable());
    all->push_back(AttemptsTable());
    all->push_back(AuthoritiesTable());
    all->push_back(CheckpointsTable());
    all->push_back(CosignaturesTable());
    all->push_back(DecisionsTable());
    all->push_back(EdgesTable());
    all->push_back(FlowsTable());
    all->push_back(ObjectsTable());
    all->push_back(RecordsTable());
    all->push_back(SlopesTable());
    return all;
  }();
  return *tables;
}

absl::Status AddTables(sqlite3* db, Shared& shared) {
  for (const auto& table : AllTables()) {
    const auto free = [](void* p) { delete static_cast<Registered*>(p); };
    const int rc = sqlite3_create_module_v2(
        db, table->name(), &kModule, new Registered{table.get(), &shared}, free);
    if (rc != SQLITE_OK) return Internal("registering ", table->name(), ": ", sqlite3_errmsg(db));
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage::sql
