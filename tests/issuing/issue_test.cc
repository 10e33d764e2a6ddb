#include "issuing/issue.h"

#include <gtest/gtest.h>

#include "core/authority/address.h"
#include "issuing/rules.h"
#include "tests/issuing/vectors.h"

namespace aqmesh::issuing {
namespace {

using namespace authority;  // NOLINT(google-build-using-namespace)
using vectors::kT;
using vectors::Must;
using vectors::NextOf;
using vectors::Seed;
using vectors::World;

template <class T>
void ExpectRoundTrip(const Held<T>& object, const Ed25519Key& key) {
  const auto back = ParseObject<T>(ByteView(object.envelope->bytes()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(back->body == object.body);
  EXPECT_EQ(back->oid(), object.oid());
  EXPECT_TRUE(VerifySignature(*back->envelope, key));
}

TEST(IssueTest, CharterOfTheVectorsIsReproduced) {  // spec: objects#8
  World w;
  EXPECT_EQ(ToHex(w.charter.envelope->body()),
            "100122105a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a2a04686f6d653001400248015080e2cfaa06624e080112"
            "208a88e3dd7409f195fd"
            "52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c18012204686f6d652a20c35c17cd8ddee0ccd2c3"
            "1f241e9a12cb370f96bd"
            "e798c8f8ea46fb18d4535559700178018a01020001");
  EXPECT_EQ(ToHex(w.charter.oid()),
            "5e571f570eb7be173e123b875f881ccb45dfb3d1c3197bc06d3347542fee884f");
  EXPECT_EQ(ToHex(ScopeOfCharter(w.charter)), "2abc01708384f11380887549ea517255");
  EXPECT_EQ(w.charter.envelope->bytes().size(), 217u);
}

TEST(IssueTest, GrantsAndFragmentsOfTheVectorsAreReproduced) {  // spec: objects#8
  World w;
  EXPECT_EQ(ToHex(w.enroller.oid()),
            "24aab131c26200253da32323c0e1bde3eb3fd8b00914ca8696b30ce110c55266");
  EXPECT_EQ(ToHex(w.atlas_node.oid()),
            "f0ea277b81061682b8ee9e72b8580e6749213627d20a3210eb1c7232963950b5");
  EXPECT_EQ(ToHex(w.members.oid()),
            "f621041dde3ead8ce618fd656b8947399d8598e2ef5328d6e2f4eb6d34408491");

  const JoinGrants joined = Must(SponsorGrants(w.ByAtlas(), w.BorealisAsks(), {}, {}, kT));
  EXPECT_EQ(ToHex(joined.node.oid()),
            "ddf1763a0b97d1bfe43eb81e865174b8e4354c2316bcdda092fecdd1fcc54a0c");
  ASSERT_TRUE(joined.enroller.has_value());
  EXPECT_EQ(joined.enroller->body.depth_left, 2);
  EXPECT_EQ(joined.enroller->body.caps, 0x24a7u);
  EXPECT_EQ(joined.enroller->body.parent, w.enroller.oid());
  ExpectRoundTrip(joined.node, w.atlas.key());
  ExpectRoundTrip(*joined.enroller, w.atlas.key());

  FragmentTerms terms;
  terms.rules =
      Must(ParseRules("tag:member -> node:" + ToHex(w.borealis.kid()) + " tcp:22,443 log"));
  terms.ttl = kDay;
  const auto fragment = MakeFragment(w.ByRoot(), terms, kT);
  ASSERT_TRUE(fragment.ok()) << fragment.status();
  EXPECT_EQ(ToHex(fragment->oid()),
            "7a3105de3c5a952ebc0628c18bebd6d7a6f811eb2d3ebe305787c6a708903ca7");
  ExpectRoundTrip(*fragment, w.root.key());
}

TEST(IssueTest, RevocationOfTheVectorsIsReproducedAndTheNextIsLinked) {  // spec: objects#8
  World w;
  const ScopeId scope = ScopeOfCharter(w.charter);
  const RevokeTerms floor{
      .type = RevokeType::kFloor, .kid = w.borealis.kid(), .floor = 2, .reason = 1};
  const auto first = MakeRevoke(w.atlas, scope, floor, Hlc(kT * 1000, 7));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(ToHex(first->oid()),
            "c65261b6ebccf2c277bf4cba275a049bbda01b68784484615fa53dffcb287386");
  const auto second = MakeRevoke(
      w.atlas, scope, {.type = RevokeType::kOid, .oid = first->oid()}, Hlc(kT * 1000, 8));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->body.seq, 2u);
  EXPECT_EQ(second->body.prev, first->oid());
  ExpectRoundTrip(*second, w.atlas.key());
  EXPECT_EQ(Must(w.seqs.LastRestriction(w.atlas.kid())).oid, second->oid());
  const auto again = ResignLast(w.atlas);
  ASSERT_TRUE(again.ok() && again->has_value());
  EXPECT_EQ((*again)->bytes(), second->envelope->bytes());
  EXPECT_FALSE(
      MakeRevoke(w.atlas, scope, {.type = RevokeType::kFloor, .kid = w.borealis.kid()}, 1).ok());
  ExpectRoundTrip(
      Must(MakeRevoke(
          w.atlas, scope, {.type = RevokeType::kIssuerFrom, .kid = w.atlas.kid(), .from = 3}, 9)),
      w.atlas.key());
}

TEST(IssueTest, SelfRevocationIsTerminalAndTakesNoNumber) {
  World w;
  const auto r = SelfRevocation(w.borealis_seed, ScopeOfCharter(w.charter), Hlc(kT * 1000));
  EXPECT_EQ(r.body.seq, kTerminalSeq);
  EXPECT_EQ(r.body.kid, w.borealis.kid());
  EXPECT_FALSE(r.body.prev.has_value());
  EXPECT_EQ(Must(w.seqs.LastRestriction(w.borealis.kid())).seq, 0u);
  ExpectRoundTrip(r, w.borealis.key());
}

TEST(IssueTest, RotateOpensTheNewKeysStream) {
  World w;
  const crypto::Ed25519Seed next = Seed(8);
  const Signer signer(next, w.seqs);
  const auto r =
      MakeRotate(signer, ScopeOfCharter(w.charter), {.old = w.borealis.kid()}, Hlc(kT * 1000));
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->body.seq, 1u);
  ExpectRoundTrip(*r, signer.key());
  EXPECT_FALSE(MakeRotate(signer, ScopeOfCharter(w.charter), {.old = w.borealis.kid()}, 1).ok());
}

TEST(IssueTest, DepthRunsOutAndEveryTtlIsCutToTheIssuersEnd) {
  World w;
  const uint64_t late = kT + 390 * kDay;
  const JoinGrants two = Must(SponsorGrants(w.ByAtlas(), w.BorealisAsks(), {}, {}, late));
  EXPECT_EQ(two.node.body.ttl, 10 * kDay);
  EXPECT_EQ(two.enroller->body.ttl, 10 * kDay);

  const Issuer by_borealis{.signer = w.borealis, .charter = w.charter, .grant = &*two.enroller};
  const crypto::Ed25519Seed carol_seed = Seed(21), dave_seed = Seed(22);
  RequestTerms terms{.scope = ScopeOfCharter(w.charter), .now = kT};
  const auto carol = Must(MakeRequest(carol_seed, terms, nullptr, nullptr));
  const JoinGrants one = Must(SponsorGrants(by_borealis, carol, {}, {}, late));
  ASSERT_TRUE(one.enroller.has_value());
  EXPECT_EQ(one.enroller->body.depth_left, 1);

  const Signer carol_signer(carol_seed, w.seqs);
  const Issuer by_carol{.signer = carol_signer, .charter = w.charter, .grant = &*one.enroller};
  const auto dave = Must(MakeRequest(dave_seed, terms, nullptr, nullptr));
  const JoinGrants last = Must(SponsorGrants(by_carol, dave, {}, {}, late));
  EXPECT_FALSE(last.enroller.has_value());
  EXPECT_FALSE(EnrollerGrant(by_carol, {.key = crypto::Ed25519Public(dave_seed)}, late).ok());
  EXPECT_EQ(NodeGrant(w.ByAtlas(), {.key = w.borealis.key()}, {}, kT + 400 * kDay).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(IssueTest, TakenAddressesAreLeftAlone) {
  World w;
  const std::vector<IpAddress> all = Ip4Candidates(ScopeOfCharter(w.charter), w.borealis.kid());
  const auto second = Must(NodeGrant(
      w.ByAtlas(),
      {.key = w.borealis.key()},
      [&all](const IpAddress& a) { return a == all[0]; },
      kT));
  EXPECT_EQ(second.body.prefixes.at(0), Prefix::Host(all[1]));
  const auto none = Must(
      NodeGrant(w.ByAtlas(), {.key = w.borealis.key()}, [](const IpAddress&) { return true; }, kT));
  EXPECT_EQ(none.body.prefixes.size(), 1u);
  EXPECT_TRUE(none.body.prefixes[0].address.is_v6());
}

TEST(IssueTest, WhatTheIssuerLacksIsRefusedInWords) {
  World w;
  EXPECT_EQ(
      NodeGrant(w.ByAtlas(), {.key = w.borealis.key(), .tags = {"web"}}, {}, kT).status().code(),
      absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(DefaultFragment(w.ByAtlas(), kT).status().code(), absl::StatusCode::kPermissionDenied);
  const Issuer stranger{.signer = w.borealis, .charter = w.charter};
  EXPECT_EQ(DefaultFragment(stranger, kT).status().code(), absl::StatusCode::kPermissionDenied);
  const Issuer thief{.signer = w.borealis, .charter = w.charter, .grant = &w.enroller};
  EXPECT_EQ(NodeGrant(thief, {.key = w.root.key()}, {}, kT).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(NodeGrant(w.ByAtlas(), {.key = w.borealis.key(), .name = "Bad_Name"}, {}, kT).ok());
  EXPECT_FALSE(NodeGrant(w.ByAtlas(), {.key = w.atlas.key()}, {}, kT).ok());
  EXPECT_FALSE(w.Invitation(0, {"web"}).ok());

  World rich({"*"}, {"*"});
  EXPECT_TRUE(
      NodeGrant(rich.ByAtlas(), {.key = rich.borealis.key(), .tags = {"web"}}, {}, kT).ok());
  EXPECT_TRUE(rich.Invitation(kInviteEnroller, {"member", "web"}).ok());
}

TEST(IssueTest, InvitationDecidesTagsAndEnrolling) {
  World w({"*"}, {"*"});
  const auto invite = Must(w.Invitation(0, {"member", "web"}));
  ExpectRoundTrip(invite, w.atlas.key());
  const SponsorOptions options{.invite = &invite.body};
  const JoinGrants all = Must(SponsorGrants(w.ByAtlas(), w.BorealisAsks(), options, {}, kT));
  EXPECT_EQ(all.node.body.tags, (std::vector<std::string>{"member", "web"}));
  EXPECT_FALSE(all.enroller.has_value());
  EXPECT_EQ(
      Must(SponsorGrants(w.ByAtlas(), w.BorealisAsks({"web"}), options, {}, kT)).node.body.tags,
      std::vector<std::string>{"web"});
  EXPECT_FALSE(SponsorGrants(w.ByAtlas(), w.BorealisAsks({"db"}), options, {}, kT).ok());
}

TEST(IssueTest, WhatWouldNotFitItsObjectIsRefusedNotSigned) {
  World w({"*"}, {"*"});
  std::vector<std::string> long_tags;
  for (char c = 'a'; c < 'i'; ++c)
    long_tags.push_back(std::string(32, c) + "." + std::string(31, c));
  const auto leaf = NodeGrant(w.ByAtlas(), {.key = w.borealis.key(), .tags = long_tags}, {}, kT);
  EXPECT_FALSE(leaf.ok());
  InviteTerms terms{.one_time_key = crypto::Ed25519Public(Seed(4))};
  terms.members.resize(4);
  for (uint8_t m = 0; m < 4; ++m) {
    terms.members[m].kid.bytes[0] = m;
    for (int e = 1; e <= 4; ++e)
      terms.members[m].endpoints.push_back(*Endpoint::Parse("[2001:db8::1]:" + std::to_string(e)));
  }
  EXPECT_FALSE(MakeInvite(w.ByAtlas(), terms, kT).ok());
}

TEST(IssueTest, RedeemProofBindsHandshakeInvitationAndIdentity) {
  World w;
  const auto invite = Must(w.Invitation());
  const crypto::Ed25519Seed one_time = Seed(4);
  const RequestTerms terms{.scope = ScopeOfCharter(w.charter), .now = kT, .name = "borealis"};
  const Redeeming redeeming{.invite = invite.oid(), .one_time = one_time};
  LiveTerms live{.rx_handle = 7, .commit = CommitOf({})};
  live.h.bytes.fill(0xaa);
  const auto live_request = Must(MakeRequest(w.borealis_seed, terms, &redeeming, &live));
  const auto offline = Must(MakeRequest(w.borealis_seed, terms, &redeeming, nullptr));
  ExpectRoundTrip(live_request, w.borealis.key());
  ExpectRoundTrip(offline, w.borealis.key());
  EXPECT_TRUE(CheckRedeemProof(live_request.body, invite.body, invite.oid()));
  EXPECT_TRUE(CheckRedeemProof(offline.body, invite.body, invite.oid()));

  Request bad = live_request.body;
  bad.h->bytes[0] ^= 1;
  EXPECT_FALSE(CheckRedeemProof(bad, invite.body, invite.oid()));
  bad = live_request.body;
  bad.key = w.atlas.key();
  EXPECT_FALSE(CheckRedeemProof(bad, invite.body, invite.oid()));
  bad = live_request.body;
  bad.proof.reset();
  EXPECT_FALSE(CheckRedeemProof(bad, invite.body, invite.oid()));
  EXPECT_FALSE(CheckRedeemProof(live_request.body, invite.body, Oid{}));
}

TEST(IssueTest, CommitOfTheVectorsIsReproduced) {  // spec: objects#8 words
  Nonce16 nonce;
  for (uint8_t i = 0; i < 16; ++i) nonce.bytes[i] = static_cast<uint8_t>(0xd0 + i);
  EXPECT_EQ(ToHex(CommitOf(nonce)), "e8425e94f861fd4879661330506627ab");
}

TEST(IssueTest, RenewalKeepsKeyTagsAddressesAndGeneration) {
  World w;
  const auto asked = w.BorealisAsks();
  const JoinGrants joined = Must(SponsorGrants(w.ByAtlas(), asked, {}, {}, kT));
  const auto renewed = Must(Renewal(w.ByAtlas(), asked, joined.node, kT + 40 * kDay));
  EXPECT_EQ(renewed.body.prefixes, joined.node.body.prefixes);
  EXPECT_EQ(renewed.body.tags, joined.node.body.tags);
  EXPECT_EQ(renewed.body.generation, joined.node.body.generation);
  EXPECT_EQ(renewed.body.next_key, NextOf(8));
  EXPECT_EQ(renewed.body.not_before, kT + 40 * kDay);
  EXPECT_GT(renewed.body.seq, joined.node.body.seq);
  EXPECT_FALSE(Renewal(w.ByAtlas(), asked, w.atlas_node, kT).ok());
  EXPECT_FALSE(Renewal(w.ByAtlas(), asked, *joined.enroller, kT).ok());
}

TEST(IssueTest, DelegatedAuthoritiesAreGrantedGenerally) {
  World w({"*"});
  Grant wanted;
  wanted.key = w.borealis.key();
  wanted.cls = Class::kSegment;
  wanted.depth_left = 2;
  wanted.tags = {"web.*", "db"};
  wanted.name = "lab";
  const auto grant = MakeGrant(w.ByRoot(), wanted, kT);
  ASSERT_TRUE(grant.ok()) << grant.status();
  ExpectRoundTrip(*grant, w.root.key());
  EXPECT_EQ(grant->body.ttl, 400 * kDay);
  const Issuer segment{.signer = w.borealis, .charter = w.charter, .grant = &*grant};
  EXPECT_TRUE(NodeGrant(segment, {.key = w.atlas.key(), .tags = {"web.front"}}, {}, kT).ok());
  EXPECT_FALSE(NodeGrant(segment, {.key = w.atlas.key(), .tags = {"ops"}}, {}, kT).ok());
  FragmentTerms terms;
  terms.rules = Must(ParseRules("any -> tag:db tcp:5432"));
  EXPECT_TRUE(MakeFragment(segment, terms, kT).ok());
  terms.rules = Must(ParseRules("any -> tag:ops tcp:5432"));
  EXPECT_FALSE(MakeFragment(segment, terms, kT).ok());
  EXPECT_FALSE(MakeGrant(w.ByAtlas(), wanted, kT).ok());
}

TEST(IssueTest, AnnouncementsAndApprovalsRoundTrip) {
  World w;
  AnnounceTerms terms{.scope = ScopeOfCharter(w.charter), .name = "atlas"};
  terms.static_key.bytes.fill(9);
  terms.endpoints = {*Endpoint::Parse("192.168.1.10:41641"),
                     *Endpoint::Parse("[2001:db8::1]:41641"),
                     *Endpoint::Parse("192.168.1.10:41641")};
  const auto announce = Must(MakeAnnounce(w.atlas_seed, terms, kT));
  EXPECT_EQ(announce.body.endpoints.size(), 2u);
  ExpectRoundTrip(announce, w.atlas.key());
  terms.endpoints = {*Endpoint::Parse("[fe80::1%2]:41641")};
  EXPECT_FALSE(MakeAnnounce(w.atlas_seed, terms, kT).ok());

  const ApproveTerms approve{.subject = w.borealis.kid(), .until = kT + 60};
  ExpectRoundTrip(Must(MakeApprove(w.ByAtlas(), approve, kT, Hlc(kT * 1000))), w.atlas.key());
}

TEST(IssueTest, GenesisOfInitWritesTheWildcardAndDrawsItsSalt) {
  Rng rng(Rng::Seed{});
  const auto a = Must(Genesis({.name = "home", .now = kT}, Seed(1), rng));
  const auto b = Must(Genesis({.name = "home", .now = kT}, Seed(1), rng));
  EXPECT_EQ(a.body.tags, std::vector<std::string>{"*"});
  EXPECT_NE(ScopeOfCharter(a), ScopeOfCharter(b));
  ExpectRoundTrip(a, crypto::Ed25519Public(Seed(1)));
  EXPECT_FALSE(Genesis({.name = "Home", .now = kT}, Seed(1), rng).ok());
  EXPECT_FALSE(Genesis({.name = "home"}, Seed(1), rng).ok());
}

}  // namespace
}  // namespace aqmesh::issuing
