#include "transport/frame/control.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/rng.h"
#include "mesh_vectors.h"

namespace aqmesh::frame {
namespace {

using namespace vectors;  // NOLINT: the vocabulary of these tests

const IpAddress kBorealis = *IpAddress::Parse("fd8c:ec1:6e68:c777:43f6:6233:b387:b1e4");
const IpAddress kAtlas = *IpAddress::Parse("fd8c:ec1:6e68:dab2:a1c5:22fc:6716:758f");
const IpAddress kControl = *IpAddress::Parse("fd8c:ec1:6e68::a5");

Bytes PullOfF() {
  const Ref16 f = *Ref16::From(Hex("f621041dde3ead8ce618fd656b894739"));
  PacketWriter w;
  EXPECT_TRUE(w.Add(Control::kPull, 7, EncodeRefs({&f, 1})));
  const ByteView packet = w.Finish(kBorealis, kControl);
  return Bytes(packet.begin(), packet.end());
}
Row RowOf(uint8_t kid, uint64_t seq) {
  Row r;
  r.kid.bytes.fill(kid);
  r.seq = seq;
  r.oid.bytes.fill(static_cast<uint8_t>(kid + 1));
  return r;
}
std::vector<Row> ManyRows(size_t n) {
  std::vector<Row> rows(n);
  for (size_t i = 0; i < n; ++i) {
    rows[i] = RowOf(0, i + 1);
    StoreBe(rows[i].kid.data(), static_cast<uint32_t>(i));
  }
  return rows;
}

TEST(ControlVectorTest, AddressesAreThoseOfTheSpec) {  // spec: objects#8
  const Mesh m;
  EXPECT_EQ(authority::ControlAddress(m.scope), kControl);
  EXPECT_EQ(authority::DerivedIp6(m.scope, m.borealis_kid), kBorealis);
  EXPECT_EQ(authority::DerivedIp6(m.scope, m.atlas_kid), kAtlas);
}

TEST(ControlVectorTest, PullOfFByBorealis) {  // spec: objects#8
  const Bytes packet = PullOfF();
  EXPECT_EQ(packet.size(), 72u);
  EXPECT_EQ(ToHex(ByteView(packet).subspan(46, 2)), "b6f7");
}

TEST(ControlVectorTest, RestrictionRootOfR) {  // spec: objects#8
  const Mesh m;
  EXPECT_EQ(ToHex(m.r.oid()), "c65261b6ebccf2c277bf4cba275a049bbda01b68784484615fa53dffcb287386");
  const Row rows[] = {{.kid = m.atlas_kid, .seq = 1, .oid = m.r.oid()}};
  EXPECT_EQ(ToHex(RowsRoot(rows)),
            "5d8f1ba4fede53395a486e839921b7f7323dd126bb537a290597842b3cbd9357");
}

TEST(PacketTest, GivesBackItsMessagesInOrder) {
  PacketWriter w;
  EXPECT_TRUE(w.empty());
  ASSERT_TRUE(w.Add(Control::kWords, 1, Bytes(16, 9)));
  ASSERT_TRUE(w.Add(Control::kOffer, 0xffffffff, Bytes(32, 8)));
  ASSERT_TRUE(w.Add(Control::kNote, 3, {}));
  Messages m;
  const ByteView packet = w.Finish(kAtlas, kControl);
  ASSERT_EQ(ParsePacket(packet, kAtlas, kControl, m), Drop::kNone);
  ASSERT_EQ(m.count, 3u);
  EXPECT_EQ(m.list[0].kind, Control::kWords);
  EXPECT_EQ(m.list[1].request, 0xffffffffu);
  EXPECT_TRUE(Equal(m.list[1].body, Bytes(32, 8)));
  EXPECT_TRUE(m.list[2].body.empty());
}

TEST(PacketTest, FullPacketIsTheSmallestIpv6Mtu) {
  PacketWriter w;
  const Bytes object(3000, 7);
  ASSERT_TRUE(w.Add(Control::kObject, 1, EncodeObjectPiece(Ref16{}, object, 1200)));
  EXPECT_EQ(w.room(), 0u);
  EXPECT_FALSE(w.Add(Control::kNote, 1, {}));
  EXPECT_EQ(w.Finish(kAtlas, kControl).size(), 1280u);
}

TEST(PacketTest, EachFlippedBitIsDropped) {  // an Internet checksum sees every single bit
  const Bytes packet = PullOfF();
  for (size_t bit = 0; bit < packet.size() * 8; ++bit) {
    Bytes bad = packet;
    bad[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    Messages m;
    const size_t at = bit / 8;
    const Drop want = at < 8    ? Drop::kControlHeader
                      : at < 40 ? Drop::kControlAddress
                      : at < 46 ? Drop::kControlHeader
                                : Drop::kControlChecksum;
    EXPECT_EQ(ParsePacket(bad, kBorealis, kControl, m), want) << bit;
    EXPECT_EQ(m.count, 0u);
  }
}

TEST(PacketTest, EachOtherLengthIsDropped) {
  Bytes packet = PullOfF();
  Messages m;
  for (size_t n = 0; n < packet.size(); ++n) {
    EXPECT_NE(ParsePacket(ByteView(packet).first(n), kBorealis, kControl, m), Drop::kNone) << n;
  }
  packet.push_back(0);
  EXPECT_EQ(ParsePacket(packet, kBorealis, kControl, m), Drop::kControlHeader);
  EXPECT_EQ(ParsePacket(Bytes(kPacketMax + 1), kBorealis, kControl, m), Drop::kSize);
}

TEST(PacketTest, OnlyFromThePeersOwnAddress) {
  Messages m;
  EXPECT_EQ(ParsePacket(PullOfF(), kAtlas, kControl, m), Drop::kControlAddress);
  EXPECT_EQ(ParsePacket(PullOfF(), kBorealis, kAtlas, m), Drop::kControlAddress);
  EXPECT_EQ(ParsePacket(PullOfF(), *IpAddress::Parse("10.0.0.1"), kControl, m),
            Drop::kControlAddress);
}

TEST(PacketTest, AMissingChecksumIsDropped) {
  Bytes packet = PullOfF();
  packet[46] = packet[47] = 0;
  Messages m;
  EXPECT_EQ(ParsePacket(packet, kBorealis, kControl, m), Drop::kControlChecksum);
}

TEST(PacketTest, AChecksumThatComesOutZeroIsWrittenAsOnes) {
  for (uint32_t request = 0; request < 0x20000; ++request) {
    PacketWriter w;
    ASSERT_TRUE(w.Add(Control::kNote, request, {}));
    const ByteView packet = w.Finish(kBorealis, kControl);
    ASSERT_NE(LoadBe<uint16_t>(packet.data() + 46), 0);
    if (LoadBe<uint16_t>(packet.data() + 46) != 0xffff) continue;
    Messages m;
    EXPECT_EQ(ParsePacket(packet, kBorealis, kControl, m), Drop::kNone);
    return;
  }
  FAIL() << "no request gave a zero sum";
}

TEST(MessagesTest, StrictButSkipsUnknownKinds) {
  struct {
    const char* name;
    const char* hex;
    Drop want;
    size_t count, unknown;
  } cases[] = {
      {"empty", "", Drop::kControlMessage, 0, 0},
      {"one without body", "0600000001000000", Drop::kNone, 1, 0},
      {"unknown between",
       "06000000010000002a00020001000000ffff0600000002000000",
       Drop::kNone,
       2,
       1},
      {"kind 0", "0000000001000000", Drop::kNone, 0, 1},
      {"kind 12", "0c00000001000000", Drop::kNone, 0, 1},
      {"second byte", "0601000001000000", Drop::kControlMessage, 0, 0},
      {"length past the end", "0600010001000000", Drop::kControlMessage, 0, 0},
      {"second past the end", "06000000010000000600ffff02000000", Drop::kControlMessage, 0, 0},
      {"unknown past the end", "2a00010001000000", Drop::kControlMessage, 0, 0},
      {"rest of seven", "060000000100000006000000020000", Drop::kControlMessage, 0, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Bytes payload = Hex(c.hex);
    Messages m;
    EXPECT_EQ(ParseMessages(payload, m), c.want);
    EXPECT_EQ(m.count, c.count);
    EXPECT_EQ(m.unknown, c.unknown);
  }
  Bytes many;
  for (size_t i = 0; i < kMessagesMax; ++i) Append(many, Hex("0600000001000000"));
  Messages m;
  EXPECT_EQ(ParseMessages(many, m), Drop::kNone);
  EXPECT_EQ(m.count, kMessagesMax);
  many.push_back(0);
  EXPECT_EQ(ParseMessages(many, m), Drop::kControlMessage);
}

TEST(MessagesTest, RandomPayloadsNeverReadPastTheirEnd) {
  Rng rng(Rng::Seed{11});
  for (int i = 0; i < 20'000; ++i) {
    Bytes payload(rng.Below(kPayloadMax + 2));
    rng.Fill(payload);
    for (size_t at = 0; at + 8 <= payload.size();
         at += 8u + payload[at + 2]) {  // plausible heads go deep
      payload[at] = static_cast<uint8_t>(payload[at] % 13);
      payload[at + 1] = payload[at + 3] = 0;
    }
    Messages m;
    if (ParseMessages(payload, m) != Drop::kNone) continue;
    Refs refs;
    Piece piece;
    VectorPart part;
    FlowNotice notice;
    for (const Message& msg : m) {
      (void)ParseRefs(msg.body, refs);
      (void)ParseObjectPiece(msg.body, piece);
      (void)ParseVectorPart(msg.body, part);
      (void)ParseFlowNotice(msg.body, notice);
    }
  }
}

TEST(BodyTest, RefsAreOneToSixtyFour) {
  for (size_t n = 1; n <= kRefsMax; ++n) {
    std::vector<Ref16> in(n);
    for (size_t i = 0; i < n; ++i) in[i].bytes.fill(static_cast<uint8_t>(i));
    Refs out;
    ASSERT_EQ(ParseRefs(EncodeRefs(in), out), Drop::kNone);
    EXPECT_TRUE(std::ranges::equal(out.view(), in));
  }
  Refs out;
  EXPECT_EQ(ParseRefs({}, out), Drop::kControlBody);
  EXPECT_EQ(ParseRefs(Bytes(17), out), Drop::kControlBody);
  EXPECT_EQ(ParseRefs(Bytes(16 * 65), out), Drop::kControlBody);
}

TEST(BodyTest, ObjectPiecesAreExact) {
  const Bytes object(2500, 4);
  for (const size_t at : {0u, 1200u, 2400u}) {
    const Bytes body = EncodeObjectPiece(Ref16{}, object, at);
    Piece piece;
    ASSERT_EQ(ParseObjectPiece(body, piece), Drop::kNone);
    EXPECT_EQ(piece.data.size(), at == 2400 ? 100u : 1200u);
    for (size_t n = 0; n < body.size(); ++n) {
      EXPECT_EQ(ParseObjectPiece(ByteView(body).first(n), piece), Drop::kControlBody);
    }
    Bytes longer = body;
    longer.push_back(4);
    EXPECT_EQ(ParseObjectPiece(longer, piece), Drop::kControlBody);
  }
  const auto with = [&object](uint32_t total, uint32_t offset) {
    Bytes body = EncodeObjectPiece(Ref16{}, object, 0);
    StoreLe(body.data() + 16, total);
    StoreLe(body.data() + 20, offset);
    Piece piece;
    return ParseObjectPiece(body, piece);
  };
  EXPECT_EQ(with(2500, 1200), Drop::kNone);
  EXPECT_EQ(with(16'384, 1200), Drop::kNone);
  EXPECT_EQ(with(16'385, 1200), Drop::kControlBody);
  EXPECT_EQ(with(2500, 1), Drop::kControlBody);
  EXPECT_EQ(with(2500, 2400), Drop::kControlBody);
  EXPECT_EQ(with(0, 0), Drop::kControlBody);
  EXPECT_EQ(with(0xffffffff, 0), Drop::kControlBody);
}

TEST(BodyTest, FlowRoundTripOfBothFamilies) {
  const Flow v4{*IpAddress::Parse("10.1.2.3"), *IpAddress::Parse("10.4.5.6"), 6, 1234, 22};
  const Flow v6{kBorealis, kAtlas, 17, 53, 5353};
  EXPECT_EQ(ToHex(EncodeFlow(v4)),
            "0406"
            "0000000000000000000000000a010203"
            "0000000000000000000000000a040506"
            "04d20016");
  for (const Flow& flow : {v4, v6}) {
    const auto bytes = EncodeFlow(flow);
    EXPECT_EQ(ParseFlow(bytes), flow);
    FlowNotice in{.notice = {.reason = authority::Reason::kNoRule}, .flow = flow};
    FlowNotice out;
    const Bytes body = EncodeFlowNotice(in);
    EXPECT_EQ(body.size(), 102u);
    ASSERT_EQ(ParseFlowNotice(body, out), Drop::kNone);
    EXPECT_EQ(out.flow, flow);
    EXPECT_EQ(out.notice, in.notice);
    for (size_t n = 0; n < body.size(); ++n) {
      const Drop want = n == kNoticeBodyBytes ? Drop::kNone : Drop::kControlBody;
      EXPECT_EQ(ParseFlowNotice(ByteView(body).first(n), out), want) << n;
    }
  }
  auto bad = EncodeFlow(v4);
  bad[5] = 1;
  EXPECT_FALSE(ParseFlow(bad));
  bad = EncodeFlow(v6);
  bad[0] = 5;
  EXPECT_FALSE(ParseFlow(bad));
  bad = EncodeFlow(v4);
  bad[0] = 6;
  bad[12] = bad[13] = 0xff;  // ::ffff:10.1.2.3 has its own form
  EXPECT_FALSE(ParseFlow(bad));
}

TEST(VectorTest, PartsHoldAllRowsInOrder) {
  for (const size_t n : {0u, 1u, 21u, 22u, 43u, 21u * 255u}) {
    SCOPED_TRACE(n);
    const std::vector<Row> rows = ManyRows(n);
    const std::vector<Bytes> bodies = EncodeVector(rows);
    std::vector<Row> back;
    for (size_t i = 0; i < bodies.size(); ++i) {
      VectorPart part;
      ASSERT_EQ(ParseVectorPart(bodies[i], part), Drop::kNone);
      EXPECT_EQ(part.part, i);
      EXPECT_EQ(part.parts, bodies.size());
      EXPECT_LE(bodies[i].size(), kMessageBodyMax);
      back.insert(back.end(), part.view().begin(), part.view().end());
    }
    EXPECT_EQ(back, rows);
  }
}

TEST(VectorTest, BadPartsAreDropped) {
  const auto parse = [](std::vector<Row> rows, uint8_t part, uint8_t parts) {
    Bytes body = {part, parts};
    for (const Row& r : rows) {
      Append(body, r.kid);
      AppendBe(body, r.seq);
      Append(body, r.oid);
    }
    VectorPart out;
    return ParseVectorPart(body, out);
  };
  EXPECT_EQ(parse({RowOf(1, 1), RowOf(2, 9)}, 0, 1), Drop::kNone);
  EXPECT_EQ(parse({RowOf(2, 1), RowOf(1, 9)}, 0, 1), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, 1), RowOf(1, 1)}, 0, 1), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, 1), RowOf(1, 2)}, 0, 1), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, authority::kTerminalSeq), RowOf(1, 1)}, 0, 1), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, 0)}, 0, 1), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, authority::kTerminalSeq)}, 0, 1), Drop::kNone);
  EXPECT_EQ(parse({RowOf(1, uint64_t{1} << 63)}, 0, 1), Drop::kControlBody);
  EXPECT_EQ(parse({}, 0, 1), Drop::kNone);
  EXPECT_EQ(parse({}, 0, 2), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, 1)}, 1, 1), Drop::kControlBody);
  EXPECT_EQ(parse({RowOf(1, 1)}, 0, 0), Drop::kControlBody);
  EXPECT_EQ(parse(ManyRows(22), 0, 1), Drop::kControlBody);
  const Bytes body = EncodeVector(ManyRows(3))[0];
  VectorPart out;
  for (size_t n = 0; n < body.size(); ++n) {
    const Drop want = n >= 2 && (n - 2) % kRowBytes == 0 ? Drop::kNone : Drop::kControlBody;
    EXPECT_EQ(ParseVectorPart(ByteView(body).first(n), out), want) << n;
  }
}

// Who revoked and later ended its key stands twice. Once this ended every process that held both.
TEST(VectorTest, ASignerThatEndedItsKeyHasTwoRows) {
  const std::vector<Row> rows = {RowOf(1, 3),
                                 RowOf(1, authority::kTerminalSeq),
                                 RowOf(2, 1),
                                 RowOf(3, authority::kTerminalSeq)};
  VectorPart part;
  ASSERT_EQ(ParseVectorPart(EncodeVector(rows)[0], part), Drop::kNone);
  EXPECT_EQ(std::vector<Row>(part.view().begin(), part.view().end()), rows);
  EXPECT_NE(RowsRoot(rows), RowsRoot(std::span(rows).subspan(1)));
}

TEST(LeastRungTest, IsTheTableOfTheSpec) {  // spec: objects#6
  using authority::Rung;
  EXPECT_EQ(LeastRung(Control::kPull, true), Rung::kEscalate);
  EXPECT_EQ(LeastRung(Control::kPull, false), Rung::kProbation);
  EXPECT_EQ(LeastRung(Control::kOffer, false), Rung::kProbation);
  EXPECT_EQ(LeastRung(Control::kOffer, true), Rung::kNone);
  for (const Control c : {Control::kNote, Control::kAsk, Control::kCosign, Control::kCosigned})
    EXPECT_EQ(LeastRung(c, true), Rung::kProbation);
  for (const Control c :
       {Control::kObject, Control::kNotice, Control::kVector, Control::kWords, Control::kDeposit}) {
    EXPECT_EQ(LeastRung(c, false), Rung::kEscalate);
  }
}

TEST(BodyTest, CosignAndItsAnswerReadBackAndAreBounded) {
  const Bytes whole = EncodeCosign(Bytes(170, 7), "old 0\n");
  const auto request = ParseCosign(whole);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(Bytes(request->keybind.begin(), request->keybind.end()), Bytes(170, 7));
  EXPECT_EQ(request->request, "old 0\n");
  EXPECT_TRUE(ParseCosign(Hex("0000")).has_value());
  for (const char* bad : {"", "00", "0100", "ffff00"}) EXPECT_FALSE(ParseCosign(Hex(bad)));
  EXPECT_NE(CosignRef(whole), CosignRef(EncodeCosign(Bytes(170, 7), "old 1\n")));
  const auto answer = ParseCosigned(EncodeCosigned(409, "7\n"));
  EXPECT_EQ(answer->status, 409);
  EXPECT_EQ(EncodeCosigned(200, std::string(5'000, 'x')).size(), kMessageBodyMax);
  EXPECT_FALSE(ParseCosigned(Hex("c8")).has_value());
}

TEST(BodyTest, WordsAndDepositHaveTheirSizes) {
  EXPECT_EQ(CheckWords(Bytes(16)), Drop::kNone);
  EXPECT_EQ(CheckWords(Bytes(15)), Drop::kControlBody);
  EXPECT_EQ(CheckDeposit(Bytes(256)), Drop::kNone);
  EXPECT_EQ(CheckDeposit(Bytes(257)), Drop::kControlBody);
  EXPECT_EQ(CheckDeposit({}), Drop::kControlBody);
}

}  // namespace
}  // namespace aqmesh::frame
