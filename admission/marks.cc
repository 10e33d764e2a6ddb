#include "admission/marks.h"

namespace aqmesh::admission {

namespace {

constexpr size_t kIpv4Header = 20, kIpv6Header = 40;
constexpr size_t kIpv4Checksum = 10, kTcpChecksum = 16, kTcpOptions = 20;

// RFC 1624, equation 3. Both words as they lie in the packet.
void Amend(uint8_t* checksum, uint16_t before, uint16_t after) {
  uint32_t sum = static_cast<uint16_t>(~LoadBe<uint16_t>(checksum));
  sum += static_cast<uint16_t>(~before);
  sum += after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  StoreBe(checksum, static_cast<uint16_t>(~sum));
}

void SetDscp(uint8_t dscp, MutableBytes p) {
  const auto before = LoadBe<uint16_t>(p.data());
  if (p[0] >> 4 == 4) {
    const auto after = static_cast<uint16_t>((before & 0xff03) | dscp << 2);
    StoreBe(p.data(), after);
    Amend(p.data() + kIpv4Checksum, before, after);
  } else {  // the class lies across the first two bytes, its two low bits are ECN
    StoreBe(p.data(), static_cast<uint16_t>((before & 0xf03f) | dscp << 6));
  }
}

// A word of the segment at an odd place is summed with its bytes the other way round.
uint16_t Turned(uint16_t word, size_t at) {
  return at % 2 == 0 ? word : static_cast<uint16_t>(word << 8 | word >> 8);
}

void LowerMss(uint16_t most, MutableBytes p) {
  const size_t at = p[0] >> 4 == 4 ? kIpv4Header : kIpv6Header;
  const MutableBytes tcp = p.subspan(at);
  if (tcp.size() < kTcpOptions) return;
  const size_t end = std::min<size_t>(tcp.size(), size_t{tcp[12]} / 16 * 4);
  for (size_t i = kTcpOptions; i < end;) {
    const uint8_t kind = tcp[i];
    if (kind == 0) return;
    if (kind == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= end || tcp[i + 1] < 2 || i + tcp[i + 1] > end) return;
    if (kind == 2 && tcp[i + 1] == 4) {
      const auto offered = LoadBe<uint16_t>(&tcp[i + 2]);
      if (offered <= most) return;
      StoreBe(&tcp[i + 2], most);
      Amend(&tcp[kTcpChecksum], Turned(offered, i), Turned(most, i));
      return;
    }
    i += tcp[i + 1];
  }
}

}  // namespace

void Apply(const Marks& marks, const PacketInfo& info, MutableBytes packet) {
  if (marks.dscp) SetDscp(*marks.dscp, packet);
  if (marks.mss != 0 && info.classified && info.proto == kProtoTcp && (info.tcp_flags & kTcpSyn))
    LowerMss(marks.mss, packet);
}

}  // namespace aqmesh::admission
