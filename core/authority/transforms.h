// Transforms: what a rule may have done to its packets, by a name with a version in it. The name is
// what is signed; here is what it means.
// Spec:   spec/admission.md §6.1; spec/authority.md F (a transform without an inverse cannot be undone).
// Thread: pure. Errors: none; a name that is not known here is nullopt, and its rule then allows
// nothing.
#ifndef AQMESH_CORE_AUTHORITY_TRANSFORMS_H_
#define AQMESH_CORE_AUTHORITY_TRANSFORMS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aqmesh::authority {

struct Transform {
  enum class Kind : uint8_t {
    kDscp,  // dscp-N-v1: the six bits of RFC 2474, both ways; ECN stays
    kMss,   // mss-N-v1: the MSS option of each SYN is N at most
    kRate,  // rate-N-v1: the rate class is N at least, as `rate:N` says
  };
  Kind kind{};
  uint16_t value = 0;
  bool operator==(const Transform&) const = default;
};

// "mss-1200-v1". One name a value: no leading zeros.
std::optional<Transform> TransformNamed(std::string_view name);
std::string NameOf(const Transform& transform);

// For help and for messages.
struct TransformFamily {
  std::string_view name;  // "dscp"
  Transform::Kind kind{};
  uint16_t least = 0, most = 0;
  std::string_view inverse;  // "none": what was there before is gone
  std::string_view text;
};
std::span<const TransformFamily> TransformFamilies();
std::string KnownTransforms();  // "dscp-0..63-v1, ..."

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_TRANSFORMS_H_
