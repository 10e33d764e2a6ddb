// Public witnesses by script: every status, garbage, silence, an answer under another key, a size
// that is not ours; then a whole node with a witness of our own behind the wire.
#include "node/heads/public_witnesses.h"

#include "lineage/tlog/witness.h"
#include "tests/node/pair.h"

namespace aqmesh::node {
namespace {

crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }

tlog::Edge Tree(uint64_t size) {
  tlog::Edge edge;
  for (uint64_t i = 0; i < size; ++i) edge.Append(Digest{{static_cast<uint8_t>(i)}});
  return edge;
}

class PublicWitnessesTest : public testing::Test {
 protected:
  PublicWitnessesTest() { Grow(5); }

  void Grow(uint64_t size) {
    head = tlog::SignCheckpoint({log.key().name, size, Tree(size).Root()}, log);
    bare = head;
  }
  void Gather() {
    desk.Gather(now, bare, head.note, [this](uint64_t old) -> absl::StatusOr<tlog::Proof> {
      proved.push_back(old);
      if (!provable) return DataLoss("a tile is gone");
      return tlog::Proof{};
    });
    for (WitnessAsk& ask : desk.TakeAsks()) asks.push_back(std::move(ask));
  }
  // The request that has just left; there must be one.
  WitnessAsk Ask() {
    Gather();
    EXPECT_EQ(asks.size(), 1u);
    if (asks.empty()) return {};
    WitnessAsk ask = asks.front();
    asks.clear();
    return ask;
  }
  bool Reply(const WitnessAsk& ask, uint16_t status, std::string body = "") {
    return desk.OnReply(now, {ask.witness, ask.request, status, std::move(body)}, head);
  }
  std::string Line(const tlog::NoteSigner& by) const {
    return by.Sign(bare.note.text, 1'780'000'123).Text();
  }
  std::string Why() const { return desk.Views()[0].trouble; }
  bool Says(std::string_view words) const { return Why().find(words) != std::string::npos; }
  void Later(std::chrono::seconds d) { now.mono += d; }
  // How long until it is asked again.
  std::chrono::seconds Pause() {
    for (auto waited = 0s; waited < 2000s; waited += 1s) {
      Gather();
      if (!asks.empty()) return waited;
      Later(1s);
    }
    return 2000s;
  }

  tlog::NoteSigner log{"aqmesh/1/log/x", tlog::KeyType::kEd25519, Seed(1)};
  tlog::NoteSigner rome{"example.com/rome", tlog::KeyType::kCosignature, Seed(2)};
  tlog::NoteSigner oslo{"example.com/oslo", tlog::KeyType::kCosignature, Seed(3)};
  PublicWitnesses desk{{{"rome", rome.key()}}, Rng(TestSeed(3))};
  tlog::SignedCheckpoint bare, head;
  Now now{Instant{} + 1000s, WallTime::FromSeconds(1'780'000'000)};
  std::vector<WitnessAsk> asks;
  std::vector<uint64_t> proved;
  bool provable = true;
};

TEST_F(PublicWitnessesTest, ItsLineJoinsTheNoteAndTheNextRequestGoesOnFromThere) {
  const WitnessAsk first = Ask();
  const auto request = tlog::ParseAddCheckpoint(first.body);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->old_size, 0u);
  EXPECT_EQ(request->head, bare);
  Gather();
  EXPECT_TRUE(asks.empty()) << "one request at a time";
  EXPECT_TRUE(Reply(first, 200, Line(rome)));
  const tlog::NoteKey keys[] = {log.key(), rome.key()};
  EXPECT_EQ(tlog::VerifyNote(head.note, keys)->size(), 2u);
  EXPECT_EQ(desk.Views()[0].size, 5u);
  EXPECT_EQ(desk.Views()[0].time, 1'780'000'123u);
  EXPECT_FALSE(Reply(first, 200, Line(rome))) << "an answer counts once";
  Later(3600s);
  Gather();
  EXPECT_TRUE(asks.empty()) << "nothing is new";
  Grow(9);
  const auto next = tlog::ParseAddCheckpoint(Ask().body);
  EXPECT_EQ(next->old_size, 5u);
  EXPECT_EQ(proved, std::vector<uint64_t>{5});
}

TEST_F(PublicWitnessesTest, AConflictIsAskedAgainFromTheSizeThatItNames) {
  const WitnessAsk first = Ask();
  EXPECT_FALSE(Reply(first, 409, "3\n"));
  EXPECT_EQ(Why(), "") << "that is how one learns the size";
  const WitnessAsk second = Ask();
  EXPECT_NE(second.request, first.request);
  EXPECT_EQ(tlog::ParseAddCheckpoint(second.body)->old_size, 3u);
  EXPECT_FALSE(Reply(second, 409, "5\n"));  // this very head, from an earlier life
  const WitnessAsk third = Ask();
  EXPECT_EQ(tlog::ParseAddCheckpoint(third.body)->old_size, 5u);
  EXPECT_TRUE(Reply(third, 200, Line(rome)));
}

TEST_F(PublicWitnessesTest, AWitnessThatNamesSizesForEverIsLeftForLater) {
  for (int i = 0; i < PublicWitnesses::kAgainMax; ++i)
    EXPECT_FALSE(Reply(Ask(), 409, i % 2 == 0 ? "3\n" : "4\n"));
  EXPECT_FALSE(Reply(Ask(), 409, "2\n"));
  EXPECT_TRUE(Says("again and again"));
  Gather();
  EXPECT_TRUE(asks.empty());
}

TEST_F(PublicWitnessesTest, MoreThanThisDiskHoldsIsSaidAndNothingIsSigned) {
  EXPECT_FALSE(Reply(Ask(), 409, "6\n"));
  EXPECT_TRUE(Says("6 records"));
  EXPECT_TRUE(Says("this disk is older"));
}

TEST_F(PublicWitnessesTest, EachStatusIsNamedAndTriedAgainLater) {
  struct Case {
    uint16_t status;
    const char* body;
    const char* words;
    std::chrono::seconds least, most;
  };
  const Case cases[] = {
      {400, "", "400: it takes the request for malformed", 45s, 60s},
      {403, "", "403: it has another key", 45s, 60s},
      {404, "", "404: it does not know the log aqmesh/1/log/x", 45s, 60s},
      {409, "", "409 without a size", 45s, 60s},
      {409, "-1\n", "409 without a size", 45s, 60s},
      {409, "12 \x1b[31m\n", "409 without a size", 45s, 60s},
      {409, "0\n", "again and again", 7s, 10s},
      {422, "", "422: it has cosigned another history", 45s, 60s},
      {429, "", "429", 7s, 10s},
      {500, "", "500: no answer of a witness", 7s, 10s},
      {503, "", "503: it cannot cosign now", 7s, 10s},
      {301, "", "301: no answer of a witness", 45s, 60s},
      {204, "", "204: no answer of a witness", 7s, 10s},
      {0, "Could not resolve host: w.invalid", "Could not resolve host", 7s, 10s},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(Join(c.status, " ", c.words));
    desk.Forget();
    EXPECT_FALSE(Reply(Ask(), c.status, c.body));
    EXPECT_TRUE(Says(c.words)) << Why();
    EXPECT_EQ(head, bare);
    const auto pause = Pause();
    EXPECT_GE(pause, c.least);
    EXPECT_LE(pause, c.most);
    asks.clear();
  }
}

TEST_F(PublicWitnessesTest, TwoHundredWithoutItsCosignatureIsNone) {
  std::string altered = Line(rome);
  altered[altered.size() - 20] = altered[altered.size() - 20] == 'A' ? 'B' : 'A';
  const tlog::NoteSigner other_key("example.com/rome", tlog::KeyType::kCosignature, Seed(9));
  const std::string of_another_head =
      rome.Sign(Join(log.key().name, "\n6\n", ToBase64(Digest{}), "\n"), 1).Text();
  const std::string bodies[] = {"",
                                "\n",
                                "<html>all is well</html>\n",
                                Line(oslo),
                                Line(other_key),
                                altered,
                                of_another_head,
                                Line(rome).substr(0, 40),
                                std::string(PublicWitnesses::kReplyBytesMax + 1, 'x')};
  for (const std::string& body : bodies) {
    SCOPED_TRACE(body.substr(0, 60));
    desk.Forget();
    EXPECT_FALSE(Reply(Ask(), 200, body));
    EXPECT_TRUE(Says("200 without its cosignature")) << Why();
    EXPECT_EQ(head, bare) << "nothing of it is kept";
    EXPECT_EQ(desk.Views()[0].size, 0u);
  }
  // Beside a stranger's line, its own counts.
  desk.Forget();
  EXPECT_TRUE(Reply(Ask(), 200, Line(oslo) + Line(rome)));
}

TEST_F(PublicWitnessesTest, SilenceEndsAndPausesGrowToABound) {
  const WitnessAsk lost = Ask();
  Later(PublicWitnesses::kPatience);
  Gather();
  EXPECT_TRUE(Says("no answer within 60 s"));
  EXPECT_FALSE(Reply(lost, 200, Line(rome))) << "too late";
  std::chrono::seconds last{0};
  for (int i = 0; i < 12; ++i) {
    last = Pause();
    ASSERT_EQ(asks.size(), 1u);
    const WitnessAsk ask = asks.front();
    asks.clear();
    EXPECT_FALSE(Reply(ask, 0, "connection refused"));
  }
  EXPECT_GE(last, PublicWitnesses::kPauseMax * 3 / 4);
  EXPECT_LE(last, PublicWitnesses::kPauseMax);
  Pause();
  EXPECT_TRUE(Reply(asks.front(), 200, Line(rome)));
  EXPECT_EQ(Why(), "");
}

TEST_F(PublicWitnessesTest, TroubleIsToldOnceAndSoIsItsEnd) {
  EXPECT_FALSE(Reply(Ask(), 503));
  Pause();
  EXPECT_FALSE(Reply(std::exchange(asks, {})[0], 503));
  Pause();
  EXPECT_TRUE(Reply(std::exchange(asks, {})[0], 200, Line(rome)));
  const auto news = desk.TakeNews();
  ASSERT_EQ(news.size(), 2u);
  EXPECT_EQ(news[0].name, "rome");
  EXPECT_NE(news[0].trouble, "");
  EXPECT_EQ(news[1].trouble, "");
}

TEST_F(PublicWitnessesTest, AnAnswerOnAnOlderHeadTellsItsSizeAndIsNotStored) {
  const WitnessAsk ask = Ask();
  const std::string line = Line(rome);
  Grow(9);
  EXPECT_FALSE(Reply(ask, 200, line));
  EXPECT_EQ(head, bare);
  EXPECT_EQ(desk.Views()[0].size, 5u);
  EXPECT_EQ(tlog::ParseAddCheckpoint(Ask().body)->old_size, 5u) << "and the newest is asked for";
}

TEST_F(PublicWitnessesTest, WhatWasGatheredInAnEarlierLifeIsNotAskedForAgain) {
  head.note.lines.push_back(rome.Sign(head.note.text, 77));
  Gather();
  EXPECT_TRUE(asks.empty());
  EXPECT_EQ(desk.Views()[0].size, 5u);
  EXPECT_EQ(desk.Views()[0].time, 77u);
  // A line that is wrong is as good as none.
  desk.Forget();
  head = bare;
  head.note.lines.push_back(oslo.Sign(head.note.text, 77));
  head.note.lines.back().name = rome.key().name;
  head.note.lines.back().key_id = rome.key().id();
  Gather();
  EXPECT_EQ(asks.size(), 1u);
}

TEST_F(PublicWitnessesTest, RepliesToNobodyAreNothing) {
  const WitnessAsk ask = Ask();
  EXPECT_FALSE(desk.OnReply(now, {7, ask.request, 200, Line(rome)}, head));
  EXPECT_FALSE(desk.OnReply(now, {ask.witness, ask.request + 1, 200, Line(rome)}, head));
  EXPECT_EQ(head, bare);
  EXPECT_TRUE(Reply(ask, 200, Line(rome)));
}

TEST_F(PublicWitnessesTest, ALogThatCannotProveItselfSaysSo) {
  EXPECT_FALSE(Reply(Ask(), 409, "3\n"));
  provable = false;
  Gather();
  EXPECT_TRUE(asks.empty());
  EXPECT_TRUE(Says("a tile is gone"));
}

// ---- a whole node

TEST(WitnessedNodeTest, ItsHeadsAreCosignedTheWitnessMayGoAndComeBack) {
  Mesh2 mesh;
  TestNode& a = mesh.Add("a");
  TestNode& b = mesh.Add("b");  // so that there is something to record
  mesh.Introduce(a, b);
  mesh.Introduce(b, a);
  const tlog::NoteSigner rome("example.com/rome", tlog::KeyType::kCosignature, Seed(2));
  tlog::Witness witness(rome);
  const tlog::NoteKey log = lineage::LogNoteKey(crypto::Ed25519Public(a.log()));
  ASSERT_TRUE(witness.Trust(log.name, {log}).ok());
  a.witnesses = {{"rome", rome.key()}};
  a.Start();
  b.Start();
  bool reachable = true;
  const auto pump = [&](std::chrono::milliseconds d) {
    for (auto at = 0ms; at < d; at += 100ms) {
      mesh.Pump(100ms);
      for (const WitnessAsk& ask : std::exchange(a.asks, {})) {
        WitnessReply reply{ask.witness, ask.request, 0, "connection refused"};
        if (reachable) {
          auto judged = witness.Judge(ask.body, a.now.wall);
          auto* grant = std::get_if<tlog::Witness::Grant>(&judged);
          const tlog::WitnessAnswer answer = grant != nullptr
                                                 ? witness.Release(std::move(*grant))
                                                 : std::get<tlog::WitnessAnswer>(judged);
          reply.status = static_cast<uint16_t>(answer.status);
          reply.body = answer.body;
        }
        a.Do([&](Outbox& out) { a.control->OnWitnessReply(a.now, reply, out); });
      }
    }
  };
  const auto cosigned = [&] {
    const auto& head = a.control->notary().head();
    return head ? a.control->notary().witnesses().Views()[0].size : 0;
  };
  pump(100s);
  const auto& head = a.control->notary().head();
  ASSERT_TRUE(head.has_value()) << a.control->notary().trouble();
  const tlog::NoteKey keys[] = {log, rome.key()};
  EXPECT_EQ(tlog::VerifyNote(head->note, keys)->size(), 2u);
  const auto kept = a.disk.GetObject(lineage::Shelf::kNote, tlog::NoteOid(head->note.text));
  ASSERT_TRUE(kept.ok() && kept->has_value());
  EXPECT_EQ(AsText(**kept), head->note.Text()) << "on the shelf as well";

  reachable = false;
  const uint64_t before = cosigned();
  a.Restart();  // which writes
  pump(200s);
  EXPECT_TRUE(a.control->notary().head().has_value());
  EXPECT_GT(a.control->notary().head()->checkpoint.size, before) << "heads go on without it";
  const auto said = [&](Event::Kind kind) {
    return std::ranges::any_of(a.events, [&](const Event& e) { return e.kind == kind; });
  };
  EXPECT_TRUE(said(Event::Kind::kUnwitnessed));
  EXPECT_FALSE(said(Event::Kind::kWitnessed));

  reachable = true;
  pump(700s);
  EXPECT_EQ(cosigned(), a.control->notary().head()->checkpoint.size);
  EXPECT_TRUE(said(Event::Kind::kWitnessed));
  EXPECT_EQ(a.control->notary().witnesses().Views()[0].trouble, "");
}

}  // namespace
}  // namespace aqmesh::node
