// Directory: who keys belong to, as the grants and key bindings of the stores say it.
// Bounds: kEntriesMax objects a store are read, and what the newest decision about each subject rests on; others have no name. Thread: read by any.
// Errors: those of the store; an object that does not parse is passed over.
#ifndef AQMESH_LINEAGE_SQL_DIRECTORY_H_
#define AQMESH_LINEAGE_SQL_DIRECTORY_H_

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lineage/store.h"

namespace aqmesh::lineage::sql {

class Directory {
 public:
  static constexpr size_t kEntriesMax = 262'144;
  // Records behind the newest snapshot that are folded to know whom decisions were about; a log
  // that has more of them, which no daemon has kept, is asked without those names.
  static constexpr uint64_t kFoldedMax = 262'144;

  // Signatures are not verified: names are for the eye.
  absl::Status Load(const Store& store);

  // The name of the oldest grant that names this key; of a log key, its machine's. "" if unknown.
  std::string NameOf(const Kid& kid) const;
  std::vector<Kid> KidsNamed(std::string_view name) const;
  // Public keys by their kid: identities, and log keys. What carries a kid is hashed, so these are
  // right or absent.
  std::optional<Ed25519Key> KeyOf(const Kid& kid) const;

 private:
  struct Named {
    uint64_t seq = 0;
    std::string name;
  };
  void Take(ByteView object);
  void TakeGrant(const authority::Grant& grant);
  void TakeKeybind(const authority::Keybind& keybind, const Kid& signer);

  std::map<Kid, Named> names_;
  std::map<Kid, Kid> machine_of_log_;
  std::map<Kid, Ed25519Key> keys_;
};

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_DIRECTORY_H_
