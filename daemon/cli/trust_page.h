// One key's trust for people and for scripts: its state field by field, what counted lately, what
// holds it down, and where it goes.
// Spec:   spec/trust.md §2-§5, §11 (fields of aqmesh.trust-key/1).
// Bounds: kShownLately epochs, and as many older ones that were against it. Thread: pure; reads the
//         store. Errors: the store's.
#ifndef AQMESH_DAEMON_CLI_TRUST_PAGE_H_
#define AQMESH_DAEMON_CLI_TRUST_PAGE_H_

#include <optional>
#include <string>
#include <vector>

#include "core/wire/json.h"
#include "daemon/cli/trust_view.h"

namespace aqmesh::cli {

inline constexpr size_t kShownLately = 8;

// The instant that is asked about, and what the log says by then.
struct Asked {
  uint64_t seconds = 0, until = UINT64_MAX;  // until: hlc
  uint64_t epoch() const { return EpochAt(seconds); }
};

// What was found of one key at one instant.
struct Found {
  Kid key;
  std::string name;
  Asked at;
  std::vector<Fold> folds;  // oldest first
  trust::Standing now;      // as it is in the epoch that is asked about
  trust::Reading reading;
  authority::Rung rung{};
  uint32_t per_epoch = 0;  // r, of the last day on average
};

// When it earns another rung: as the last day went, and at rest; and when it falls at rest.
struct Outlook {
  std::optional<Turning> as_now, resting, falls;
};
Outlook OutlookOf(const Found& f, const Measure& m);

absl::StatusOr<std::string> KeyPage(const lineage::Store& store,
                                    const Found& f,
                                    const Measure& m,
                                    const Outlook& outlook,
                                    size_t columns);
absl::StatusOr<std::string> KeyJson(const lineage::Store& store,
                                    const Found& f,
                                    const Measure& m,
                                    const Outlook& outlook);

// Fields that `list` and `show` have in common.
void PutReading(const trust::Reading& r, authority::Rung rung, wire::JsonWriter& w);
// The name, or the first digits of a key without one.
std::string Called(const std::string& name, const Kid& key);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_TRUST_PAGE_H_
