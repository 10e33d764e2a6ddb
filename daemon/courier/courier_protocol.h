// What aqmeshd and aqmesh-courier say to each other: a body to POST, and what came of it.
// Wire:   Errand: BE32 request, u8 witness, the body. Outcome: BE32 request, u8 witness, BE16
// status
//         (0: there was no answer), the answer's body, or why there was none.
// Bounds: a whole message is at most kCourierMessageMax. Thread: pure.
// Errors: nullopt for anything that is not exactly that.
#ifndef AQMESH_DAEMON_COURIER_COURIER_PROTOCOL_H_
#define AQMESH_DAEMON_COURIER_COURIER_PROTOCOL_H_

#include <optional>
#include <string>

#include "core/base/bytes.h"

namespace aqmesh::daemon {

inline constexpr size_t kCourierMessageMax = 32'768;
inline constexpr size_t kAnswerBytesMax = 16'384;  // an answer that is larger counts as none

struct Errand {
  uint32_t request = 0;
  uint8_t witness = 0;  // which of the URLs that the courier was started with
  std::string body = {};
  bool operator==(const Errand&) const = default;
};
struct Outcome {
  uint32_t request = 0;
  uint8_t witness = 0;
  uint16_t status = 0;
  std::string body = {};
  bool operator==(const Outcome&) const = default;
};

// The caller keeps the body within its bound: kCourierMessageMax less the fields before it.
Bytes Encode(const Errand& errand);
Bytes Encode(const Outcome& outcome);
std::optional<Errand> ParseErrand(ByteView message);
std::optional<Outcome> ParseOutcome(ByteView message);

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_COURIER_COURIER_PROTOCOL_H_
