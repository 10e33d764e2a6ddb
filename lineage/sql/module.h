// The one virtual table module: SQLite's calls, answered from a Table and a World.
// Bounds: kTermsMax constraints of a scan are used. Thread: SQLite's caller's.
// Errors: a status of the stores is kept in Shared::broken and ends the statement.
#ifndef AQMESH_LINEAGE_SQL_MODULE_H_
#define AQMESH_LINEAGE_SQL_MODULE_H_

#include "lineage/sql/table.h"

struct sqlite3;

namespace aqmesh::lineage::sql {

// What all tables of one database share.
struct Shared {
  World world;
  absl::Status broken;  // why the statement at hand ended, where it was not SQLite's own reason
};

// Registers every table and function. Borrows `shared`.
absl::Status AddTables(sqlite3* db, Shared& shared);
absl::Status AddFunctions(sqlite3* db, Shared& shared, const Options& options);

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_MODULE_H_
