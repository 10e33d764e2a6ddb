// The byte forms inside the objects: labels, tags, prefixes, endpoints, selectors, ports, hours.
// One type a form: Put encodes, Get decodes or names the rule that broke, Show says the value in
// words.
// Spec:   spec/objects.md §1 "Types" and §2 (Rule). Wire: as each form says.
// Bounds: Get takes at most kBytesMax bytes; fewer than one never come (rule 3).
// Thread: all functions are pure.
#ifndef AQMESH_CORE_AUTHORITY_CODEC_FORMS_H_
#define AQMESH_CORE_AUTHORITY_CODEC_FORMS_H_

#include <string>
#include <vector>

#include "core/authority/objects.h"

namespace aqmesh::authority {

// nullptr, or the rule that the bytes break (a literal).
using Broken = const char*;
// How Show's words are to be written: one text, a list of texts, a list of numbers.
enum class Shape : uint8_t { kText, kTexts, kNumbers };
using Words = std::vector<std::string>;

// [a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?
struct LabForm {
  using Value = std::string;
  static constexpr Shape kShape = Shape::kText;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v) { return {v}; }
};
// 1-4 labs joined by ".", at most 64 bytes.
struct TagForm : LabForm {
  static Broken Get(ByteView b, Value& v);
};
// A tag, a tag + ".*" (itself and below), or "*".
struct WtagForm : LabForm {
  static Broken Get(ByteView b, Value& v);
};
inline bool IsWildcard(const std::string& wtag) { return wtag.ends_with('*'); }

// address (4, 16) || u8 length, host bits zero, not in ::ffff:0:0/96.
struct PrefixForm {
  using Value = Prefix;
  static constexpr Shape kShape = Shape::kText;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v) { return {v.ToString()}; }
};
// address || BE16 port, not zero; the same ban. A zone has no place in a signed object.
struct EndpointForm {
  using Value = Endpoint;
  static constexpr Shape kShape = Shape::kText;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v) { return {v.ToString()}; }
};
// 00 any, 01 tag, 02 kid, 04 v4 pfx, 06 v6 pfx.
struct SelectorForm {
  using Value = Selector;
  static constexpr Shape kShape = Shape::kText;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v);
};
// 1-8 IP protocol numbers ascending; 255 (any) alone.
struct ProtosForm {
  using Value = Bytes;
  static constexpr Shape kShape = Shape::kNumbers;
  static Bytes Put(const Value& v) { return v; }
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v);
};
// 1-8 times BE16 lo, hi inclusive; ascending, disjoint, not adjacent.
struct PortsForm {
  using Value = std::vector<Range16>;
  static constexpr Shape kShape = Shape::kTexts;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v);
};
// 1-8 times BE16 from, to (exclusive), minutes of the week <= 10080; ascending, not touching.
struct HoursForm : PortsForm {
  static Broken Get(ByteView b, Value& v);
};
// 1-8 times BE16, ascending, each in the registry (suites.h).
struct SuitesForm {
  using Value = std::vector<uint16_t>;
  static constexpr Shape kShape = Shape::kNumbers;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v);
};
// 1-12 times oid16, none twice.
struct RefsForm {
  using Value = std::vector<Ref16>;
  static constexpr Shape kShape = Shape::kTexts;
  static Bytes Put(const Value& v);
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v);
};
// Six rungs, each 1-6. Put borrows from its argument.
struct GatesForm {
  using Value = Gates;
  static constexpr Shape kShape = Shape::kNumbers;
  static ByteView Put(const Value& v) { return v; }
  static Broken Get(ByteView b, Value& v);
  static Words Show(const Value& v);
};
// Exactly N bytes. Put borrows from its argument.
template <class Fixed>
struct FixedForm {
  using Value = Fixed;
  static constexpr Shape kShape = Shape::kText;
  static ByteView Put(const Value& v) { return v.view(); }
  static Broken Get(ByteView b, Value& v) {
    const auto read = Value::From(b);
    if (!read)
      return Value::kSize == 16   ? "not 16 bytes"
             : Value::kSize == 32 ? "not 32 bytes"
                                  : "not 64 bytes";
    v = *read;
    return nullptr;
  }
  static Words Show(const Value& v) { return {ToHex(v)}; }
};

// Whether a service names ports: one of 6 17 33 132 136 is among its protocols.
bool HasPorts(ByteView protos);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CODEC_FORMS_H_
