// Errors that an operator, a peer's object, a disk or a config file caused: the thing, the place,
// the mend. Speaks std::string_view, because Debian 12's absl::string_view is a type of its own.
#ifndef AQMESH_CORE_BASE_STATUS_H_
#define AQMESH_CORE_BASE_STATUS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>
#include <utility>

namespace aqmesh {

namespace status_internal {
inline absl::string_view Piece(std::string_view s) { return {s.data(), s.size()}; }
inline absl::string_view Piece(const std::string& s) { return {s.data(), s.size()}; }
inline absl::string_view Piece(const char* s) { return s; }
template <typename T>
  requires std::is_arithmetic_v<T>
absl::AlphaNum Piece(T v) {
  return absl::AlphaNum(v);
}
}  // namespace status_internal

// StrCat for std types.
template <typename... T>
std::string Join(const T&... parts) {
  return absl::StrCat(status_internal::Piece(parts)...);
}
inline std::string Text(const absl::Status& s) {
  return std::string(s.message().data(), s.message().size());
}

template <typename... T>
absl::Status InvalidArgument(const T&... parts) {
  return absl::InvalidArgumentError(Join(parts...));
}
template <typename... T>
absl::Status Unauthenticated(const T&... parts) {
  return absl::UnauthenticatedError(Join(parts...));
}
template <typename... T>
absl::Status PermissionDenied(const T&... parts) {
  return absl::PermissionDeniedError(Join(parts...));
}
template <typename... T>
absl::Status FailedPrecondition(const T&... parts) {
  return absl::FailedPreconditionError(Join(parts...));
}
template <typename... T>
absl::Status ResourceExhausted(const T&... parts) {
  return absl::ResourceExhaustedError(Join(parts...));
}
template <typename... T>
absl::Status DataLoss(const T&... parts) {
  return absl::DataLossError(Join(parts...));
}
template <class... T>
absl::Status Unimplemented(const T&... parts) {
  return absl::UnimplementedError(Join(parts...));
}
template <typename... T>
absl::Status Unavailable(const T&... parts) {
  return absl::UnavailableError(Join(parts...));
}
template <typename... T>
absl::Status NotFound(const T&... parts) {
  return absl::NotFoundError(Join(parts...));
}
template <typename... T>
absl::Status AlreadyExists(const T&... parts) {
  return absl::AlreadyExistsError(Join(parts...));
}
template <typename... T>
absl::Status Internal(const T&... parts) {
  return absl::InternalError(Join(parts...));
}

// Puts the place in front of a message that came from below: "reading /x: no such file".
inline absl::Status Annotate(const absl::Status& s, std::string_view where) {
  return s.ok() ? s : absl::Status(s.code(), Join(where, ": ", Text(s)));
}

}  // namespace aqmesh

#define AQ_RETURN_IF_ERROR(expr)           \
  do {                                     \
    absl::Status aq_status = (expr);       \
    if (!aq_status.ok()) return aq_status; \
  } while (false)

#define AQ_CONCAT_(a, b) a##b
#define AQ_CONCAT(a, b) AQ_CONCAT_(a, b)
#define AQ_ASSIGN_OR_RETURN(lhs, expr) AQ_ASSIGN_OR_RETURN_(AQ_CONCAT(aq_or_, __LINE__), lhs, expr)
#define AQ_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                         \
  if (!tmp.ok()) return tmp.status();        \
  lhs = *std::move(tmp)

#endif  // AQMESH_CORE_BASE_STATUS_H_
