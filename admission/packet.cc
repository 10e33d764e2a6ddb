#include "admission/packet.h"

#include <algorithm>
#include <cstring>

namespace aqmesh::admission {

namespace {

constexpr size_t kV4Header = 20, kV6Header = 40;
constexpr std::array<std::string_view, kDropCount> kDropNames = {"none",
                                                                 "too short",
                                                                 "not IP",
                                                                 "bad header",
                                                                 "bad length",
                                                                 "mapped address",
                                                                 "rung",
                                                                 "verdict expired",
                                                                 "rate limit",
                                                                 "no rule",
                                                                 "local policy",
                                                                 "flow budget",
                                                                 "too many new flows",
                                                                 "held for a person"};

// Protocols without ports that are their own last header. What is neither here nor has ports is not
// classified: an unknown next header may be an extension header that hides the real one.
constexpr uint8_t kPortless[] = {4, 41, 47, 50, 89, 103, 112, 115};

bool IsMapped(ByteView address16) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return Equal(address16.first(12), kMapped);
}

void PutAddress(uint8_t* at16, const IpAddress& a) {
  std::memset(at16, 0, 16);
  std::memcpy(at16 + 16 - a.size(), a.bytes().data(), a.size());
}

Flow MakeFlow(
    const IpAddress& src, const IpAddress& dst, uint8_t proto, uint16_t first, uint16_t second) {
  Flow f;
  f.bytes[0] = src.is_v6() ? 6 : 4;
  f.bytes[1] = proto;
  PutAddress(&f.bytes[2], src);
  PutAddress(&f.bytes[18], dst);
  StoreBe(&f.bytes[34], first);
  StoreBe(&f.bytes[36], second);
  return f;
}

bool IsEcho(bool v6, uint8_t type) {
  return v6 ? type == 128 || type == 129 : type == 8 || type == 0;
}
bool IsEchoRequest(bool v6, uint8_t type) { return type == (v6 ? 128 : 8); }
// Unreachable, too big, time exceeded, parameter problem. Not redirect and source quench: they
// command.
bool IsError(bool v6, uint8_t type) {
  return v6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

// The flow of the packet that an ICMP error quotes: its header and at least 8 bytes behind it (RFC
// 792, 4443). The quote may be cut short, so its length field proves nothing; everything else must
// be plain.
std::optional<Flow> ReadQuoted(bool v6, ByteView q) {
  const size_t header = v6 ? kV6Header : kV4Header;
  if (q.size() < header + 8) return std::nullopt;
  if (v6 ? q[0] >> 4 != 6 : q[0] != 0x45) return std::nullopt;
  if (!v6 && (LoadBe<uint16_t>(&q[6]) & 0x3fff) != 0) return std::nullopt;  // a fragment
  const ByteView from = v6 ? q.subspan(8, 16) : q.subspan(12, 4),
                 to = v6 ? q.subspan(24, 16) : q.subspan(16, 4);
  if (v6 && (IsMapped(from) || IsMapped(to))) return std::nullopt;
  const auto src = IpAddress::From(from), dst = IpAddress::From(to);
  if (!src || !dst) return std::nullopt;
  const uint8_t proto = v6 ? q[6] : q[9];
  const ByteView inside = q.subspan(header);
  if (HasPorts(proto)) {
    return MakeFlow(*src, *dst, proto, LoadBe<uint16_t>(&inside[0]), LoadBe<uint16_t>(&inside[2]));
  }
  if (proto == (v6 ? kProtoIcmp6 : kProtoIcmp) && IsEcho(v6, inside[0])) {
    return MakeFlow(*src, *dst, proto, LoadBe<uint16_t>(&inside[4]), 0);
  }
  return std::nullopt;  // RFC 1122 3.2.2: no error about an error
}

bool ReadIcmp(ByteView in, PacketInfo& p) {
  const bool v6 = p.is_v6();
  if (in.size() < 8) return false;
  p.icmp_type = in[0];
  p.icmp_code = in[1];
  if (IsEcho(v6, in[0])) {
    p.icmp_id = LoadBe<uint16_t>(&in[4]);
    p.part = IsEchoRequest(v6, in[0]) ? Part::kOpensOnly : Part::kAnswersOnly;
  } else if (IsError(v6, in[0])) {
    p.part = Part::kError;
    p.about = ReadQuoted(v6, in.subspan(8));
  }
  return true;
}

bool ReadTcp(ByteView in, PacketInfo& p) {
  if (in.size() < 20) return false;
  const size_t header = size_t{in[12]} >> 4 << 2;
  if (header < 20 || header > in.size()) return false;
  p.tcp_flags = in[13];
  if ((in[13] & (kTcpSyn | kTcpAck)) != kTcpSyn) p.part = Part::kEither;
  return true;
}

// Least bytes of a header, and whether this packet can only open (an association, a connection).
bool ReadOtherPorts(ByteView in, PacketInfo& p) {
  if (p.proto == kProtoUdp) {
    if (in.size() < 8) return false;
    const uint16_t length = LoadBe<uint16_t>(&in[4]);
    // A super-packet over 64 KiB would carry 0 here; ours never do.
    if (length < 8 || length > in.size()) return false;
    p.part = Part::kEither;
    return true;
  }
  if (p.proto == kProtoUdpLite) {
    if (in.size() < 8) return false;
    p.part = Part::kEither;
    return true;
  }
  if (in.size() < 16)
    return false;  // SCTP: common and first chunk header; DCCP: shortest header but one
  const bool opens = p.proto == kProtoSctp ? in[12] == 1 : ((in[8] >> 1) & 0x0f) == 0;
  p.part = opens ? Part::kOpensOnly : Part::kEither;
  return true;
}

// Reads what follows the IP header. False: leave it unclassified.
bool ReadUpper(ByteView in, PacketInfo& p) {
  if (p.proto == (p.is_v6() ? kProtoIcmp6 : kProtoIcmp)) return ReadIcmp(in, p);
  if (HasPorts(p.proto)) {
    if (!(p.proto == kProtoTcp ? ReadTcp(in, p) : ReadOtherPorts(in, p))) return false;
    p.sport = LoadBe<uint16_t>(&in[0]);
    p.dport = LoadBe<uint16_t>(&in[2]);
    return true;
  }
  p.part = Part::kEither;
  return std::find(std::begin(kPortless), std::end(kPortless), p.proto) != std::end(kPortless);
}

// What was read behind the header is worth nothing if not all of it could be.
PacketInfo OfHeaderAlone(const PacketInfo& p) {
  PacketInfo out;
  out.src = p.src;
  out.dst = p.dst;
  out.proto = p.proto;
  out.fragment = p.fragment;
  return out;
}

Drop ReadV4(ByteView b, PacketInfo& p, ByteView& upper) {
  if (b.size() < kV4Header) return Drop::kTooShort;
  const size_t header = size_t{b[0] & 0x0fu} << 2;
  if (header < kV4Header || header > b.size()) return Drop::kHeader;
  if (LoadBe<uint16_t>(&b[2]) != b.size()) return Drop::kLength;
  p.src = *IpAddress::From(b.subspan(12, 4));
  p.dst = *IpAddress::From(b.subspan(16, 4));
  p.proto = b[9];
  p.fragment = (LoadBe<uint16_t>(&b[6]) & 0x3fff) != 0;  // more fragments, or an offset
  // Options can reroute a packet (source routes); who needs them has an `any` rule.
  if (header == kV4Header && !p.fragment) upper = b.subspan(header);
  return Drop::kNone;
}

Drop ReadV6(ByteView b, PacketInfo& p, ByteView& upper) {
  if (b.size() < kV6Header) return Drop::kTooShort;
  if (LoadBe<uint16_t>(&b[4]) + kV6Header != b.size()) return Drop::kLength;  // jumbograms too
  const ByteView src = b.subspan(8, 16), dst = b.subspan(24, 16);
  if (IsMapped(src) || IsMapped(dst)) return Drop::kMapped;
  p.src = *IpAddress::From(src);
  p.dst = *IpAddress::From(dst);
  p.proto = b[6];
  p.fragment = p.proto == 44;
  upper = b.subspan(kV6Header);
  return Drop::kNone;
}

}  // namespace

std::string_view DropName(Drop d) {
  const auto i = static_cast<size_t>(d);
  return i < kDropNames.size() ? kDropNames[i] : "?";
}

bool HasPorts(uint8_t proto) {
  return proto == kProtoTcp || proto == kProtoUdp || proto == kProtoDccp || proto == kProtoSctp ||
         proto == kProtoUdpLite;
}

Flow Flow::Reversed() const {
  Flow r = *this;
  std::memcpy(&r.bytes[2], &bytes[18], 16);
  std::memcpy(&r.bytes[18], &bytes[2], 16);
  if (HasPorts(bytes[1])) {
    std::memcpy(&r.bytes[34], &bytes[36], 2);
    std::memcpy(&r.bytes[36], &bytes[34], 2);
  }
  return r;
}

Flow PacketInfo::flow() const {
  if (!classified) return MakeFlow(src, dst, kProtoAny, 0, 0);
  return HasPorts(proto) ? MakeFlow(src, dst, proto, sport, dport)
                         : MakeFlow(src, dst, proto, icmp_id, 0);
}

Drop Classify(ByteView packet, PacketInfo& out) {
  if (packet.empty()) return Drop::kTooShort;
  const uint8_t version = packet[0] >> 4;
  if (version != 4 && version != 6) return Drop::kNotIp;
  PacketInfo p;
  ByteView upper;
  if (const Drop d = version == 4 ? ReadV4(packet, p, upper) : ReadV6(packet, p, upper);
      d != Drop::kNone)
    return d;
  p.classified = !upper.empty() && ReadUpper(upper, p);
  out = p.classified ? p : OfHeaderAlone(p);
  return Drop::kNone;
}

bool IsAlike(ByteView packet, ByteView before, const PacketInfo& info) {
  if (!info.classified || (info.proto != kProtoTcp && info.proto != kProtoUdp)) return false;
  const bool v6 = info.is_v6();
  const size_t header = v6 ? kV6Header : kV4Header;
  if (packet.size() < header + (info.proto == kProtoTcp ? 20 : 8)) return false;
  // Version, header length, fragment and protocol as the one before has them; a whole packet.
  const bool same_header = v6 ? packet[0] >> 4 == 6 && packet[6] == info.proto &&
                                    LoadBe<uint16_t>(&packet[4]) + kV6Header == packet.size()
                              : packet[0] == 0x45 && packet[9] == info.proto &&
                                    (LoadBe<uint16_t>(&packet[6]) & 0x3fff) == 0 &&
                                    LoadBe<uint16_t>(&packet[2]) == packet.size();
  // Addresses and ports lie side by side.
  const size_t from = v6 ? 8 : 12, bytes = v6 ? 36 : 12;
  if (!same_header || !Equal(packet.subspan(from, bytes), before.subspan(from, bytes)))
    return false;
  const ByteView in = packet.subspan(header);
  if (info.proto == kProtoUdp) {
    const uint16_t length = LoadBe<uint16_t>(&in[4]);
    return length >= 8 && length <= in.size();
  }
  const size_t data = size_t{in[12]} >> 4 << 2;
  const bool opens = (in[13] & (kTcpSyn | kTcpAck)) == kTcpSyn;
  return data >= 20 && data <= in.size() && opens == (info.part == Part::kOpensOnly);
}

uint8_t TcpFlagsOf(ByteView packet) {
  return packet[(packet[0] >> 4 == 6 ? kV6Header : kV4Header) + 13];
}

PacketInfo OpenerOf(const Flow& flow) {
  const bool v6 = flow.bytes[0] == 6;
  PacketInfo p;
  p.src = *IpAddress::From(ByteView(&flow.bytes[v6 ? 2 : 14], v6 ? 16 : 4));
  p.dst = *IpAddress::From(ByteView(&flow.bytes[v6 ? 18 : 30], v6 ? 16 : 4));
  p.proto = flow.bytes[1];
  p.classified = p.proto != kProtoAny;
  const uint16_t first = LoadBe<uint16_t>(&flow.bytes[34]),
                 second = LoadBe<uint16_t>(&flow.bytes[36]);
  if (HasPorts(p.proto)) {
    p.sport = first;
    p.dport = second;
  } else {
    p.icmp_id = first;
  }
  return p;
}

}  // namespace aqmesh::admission
