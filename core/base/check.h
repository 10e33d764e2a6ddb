// AQ_CHECK: for invariants of ours, never for outside data. On in release too.
// Errors: prints the condition and the place, then aborts.
#ifndef AQMESH_CORE_BASE_CHECK_H_
#define AQMESH_CORE_BASE_CHECK_H_

namespace aqmesh {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace aqmesh

#define AQ_CHECK(condition)                                  \
  do {                                                       \
    if (!(condition)) [[unlikely]] {                         \
      ::aqmesh::CheckFailed(#condition, __FILE__, __LINE__); \
    }                                                        \
  } while (false)

#endif  // AQMESH_CORE_BASE_CHECK_H_
