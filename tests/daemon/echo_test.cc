#include "daemon/echo.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace aqmesh::daemon {
namespace {

Echo Between(const char* from, const char* to) {
  return {
      .from = *IpAddress::Parse(from), .to = *IpAddress::Parse(to), .id = 0x1234, .sequence = 7};
}

// What a host makes of a request.
Bytes Answered(Bytes packet) {
  const bool v6 = packet[0] >> 4 == 6;
  const size_t width = v6 ? 16 : 4, source = v6 ? 8 : 12;
  std::swap_ranges(packet.begin() + static_cast<ptrdiff_t>(source),
                   packet.begin() + static_cast<ptrdiff_t>(source + width),
                   packet.begin() + static_cast<ptrdiff_t>(source + width));
  packet[v6 ? 40 : 20] = v6 ? 129 : 0;
  return packet;
}

TEST(EchoTest, AReplyNamesItsRequest) {
  for (const Echo& echo : {Between("100.79.3.1", "100.79.3.2"), Between("fd11::1", "fd11::2")}) {
    const Bytes request = EchoRequest(echo, 56);
    EXPECT_EQ(ParseEchoReply(request), std::nullopt) << "a request is no reply";
    EXPECT_EQ(ParseEchoReply(Answered(request)), echo);
  }
}

TEST(EchoTest, ChecksumsAreThoseOfTheRfcs) {
  const Bytes v4 = EchoRequest(Between("100.79.3.1", "100.79.3.2"), 57);
  const auto sum = [](ByteView b, uint32_t start) {
    for (size_t i = 0; i < b.size(); ++i)
      start += i % 2 == 0 ? uint32_t{b[i]} << 8 : uint32_t{b[i]};
    while (start >> 16 != 0) start = (start & 0xffff) + (start >> 16);
    return start;
  };
  EXPECT_EQ(sum(ByteView(v4).first(20), 0), 0xffffu);
  EXPECT_EQ(sum(ByteView(v4).subspan(20), 0), 0xffffu);
  const Bytes v6 = EchoRequest(Between("fd11::1", "fd11::2"), 57);
  const uint32_t pseudo =
      sum(ByteView(v6).subspan(8, 32), static_cast<uint32_t>(v6.size() - 40) + 58);
  EXPECT_EQ(sum(ByteView(v6).subspan(40), pseudo), 0xffffu);
}

TEST(EchoTest, ShortAndForeignPacketsAreNotReplies) {
  const Bytes reply = Answered(EchoRequest(Between("fd11::1", "fd11::2"), 0));
  for (size_t n = 0; n < reply.size(); ++n)
    EXPECT_EQ(ParseEchoReply(ByteView(reply).first(n)), std::nullopt) << n;
  Bytes tcp = reply;
  tcp[6] = 6;
  EXPECT_EQ(ParseEchoReply(tcp), std::nullopt);
}

}  // namespace
}  // namespace aqmesh::daemon
