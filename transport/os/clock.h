// Where time and entropy enter: the only makers of Now and of an Rng seed outside tests and the
// simulator.
// Spec:   spec/rooms.md §3; mono is CLOCK_BOOTTIME (a laptop's sleep counts), wall is CLOCK_REALTIME.
// Errors: none; a kernel without these clocks or without entropy is a broken invariant (AQ_CHECK).
// Cost:   ReadNow about 50 ns (vDSO). KernelSeed blocks until the kernel's pool is ready (early
// boot only).
#ifndef AQMESH_TRANSPORT_OS_CLOCK_H_
#define AQMESH_TRANSPORT_OS_CLOCK_H_

#include "core/base/rng.h"
#include "core/base/time.h"

namespace aqmesh::os {

Now ReadNow();
Rng::Seed KernelSeed();

// Milliseconds to hand to epoll_wait so that it returns at or just after `deadline`: -1 for kNever,
// 0 if due, rounded up and never more than an hour.
int PollTimeoutMs(Instant now, Instant deadline);

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_CLOCK_H_
