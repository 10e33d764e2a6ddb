#include "daemon/net/net_protocol.h"

#include <gtest/gtest.h>

namespace aqmesh::daemon {
namespace {

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }
Prefix Net(const char* text) { return *Prefix::Parse(text); }

std::vector<net::Request> EveryRequest() {
  return {net::OpenTun{1380, 1, "aq0"},
          net::SetUp{true},
          net::AddAddress{Ip("100.79.3.1")},
          net::RemoveAddress{Ip("fd11::1")},
          net::AddRoute{Net("100.64.0.0/10")},
          net::RemoveRoute{Net("fd11:2233:4455::/48")},
          net::ReadBack{},
          net::MachineAddresses{}};
}
std::vector<net::Reply> EveryReply() {
  return {
      net::Done{},
      net::Failed{absl::StatusCode::kNotFound, "interface aq0: no such device"},
      net::TunOpened{7, "aq0"},
      net::State{true, 1380, {Net("100.79.3.1/32"), Net("fd11::1/128")}, {Net("100.64.0.0/10")}},
      net::Addresses{{Ip("192.168.1.10"), Ip("2001:db8::1")}}};
}

TEST(NetProtocolTest, EveryMessageComesBackAsItWas) {
  for (const net::Request& request : EveryRequest()) {
    const auto back = ParseRequest(Encode(request));
    ASSERT_TRUE(back.ok()) << request.index();
    EXPECT_EQ(*back, request);
  }
  for (const net::Reply& reply : EveryReply()) {
    const auto back = ParseReply(Encode(reply));
    ASSERT_TRUE(back.ok()) << reply.index();
    EXPECT_EQ(*back, reply);
  }
}

TEST(NetProtocolTest, NoTruncationAndNoTailIsTaken) {
  const auto cut = [](const Bytes& whole, auto parse) {
    for (size_t n = 0; n < whole.size(); ++n)
      EXPECT_FALSE(parse(ByteView(whole).first(n)).ok()) << n << " of " << whole.size();
    Bytes longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(parse(ByteView(longer)).ok());
  };
  for (const net::Request& request : EveryRequest())
    cut(Encode(request), [](ByteView b) { return ParseRequest(b); });
  for (const net::Reply& reply : EveryReply())
    cut(Encode(reply), [](ByteView b) { return ParseReply(b); });
}

TEST(NetProtocolTest, UnknownKindsAreRefused) {
  for (int kind = 0; kind < 256; ++kind) {
    const Bytes one = {static_cast<uint8_t>(kind)};
    EXPECT_EQ(ParseRequest(one).ok(), kind == 7 || kind == 8) << kind;
    EXPECT_EQ(ParseReply(one).ok(), kind == 65) << kind;
  }
}

TEST(NetProtocolTest, WhatParsesHasOneEncoding) {
  // Every single-byte change of a message is refused, or is another message that encodes as it was
  // read.
  for (const net::Request& request : EveryRequest()) {
    const Bytes whole = Encode(request);
    for (size_t at = 0; at < whole.size(); ++at) {
      for (int value = 0; value < 256; ++value) {
        Bytes changed = whole;
        changed[at] = static_cast<uint8_t>(value);
        const auto parsed = ParseRequest(changed);
        if (parsed.ok()) {
          EXPECT_EQ(Encode(*parsed), changed);
        }
      }
    }
  }
}

TEST(NetProtocolTest, HostBitsFamiliesAndNamesAreChecked) {
  EXPECT_FALSE(ParseRequest(Bytes{5, 4, 100, 64, 0, 1, 10}).ok()) << "host bits in a route";
  EXPECT_FALSE(ParseRequest(Bytes{5, 4, 100, 64, 0, 0, 33}).ok()) << "longer than an address";
  EXPECT_FALSE(ParseRequest(Bytes{3, 5, 1, 2, 3, 4, 5}).ok()) << "no family has five bytes";
  EXPECT_FALSE(ParseRequest(Encode(net::Request(net::OpenTun{1380, 1, "../x"}))).ok());
  EXPECT_FALSE(ParseRequest(Encode(net::Request(net::OpenTun{1380, 0, "aq0"}))).ok());
  EXPECT_TRUE(ParseRequest(Encode(net::Request(net::OpenTun{1380, 64, "aq0"}))).ok());
  EXPECT_FALSE(ParseRequest(Encode(net::Request(net::OpenTun{1380, 65, "aq0"}))).ok());
  EXPECT_FALSE(ParseRequest(Encode(net::Request(net::OpenTun{100, 1, "aq0"}))).ok())
      << "an MTU that carries nothing";
}

TEST(NetProtocolTest, TheInterfaceComesFirstAndOnce) {
  NetOrder order;
  EXPECT_NE(order.Admit(net::SetUp{true}), nullptr);
  EXPECT_EQ(order.Admit(net::MachineAddresses{}), nullptr) << "changes nothing, so at any time";
  EXPECT_EQ(order.Admit(net::OpenTun{1380, 1, "aq0"}), nullptr);
  EXPECT_NE(order.Admit(net::OpenTun{1380, 1, "aq1"}), nullptr);
  EXPECT_EQ(order.Admit(net::SetUp{true}), nullptr);
}

TEST(NetProtocolTest, NoRouteSwallowsAnInternet) {
  EXPECT_TRUE(MayRoute(Net("100.64.0.0/10")));
  EXPECT_TRUE(MayRoute(Net("fd11:2233:4455::/48")));
  for (const char* wide :
       {"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "100.0.0.0/7", "::/0", "fc00::/7", "2000::/3"}) {
    EXPECT_FALSE(MayRoute(Net(wide))) << wide;
  }
  for (const char* foreign :
       {"127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/8", "fe80::/64", "ff00::/16"}) {
    EXPECT_FALSE(MayRoute(Net(foreign))) << foreign;
  }
}

TEST(NetProtocolTest, EndpointsAreNeverLoopbackOrLinkLocal) {
  for (const char* good : {"192.168.1.10", "203.0.113.9", "2001:db8::1", "fd11::1"})
    EXPECT_TRUE(IsReachableAddress(Ip(good))) << good;
  for (const char* bad : {"127.0.0.1",
                          "169.254.3.4",
                          "0.0.0.0",
                          "224.0.0.1",
                          "255.255.255.255",
                          "::1",
                          "::",
                          "fe80::1",
                          "ff02::1"}) {
    EXPECT_FALSE(IsReachableAddress(Ip(bad))) << bad;
  }
}

}  // namespace
}  // namespace aqmesh::daemon
