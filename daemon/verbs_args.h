// Reads one argument of a request: of the right kind and range, or an error that names it. And the
// frame of an answer.
// Thread: pure. Errors: InvalidArgument.
#ifndef AQMESH_DAEMON_VERBS_ARGS_H_
#define AQMESH_DAEMON_VERBS_ARGS_H_

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/wire/json.h"

namespace aqmesh::daemon {

inline constexpr size_t kListArgMax = 64;

inline const boost::json::value* FindArg(const boost::json::object& args, std::string_view name) {
  return args.if_contains(boost::json::string_view(name.data(), name.size()));
}

inline std::string TextArgOr(const boost::json::object& args,
                             std::string_view name,
                             std::string_view fallback) {
  const boost::json::value* v = FindArg(args, name);
  if (v == nullptr || !v->is_string()) return std::string(fallback);
  return std::string(v->get_string().data(), v->get_string().size());
}

inline absl::StatusOr<std::string> TextArg(const boost::json::object& args, std::string_view name) {
  std::string text = TextArgOr(args, name, "");
  if (text.empty()) return InvalidArgument("argument ", name, ": it must be there and be text");
  return text;
}

inline bool FlagArg(const boost::json::object& args, std::string_view name, bool fallback) {
  const boost::json::value* v = FindArg(args, name);
  return v != nullptr && v->is_bool() ? v->get_bool() : fallback;
}

template <class T>
absl::StatusOr<T> NumberArg(const boost::json::object& args, std::string_view name, T fallback) {
  const boost::json::value* v = FindArg(args, name);
  if (v == nullptr || v->is_null()) return fallback;
  boost::system::error_code error;
  const T number = v->to_number<T>(error);  // refuses fractions and what does not fit
  if (error)
    return InvalidArgument(
        "argument ", name, ": a whole number up to ", std::numeric_limits<T>::max());
  return number;
}

inline absl::StatusOr<std::vector<std::string>> ListArg(const boost::json::object& args,
                                                        std::string_view name) {
  std::vector<std::string> out;
  const boost::json::value* v = FindArg(args, name);
  if (v == nullptr || v->is_null()) return out;
  if (!v->is_array() || v->get_array().size() > kListArgMax) {
    return InvalidArgument("argument ", name, ": a list of at most ", kListArgMax);
  }
  for (const boost::json::value& item : v->get_array()) {
    if (!item.is_string()) return InvalidArgument("argument ", name, ": a list of texts");
    out.emplace_back(item.get_string().data(), item.get_string().size());
  }
  return out;
}

inline wire::JsonWriter Opened(std::string_view verb) {
  wire::JsonWriter w;
  w.Object().Field("schema", std::string_view(Join("aqmesh.", verb, "/1")));
  return w;
}
inline std::string Done(wire::JsonWriter& w) {
  w.End();
  return w.Take();
}

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_VERBS_ARGS_H_
