#include "core/authority/transforms.h"

#include <charconv>

#include "core/base/status.h"

namespace aqmesh::authority {

namespace {

using Kind = Transform::Kind;

constexpr std::string_view kVersion = "-v1";
constexpr TransformFamily kFamilies[] = {
    {"dscp", Kind::kDscp, 0, 63, "none", "marks every packet of the flow, both ways"},
    {"mss", Kind::kMss, 536, 65'495, "none", "lowers the segment size that a TCP SYN offers"},
    {"rate", Kind::kRate, 1, 7, "identity", "puts the flow into a rate class"},
};

std::optional<uint16_t> NumberIn(std::string_view text, const TransformFamily& family) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < family.least || value > family.most) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Transform> TransformNamed(std::string_view name) {
  if (!name.ends_with(kVersion)) return std::nullopt;
  name.remove_suffix(kVersion.size());
  for (const TransformFamily& f : kFamilies) {
    if (!name.starts_with(f.name) || !name.substr(f.name.size()).starts_with('-')) continue;
    const auto value = NumberIn(name.substr(f.name.size() + 1), f);
    return value ? std::optional(Transform{f.kind, *value}) : std::nullopt;
  }
  return std::nullopt;
}

std::string NameOf(const Transform& transform) {
  for (const TransformFamily& f : kFamilies) {
    if (f.kind == transform.kind) return Join(f.name, "-", transform.value, kVersion);
  }
  return "";
}

std::span<const TransformFamily> TransformFamilies() { return kFamilies; }

std::string KnownTransforms() {
  std::string out;
  for (const TransformFamily& f : kFamilies)
    out += Join(out.empty() ? "" : ", ", f.name, "-N-v1 (N ", f.least, " to ", f.most, ")");
  return out;
}

}  // namespace aqmesh::authority
