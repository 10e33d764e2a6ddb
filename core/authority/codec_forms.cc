#include "core/authority/codec_forms.h"

#include <algorithm>

#include "core/authority/suites.h"

namespace aqmesh::authority {

namespace {

constexpr size_t kLabBytesMax = 32;
constexpr size_t kTagBytesMax = 64;
constexpr size_t kTagLabsMax = 4;
constexpr size_t kRangesMax = 8;
constexpr uint16_t kMinutesOfWeek = 10'080;

bool IsLab(std::string_view s) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (s.empty() || s.size() > kLabBytesMax || !alnum(s.front()) || !alnum(s.back())) return false;
  return std::all_of(s.begin(), s.end(), [&alnum](char c) { return alnum(c) || c == '-'; });
}

bool IsTag(std::string_view s) {
  if (s.size() > kTagBytesMax) return false;
  for (size_t labs = 1; labs <= kTagLabsMax; ++labs) {
    const size_t dot = s.find('.');
    if (!IsLab(s.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    s.remove_prefix(dot + 1);
  }
  return false;
}

// An address of 4 or 16 bytes that is not a v4 address in v6 clothes: one value, one encoding.
std::optional<IpAddress> AddressOf(ByteView b) {
  const auto a = IpAddress::From(b);
  if (!a || a->size() != b.size()) return std::nullopt;
  return a;
}

Words RangeWords(const std::vector<Range16>& v) {
  Words out;
  for (const Range16& r : v) {
    out.push_back(r.lo == r.hi ? std::to_string(r.lo)
                               : std::to_string(r.lo) + "-" + std::to_string(r.hi));
  }
  return out;
}

Broken GetRanges(ByteView b, std::vector<Range16>& v) {
  if (b.size() % 4 != 0 || b.size() > 4 * kRangesMax) return "not 1 to 8 pairs of 4 bytes";
  v.clear();
  for (size_t at = 0; at < b.size(); at += 4) {
    v.push_back({LoadBe<uint16_t>(b.data() + at), LoadBe<uint16_t>(b.data() + at + 2)});
  }
  return nullptr;
}

}  // namespace

Bytes LabForm::Put(const Value& v) { return Bytes(v.begin(), v.end()); }

Broken LabForm::Get(ByteView b, Value& v) {
  if (!IsLab(AsText(b))) return "not a label of 1 to 32 of a-z, 0-9 and inner -";
  v = AsText(b);
  return nullptr;
}

Broken TagForm::Get(ByteView b, Value& v) {
  if (!IsTag(AsText(b))) return "not a tag of 1 to 4 labels joined by dots, at most 64 bytes";
  v = AsText(b);
  return nullptr;
}

Broken WtagForm::Get(ByteView b, Value& v) {
  std::string_view root = AsText(b);
  if (root.ends_with(".*")) root.remove_suffix(2);
  if (AsText(b) != "*" && !IsTag(root)) return "not a tag, a tag with .* or *";
  v = AsText(b);
  return nullptr;
}

Bytes PrefixForm::Put(const Value& v) {
  return Concat({v.address.bytes(), ByteView(&v.length, 1)});
}

Broken PrefixForm::Get(ByteView b, Value& v) {
  if (b.size() != 5 && b.size() != 17) return "prefix of neither 5 nor 17 bytes";
  const auto address = AddressOf(b.first(b.size() - 1));
  if (!address) return "prefix inside ::ffff:0:0/96";
  const auto prefix = Prefix::Make(*address, b.back());
  if (!prefix) return "prefix longer than its address";
  if (prefix->address != *address) return "host bits of the prefix are not zero";
  v = *prefix;
  return nullptr;
}

Bytes EndpointForm::Put(const Value& v) {
  Bytes out = Concat({v.address.bytes()});
  AppendBe(out, v.port);
  return out;
}

Broken EndpointForm::Get(ByteView b, Value& v) {
  if (b.size() != 6 && b.size() != 18) return "endpoint of neither 6 nor 18 bytes";
  const auto address = AddressOf(b.first(b.size() - 2));
  if (!address) return "endpoint inside ::ffff:0:0/96";
  const uint16_t port = LoadBe<uint16_t>(b.data() + b.size() - 2);
  if (port == 0) return "endpoint with port 0";
  v = Endpoint{.address = *address, .port = port};
  return nullptr;
}

Bytes SelectorForm::Put(const Value& v) {
  Bytes out{static_cast<uint8_t>(v.kind)};
  switch (v.kind) {
    case Selector::Kind::kAny: break;
    case Selector::Kind::kTag: Append(out, AsBytes(v.tag)); break;
    case Selector::Kind::kKid: Append(out, v.kid); break;
    case Selector::Kind::kPrefix4:
    case Selector::Kind::kPrefix6: Append(out, PrefixForm::Put(v.prefix)); break;
  }
  return out;
}

Broken SelectorForm::Get(ByteView b, Value& v) {
  v = Selector{};
  v.kind = static_cast<Selector::Kind>(b[0]);
  const ByteView rest = b.subspan(1);
  switch (v.kind) {
    case Selector::Kind::kAny: return rest.empty() ? nullptr : "selector any with more bytes";
    case Selector::Kind::kTag: return TagForm::Get(rest, v.tag);
    case Selector::Kind::kKid: return FixedForm<Kid>::Get(rest, v.kid);
    case Selector::Kind::kPrefix4:
      return rest.size() == 5 ? PrefixForm::Get(rest, v.prefix) : "selector 04 without a v4 prefix";
    case Selector::Kind::kPrefix6:
      return rest.size() == 17 ? PrefixForm::Get(rest, v.prefix)
                               : "selector 06 without a v6 prefix";
  }
  return "unknown selector";
}

Words SelectorForm::Show(const Value& v) {
  switch (v.kind) {
    case Selector::Kind::kAny: return {"any"};
    case Selector::Kind::kTag: return {"tag:" + v.tag};
    case Selector::Kind::kKid: return {"node:" + ToHex(v.kid)};
    case Selector::Kind::kPrefix4:
    case Selector::Kind::kPrefix6: return {v.prefix.ToString()};
  }
  return {"any"};
}

Broken ProtosForm::Get(ByteView b, Value& v) {
  if (b.size() > 8) return "more than 8 protocols";
  if (std::adjacent_find(b.begin(), b.end(), std::greater_equal<>()) != b.end()) {
    return "protocols do not ascend";
  }
  if (b.size() > 1 && b.back() == 255) return "protocol 255 (any) does not stand alone";
  v.assign(b.begin(), b.end());
  return nullptr;
}

Words ProtosForm::Show(const Value& v) {
  Words out;
  for (uint8_t p : v) out.push_back(std::to_string(p));
  return out;
}

Bytes PortsForm::Put(const Value& v) {
  Bytes out;
  for (const Range16& r : v) {
    AppendBe(out, r.lo);
    AppendBe(out, r.hi);
  }
  return out;
}

Broken PortsForm::Get(ByteView b, Value& v) {
  if (Broken broken = GetRanges(b, v)) return broken;
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i].lo > v[i].hi) return "port range that ends before it begins";
    if (i > 0 && v[i].lo <= uint32_t{v[i - 1].hi} + 1)
      return "port ranges not ascending, or overlapping, or adjacent";
  }
  return nullptr;
}

Words PortsForm::Show(const Value& v) { return RangeWords(v); }

Broken HoursForm::Get(ByteView b, Value& v) {
  if (Broken broken = GetRanges(b, v)) return broken;
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i].lo >= v[i].hi) return "hours that end before they begin";
    if (v[i].hi > kMinutesOfWeek) return "hours past minute 10080 of the week";
    if (i > 0 && v[i].lo <= v[i - 1].hi) return "hours not ascending, or overlapping, or touching";
  }
  return nullptr;
}

Bytes SuitesForm::Put(const Value& v) {
  Bytes out;
  for (uint16_t s : v) AppendBe(out, s);
  return out;
}

Broken SuitesForm::Get(ByteView b, Value& v) {
  if (b.size() % 2 != 0 || b.size() > 16) return "not 1 to 8 suites of 2 bytes";
  v.clear();
  for (size_t at = 0; at < b.size(); at += 2) {
    const uint16_t s = LoadBe<uint16_t>(b.data() + at);
    if (!v.empty() && s <= v.back()) return "suites do not ascend";
    if (FindSuite(static_cast<Suite>(s)) == nullptr) return "unknown suite";
    v.push_back(s);
  }
  return nullptr;
}

Words SuitesForm::Show(const Value& v) {
  Words out;
  for (uint16_t s : v) out.push_back(std::to_string(s));
  return out;
}

Bytes RefsForm::Put(const Value& v) {
  Bytes out;
  for (const Ref16& r : v) Append(out, r);
  return out;
}

Broken RefsForm::Get(ByteView b, Value& v) {
  if (b.size() % 16 != 0 || b.size() > 192) return "not 1 to 12 refs of 16 bytes";
  v.clear();
  for (size_t at = 0; at < b.size(); at += 16) {
    const Ref16 ref = *Ref16::From(b.subspan(at, 16));
    if (std::find(v.begin(), v.end(), ref) != v.end()) return "a ref stands twice";
    v.push_back(ref);
  }
  return nullptr;
}

Words RefsForm::Show(const Value& v) {
  Words out;
  for (const Ref16& r : v) out.push_back(ToHex(r));
  return out;
}

Broken GatesForm::Get(ByteView b, Value& v) {
  if (b.size() != v.size()) return "not 6 rungs";
  for (uint8_t rung : b) {
    if (rung < 1 || rung > 6) return "rung out of 1 to 6";
  }
  std::copy(b.begin(), b.end(), v.begin());
  return nullptr;
}

Words GatesForm::Show(const Value& v) { return ProtosForm::Show(Concat({Put(v)})); }

bool HasPorts(ByteView protos) {
  static constexpr std::array<uint8_t, 5> kWithPorts = {6, 17, 33, 132, 136};
  return std::find_first_of(protos.begin(), protos.end(), kWithPorts.begin(), kWithPorts.end()) !=
         protos.end();
}

}  // namespace aqmesh::authority
