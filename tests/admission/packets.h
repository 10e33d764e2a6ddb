// Packets for the admission tests, built byte by byte.
#ifndef AQMESH_TESTS_ADMISSION_PACKETS_H_
#define AQMESH_TESTS_ADMISSION_PACKETS_H_

#include <gtest/gtest.h>

#include "admission/packet.h"

namespace aqmesh::admission {

inline IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

inline Bytes IpPacket(std::string_view src, std::string_view dst, uint8_t proto, ByteView payload) {
  const IpAddress s = Ip(src), d = Ip(dst);
  Bytes b;
  if (s.is_v6()) {
    b.resize(8);
    b[0] = 0x60;
    StoreBe(&b[4], static_cast<uint16_t>(payload.size()));
    b[6] = proto;
    b[7] = 64;
  } else {
    b.resize(12);
    b[0] = 0x45;
    StoreBe(&b[2], static_cast<uint16_t>(20 + payload.size()));
    b[8] = 64;
    b[9] = proto;
  }
  Append(b, s.bytes());
  Append(b, d.bytes());
  Append(b, payload);
  return b;
}

inline Bytes TcpHeader(uint16_t sport, uint16_t dport, uint8_t flags) {
  Bytes t(20);
  StoreBe(&t[0], sport);
  StoreBe(&t[2], dport);
  t[12] = 0x50;
  t[13] = flags;
  return t;
}
inline Bytes Tcp(std::string_view src,
                 std::string_view dst,
                 uint16_t sport,
                 uint16_t dport,
                 uint8_t flags = kTcpAck) {
  return IpPacket(src, dst, kProtoTcp, TcpHeader(sport, dport, flags));
}
inline Bytes Udp(std::string_view src, std::string_view dst, uint16_t sport, uint16_t dport) {
  Bytes u(12);
  StoreBe(&u[0], sport);
  StoreBe(&u[2], dport);
  StoreBe(&u[4], uint16_t{12});
  return IpPacket(src, dst, kProtoUdp, u);
}
inline Bytes Icmp(
    std::string_view src, std::string_view dst, uint8_t type, uint16_t id, ByteView rest = {}) {
  Bytes m(8);
  m[0] = type;
  StoreBe(&m[4], id);
  Append(m, rest);
  return IpPacket(src, dst, Ip(src).is_v6() ? kProtoIcmp6 : kProtoIcmp, m);
}
inline PacketInfo Read(ByteView packet) {
  PacketInfo p;
  EXPECT_EQ(Classify(packet, p), Drop::kNone);
  return p;
}

}  // namespace aqmesh::admission

#endif  // AQMESH_TESTS_ADMISSION_PACKETS_H_
