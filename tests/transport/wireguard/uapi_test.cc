#include "transport/wireguard/uapi.h"

#include <gtest/gtest.h>

#include "core/base/status.h"

namespace aqmesh::wireguard {
namespace {

std::string Hex(char c) { return std::string(64, c); }

// One device, one connection, and what the driver would be told to do.
class UapiTest : public testing::Test {
 protected:
  std::string Ask(std::string_view request) {
    std::string reply;
    open_ = session_.OnBytes(now_, AsBytes(request), reply);
    return reply;
  }
  std::string Set(std::string_view lines) { return Ask(Join("set=1\n", lines, "\n")); }
  std::string Get() { return Ask("get=1\n\n"); }
  bool Shows(std::string_view line) { return Get().find(Join(line, "\n")) != std::string::npos; }

  Now now_{.mono = Instant(std::chrono::seconds(100)),
           .wall = WallTime::FromSeconds(1'700'000'000)};
  Device device_{{}, Rng(Rng::Seed{})};
  std::vector<uint16_t> ports_;
  std::vector<uint32_t> marks_;
  int apply_answer_ = 0;
  bool open_ = true;
  UapiSession session_{device_, [this](Outbox& out) {
                         if (out.listen_port) ports_.push_back(*out.listen_port);
                         if (out.fwmark) marks_.push_back(*out.fwmark);
                         out.Clear();
                         return apply_answer_;
                       }};
};

constexpr const char* kOk = "errno=0\n\n";
constexpr const char* kInvalid = "errno=-22\n\n";
constexpr const char* kProtocol = "errno=-71\n\n";

TEST_F(UapiTest, AFreshDeviceShowsNothingButSuccess) { EXPECT_EQ(Get(), kOk); }

TEST_F(UapiTest, GetPrintsTheKeysInTheProtocolsOrder) {
  const std::string peer = Hex('b');
  ASSERT_EQ(Set(Join("private_key=",
                     Hex('a'),
                     "\nlisten_port=51820\nfwmark=7\npublic_key=",
                     peer,
                     "\npreshared_key=",
                     Hex('c'),
                     "\nendpoint=[fe80::1%2]:9\npersistent_keepalive_interval=25\n",
                     "allowed_ip=10.0.0.9/24\nallowed_ip=fd00::/64\n")),
            kOk);
  // The private key comes back clamped: the low three bits of the first byte clear, the top two of
  // the last 01.
  std::string key = Hex('a');
  key[1] = '8';
  key[62] = '6';
  EXPECT_EQ(
      Get(),
      Join("private_key=",
           key,
           "\nlisten_port=51820\nfwmark=7\npublic_key=",
           peer,
           "\npreshared_key=",
           Hex('c'),
           "\nprotocol_version=1\nendpoint=[fe80::1%2]:9\nlast_handshake_time_sec=0\n",
           "last_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=25\n",
           "allowed_ip=10.0.0.0/24\nallowed_ip=fd00::/64\nerrno=0\n\n"));
  EXPECT_EQ(ports_, std::vector<uint16_t>{51820});
  EXPECT_EQ(marks_, std::vector<uint32_t>{7});
}

TEST_F(UapiTest, RefusesWhatTheProtocolDoesNotAllow) {
  const std::string peer = Join("public_key=", Hex('b'), "\n");
  struct Case {
    const char* name;
    std::string lines;
    const char* want;
  };
  const Case kCases[] = {
      {"no equals sign", "listen_port\n", kProtocol},
      {"no key", "=5\n", kProtocol},
      {"unknown key", "colour=red\n", kInvalid},
      {"unknown peer key", peer + "colour=red\n", kInvalid},
      {"peer key before any peer", "endpoint=1.2.3.4:5\n", kInvalid},
      {"device key after a peer", peer + "listen_port=5\n", kInvalid},
      {"short key", "private_key=aa\n", kInvalid},
      {"key with a stranger", "private_key=" + std::string(63, 'a') + "g\n", kInvalid},
      {"bad public key", "public_key=zz\n", kInvalid},
      {"port too large", "listen_port=65536\n", kInvalid},
      {"port with sign", "listen_port=+5\n", kInvalid},
      {"port empty", "listen_port=\n", kInvalid},
      {"mark too large", "fwmark=4294967296\n", kInvalid},
      {"replace_peers=false", "replace_peers=false\n", kInvalid},
      {"replace_allowed_ips=1", peer + "replace_allowed_ips=1\n", kInvalid},
      {"remove=yes", peer + "remove=yes\n", kInvalid},
      {"update_only=no", peer + "update_only=no\n", kInvalid},
      {"keepalive too large", peer + "persistent_keepalive_interval=65536\n", kInvalid},
      {"endpoint without port", peer + "endpoint=1.2.3.4\n", kInvalid},
      {"endpoint by name", peer + "endpoint=example.org:5\n", kInvalid},
      {"allowed ip without length", peer + "allowed_ip=10.0.0.1\n", kInvalid},
      {"allowed ip too long", peer + "allowed_ip=10.0.0.1/33\n", kInvalid},
      {"protocol version 2", peer + "protocol_version=2\n", kInvalid},
      {"protocol version 1", peer + "protocol_version=1\n", kOk},
      {"nothing at all", "", kOk},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Set(c.lines), c.want);
    EXPECT_TRUE(open_);
  }
}

TEST_F(UapiTest, ARequestWithALineThatIsNotUnderstoodChangesNothing) {
  const std::string peer = Join("public_key=", Hex('b'), "\n");
  ASSERT_EQ(Set(Join("private_key=", Hex('a'), "\nlisten_port=1000\n", peer)), kOk);
  const std::string before = Get();
  ports_.clear();
  for (const std::string& lines :
       {std::string("listen_port=2000\nbad=1\nlisten_port=3000\n"),
        Join("private_key=", Hex('c'), "\nreplace_peers=true\nfwmark=x\n"),
        peer + "allowed_ip=10.0.0.0/8\nendpoint=nowhere\n",
        Join("public_key=", Hex('d'), "\n", peer, "remove=maybe\n")}) {
    SCOPED_TRACE(lines);
    EXPECT_EQ(Set(lines), kInvalid);
    EXPECT_EQ(Get(), before);
  }
  EXPECT_TRUE(ports_.empty());
  EXPECT_EQ(Set("listen_port=4000\n"), kOk);  // the connection is in step again
  EXPECT_TRUE(Shows("listen_port=4000"));
}

TEST_F(UapiTest, WhatOnlyDoingItShowsEndsTheRequestThere) {
  apply_answer_ = kUapiAddressInUse;
  EXPECT_EQ(Set(Join("listen_port=1000\npublic_key=", Hex('b'), "\n")), "errno=-98\n\n");
  EXPECT_EQ(Get().find("public_key"), std::string::npos);
}

TEST_F(UapiTest, AnswersOnlyAfterTheBlankLineHoweverTheBytesCome) {
  const std::string request =
      Join("set=1\npublic_key=", Hex('b'), "\nallowed_ip=10.0.0.0/8\n\nget=1\n\n");
  std::string reply;
  for (const char c : request) {
    ASSERT_TRUE(session_.OnBytes(now_, AsBytes(std::string_view(&c, 1)), reply));
  }
  EXPECT_TRUE(reply.starts_with(kOk));
  EXPECT_NE(reply.find("allowed_ip=10.0.0.0/8\nerrno=0\n\n"), std::string::npos);
}

TEST_F(UapiTest, AppliedInSlicesItIsTheSame) {
  std::string peers;
  for (const char c : std::string_view("cbefd"))
    peers += Join("public_key=", Hex(c), "\nallowed_ip=10.0.0.", int{c}, "/32\n");
  ASSERT_EQ(Set("private_key=" + Hex('a') + "\n" + peers), kOk);
  const std::string whole = Get();
  ASSERT_EQ(Set("replace_peers=true\n"), kOk);
  session_.ApplyInSlicesOf(3);
  std::string reply = Set(peers);
  size_t turns = 0;
  for (; session_.applying(); ++turns) {
    EXPECT_EQ(reply, "");
    session_.GoOn(now_, reply);
  }
  EXPECT_EQ(turns, 3u);  // of ten lines, three were applied at once
  EXPECT_EQ(reply, kOk);
  EXPECT_EQ(Get(), whole);
  // A failure in a later slice ends it there.
  apply_answer_ = 0;
  reply = Set(Join("replace_peers=true\nfwmark=1\nfwmark=2\n", "listen_port=1000\nfwmark=3\n"));
  ASSERT_TRUE(session_.applying());
  apply_answer_ = kUapiAddressInUse;
  session_.GoOn(now_, reply);
  EXPECT_FALSE(session_.applying());
  EXPECT_EQ(reply, "errno=-98\n\n");
  EXPECT_EQ(marks_.back(), 2u);
}

TEST_F(UapiTest, TheSamePeersSetAgainAreToldInTheSameOrder) {
  std::string peers = "replace_peers=true\n";
  for (const char c : std::string_view("fbdce")) peers += Join("public_key=", Hex(c), "\n");
  ASSERT_EQ(Set(peers), kOk);
  const std::string once = Get();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Set(peers), kOk);
    EXPECT_EQ(Get(), once);
  }
}

TEST_F(UapiTest, ClosesOnAnUnknownOperationAndOnALineWithoutEnd) {
  EXPECT_EQ(Ask("gett=1\n"), "");
  EXPECT_FALSE(open_);
  UapiSession other(device_, [](Outbox&) { return 0; });
  std::string reply;
  EXPECT_TRUE(other.OnBytes(now_, Bytes(kUapiLineMax, 'a'), reply));
  EXPECT_FALSE(other.OnBytes(now_, Bytes(1, 'a'), reply));
  EXPECT_EQ(reply, "");
}

TEST_F(UapiTest, GetWithArgumentsIsAPositiveProtocolError) {
  EXPECT_EQ(Ask("get=1\nfoo=1\n"), "errno=71\n\n");
}

TEST_F(UapiTest, OurOwnKeyIsSilentlyIgnored) {
  ASSERT_EQ(Set(Join("private_key=", Hex('a'), "\n")), kOk);
  const std::string own = ToHex(device_.public_key());
  EXPECT_EQ(Set(Join("public_key=", own, "\nallowed_ip=10.0.0.0/8\nendpoint=1.2.3.4:5\n")), kOk);
  EXPECT_EQ(Get().find("public_key="), std::string::npos);
  // But its lines are still read: nonsense is nonsense.
  EXPECT_EQ(Set(Join("public_key=", own, "\nallowed_ip=x\n")), kInvalid);
}

TEST_F(UapiTest, UpdateOnlyAndRemoveCreateNothing) {
  EXPECT_EQ(Set(Join("public_key=", Hex('b'), "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n")), kOk);
  EXPECT_EQ(Set(Join("public_key=", Hex('b'), "\nremove=true\n")), kOk);
  EXPECT_EQ(Get(), kOk);
  ASSERT_EQ(Set(Join("public_key=", Hex('b'), "\n")), kOk);
  EXPECT_TRUE(Shows(Join("public_key=", Hex('b'))));
  EXPECT_EQ(Set(Join("public_key=", Hex('b'), "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n")), kOk);
  EXPECT_TRUE(Shows("allowed_ip=10.0.0.0/8"));
  EXPECT_EQ(Set(Join("public_key=", Hex('b'), "\nremove=true\nallowed_ip=10.0.0.0/8\n")), kOk);
  EXPECT_EQ(Get(), kOk);
}

TEST_F(UapiTest, AllowedIpsMoveAreReplacedAndRemoved) {
  const std::string b = Join("public_key=", Hex('b'), "\n");
  const std::string c = Join("public_key=", Hex('c'), "\n");
  ASSERT_EQ(Set(b + "allowed_ip=10.0.0.0/8\n" + c + "allowed_ip=10.0.0.0/8\n"), kOk);
  const PeerId pb = *device_.FindPeer(*X25519Key::From(*FromHex(Hex('b'))));
  const PeerId pc = *device_.FindPeer(*X25519Key::From(*FromHex(Hex('c'))));
  EXPECT_TRUE(device_.forwarder().allowed_ips().Of(pb).empty());
  EXPECT_EQ(device_.forwarder().allowed_ips().Of(pc).size(), 1u);
  ASSERT_EQ(Set(b + "allowed_ip=-10.0.0.0/8\n"), kOk);  // not its holder: nothing happens
  EXPECT_EQ(device_.forwarder().allowed_ips().Of(pc).size(), 1u);
  ASSERT_EQ(Set(c + "allowed_ip=-10.0.0.0/8\n"), kOk);
  EXPECT_TRUE(device_.forwarder().allowed_ips().Of(pc).empty());
  ASSERT_EQ(Set(c + "allowed_ip=10.1.0.0/16\nallowed_ip=10.2.0.0/16\n"), kOk);
  ASSERT_EQ(Set(c + "replace_allowed_ips=true\nallowed_ip=10.3.0.0/16\n"), kOk);
  EXPECT_EQ(device_.forwarder().allowed_ips().Of(pc).size(), 1u);
}

TEST_F(UapiTest, ReplacePeersAndZeroKeysTakeAway) {
  ASSERT_EQ(
      Set(Join(
          "private_key=", Hex('a'), "\npublic_key=", Hex('b'), "\npublic_key=", Hex('c'), "\n")),
      kOk);
  ASSERT_EQ(
      Set(Join("private_key=", Hex('0'), "\nreplace_peers=true\npublic_key=", Hex('d'), "\n")),
      kOk);
  const std::string text = Get();
  EXPECT_EQ(text.find("private_key"), std::string::npos);
  EXPECT_EQ(text.find(Hex('b')), std::string::npos);
  EXPECT_NE(text.find(Hex('d')), std::string::npos);
}

TEST_F(UapiTest, ATakenPortIsReportedAsWgExpects) {
  apply_answer_ = kUapiAddressInUse;
  EXPECT_EQ(Set("listen_port=51820\n"), "errno=-98\n\n");
}

TEST_F(UapiTest, SurvivesEveryTruncationAndEveryFlippedByte) {
  const std::string request = Join("set=1\nprivate_key=",
                                   Hex('a'),
                                   "\nlisten_port=1\npublic_key=",
                                   Hex('b'),
                                   "\nendpoint=1.2.3.4:5\nallowed_ip=10.0.0.0/8\n\n");
  for (size_t i = 0; i < request.size(); ++i) {
    std::string reply;
    UapiSession cut(device_, [](Outbox& out) {
      out.Clear();
      return 0;
    });
    (void)cut.OnBytes(now_, AsBytes(request).first(i), reply);
    EXPECT_EQ(reply, "");
    std::string flipped = request;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x04);
    UapiSession spoilt(device_, [](Outbox& out) {
      out.Clear();
      return 0;
    });
    (void)spoilt.OnBytes(now_, AsBytes(flipped), reply);
  }
}

}  // namespace
}  // namespace aqmesh::wireguard
