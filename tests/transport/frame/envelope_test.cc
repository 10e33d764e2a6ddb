#include "transport/frame/envelope.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/rng.h"
#include "mesh_vectors.h"

namespace aqmesh::frame {
namespace {

using namespace vectors;  // NOLINT: the vocabulary of these tests

struct Case {
  const char* name;
  Handshake kind;
  Envelope datagram;
  StaticKeys keys;
  Bytes ck;
};
std::vector<Case> Both() {
  const Mesh mesh;
  return {{"a1", Handshake::kInitiation, mesh.A1(), StaticKeysOf(kStaticR), kCkInit},
          {"a2", Handshake::kResponse, mesh.A2(), StaticKeysOf(kStaticI), kCkResp}};
}

// The whole way in, in the order of spec/objects.md §4, less what needs authority.
Drop Enter(ByteView datagram, const Case& c, Bundle& bundle) {
  if (const Drop d = CheckOuter(datagram, c.kind); d != Drop::kNone) return d;
  if (const Drop d = CheckMac1(datagram, c.keys); d != Drop::kNone) return d;
  if (const Drop d = CheckInner(datagram, c.kind, c.keys); d != Drop::kNone) return d;
  return OpenBundle(datagram, c.kind, c.ck, bundle);
}

void RedoMac1(Envelope& e, const StaticKeys& keys) {
  const auto mac = crypto::Blake2sMac(keys.outer_mac1, ByteView(e).first(kMac1At));
  std::copy(mac.begin(), mac.end(), e.begin() + kMac1At);
}

TEST(EnvelopeVectorTest, ObjectsHaveThePrintedOids) {  // spec: objects#8
  const Mesh m;
  EXPECT_EQ(ToHex(m.charter.oid()),
            "5e571f570eb7be173e123b875f881ccb45dfb3d1c3197bc06d3347542fee884f");
  EXPECT_EQ(ToHex(m.e.oid()), "24aab131c26200253da32323c0e1bde3eb3fd8b00914ca8696b30ce110c55266");
  EXPECT_EQ(ToHex(m.n.oid()), "ddf1763a0b97d1bfe43eb81e865174b8e4354c2316bcdda092fecdd1fcc54a0c");
  EXPECT_EQ(ToHex(m.a.oid()), "f0ea277b81061682b8ee9e72b8580e6749213627d20a3210eb1c7232963950b5");
  EXPECT_EQ(ToHex(m.f.oid()), "f621041dde3ead8ce618fd656b8947399d8598e2ef5328d6e2f4eb6d34408491");
  EXPECT_EQ(ToHex(m.initiator.oid()),
            "e40582564d7e0a040e8a0e76c34292d48ebb3894c55663e9f8ddef592675b2b4");
  EXPECT_EQ(ToHex(m.responder.oid()),
            "a63fe03e81ff3d37ff90c68ad31f851e1207cdefe82691bcdaeb051488c20922");
}

TEST(EnvelopeVectorTest, KeysOfTheBundles) {  // spec: objects#8
  EXPECT_EQ(ToHex(BundleKeyOf(Handshake::kInitiation, kCkInit).view()),
            "5d9d3a3271be4d9881099b19fbb5f17f914e480e9c692c4c23306a467406e503");
  EXPECT_EQ(ToHex(PreKeyOf(kCkInit).view()),
            "85250b6ee587781137d48d6cc4e13037ffa2b093b4f03375ed84183b09fd68e9");
  EXPECT_EQ(ToHex(BundleKeyOf(Handshake::kResponse, kCkResp).view()),
            "e4e837a81f89440c631d6f69d1490e51789d3eabef6960a5d4a6a929ed3f24a9");
}

TEST(EnvelopeVectorTest, InitiationByteForByte) {  // spec: objects#8
  const Envelope a1 = Mesh().A1();
  EXPECT_EQ(ToHex(ByteView(a1).first(32)),
            "a101010000000000010000004433221164b101b1d0be5a8704bd078f9895001f");
  EXPECT_EQ(ToHex(ByteView(a1).last(32)),
            "813fc7d33a6ccc61a47b0d88c9085a5a00000000000000000000000000000000");
  EXPECT_EQ(ToHex(crypto::Sha256({a1})),
            "8a90c80de4448a9c94207128929828148f455e8f113de3f0dbcb8de6dd47d3fe");
  EXPECT_EQ(ToHex(ByteView(Mesh().A1(kCookieValue)).last(16)), "13f178559a32893ad02195847bfa13c6");
}

TEST(EnvelopeVectorTest, ResponseByteForByte) {  // spec: objects#8
  const Envelope a2 = Mesh().A2();
  EXPECT_EQ(ToHex(ByteView(a2).first(32)),
            "a201010000000000020000008877665544332211244fe3b963e899dd295baffc");
  EXPECT_EQ(ToHex(ByteView(a2).last(32)),
            "3b1718ae73aba3bb3f7421baf61bdffb00000000000000000000000000000000");
  EXPECT_EQ(ToHex(crypto::Sha256({a2})),
            "7ade6d76d10c4ca48538bd59e2126fbee35399cd97f9f9661c8c064a5e7926ad");
}

TEST(EnvelopeVectorTest, CookieEndsAsPrinted) {  // spec: objects#8
  const StaticKeys replier = StaticKeysOf(kStaticR);
  const Envelope a1 = Mesh().A1();
  const CookieReply a3 = BuildCookie(a1, replier, kNonce, kCookieValue);
  EXPECT_EQ(ToHex(ByteView(a3).first(8)), "a301000044332211");
  EXPECT_EQ(ToHex(ByteView(a3).last(16)), "31fe1f748b4b3bdf4255e24d7d7b3f37");
  EXPECT_EQ(CheckCookie(a3), Drop::kNone);
  EXPECT_EQ(CookieReceiver(a3), 0x11223344u);
  Secret<16> cookie;
  EXPECT_EQ(OpenCookie(a3, replier, Mac1Of(a1), cookie), Drop::kNone);
  EXPECT_TRUE(Equal(cookie.view(), kCookieValue));
}

TEST(EnvelopeTest, OpensToTheItemsThatWereSealed) {
  const Mesh mesh;
  for (const Case& c : Both()) {
    SCOPED_TRACE(c.name);
    Bundle bundle;
    ASSERT_EQ(Enter(c.datagram, c, bundle), Drop::kNone);
    const auto items =
        c.kind == Handshake::kInitiation ? mesh.InitiatorItems() : mesh.ResponderItems();
    ASSERT_EQ(bundle.size(), items.size());
    for (size_t i = 0; i < items.size(); ++i) EXPECT_TRUE(Equal(bundle[i], items[i]));
  }
  EXPECT_EQ(InnerSender(mesh.A1()), 0x11223344u);
  EXPECT_EQ(InnerReceiver(mesh.A2()), 0x11223344u);
}

TEST(EnvelopeTest, EachFlippedByteOfTheFirst1216IsDroppedByName) {
  for (const Case& c : Both()) {
    SCOPED_TRACE(c.name);
    for (size_t i = 0; i < kMac2At; ++i) {
      Envelope e = c.datagram;
      e[i] ^= static_cast<uint8_t>(1u << (i % 8));
      Bundle bundle;
      EXPECT_EQ(Enter(e, c, bundle), i < 8 ? Drop::kVersion : Drop::kMac1) << i;
      EXPECT_EQ(bundle.size(), 0u);
    }
  }
}

TEST(EnvelopeTest, EachFlippedByteUnderARightMac1IsDroppedByName) {
  for (const Case& c : Both()) {
    SCOPED_TRACE(c.name);
    const Layout at = LayoutOf(c.kind);
    const size_t inner_end = kInnerAt + at.inner_bytes;
    for (size_t i = 0; i < kMac1At; ++i) {
      Envelope e = c.datagram;
      e[i] ^= static_cast<uint8_t>(1u << (i % 8));
      RedoMac1(e, c.keys);
      const Drop want = i < kInnerAt         ? Drop::kVersion
                        : i < kInnerAt + 4   ? Drop::kInnerType
                        : i < inner_end - 16 ? Drop::kInnerMac1
                        : i < inner_end      ? Drop::kInnerMac2
                                             : Drop::kBundleSeal;
      Bundle bundle;
      EXPECT_EQ(Enter(e, c, bundle), want) << i;
      // Whoever can also redo the inner mac1 and skip its checks still meets the bundle's seal.
      if (i < at.bundle_at) {
        EXPECT_EQ(OpenBundle(e, c.kind, c.ck, bundle), Drop::kBundleSeal) << i;
      }
    }
  }
}

TEST(EnvelopeTest, EveryOtherLengthIsDropped) {
  for (const Case& c : Both()) {
    Bytes longer(c.datagram.begin(), c.datagram.end());
    longer.resize(longer.size() + 64);
    for (size_t n = 0; n < longer.size(); ++n) {
      if (n == kEnvelopeBytes) continue;
      EXPECT_EQ(CheckOuter(ByteView(longer).first(n), c.kind), Drop::kSize) << n;
    }
  }
}

TEST(EnvelopeTest, ATypeIsNotTakenForTheOther) {
  const auto both = Both();
  EXPECT_EQ(CheckOuter(both[0].datagram, Handshake::kResponse), Drop::kVersion);
  EXPECT_EQ(CheckOuter(both[1].datagram, Handshake::kInitiation), Drop::kVersion);
}

TEST(EnvelopeTest, BundleOpensUnderItsOwnKeyOnly) {
  for (const Case& c : Both()) {
    Bundle bundle;
    EXPECT_EQ(OpenBundle(
                  c.datagram, c.kind, c.kind == Handshake::kInitiation ? kCkResp : kCkInit, bundle),
              Drop::kBundleSeal);
  }
}

TEST(EnvelopeTest, Mac2IsRightUnderItsCookieOnly) {
  const Envelope e = Mesh().A1(kCookieValue);
  EXPECT_EQ(CheckMac2(e, kCookieValue), Drop::kNone);
  EXPECT_EQ(CheckMac2(e, Bytes(16, 1)), Drop::kMac2Needed);
  EXPECT_EQ(CheckMac2(Mesh().A1(), kCookieValue), Drop::kMac2Needed);
  for (size_t i = 0; i < kEnvelopeBytes; ++i) {
    Envelope bad = e;
    bad[i] ^= 0x80;
    EXPECT_EQ(CheckMac2(bad, kCookieValue), Drop::kMac2Needed) << i;
  }
}

TEST(EnvelopeTest, CookieIsBoundToItsMac1ReplierAndBytes) {
  const StaticKeys replier = StaticKeysOf(kStaticR);
  const Envelope a1 = Mesh().A1();
  const CookieReply a3 = BuildCookie(a1, replier, kNonce, kCookieValue);
  Secret<16> cookie;
  EXPECT_EQ(OpenCookie(a3, replier, Bytes(16, 0), cookie), Drop::kCookieSeal);
  EXPECT_EQ(OpenCookie(a3, StaticKeysOf(kStaticI), Mac1Of(a1), cookie), Drop::kCookieSeal);
  for (size_t i = 0; i < a3.size(); ++i) {
    CookieReply bad = a3;
    bad[i] ^= 1;
    if (i < 4) {
      EXPECT_EQ(CheckCookie(bad), Drop::kVersion);
    } else if (i < 8) {
      EXPECT_NE(CookieReceiver(bad), 0x11223344u);
    } else {
      EXPECT_EQ(OpenCookie(bad, replier, Mac1Of(a1), cookie), Drop::kCookieSeal) << i;
    }
  }
  const Bytes longer(kCookieBytes + 1, 0xa3);
  for (size_t n = 0; n <= longer.size(); ++n) {
    if (n == kCookieBytes) continue;
    EXPECT_EQ(CheckCookie(ByteView(longer).first(n)), Drop::kSize);
  }
}

TEST(BundleTest, FramingIsStrict) {
  struct {
    const char* name;
    Bytes plain;
    Drop want;
    size_t items;
  } cases[] = {
      {"one item", Hex("0100aa0000"), Drop::kNone, 1},
      {"two items", Hex("0100aa0200bbcc"), Drop::kNone, 2},
      {"one spare zero", Hex("0100aa00"), Drop::kNone, 1},
      {"one spare byte", Hex("0100aa01"), Drop::kPadding, 0},
      {"nothing", Hex(""), Drop::kFraming, 0},
      {"only zeros", Bytes(100, 0), Drop::kFraming, 0},
      {"past the end", Hex("0400aabbcc"), Drop::kFraming, 0},
      {"second past the end", Hex("0100aa0300bbcc"), Drop::kFraming, 0},
      {"longest length", Hex("ffffaa"), Drop::kFraming, 0},
      {"after the padding", Hex("0100aa00000100bb"), Drop::kPadding, 0},
      {"longer than any room", Bytes(kBundleRoomMax + 1, 0), Drop::kFraming, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Bundle bundle;
    EXPECT_EQ(ParseBundle(c.plain, bundle), c.want);
    EXPECT_EQ(bundle.size(), c.items);
  }
  Bytes many;
  for (size_t i = 0; i < kItemsMax; ++i) Append(many, Hex("0100aa"));
  Bundle bundle;
  EXPECT_EQ(ParseBundle(many, bundle), Drop::kNone);
  Append(many, Hex("0100aa"));
  EXPECT_EQ(ParseBundle(many, bundle), Drop::kFraming);
}

TEST(BundleTest, RandomRoomsNeverReadPastTheirEnd) {
  Rng rng(Rng::Seed{7});
  for (int i = 0; i < 20'000; ++i) {
    Bytes plain(rng.Below(kBundleRoomMax + 1));
    rng.Fill(plain);
    for (size_t at = 0; at + 1 < plain.size(); at += 2u + plain[at])
      plain[at + 1] = 0;  // short lengths go deep
    Bundle bundle;
    if (ParseBundle(plain, bundle) != Drop::kNone) continue;
    size_t sum = 0;
    for (size_t k = 0; k < bundle.size(); ++k) sum += 2 + bundle[k].size();
    EXPECT_LE(sum, plain.size());
  }
}

TEST(BundleTest, WhatDoesNotFitIsRefusedWithItsSize) {
  const Bytes item(kBundleRoomMax, 7);
  const StaticKeys keys = StaticKeysOf(kStaticR);
  const auto build = [&keys](std::vector<ByteView> items) {
    return BuildEnvelope({.kind = Handshake::kInitiation,
                          .inner = kInitiation,
                          .items = items,
                          .ck = kCkInit,
                          .receiver = keys});
  };
  EXPECT_TRUE(build({ByteView(item).first(1026)}).ok());
  EXPECT_EQ(build({ByteView(item).first(1027)}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(build({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(build({ByteView{}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(build(std::vector<ByteView>(kItemsMax + 1, ByteView(item).first(1))).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(CitationTest, LeafFirstThenInOrderOfRefsAndOnce) {  // spec: objects#4
  const auto ref = [](uint8_t v) {
    Ref16 r;
    r.bytes.fill(v);
    return r;
  };
  const std::vector<Ref16> refs = {ref(1), ref(2), ref(3)};
  struct {
    const char* name;
    std::vector<Ref16> items;
    Drop want;
  } cases[] = {
      {"leaf alone", {ref(1)}, Drop::kNone},
      {"all", {ref(1), ref(2), ref(3)}, Drop::kNone},
      {"one by reference", {ref(1), ref(3)}, Drop::kNone},
      {"no leaf", {}, Drop::kCitation},
      {"leaf by reference", {ref(2), ref(3)}, Drop::kCitation},
      {"out of order", {ref(1), ref(3), ref(2)}, Drop::kCitation},
      {"doubled", {ref(1), ref(2), ref(2)}, Drop::kCitation},
      {"leaf doubled", {ref(1), ref(1)}, Drop::kCitation},
      {"uncited", {ref(1), ref(4)}, Drop::kCitation},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(CheckCitation(refs, c.items), c.want);
  }
  EXPECT_EQ(CheckCitation({}, {}), Drop::kNone);
  EXPECT_EQ(CheckCitation({}, refs), Drop::kCitation);
}

TEST(DropTest, EveryCodeHasItsOwnName) {
  std::vector<std::string_view> names;
  for (const DropInfo& d : kDrops) names.push_back(d.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(NameOf(Drop::kTag), "tag");
  EXPECT_EQ(static_cast<uint16_t>(Drop::kSize), 64);
}

}  // namespace
}  // namespace aqmesh::frame
