#include "transport/wireguard/session_sync.h"

#include <sched.h>

namespace aqmesh::wireguard {

SessionSync::Lock::Lock(SessionSync& sync) : sync_(sync) {
  if (!sync.shared_) return;
  constexpr int kSpins = 64;
  for (int i = 0; sync.busy_.test_and_set(std::memory_order_acquire); ++i) {
    if (i >= kSpins) ::sched_yield();
  }
}

}  // namespace aqmesh::wireguard
