// What FLOW records commit to, for people and programs.
// Thread: pure. Errors: the store's; DataLoss (content is not what its record commits to).
#ifndef AQMESH_DAEMON_CLI_ATTEMPTS_VIEW_H_
#define AQMESH_DAEMON_CLI_ATTEMPTS_VIEW_H_

#include <string>

#include "core/wire/json.h"
#include "lineage/content.h"
#include "lineage/record.h"

namespace aqmesh::cli {

// "tcp 100.64.0.2 -> 100.64.0.1:22"
std::string FlowText(const lineage::Attempt& attempt);
// "tried" lines of a record's page: each row, or why there is none to show. "" if it commits to
// nothing.
std::string AttemptLines(const lineage::Content& content,
                         const lineage::Attempts& attempts,
                         const lineage::Names& names);
// {"state":"open","rows":[{proto src dst port? opened_by allowed reason? fragment? rule? count
// first last}],"unlisted":0}
void PutAttempts(const lineage::Content& content,
                 const lineage::Attempts& attempts,
                 const lineage::Names& names,
                 wire::JsonWriter& w);
void PutAttempt(const lineage::Attempt& attempt,
                const lineage::Names& names,
                wire::JsonWriter& w);  // the fields of one row

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_ATTEMPTS_VIEW_H_
