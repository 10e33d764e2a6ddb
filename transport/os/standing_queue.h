// When a queue of the kernel's stands: one that we empty more slowly than it is filled, so that
// whoever waits in it waits for all the others. Looking into it is not possible; whether a read
// emptied it is known. The law is CoDel's (RFC 8289 §5): a queue that was never empty for an
// interval gets one congestion signal, and the next ones sooner and sooner until it empties.
// Bounds: none kept. Thread: one owner. No clock of its own. Cost: a comparison a read.
#ifndef AQMESH_TRANSPORT_OS_STANDING_QUEUE_H_
#define AQMESH_TRANSPORT_OS_STANDING_QUEUE_H_

#include <cstdint>

#include "core/base/time.h"

namespace aqmesh::os {

class StandingQueue {
 public:
  // Longer than a burst of either side takes to drain, far below CoDel's 100 ms for queues of
  // unknown links: here the processor is the link.
  static constexpr std::chrono::milliseconds kInterval{10};
  // At most sqrt(kCountMax) an interval, 1,600 a second: who does not listen to signals, as a flood
  // of small datagrams, is not to lose much more than the full queue takes.
  static constexpr uint32_t kCountMax = 256;

  // After each read. True: one packet of what was read should be marked, or dropped.
  bool OnRead(Instant now, bool emptied);

 private:
  Instant since_ = kNever;  // never empty from then on
  Instant next_ = kNever;   // the next signal; kNever: none is due before an interval is over
  Instant ended_{};         // when it last emptied while signals went out
  uint32_t count_ = 0;      // signals of this stand
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_STANDING_QUEUE_H_
