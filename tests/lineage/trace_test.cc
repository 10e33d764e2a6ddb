// The graph of causes over logs that a test wrote by hand: two machines, one handshake, a
// revocation that spread, flows.
#include "lineage/history/trace.h"

#include <gmock/gmock.h>

#include "lineage/inputs.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage {
namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;
using testing::HasSubstr;
using testing::Not;

// One machine's log, with the objects beside it.
class Machine {
 public:
  explicit Machine(uint8_t number) : chain_(Filled<Kid>(number)), number_(number) {}

  Digest Add(Observe r, uint64_t second) {
    Batch batch;
    batch.records.push_back(
        chain_.Add(std::move(r), WallTime::FromSeconds(kStartSeconds + second)));
    const Digest leaf = batch.records[0].leaf;
    EXPECT_TRUE(store.Commit(batch).ok());
    return leaf;
  }
  template <class T>
  Oid Keep(const T& object, Shelf shelf = Shelf::kInputs) {
    crypto::Ed25519Seed seed = SeedOf(number_);
    const authority::Signed s = authority::SignObject(object, seed);
    Batch batch;
    batch.objects.push_back({shelf, s.oid(), s.bytes()});
    EXPECT_TRUE(store.Commit(batch).ok());
    return s.oid();
  }
  // A decision about `subject` that was made from these objects.
  Digest Decide(
      uint8_t subject, std::vector<Oid> oids, uint64_t second, Rung rung, uint8_t authority) {
    Inputs in;
    in.oids = std::move(oids);
    in.wall_millis = in.mono_nanos = 1 + second;
    const Bytes bytes = EncodeInputs(in);
    Batch batch;
    batch.objects.push_back({Shelf::kInputs, InputsId(bytes), bytes});
    EXPECT_TRUE(store.Commit(batch).ok());
    Observe r = Decided(subject, rung);
    r.inputs = InputsId(bytes);
    r.authority = Filled<Digest>(authority);
    r.reason = rung < Rung::kEscalate ? 8 : 0;
    return Add(r, second);
  }
  Digest Edge(RecordKind kind,
              uint8_t subject,
              uint64_t second,
              std::optional<Digest> evidence = {}) {
    Observe r;
    r.kind = kind;
    r.subject = Filled<Kid>(subject);
    r.action = 3;
    r.action_id = Filled<authority::ActionId>(0x31);
    r.evidence = evidence;
    return Add(r, second);
  }
  static crypto::Ed25519Seed SeedOf(uint8_t number) {
    Rng::Seed seed{};
    seed[0] = number;
    Rng rng(seed);
    return crypto::NewEd25519(rng);
  }
  Seq last() const { return store.head()->seq; }

  MemStore store;

 private:
  Chain chain_;
  uint8_t number_;
};

authority::Presentation Opening(uint8_t h, std::optional<Oid> answers = {}) {
  authority::Presentation p;
  p.h = Filled<Digest>(h);
  p.role = answers ? 2 : 1;
  p.rx_handle = 7;
  p.charter_version = 1;
  p.refs = {Filled<Ref16>(9)};
  p.answers = answers;
  p.restrict_root = Filled<Ref16>(3);
  return p;
}

struct Two {
  Machine atlas{1}, borealis{2};
  std::vector<TracedLog> logs() const {
    return {{&atlas.store, "atlas"}, {&borealis.store, "borealis"}};
  }
  std::string Tree(size_t log, Seq seq, TraceOptions options = {}) const {
    const std::vector<TracedLog> all = logs();
    const auto graph = Trace(all, log, seq, options);
    EXPECT_TRUE(graph.ok()) << Text(graph.status());
    return graph.ok() ? TraceTree(*graph, all, {}) : "";
  }
};

// borealis opens with one presentation, atlas decides and answers, borealis decides on the answer.
struct Handshake : Two {
  Handshake() {
    opening = atlas.Keep(Opening(1));
    proposed = atlas.Decide(2, {opening}, 10, Rung::kAdmit, 0x51);
    armed = atlas.Edge(RecordKind::kArmed, 2, 10, proposed);
    const Oid answer = borealis.Keep(Opening(2, opening));
    decided = borealis.Decide(1, {answer}, 11, Rung::kAdmit, 0x52);
    for (const RecordKind kind :
         {RecordKind::kApplied, RecordKind::kVerified, RecordKind::kCommitted})
      atlas.Edge(kind, 2, 12);
    Observe flow;
    flow.kind = RecordKind::kFlow;
    flow.subject = Filled<Kid>(2);
    flow.flow = authority::FlowSummary{.frames = 4,
                                       .bytes = 400,
                                       .first = 1,
                                       .last = 4,
                                       .tags = Filled<Digest>(1),
                                       .presentations = {opening}};
    atlas.Add(flow, 20);
  }
  Oid opening;
  Digest proposed, armed, decided;
};

std::string Short(const Digest& id) { return ToHex(id).substr(0, 8); }

TEST(TraceTest, AnActionLeadsBackStepByStepToItsDecisionAndObjects) {
  Handshake s;
  const std::string tree = s.Tree(0, 4);  // COMMITTED
  EXPECT_THAT(tree, HasSubstr("`-- follows  atlas"));
  EXPECT_THAT(tree, HasSubstr("carries out  atlas"));
  EXPECT_THAT(tree, HasSubstr(Short(s.proposed)));
  EXPECT_THAT(tree,
              HasSubstr("made from  atlas  " + ToHex(s.opening).substr(0, 8) + "  presentation"));
  EXPECT_THAT(tree, Not(HasSubstr("cut here")));
}

TEST(TraceTest, TheTwoEndsOfAHandshakeMeet) {
  Handshake s;
  EXPECT_THAT(s.Tree(1, 0), HasSubstr("other end  atlas  "));
  EXPECT_THAT(s.Tree(1, 0), HasSubstr(Short(s.proposed)));
  const std::string down = s.Tree(0, 0, {.up = false});
  EXPECT_THAT(down, HasSubstr("other end  borealis  "));
  EXPECT_THAT(down, HasSubstr(Short(s.decided)));
  EXPECT_THAT(down, HasSubstr("carries out  atlas  "));
  EXPECT_THAT(down, HasSubstr("carried under  atlas  "));
}

TEST(TraceTest, WhatWasCarriedLeadsToTheDecisionThatItsPresentationOpened) {
  Handshake s;
  const std::string tree = s.Tree(0, s.atlas.last());
  EXPECT_THAT(tree, HasSubstr("`-- carried under  atlas  "));
  EXPECT_THAT(tree, HasSubstr(Short(s.proposed)));
}

TEST(TraceTest, ASessionThatWasRenewedLeadsToTheActionInForce) {
  Handshake s;
  Observe flow;
  flow.kind = RecordKind::kFlow;
  flow.subject = Filled<Kid>(2);
  flow.flow = authority::FlowSummary{.frames = 1,
                                     .bytes = 1,
                                     .first = 1,
                                     .last = 1,
                                     .tags = Filled<Digest>(1),
                                     .presentations = {Filled<Oid>(0x77)}};
  s.atlas.Add(flow, 30);
  EXPECT_THAT(s.Tree(0, s.atlas.last()), HasSubstr("carried under  atlas  2023-11-14T22:13:32"));
  EXPECT_THAT(s.Tree(0, s.atlas.last()), HasSubstr("committed"));
}

struct Revocation : Handshake {
  Revocation() {
    authority::Revoke r;
    r.scope = Filled<ScopeId>(0x20);
    r.seq = 1;
    r.hlc = 5;
    r.type = authority::RevokeType::kFloor;
    r.kid = Filled<Kid>(2);
    r.floor = 2;
    Observe seen;
    seen.kind = RecordKind::kRevokeSeen;
    seen.subject = Filled<Kid>(2);
    seen.evidence = Digest{atlas.Keep(r, Shelf::kSigned).bytes};
    heard = atlas.Add(seen, 40);
    refused = atlas.Decide(2, {opening}, 40, Rung::kRefuse, 0x51);
    Batch copy;
    copy.objects.push_back({Shelf::kSigned,
                            Oid{seen.evidence->bytes},
                            **atlas.store.GetObject(Shelf::kSigned, Oid{seen.evidence->bytes})});
    EXPECT_TRUE(borealis.store.Commit(copy).ok());
    heard_there = borealis.Add(seen, 42);
  }
  Digest heard, refused, heard_there;
};

TEST(TraceTest, ARefusalLeadsToTheRestrictionAndToWhereItWasHeardFirst) {
  Revocation s;
  const std::string up = s.Tree(0, s.atlas.last());
  EXPECT_THAT(up, HasSubstr("because of  atlas  "));
  EXPECT_THAT(up, HasSubstr(Short(s.heard)));
  EXPECT_THAT(up, HasSubstr("rests on  atlas  "));
  EXPECT_THAT(up, HasSubstr("judged again  atlas  "));
  const std::string there = s.Tree(1, s.borealis.last());
  EXPECT_THAT(there, HasSubstr("heard after  atlas  "));
  const std::string down = s.Tree(0, 6, {.up = false});
  EXPECT_THAT(down, HasSubstr("because of  atlas  "));
  EXPECT_THAT(down, HasSubstr(Short(s.refused)));
  EXPECT_THAT(down, HasSubstr("heard after  borealis  "));
}

TEST(TraceTest, BoundsEndItAndSayThatTheyDid) {
  Handshake s;
  EXPECT_THAT(s.Tree(0, 4, {.depth_max = 1}), HasSubstr("cut here"));
  EXPECT_THAT(s.Tree(0, 4, {.nodes_max = 2}), HasSubstr("cut here"));
  const auto graph = Trace(s.logs(), 0, 4, {.nodes_max = 3});
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->nodes.size(), 3u);
  EXPECT_EQ(Trace(s.logs(), 0, 400, {}).status().code(), absl::StatusCode::kNotFound);
}

TEST(TraceTest, ThePreviousRecordIsACauseOnlyOnDemand) {
  Handshake s;
  EXPECT_THAT(s.Tree(0, 4), Not(HasSubstr("after  atlas")));
  EXPECT_THAT(s.Tree(0, 5, {.previous = true}), HasSubstr("after  atlas"));
}

TEST(TraceTest, DotIsOneLineANodeAndQuotesWhatItMust) {
  Handshake s;
  const std::vector<TracedLog> logs = s.logs();
  const auto graph = Trace(logs, 0, 4, {});
  ASSERT_TRUE(graph.ok());
  Names names;
  names.peer = [](const Kid&) { return std::string("a\"b\\"); };
  const std::string dot = TraceDot(*graph, logs, names);
  EXPECT_THAT(dot, HasSubstr("digraph trace {\n"));
  EXPECT_THAT(dot, HasSubstr("a\\\"b\\\\"));
  EXPECT_THAT(dot, HasSubstr("n1 -> n0 [label=\"follows\"]"));
  EXPECT_EQ(std::ranges::count(dot, '\n'),
            static_cast<ptrdiff_t>(5 + graph->nodes.size() + graph->edges.size()));
}

}  // namespace
}  // namespace aqmesh::lineage
