#include "lineage/attempts.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/wire/refusal.h"
#include "core/wire/writer.h"
#include "lineage/field_scan.h"

namespace aqmesh::lineage {
namespace {

constexpr unsigned kSection = 7;  // of spec/objects.md: Flow

constexpr FieldRow kAttemptsFields[] = {{"rows", kBytesField, kAttemptRowsMax},
                                        {"unlisted", kNumberField}};
constexpr FieldRow kAttemptFields[] = {{"flow", kBytesField},
                                       {"opened", kNumberField},
                                       {"reason", kNumberField},
                                       {"fragment", kBytesField},
                                       {"rule", kNumberField},
                                       {"count", kNumberField},
                                       {"first", kNumberField},
                                       {"last", kNumberField},
                                       {"logged", kNumberField},
                                       {"headers", kBytesField}};

// u8 4|6, u8 protocol, source 16, destination 16 (v4 after 12 zeros), BE16 ports.
using FlowBytes = FixedBytes<38, struct FlowBytesTag>;
constexpr size_t kSource = 2, kDestination = 18, kPort = 36;

void PutAddress(const IpAddress& a, uint8_t* at16) {
  std::copy(a.bytes().begin(), a.bytes().end(), at16 + 16 - a.size());
}

FlowBytes FlowOf(const Attempt& a) {
  FlowBytes out{};
  out.bytes[0] = a.src.is_v6() ? 6 : 4;
  out.bytes[1] = a.proto;
  PutAddress(a.src, &out.bytes[kSource]);
  PutAddress(a.dst, &out.bytes[kDestination]);
  StoreBe(&out.bytes[kPort - 2], a.src_port);
  StoreBe(&out.bytes[kPort], a.port);
  return out;
}

std::optional<IpAddress> AddressOf(const FlowBytes& flow, size_t at) {
  const ByteView all = ByteView(flow.bytes).subspan(at, 16);
  if (flow.bytes[0] == 6) return IpAddress::From(all);
  const bool padded = std::ranges::all_of(all.first(12), [](uint8_t b) { return b == 0; });
  return padded ? IpAddress::From(all.subspan(12)) : std::nullopt;
}

// False: no flow of a packet looks like this.
bool TakeFlow(const FlowBytes& flow, Attempt& a) {
  const bool v6 = flow.bytes[0] == 6;
  const auto src = AddressOf(flow, kSource), dst = AddressOf(flow, kDestination);
  if ((!v6 && flow.bytes[0] != 4) || !src || !dst) return false;
  if (src->is_v6() != v6 || dst->is_v6() != v6) return false;  // a mapped IPv4 address
  a.src = *src;
  a.dst = *dst;
  a.proto = flow.bytes[1];
  a.src_port = LoadBe<uint16_t>(&flow.bytes[kPort - 2]);
  a.port = LoadBe<uint16_t>(&flow.bytes[kPort]);
  return true;
}

Bytes EncodeAttempt(const Attempt& a) {
  wire::Writer w;
  w.String(1, FlowOf(a));
  w.Number(2, a.opened_here ? 1 : 0);
  w.Number(3, a.reason);
  if (a.rule) w.String(4, a.rule->fragment);
  if (a.rule) w.Number(5, a.rule->index + 1u);
  w.Number(6, a.count);
  w.Number(7, a.first_millis);
  w.Number(8, a.last_millis);
  w.Number(9, a.logged ? 1 : 0);
  if (!a.headers.empty()) w.String(10, a.headers);
  return w.Take();
}

absl::StatusOr<Attempt> ParseAttempt(ByteView bytes) {
  FieldScan scan(bytes, kAttemptFields, "attempt", kSection);
  Attempt a;
  std::optional<FlowBytes> flow;
  std::optional<Oid> fragment;
  uint8_t rule = 0;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: flow = scan.Bytes<FlowBytes>(); break;
      case 2: a.opened_here = scan.Number(1) == 1; break;
      case 3: a.reason = scan.Integer<uint16_t>(); break;
      case 4: fragment = scan.Bytes<Oid>(); break;
      case 5: rule = scan.Integer<uint8_t>(); break;
      case 6: a.count = scan.Integer<uint64_t>(); break;
      case 7: a.first_millis = scan.Integer<uint64_t>(); break;
      case 8: a.last_millis = scan.Integer<uint64_t>(); break;
      case 9: a.logged = scan.Number(1) == 1; break;
      case 10: {
        const ByteView headers = scan.String();
        a.headers.assign(headers.begin(), headers.end());
        break;
      }
      default: break;  // Next() refuses what is not in the table
    }
  }
  scan.Must(flow && TakeFlow(*flow, a), "flow is missing, or none that a packet has");
  scan.Must(fragment.has_value() == (rule != 0), "fragment and rule go together");
  scan.Must(fragment.has_value() == a.allowed(), "a rule, iff it was let through");
  scan.Must(a.count != 0 && a.first_millis != 0, "count or time is missing");
  scan.Must(a.last_millis >= a.first_millis, "last is before first");
  scan.Must(a.logged || (a.src_port == 0 && a.headers.empty()),
            "source port or headers of a flow that nobody had logged");
  scan.Must(a.headers.size() <= kAttemptHeadersMax, "headers of more than 64 bytes");
  if (!scan.status().ok()) return scan.status();
  if (fragment) a.rule = {*fragment, static_cast<uint8_t>(rule - 1)};
  return a;
}

}  // namespace

Bytes EncodeAttempts(const Attempts& attempts) {
  AQ_CHECK(attempts.rows.size() <= kAttemptRowsMax);
  std::vector<Bytes> rows;
  for (const Attempt& a : attempts.rows) {
    AQ_CHECK(a.count != 0 && a.first_millis != 0 && a.last_millis >= a.first_millis);
    AQ_CHECK(a.rule.has_value() == a.allowed());
    AQ_CHECK(a.logged || (a.src_port == 0 && a.headers.empty()));
    AQ_CHECK(a.headers.size() <= kAttemptHeadersMax);
    rows.push_back(EncodeAttempt(a));
  }
  std::ranges::sort(rows);
  wire::Writer w;
  for (const Bytes& row : rows) w.String(1, row);
  w.Number(2, attempts.unlisted);
  return w.Take();
}

absl::StatusOr<Attempts> ParseAttempts(ByteView bytes) {
  if (bytes.size() > kAttemptsBytesMax)
    return wire::Refusal{"attempts", "", kAttemptsBytesMax, "too large", kSection}.ToStatus();
  FieldScan scan(bytes, kAttemptsFields, "attempts", kSection);
  Attempts out;
  while (const uint32_t field = scan.Next()) {
    if (field == 2) {
      out.unlisted = scan.Integer<uint64_t>();
      continue;
    }
    absl::StatusOr<Attempt> row = ParseAttempt(scan.String());
    scan.Adopt(row.status());
    if (row.ok()) out.rows.push_back(*std::move(row));
  }
  if (!scan.status().ok()) return scan.status();
  // spec: objects#1 rule 4: one encoding a value, held by comparing.
  if (EncodeAttempts(out) != Bytes(bytes.begin(), bytes.end()))
    return wire::Refusal{"attempts", "", 0, "not the one encoding of its value", kSection}
        .ToStatus();
  return out;
}

std::string ProtocolName(uint8_t proto) {
  switch (proto) {
    case 1: return "icmp";
    case 6: return "tcp";
    case 17: return "udp";
    case 33: return "dccp";
    case 58: return "icmp6";
    case 132: return "sctp";
    case 136: return "udplite";
    case 255: return "other";
    default: return Join(proto);
  }
}

}  // namespace aqmesh::lineage
