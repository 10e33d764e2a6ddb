// NameTable: names of keys by their kid, made once: NamesOf hashes every grant's key for each
// record. Thread: read by any.
#ifndef AQMESH_DAEMON_CLI_NAME_TABLE_H_
#define AQMESH_DAEMON_CLI_NAME_TABLE_H_

#include <map>
#include <string>

#include "daemon/cli/state.h"

namespace aqmesh::cli {

class NameTable {
 public:
  explicit NameTable(const KnownObjects& known) {
    for (const auto& g : known.grants) {
      if (!g.body.name.empty())
        names_.try_emplace(authority::KidOf(g.body.suite, g.body.key), g.body.name);
    }
  }
  // As lineage::Names::peer.
  std::string NameOf(const Kid& kid) const {
    const auto at = names_.find(kid);
    return at == names_.end() ? std::string() : at->second;
  }

 private:
  std::map<Kid, std::string> names_;
};

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_NAME_TABLE_H_
