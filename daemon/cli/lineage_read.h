// What the lineage commands share: names of whom records speak of, and a record by what was typed.
// Thread: pure; reads the store. Errors: NotFound and InvalidArgument say what to type instead.
#ifndef AQMESH_DAEMON_CLI_LINEAGE_READ_H_
#define AQMESH_DAEMON_CLI_LINEAGE_READ_H_

#include <string_view>

#include "daemon/cli/state.h"
#include "lineage/record.h"
#include "lineage/store.h"

namespace aqmesh::cli {

// A name of a grant held here, or the first digits of its key.
absl::StatusOr<Kid> KidNamed(const KnownObjects& known, std::string_view text);
// `known` must outlive them.
lineage::Names NamesOf(const KnownObjects& known);
// Its number, or the first digits of its id.
absl::StatusOr<lineage::FoundRecord> RecordNamed(const lineage::Store& store,
                                                 std::string_view which);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LINEAGE_READ_H_
