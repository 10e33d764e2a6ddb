// Whether this build is instrumented, and so ten times slower: tests by number do fewer then.
#ifndef AQMESH_TESTS_SUPPORT_SANITIZED_H_
#define AQMESH_TESTS_SUPPORT_SANITIZED_H_

namespace aqmesh {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace aqmesh

#endif  // AQMESH_TESTS_SUPPORT_SANITIZED_H_
