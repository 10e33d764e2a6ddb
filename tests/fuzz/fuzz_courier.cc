#include "core/base/check.h"
#include "daemon/courier/courier_protocol.h"

// Both ends of the courier's socket: what is taken is written again as it came.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const aqmesh::ByteView message(data, size);
  const auto errand = aqmesh::daemon::ParseErrand(message);
  if (errand) AQ_CHECK(aqmesh::Equal(Encode(*errand), message));
  const auto outcome = aqmesh::daemon::ParseOutcome(message);
  if (outcome) AQ_CHECK(aqmesh::Equal(Encode(*outcome), message));
  return 0;
}
