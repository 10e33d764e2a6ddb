// A file of its own: where the compiler can see into a replaced operator delete it inlines it and
// then finds that std::free does not match a new that it did not inline (g++ 12,
// -Wmismatched-new-delete).
#include "tests/support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> g_allocations = 0;
}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(size_t n) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n)) return p;
  std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace aqmesh {

size_t Allocations() { return g_allocations.load(std::memory_order_relaxed); }

}  // namespace aqmesh
