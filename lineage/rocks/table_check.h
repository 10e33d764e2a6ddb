// TableCheck: looks at the tables of a database before RocksDB does. It reads the properties of a
// table before it compares their checksum, and where its assertions are on, as in distributions'
// builds, a flipped bit there ends the process instead of coming back as an error.
// Spec:   spec/lineage.md §5.1. Format: RocksDB's block-based table, format versions 1 to 5.
// Bounds: three small reads a table. Thread: any; reads files.
// Errors: DataLoss naming the file. What else is wrong with a table its checksums tell RocksDB.
#ifndef AQMESH_LINEAGE_ROCKS_TABLE_CHECK_H_
#define AQMESH_LINEAGE_ROCKS_TABLE_CHECK_H_

#include <absl/status/status.h>

#include <string>

namespace aqmesh::lineage {

// All tables in directory `db`; one without any, or that is not there, is fine.
absl::Status CheckTables(const std::string& db);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_TABLE_CHECK_H_
