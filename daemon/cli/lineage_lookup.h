// What the lineage commands look up: a node by its name, names for what records hold in numbers, a
// record by what a person types.
// Thread: pure. Errors: NotFound, InvalidArgument (more than one fits), the store's.
#ifndef AQMESH_DAEMON_CLI_LINEAGE_LOOKUP_H_
#define AQMESH_DAEMON_CLI_LINEAGE_LOOKUP_H_

#include <string>
#include <string_view>

#include "daemon/cli/session.h"
#include "daemon/cli/state.h"
#include "lineage/record.h"
#include "lineage/store.h"

namespace aqmesh::cli {

// A name of a grant held here, or the first digits of its key.
absl::StatusOr<Kid> KidNamed(const KnownObjects& known, std::string_view text);
// The same; if nobody is called so, also among those whom decisions of this log were about, whose
// grants `known` gets then.
absl::StatusOr<Kid> KidInLog(const lineage::Store& store,
                             std::string_view text,
                             KnownObjects& known);
// What this machine is called: in its settings, else by the host.
std::string MachineName(Session& s, const StateDir& state);
// Of --from: as its directory is called.
std::string MachineNameOf(const std::string& path);
std::string_view DropName(uint16_t code);  // as lineage::Names::drop
// Also what peers cited, as far as the newest decision about each subject rests on it.
absl::StatusOr<KnownObjects> LoadWithCited(const lineage::Store& store);
// As they are called now: who joins later has no name in it.
lineage::Names NamesOf(const KnownObjects& known);
// By its number, or the first digits of its id.
absl::StatusOr<lineage::FoundRecord> FindRecord(const lineage::Store& store,
                                                const std::string& which);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LINEAGE_LOOKUP_H_
