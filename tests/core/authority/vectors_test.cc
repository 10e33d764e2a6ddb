// spec: objects#8, byte for byte.
#include "tests/core/authority/vectors.h"

#include <gtest/gtest.h>

#include "core/authority/codec.h"
#include "core/crypto/hash.h"
#include "objects.pb.h"

namespace aqmesh::authority {
namespace {

using namespace vectors;  // NOLINT(google-build-using-namespace)

std::string Hex(ByteView b) { return ToHex(b); }

TEST(VectorsTest, KidsOfTheSeeds) {
  EXPECT_EQ(Hex(KidOfSeed(kRoot)), kRootKid);
  EXPECT_EQ(Hex(KidOfSeed(kAtlas)), kAtlasKid);
  EXPECT_EQ(Hex(KidOfSeed(kBorealis)), kBorealisKid);
}

TEST(VectorsTest, CharterBodySignatureOidAndScope) {
  const Signed s = SignObject(CharterObject(), Seed(kRoot));
  EXPECT_EQ(Hex(s.body()), kCharterBody);
  EXPECT_EQ(Hex(s.sig()), kCharterSig);
  EXPECT_EQ(Hex(s.oid()), kCharterOid);
  EXPECT_EQ(Hex(s.kid()), kRootKid);
  EXPECT_EQ(Hex(ScopeOf(s.body())), kScope);
  EXPECT_EQ(Hex(crypto::Sha256({Pae("aqmesh/1/charter", s.suite(), s.kid(), s.body())})),
            kCharterPaeSha256);
  EXPECT_EQ(s.bytes().size(), 217u);  // §3
  EXPECT_TRUE(VerifySignature(s, KeyOf(kRoot)));
  EXPECT_FALSE(VerifySignature(s, KeyOf(kAtlas)));
}

TEST(VectorsTest, Grants) {
  const Signed e = SignObject(Enroller(), Seed(kRoot));
  EXPECT_EQ(Hex(e.oid()), kEnrollerOid);
  const Signed n = SignObject(Node(), Seed(kAtlas));
  EXPECT_EQ(Hex(n.body()), kNodeBody);
  EXPECT_EQ(Hex(n.oid()), kNodeOid);
  EXPECT_EQ(n.bytes().size(), 280u);  // §3, with next_key
  EXPECT_EQ(Hex(SignObject(AtlasNode(), Seed(kRoot)).oid()), kAtlasNodeOid);
}

TEST(VectorsTest, Fragments) {
  const Signed f = SignObject(DefaultFragment(), Seed(kRoot));
  EXPECT_EQ(Hex(f.oid()), kDefaultFragmentOid);
  EXPECT_EQ(f.bytes().size(), 180u);  // §3
  const Signed tcp = SignObject(TcpFragment(), Seed(kRoot));
  EXPECT_EQ(Hex(tcp.body()), kFragmentBody);
  EXPECT_EQ(Hex(tcp.oid()), kFragmentOid);
}

TEST(VectorsTest, RevocationAndItsRestrictionRoot) {
  const Signed r = SignObject(FloorRevoke(), Seed(kAtlas));
  EXPECT_EQ(Hex(r.body()), kRevokeBody);
  EXPECT_EQ(Hex(r.oid()), kRevokeOid);
  EXPECT_EQ(r.bytes().size(), 144u);  // §3
  Bytes row = Concat({r.kid()});
  AppendBe(row, uint64_t{1});
  Append(row, r.oid());
  EXPECT_EQ(Hex(crypto::MerkleRoot(std::vector<crypto::Hash32>{crypto::MerkleLeaf(row)})),
            kRestrictRoot);
}

TEST(VectorsTest, Presentations) {
  const Signed a1 = SignObject(InitiatorPresentation(), Seed(kBorealis));
  EXPECT_EQ(Hex(a1.body()), kPresentationBody);
  EXPECT_EQ(Hex(a1.oid()), kPresentationOid);
  EXPECT_EQ(Hex(SignObject(ResponderPresentation(), Seed(kAtlas)).oid()), kAnswerOid);
}

TEST(VectorsTest, Invitation) {
  const Signed i = SignObject(AtlasInvite(), Seed(kAtlas));
  EXPECT_EQ(Hex(i.oid()), kInviteOid);
  EXPECT_EQ(i.bytes().size(), 262u);  // §3, one v4 endpoint
}

TEST(VectorsTest, BodiesReadBackToTheObjectsThatMadeThem) {
  EXPECT_TRUE(*ParseBody<Charter>(*FromHex(kCharterBody)) == CharterObject());
  EXPECT_TRUE(*ParseBody<Grant>(*FromHex(kNodeBody)) == Node());
  EXPECT_TRUE(*ParseBody<Fragment>(*FromHex(kFragmentBody)) == TcpFragment());
  EXPECT_TRUE(*ParseBody<Revoke>(*FromHex(kRevokeBody)) == FloorRevoke());
  EXPECT_TRUE(*ParseBody<Presentation>(*FromHex(kPresentationBody)) == InitiatorPresentation());
}

// Another implementation of the wire format reads the same values out of the same bytes.
TEST(VectorsTest, ProtobufsOwnParserAgrees) {
  const auto text = [](std::string_view hex) { return std::string(AsText(*FromHex(hex))); };
  objects::Charter charter;
  ASSERT_TRUE(charter.ParseFromString(text(kCharterBody)));
  EXPECT_EQ(charter.name(), "home");
  EXPECT_EQ(charter.created(), kT);
  ASSERT_EQ(charter.voters_size(), 1);
  EXPECT_EQ(Hex(AsBytes(charter.voters(0).key())), Hex(KeyOf(kRoot)));
  EXPECT_EQ(charter.SerializeAsString(), text(kCharterBody));

  objects::Grant grant;
  ASSERT_TRUE(grant.ParseFromString(text(kNodeBody)));
  EXPECT_EQ(grant.class_(), 4u);
  EXPECT_EQ(grant.ttl(), 30 * kDaySeconds);
  EXPECT_EQ(grant.caps(), 0x27u);
  EXPECT_EQ(grant.prefixes_size(), 2);
  EXPECT_EQ(grant.name(), "borealis");
  EXPECT_EQ(grant.SerializeAsString(), text(kNodeBody));

  objects::Fragment fragment;
  ASSERT_TRUE(fragment.ParseFromString(text(kFragmentBody)));
  ASSERT_EQ(fragment.rules_size(), 1);
  EXPECT_EQ(fragment.rules(0).do_(), 2u);
  EXPECT_EQ(Hex(AsBytes(fragment.rules(0).ports())), "0016001601bb01bb");

  objects::Revoke revoke;
  ASSERT_TRUE(revoke.ParseFromString(text(kRevokeBody)));
  EXPECT_EQ(revoke.hlc(), FloorRevoke().hlc);
  EXPECT_EQ(revoke.floor(), 2u);

  objects::Presentation presentation;
  ASSERT_TRUE(presentation.ParseFromString(text(kPresentationBody)));
  EXPECT_EQ(presentation.rx_handle(), 0x0a0b0c0du);

  for (const Signed& s : All()) {
    objects::Signed envelope;
    ASSERT_TRUE(envelope.ParseFromArray(s.bytes().data(), static_cast<int>(s.bytes().size())));
    EXPECT_EQ(envelope.ctx(), static_cast<uint32_t>(s.ctx()));
    EXPECT_EQ(Hex(AsBytes(envelope.body())), Hex(s.body()));
    EXPECT_EQ(envelope.SerializeAsString(), AsText(s.bytes()));
  }
}

}  // namespace
}  // namespace aqmesh::authority
