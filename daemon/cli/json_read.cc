#include "daemon/cli/json_read.h"

namespace aqmesh::cli {

namespace json = boost::json;

namespace {

const json::value* Find(const json::object& o, std::string_view key) {
  return o.if_contains({key.data(), key.size()});
}

std::string TextOf(const json::string& s) { return {s.data(), s.size()}; }

}  // namespace

json::object ReadObject(std::string_view text) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  json::object* o = error ? nullptr : value.if_object();
  return o ? std::move(*o) : json::object();
}

std::string TextIn(const json::object& o, std::string_view key) {
  const json::value* v = Find(o, key);
  const json::string* s = v ? v->if_string() : nullptr;
  return s ? TextOf(*s) : "";
}

uint64_t NumberIn(const json::object& o, std::string_view key) {
  const json::value* v = Find(o, key);
  if (!v) return 0;
  if (const uint64_t* u = v->if_uint64()) return *u;
  const int64_t* i = v->if_int64();
  return i && *i > 0 ? static_cast<uint64_t>(*i) : 0;
}

bool TrueIn(const json::object& o, std::string_view key) {
  const json::value* v = Find(o, key);
  const bool* b = v ? v->if_bool() : nullptr;
  return b && *b;
}

std::vector<std::string> TextsIn(const json::object& o, std::string_view key) {
  std::vector<std::string> out;
  const json::value* v = Find(o, key);
  const json::array* a = v ? v->if_array() : nullptr;
  if (!a) return out;
  for (const json::value& e : *a) {
    if (const json::string* s = e.if_string()) out.push_back(TextOf(*s));
  }
  return out;
}

std::vector<json::object> ObjectsIn(const json::object& o, std::string_view key) {
  std::vector<json::object> out;
  const json::value* v = Find(o, key);
  const json::array* a = v ? v->if_array() : nullptr;
  if (!a) return out;
  for (const json::value& e : *a) {
    if (const json::object* item = e.if_object()) out.push_back(*item);
  }
  return out;
}

json::object ObjectIn(const json::object& o, std::string_view key) {
  const json::value* v = Find(o, key);
  const json::object* item = v ? v->if_object() : nullptr;
  return item ? *item : json::object();
}

}  // namespace aqmesh::cli
