// cacophony's vector for Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, through the steps that our
// handshakes take: both handshake messages in both roles, the handshake hash, and every transport
// message after.
#include <gtest/gtest.h>

#include <map>

#include "core/crypto/aead.h"
#include "tests/vectors/read.h"
#include "transport/wireguard/ikpsk2.h"

namespace aqmesh::wireguard {
namespace {

using vectors::Hex;

class NoiseVectorsTest : public testing::Test {
 protected:
  struct Message {
    Bytes payload, bytes;
  };
  NoiseVectorsTest() {
    for (const vectors::Row& r : vectors::Read("noise_ikpsk2.txt")) {
      if (r[0] == "message") {
        messages_.push_back({Hex(r[1]), Hex(r[2])});
      } else {
        values_[r[0]] = Hex(r[1]);
      }
    }
  }
  Secret<32> SecretOf(const std::string& name) const { return Secret<32>(values_.at(name)); }
  static X25519Key Public(const Secret<32>& key) { return crypto::X25519Public(key); }

  std::map<std::string, Bytes> values_;
  std::vector<Message> messages_;
};

TEST_F(NoiseVectorsTest, EveryMessageOfIkPsk2) {
  ASSERT_EQ(messages_.size(), 6u);
  const IkPsk2 pattern(values_.at("init_prologue"));
  const Secret<32> init = SecretOf("init_static"), resp = SecretOf("resp_static");
  const Secret<32> init_e = SecretOf("init_ephemeral"), resp_e = SecretOf("resp_ephemeral");
  const Secret<32> psk = SecretOf("psk");
  const X25519Key init_public = Public(init), resp_public = Public(resp);
  EXPECT_TRUE(Equal(resp_public, values_.at("init_remote_static")));
  Secret<32> ss;
  ASSERT_TRUE(crypto::X25519(init, resp_public, ss));

  // First message: ephemeral 32, static 32 + 16, payload + 16.
  const Message& first = messages_[0];
  std::array<uint8_t, 48> sealed_static;
  Bytes sealed_payload(first.payload.size() + 16);
  const auto a = pattern.SealFirst(
      {init_public, resp_public, ss}, init_e, first.payload, sealed_static, sealed_payload);
  ASSERT_TRUE(a);
  EXPECT_EQ(ToHex(a->ephemeral) + ToHex(sealed_static) + ToHex(sealed_payload), ToHex(first.bytes));

  X25519Key peer;
  IkPsk2::FirstSecret agreed{.ephemeral = a->ephemeral, .es = {}};
  IkPsk2::Agree(resp, {&agreed, 1});
  auto b = pattern.OpenStatic(resp_public, agreed, sealed_static, peer);
  ASSERT_TRUE(b);
  EXPECT_EQ(peer, init_public);
  Bytes opened(first.payload.size());
  ASSERT_TRUE(IkPsk2::OpenPayload(*b, ss, sealed_payload, opened));
  EXPECT_EQ(opened, first.payload);

  // Second message: ephemeral 32, payload + 16.
  const Message& second = messages_[1];
  sealed_payload.resize(second.payload.size() + 16);
  IkPsk2::SecondSecrets answer{.ours = resp_e.Clone(),
                               .their_ephemeral = a->ephemeral,
                               .their_static = init_public,
                               .ephemeral = {},
                               .ee = {},
                               .se = {}};
  IkPsk2::Agree({&answer, 1});
  const auto end_b = IkPsk2::SealSecond(b->Clone(), answer, psk, second.payload, sealed_payload);
  ASSERT_TRUE(end_b);
  EXPECT_EQ(ToHex(end_b->ephemeral) + ToHex(sealed_payload), ToHex(second.bytes));
  opened.resize(second.payload.size());
  const auto end_a = IkPsk2::OpenSecond(
      a->chain.Clone(), {init_e, init}, end_b->ephemeral, psk, sealed_payload, opened);
  ASSERT_TRUE(end_a);
  EXPECT_EQ(opened, second.payload);
  EXPECT_EQ(ToHex(end_a->h), ToHex(values_.at("handshake_hash")));
  EXPECT_EQ(ToHex(end_b->chain.h), ToHex(values_.at("handshake_hash")));

  // Transport: the initiator sends messages 2 and 4, the responder 3 and 5.
  const TransportKeys at_a = DeriveKeys(*end_a, true), at_b = DeriveKeys(end_b->chain, false);
  for (size_t i = 2; i < messages_.size(); ++i) {
    SCOPED_TRACE(i);
    const Message& m = messages_[i];
    const bool from_a = i % 2 == 0;
    const uint64_t counter = (i - 2) / 2;
    crypto::AeadKey seal((from_a ? at_a : at_b).send.view(), crypto::AeadKey::Direction::kSeal);
    crypto::AeadKey open((from_a ? at_b : at_a).receive.view(), crypto::AeadKey::Direction::kOpen);
    Bytes sealed(m.payload.size() + 16), back(m.payload.size());
    seal.Seal(counter, m.payload, sealed.data());
    EXPECT_EQ(ToHex(sealed), ToHex(m.bytes));
    ASSERT_TRUE(open.Open(counter, m.bytes, back.data()));
    EXPECT_EQ(back, m.payload);
  }
}

TEST_F(NoiseVectorsTest, AnyFlippedBitOfTheFirstMessageIsRefused) {
  const IkPsk2 pattern(values_.at("init_prologue"));
  const Secret<32> resp = SecretOf("resp_static");
  const X25519Key init_public = Public(SecretOf("init_static")), resp_public = Public(resp);
  Secret<32> ss;
  ASSERT_TRUE(crypto::X25519(resp, init_public, ss));
  for (size_t bit = 0; bit < messages_[0].bytes.size() * 8; ++bit) {
    Bytes m = messages_[0].bytes;
    m[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const ByteView view(m);
    X25519Key peer;
    Bytes payload(messages_[0].payload.size());
    IkPsk2::FirstSecret agreed{.ephemeral = *X25519Key::From(view.first(32)), .es = {}};
    IkPsk2::Agree(resp, {&agreed, 1});
    auto chain = pattern.OpenStatic(resp_public, agreed, view.subspan(32, 48), peer);
    EXPECT_FALSE(chain && IkPsk2::OpenPayload(*chain, ss, view.subspan(80), payload)) << bit;
  }
}

}  // namespace
}  // namespace aqmesh::wireguard
