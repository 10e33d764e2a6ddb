// Fixed bytes of spec/wire.md §1.10: messages, keys and cookies as an independent reference made
// them.
#include <gtest/gtest.h>

#include <numeric>

#include "core/crypto/aead.h"
#include "transport/wireguard/cookie.h"
#include "transport/wireguard/keypair.h"
#include "transport/wireguard/noise.h"

namespace aqmesh::wireguard {
namespace {

std::array<uint8_t, 32> Bytes32(uint8_t first) {
  std::array<uint8_t, 32> b;
  std::iota(b.begin(), b.end(), first);
  return b;
}
Secret<32> RunSecret(uint8_t first) { return Secret<32>(Bytes32(first)); }
Bytes Hex(std::string_view text) { return *FromHex(text); }
template <class T>
std::string H(const T& v) {
  return ToHex(ByteView(v));
}

constexpr std::string_view kInitiation =
    "010000004433221164b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466158a0e4ca242d1"
    "51"
    "ca97ab90159a98b67e616625e68b4065d357376b6598e644ad7d678c0295d22de4cb43d5135581ed36346bfa7cf42a"
    "12"
    "2c39f893dab9ca8f0e37aa97b2e6217c6990bf99ce1ef29906180d65ea0cfa0fe9a879e2"
    "00000000000000000000000000000000";
constexpr std::string_view kResponse =
    "020000008877665544332211244fe3b963e899dd295baffce248d3530f3a9a7479ba063002680ebfe7adad49a9cdc1"
    "1f"
    "d8e9aa225d9183c68306ec35a154b759e267c664a493180996f620e700000000000000000000000000000000";

class VectorsTest : public ::testing::Test {
 protected:
  const Identity i_ = MakeIdentity(RunSecret(0x01));
  const Identity r_ = MakeIdentity(RunSecret(0x21));
  const Secret<32> psk_ = RunSecret(0x81);
  const Tai64n stamp_ = *Tai64n::From(Hex("400000006553f10a0d000000"));

  CreatedInitiation Create() {
    return *CreateInitiation(
        i_, r_.public_key, Precompute(i_, r_.public_key), RunSecret(0x41), stamp_, 0x11223344);
  }
  template <size_t N>
  static std::string WithMac1(std::array<uint8_t, N> m, const X25519Key& to) {
    CookieKeeper keeper(kPlainLabels, to);
    const crypto::Mac16 mac1 = keeper.Mac1(ByteView(m).first(N - 32));
    std::copy(mac1.begin(), mac1.end(), m.end() - 32);
    return ToHex(m);
  }
};

TEST_F(VectorsTest, PublicKeys) {
  EXPECT_EQ(H(i_.public_key), "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c");
  EXPECT_EQ(H(r_.public_key), "5869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b");
}

TEST_F(VectorsTest, InitiationIsTheReferencesByteForByte) {
  const CreatedInitiation c = Create();
  EXPECT_EQ(WithMac1(Serialize(c.message), r_.public_key), kInitiation);
  EXPECT_EQ(H(c.state.chain.ck.view()),
            "643693a7636a42b588f115bc0aae9a1db8432634b2e8d96ed67d308e74e132f5");
  EXPECT_EQ(H(c.state.chain.h), "c3d9af5db416ab9bddf369ce09f75ffc61326c6d5d4444b77da12b4aa5a266d9");
}

TEST_F(VectorsTest, BothEndsAgreeOnEveryStepAndOnTheResponse) {
  const CreatedInitiation c = Create();
  Initiation m;
  ASSERT_EQ(Parse(Hex(kInitiation), m), Drop::kNone);
  std::optional<OpenedStatic> opened = OpenStatic(m, r_);
  ASSERT_TRUE(opened);
  EXPECT_EQ(H(opened->chain.ck.view()),
            "6e73fad0dff3a2354e540b7978f9c1aa8a8e05b3be60f4d0d90de2769439e512");
  EXPECT_EQ(H(opened->chain.h), "5030445f2429153146c73759c21159531af069f1aae943f2e6a512459b971e9d");
  const std::optional<ConsumedInitiation> in = ConsumeInitiation(m, r_);
  ASSERT_TRUE(in);
  EXPECT_EQ(in->peer, i_.public_key);
  EXPECT_EQ(in->timestamp, stamp_);
  EXPECT_EQ(in->sender_index, 0x11223344u);
  EXPECT_EQ(H(in->chain.h), H(c.state.chain.h));
  const StaticStatic ss = Precompute(r_, i_.public_key);
  const std::optional<ConsumedInitiation> fast = OpenTimestamp(m, *std::move(opened), r_, &ss);
  ASSERT_TRUE(fast);
  EXPECT_EQ(H(fast->chain.ck.view()), H(in->chain.ck.view()));

  SecondSecrets agreed = SecretsFor(*in, RunSecret(0x61));
  Agree({&agreed, 1});
  const std::optional<CreatedResponse> out = CreateResponse(*in, agreed, psk_, 0x55667788);
  ASSERT_TRUE(out);
  const std::string response = ToHex(Serialize(out->message));
  EXPECT_EQ(response.substr(0, 120), kResponse.substr(0, 120));
  EXPECT_EQ(WithMac1(Serialize(out->message), i_.public_key), kResponse);
  EXPECT_EQ(H(out->chain.ck.view()),
            "08f6c56ff80891c79f11a909e3951bee532a9bb89a26be63697e89e8ff7e6345");
  EXPECT_EQ(H(out->chain.h), "8a71b2ccf1a8e5814f2b7c039dfb43c169c18d03acd25db9dff0fe06cedeee4b");

  Response r;
  ASSERT_EQ(Parse(Hex(kResponse), r), Drop::kNone);
  const std::optional<ConsumedResponse> end = ConsumeResponse(r, c.state, i_, psk_);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->remote_index, 0x55667788u);
  EXPECT_EQ(H(end->chain.h), H(out->chain.h));
  const TransportKeys ours = DeriveKeys(end->chain, true);
  const TransportKeys theirs = DeriveKeys(out->chain, false);
  EXPECT_EQ(H(ours.send.view()),
            "248a29611829aaf7ee8bc8e87df805c1019f08f82d80eb79b7625821ba0a1317");
  EXPECT_EQ(H(ours.receive.view()),
            "848308e622b3e15e5ebc5312111efc31082e86c85e9ee93fe8c5aa7f972cc9c3");
  EXPECT_EQ(ours.send, theirs.receive);
  EXPECT_EQ(ours.receive, theirs.send);
  EXPECT_FALSE(ConsumeResponse(r, c.state, i_, Secret<32>()));  // another psk
}

TEST_F(VectorsTest, TransportMessages) {
  const auto seal = [](std::string_view key, uint32_t index, ByteView plain) {
    Bytes m(kTransportHeader + plain.size() + kTag);
    WriteTransportHeader({.receiver_index = index, .counter = 0}, m.data());
    crypto::AeadKey(Hex(key), crypto::AeadKey::Direction::kSeal)
        .Seal(0, plain, m.data() + kTransportHeader);
    return ToHex(m);
  };
  EXPECT_EQ(
      seal("248a29611829aaf7ee8bc8e87df805c1019f08f82d80eb79b7625821ba0a1317", 0x55667788, {}),
      "04000000887766550000000000000000c7401bed732b18f3c0e395fc3f7435fa");
  Bytes plain = Hex("4500001c000040000101");
  plain.resize(32);
  EXPECT_EQ(
      seal("848308e622b3e15e5ebc5312111efc31082e86c85e9ee93fe8c5aa7f972cc9c3", 0x11223344, plain),
      "040000004433221100000000000000002a3c1182754c783d0d79d8edb3c5a2a3780a56735e7b265c38f937607acc"
      "b7a6"
      "77bfc7359184afb970b2d0e1ce26c4a4");
}

TEST_F(VectorsTest, CookieReplyAndMac2) {
  const Bytes m = Hex(kInitiation);
  const Bytes mac1(m.begin() + 116, m.begin() + 132);
  const Endpoint from = *Endpoint::Parse("192.0.2.1:51820");
  CookieChecker checker(kPlainLabels, Rng(Rng::Seed{}));
  checker.SetKey(r_.public_key);
  EXPECT_TRUE(checker.Mac1Ok(ByteView(m).first(116), mac1));
  const Instant t{std::chrono::seconds(1000)};
  checker.SetSecretForTest(t, Bytes32(0xa0));
  const SealedCookie cookie = checker.SealForTest(ByteView(Bytes32(0xc0)).first(24), mac1, from);
  EXPECT_EQ(ToHex(Serialize(CookieReply{0x11223344, cookie.nonce, cookie.sealed})),
            "0300000044332211c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7570d983ede85dde2f4cf64"
            "c86f613794"
            "f811a533047add13cb9bf3b019fd73d2");

  CookieKeeper keeper(kPlainLabels, r_.public_key);
  EXPECT_FALSE(keeper.OnReply(t, cookie.nonce, cookie.sealed)) << "nothing was sent";
  keeper.Mac1(ByteView(m).first(116));
  EXPECT_EQ(keeper.Mac2(t, ByteView(m).first(132)), crypto::Mac16{}) << "no cookie yet";
  EXPECT_TRUE(keeper.OnReply(t, cookie.nonce, cookie.sealed));
  EXPECT_FALSE(keeper.OnReply(t, cookie.nonce, cookie.sealed)) << "one reply for one mac1";
  const crypto::Mac16 mac2 = keeper.Mac2(t, ByteView(m).first(132));
  EXPECT_EQ(ToHex(mac2), "84bc2e95aa950031a31885c703fb71cf");
  EXPECT_TRUE(checker.Mac2Ok(t, ByteView(m).first(132), mac2, from));
  EXPECT_FALSE(
      checker.Mac2Ok(t, ByteView(m).first(132), mac2, *Endpoint::Parse("192.0.2.1:51821")));
  EXPECT_FALSE(checker.Mac2Ok(t + kCookieSecretLife, ByteView(m).first(132), mac2, from));
  EXPECT_EQ(keeper.Mac2(t + kCookieUsable, ByteView(m).first(132)), crypto::Mac16{}) << "stale";
}

TEST(CookieLabelsTest, GovernedAndPlainNeverMeet) {
  const Instant t{std::chrono::seconds(1000)};
  const Endpoint from = *Endpoint::Parse("[2001:db8::1]:51820");
  const X25519Key us = MakeIdentity(RunSecret(0x21)).public_key;
  CookieChecker checker(kGovernedLabels, Rng({5}));
  checker.SetKey(us);
  CookieKeeper governed(kGovernedLabels, us), plain(kPlainLabels, us);
  const Bytes message(1200, 0xa1);  // AQ-mac1 covers other bytes than mac1 does
  const crypto::Mac16 mac1 = governed.Mac1(message);
  EXPECT_TRUE(checker.Mac1Ok(message, mac1));
  EXPECT_FALSE(checker.Mac1Ok(message, plain.Mac1(message)));
  const SealedCookie cookie = checker.MakeReply(t, mac1, from);
  EXPECT_FALSE(plain.OnReply(t, cookie.nonce, cookie.sealed));
  EXPECT_TRUE(governed.OnReply(t, cookie.nonce, cookie.sealed));
  EXPECT_TRUE(checker.Mac2Ok(t, message, governed.Mac2(t, message), from));
  const SealedCookie later =
      checker.MakeReply(t + kCookieSecretLife, mac1, from);  // the secret was renewed
  EXPECT_FALSE(checker.Mac2Ok(t + kCookieSecretLife, message, governed.Mac2(t, message), from));
  EXPECT_NE(later.nonce, cookie.nonce);
}

}  // namespace
}  // namespace aqmesh::wireguard
