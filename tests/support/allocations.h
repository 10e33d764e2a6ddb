// Counts what a test binary takes from the heap, to prove that a hot path takes nothing.
#ifndef AQMESH_TESTS_SUPPORT_ALLOCATIONS_H_
#define AQMESH_TESTS_SUPPORT_ALLOCATIONS_H_

#include <cstddef>

namespace aqmesh {

// Calls of operator new since the start, on all threads. Always 0 under a sanitizer, which brings
// its own allocator.
size_t Allocations();

}  // namespace aqmesh

#endif  // AQMESH_TESTS_SUPPORT_ALLOCATIONS_H_
