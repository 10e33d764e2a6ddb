// Writes JSON as it goes: objects, arrays, numbers as numbers, text escaped. Commas are its own
// business.
// Spec:   RFC 8259. Text is UTF-8; bytes that are not become U+FFFD, so the output is always valid.
// Bounds: nesting at most kDepthMax. Errors: a misuse (a value without its key, an unclosed object) is
//         ours and a failed check. Thread: a value; one owner.
//
//   JsonWriter w;
//   w.Object().Key("schema").Value("aqmesh.inspect/1").Key("caps").Array().Value(1).End().End();
//   std::string text = w.Take();
#ifndef AQMESH_CORE_WIRE_JSON_H_
#define AQMESH_CORE_WIRE_JSON_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aqmesh::wire {

class JsonWriter {
 public:
  static constexpr size_t kDepthMax = 32;

  JsonWriter& Object();                    // opens {
  JsonWriter& Array();                     // opens [
  JsonWriter& End();                       // closes the innermost
  JsonWriter& Key(std::string_view name);  // inside an object, before each value
  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(bool b);
  JsonWriter& Value(double d);  // null if it is not finite
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  JsonWriter& Value(T n) {
    return Raw(std::to_string(n));
  }
  JsonWriter& Null() { return Raw("null"); }

  // One member: Key and Value.
  template <class T>
  JsonWriter& Field(std::string_view name, const T& value) {
    return Key(name).Value(value);
  }

  std::string Take();  // all must be closed; leaves the writer fresh

 private:
  struct Level {
    bool object = false;
    bool empty = true;
    bool keyed = false;  // a key waits for its value
  };
  void BeforeValue();
  JsonWriter& Raw(std::string_view text);
  JsonWriter& Open(bool object);

  std::string out_;
  std::vector<Level> levels_;
};

// `text` as a JSON string with its quotes.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace aqmesh::wire

#endif  // AQMESH_CORE_WIRE_JSON_H_
