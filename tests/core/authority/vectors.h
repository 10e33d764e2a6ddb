// The objects of spec/objects.md §8, built from the seeds given there, and their frozen bytes.
// Frozen: no change to the code may edit a constant here.
#ifndef AQMESH_TESTS_CORE_AUTHORITY_VECTORS_H_
#define AQMESH_TESTS_CORE_AUTHORITY_VECTORS_H_

#include "core/authority/signed.h"

namespace aqmesh::authority::vectors {

inline crypto::Ed25519Seed Seed(uint8_t byte) { return crypto::Ed25519Seed(Bytes(32, byte)); }
inline Ed25519Key KeyOf(uint8_t byte) { return crypto::Ed25519Public(Seed(byte)); }
inline Kid KidOfSeed(uint8_t byte) { return KidOf(Suite::kEd25519, KeyOf(byte)); }
template <class T>
T Fixed(std::string_view hex) {
  return *T::From(*FromHex(hex));
}

inline constexpr uint8_t kRoot = 1, kAtlas = 2, kBorealis = 3, kOneTime = 4, kBorealisNext = 8,
                         kRootNext = 9;
inline constexpr uint64_t kT = 1'700'000'000;
inline constexpr uint32_t kDaySeconds = 86'400;

inline constexpr std::string_view kCharterBody =
    "100122105a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a2a04686f6d653001400248015080e2cfaa06624e080112208a88e3"
    "dd7409f195fd52"
    "db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c18012204686f6d652a20c35c17cd8ddee0ccd2c31f241e9a12"
    "cb370f96bde798"
    "c8f8ea46fb18d4535559700178018a01020001";
inline constexpr std::string_view kCharterSig =
    "1d75213bcb55c5a981c533ad0cb90bbf5fea80b12356680049d9bedd8314f08d49ac67aec2a0227eb76994c81bcdfb"
    "89e440264b365f"
    "6a7d11f9c55bf997500b";
inline constexpr std::string_view kCharterPaeSha256 =
    "c5f037bb91530085ded7053f5b5ad4033536484f0d1dc641a33763b040689f0e";
inline constexpr std::string_view kCharterOid =
    "5e571f570eb7be173e123b875f881ccb45dfb3d1c3197bc06d3347542fee884f";
inline constexpr std::string_view kScope = "2abc01708384f11380887549ea517255";
inline constexpr std::string_view kRootKid = "3b3e6c7c76f04cf261eb9cf70ca48bf9";
inline constexpr std::string_view kAtlasKid = "49222af5ee7a8e079fe65dc3f5e738b3";
inline constexpr std::string_view kBorealisKid = "819b8bcf94b13bb0e9989bf88a653eb6";
inline constexpr std::string_view kEnrollerOid =
    "24aab131c26200253da32323c0e1bde3eb3fd8b00914ca8696b30ce110c55266";
inline constexpr std::string_view kNodeBody =
    "0a102abc01708384f11380887549ea51725510011a20ed4928c628d1c2c6eae90338905995612959273a5c63f93636"
    "c14614ac8737d1"
    "2004300138014080e2cfaa0648809a9e015027622024aab131c26200253da32323c0e1bde3eb3fd8b00914ca8696b3"
    "0ce110c5526668"
    "0172056469dae7207211fd8c0ec16e68c77743f66233b387b1e4807a066d656d6265728a012073bffb707c15ccc055"
    "02aebd31039a5a"
    "d0f744c6d876ee77125bc2659a2e19dd920108626f7265616c6973";
inline constexpr std::string_view kNodeOid =
    "ddf1763a0b97d1bfe43eb81e865174b8e4354c2316bcdda092fecdd1fcc54a0c";
inline constexpr std::string_view kAtlasNodeOid =
    "f0ea277b81061682b8ee9e72b8580e6749213627d20a3210eb1c7232963950b5";
inline constexpr std::string_view kDefaultFragmentOid =
    "f621041dde3ead8ce618fd656b8947399d8598e2ef5328d6e2f4eb6d34408491";
inline constexpr std::string_view kFragmentBody =
    "0a102abc01708384f11380887549ea51725510041880e2cfaa062080a3052a205e571f570eb7be173e123b875f881c"
    "cb45dfb3d1c319"
    "7bc06d3347542fee884f40014a2b0a07016d656d626572121102819b8bcf94b13bb0e9989bf88a653eb61a01062208"
    "0016001601bb01"
    "bb3002";
inline constexpr std::string_view kFragmentOid =
    "7a3105de3c5a952ebc0628c18bebd6d7a6f811eb2d3ebe305787c6a708903ca7";
inline constexpr std::string_view kRevokeBody =
    "0a102abc01708384f11380887549ea517255100120878080c0d6fcf3c50128013210819b8bcf94b13bb0e9989bf88a"
    "653eb640025001";
inline constexpr std::string_view kRevokeOid =
    "c65261b6ebccf2c277bf4cba275a049bbda01b68784484615fa53dffcb287386";
inline constexpr std::string_view kRestrictRoot =
    "5d8f1ba4fede53395a486e839921b7f7323dd126bb537a290597842b3cbd9357";
inline constexpr std::string_view kPresentationBody =
    "0a20c3d9af5db416ab9bddf369ce09f75ffc61326c6d5d4444b77da12b4aa5a266d91001188d98ac5020012a30ddf1"
    "763a0b97d1bfe4"
    "3eb81e865174b824aab131c26200253da32323c0e1bde3f621041dde3ead8ce618fd656b894739";
inline constexpr std::string_view kPresentationOid =
    "e40582564d7e0a040e8a0e76c34292d48ebb3894c55663e9f8ddef592675b2b4";
inline constexpr std::string_view kAnswerOid =
    "a63fe03e81ff3d37ff90c68ad31f851e1207cdefe82691bcdaeb051488c20922";
inline constexpr std::string_view kInviteOid =
    "c13303ceb5d0b32dfddf034cac5833ac644f65c154fae3ef0b514c8673caac3f";
// From the handshake that the WireGuard vectors print: h after the timestamp, final h, atlas's
// static.
inline constexpr std::string_view kStep4H =
    "c3d9af5db416ab9bddf369ce09f75ffc61326c6d5d4444b77da12b4aa5a266d9";
inline constexpr std::string_view kFinalH =
    "8a71b2ccf1a8e5814f2b7c039dfb43c169c18d03acd25db9dff0fe06cedeee4b";
inline constexpr std::string_view kAtlasStatic =
    "5869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b";

inline Charter CharterObject() {
  Charter c;
  c.version = 1;
  c.salt.emplace();
  c.salt->bytes.fill(0x5a);
  c.name = "home";
  c.level = 1;
  c.profile = Profile::kSmallMesh;
  c.flags = kSingleDomain;
  c.created = kT;
  c.voters = {
      {Suite::kEd25519, KeyOf(kRoot), 1, "home", NextKeyOf(Suite::kEd25519, KeyOf(kRootNext))}};
  c.q_reg = c.q_sens = 1;
  c.suites = {1};
  return c;
}

inline Grant Enroller() {
  Grant g;
  g.scope = Fixed<ScopeId>(kScope);
  g.suite = Suite::kEd25519;
  g.key = KeyOf(kAtlas);
  g.cls = Class::kEnroller;
  g.depth_left = 3;
  g.generation = g.charter_version = 1;
  g.seq = 1;
  g.not_before = kT;
  g.ttl = 400 * kDaySeconds;
  g.caps = 0x24a7;
  g.parent = Fixed<Oid>(kCharterOid);
  g.tags = {"member"};
  g.name = "atlas";
  return g;
}

inline Grant Node() {
  Grant g;
  g.scope = Fixed<ScopeId>(kScope);
  g.suite = Suite::kEd25519;
  g.key = KeyOf(kBorealis);
  g.cls = Class::kNode;
  g.generation = g.charter_version = 1;
  g.seq = 1;
  g.not_before = kT;
  g.ttl = 30 * kDaySeconds;
  g.caps = 0x27;
  g.parent = Fixed<Oid>(kEnrollerOid);
  g.prefixes = {*Prefix::Parse("100.105.218.231"),
                *Prefix::Parse("fd8c:ec1:6e68:c777:43f6:6233:b387:b1e4")};
  g.tags = {"member"};
  g.next_key = NextKeyOf(Suite::kEd25519, KeyOf(kBorealisNext));
  g.name = "borealis";
  return g;
}

inline Grant AtlasNode() {
  Grant g = Node();
  g.key = KeyOf(kAtlas);
  g.seq = 2;
  g.parent = Fixed<Oid>(kCharterOid);
  g.prefixes = {*Prefix::Parse("100.80.187.237"),
                *Prefix::Parse("fd8c:ec1:6e68:dab2:a1c5:22fc:6716:758f")};
  g.next_key.reset();
  g.name = "atlas";
  return g;
}

inline Selector TagSelector(std::string tag) {
  return {Selector::Kind::kTag, std::move(tag), {}, {}};
}
inline Selector NodeSelector(const Kid& kid) { return {Selector::Kind::kKid, "", kid, {}}; }

inline Fragment DefaultFragment() {
  Fragment f;
  f.scope = Fixed<ScopeId>(kScope);
  f.seq = 3;
  f.not_before = kT;
  f.ttl = 400 * kDaySeconds;
  f.authority = Fixed<Oid>(kCharterOid);
  f.charter_version = 1;
  Rule r;
  r.src = r.dst = TagSelector("member");
  r.protos = {255};
  f.rules = {r};
  return f;
}

inline Fragment TcpFragment() {
  Fragment f = DefaultFragment();
  f.seq = 4;
  f.ttl = kDaySeconds;
  Rule& r = f.rules[0];
  r.dst = NodeSelector(KidOfSeed(kBorealis));
  r.protos = {6};
  r.ports = {{22, 22}, {443, 443}};
  r.directives = kDoLogFlow;
  return f;
}

inline Revoke FloorRevoke() {
  Revoke r;
  r.scope = Fixed<ScopeId>(kScope);
  r.seq = 1;
  r.hlc = (kT * 1'000) << 16 | 7;
  r.type = RevokeType::kFloor;
  r.kid = KidOfSeed(kBorealis);
  r.floor = 2;
  r.reason = 1;
  return r;
}

inline Presentation InitiatorPresentation() {
  Presentation p;
  p.h = Fixed<Digest>(kStep4H);
  p.role = 1;
  p.rx_handle = 0x0a0b0c0d;
  p.charter_version = 1;
  for (std::string_view oid : {kNodeOid, kEnrollerOid, kDefaultFragmentOid})
    p.refs.push_back(RefOf(Fixed<Oid>(oid)));
  return p;
}

inline Presentation ResponderPresentation() {
  Presentation p;
  p.h = Fixed<Digest>(kFinalH);
  p.role = 2;
  p.rx_handle = 0x01020304;
  p.charter_version = 1;
  for (std::string_view oid : {kAtlasNodeOid, kDefaultFragmentOid})
    p.refs.push_back(RefOf(Fixed<Oid>(oid)));
  p.answers = Fixed<Oid>(kPresentationOid);
  p.restrict_root = Ref16::From(Fixed<Digest>(kRestrictRoot).view().first(16));
  return p;
}

inline Invite AtlasInvite() {
  Invite i;
  i.scope = Fixed<ScopeId>(kScope);
  i.seq = 3;
  i.not_before = kT;
  i.ttl = 3'600;
  i.charter = Fixed<Oid>(kCharterOid);
  i.uses = 1;
  i.suite = Suite::kEd25519;
  i.key = KeyOf(kOneTime);
  i.tags = {"member"};
  i.members = {{KidOfSeed(kAtlas),
                Fixed<X25519Key>(kAtlasStatic),
                {*Endpoint::Parse("192.168.1.10:41641")}}};
  return i;
}

// Every object of §8 under its signer's key.
inline std::vector<Signed> All() {
  std::vector<Signed> out;
  out.push_back(SignObject(CharterObject(), Seed(kRoot)));
  out.push_back(SignObject(Enroller(), Seed(kRoot)));
  out.push_back(SignObject(Node(), Seed(kAtlas)));
  out.push_back(SignObject(AtlasNode(), Seed(kRoot)));
  out.push_back(SignObject(DefaultFragment(), Seed(kRoot)));
  out.push_back(SignObject(TcpFragment(), Seed(kRoot)));
  out.push_back(SignObject(FloorRevoke(), Seed(kAtlas)));
  out.push_back(SignObject(InitiatorPresentation(), Seed(kBorealis)));
  out.push_back(SignObject(ResponderPresentation(), Seed(kAtlas)));
  out.push_back(SignObject(AtlasInvite(), Seed(kAtlas)));
  return out;
}

}  // namespace aqmesh::authority::vectors

#endif  // AQMESH_TESTS_CORE_AUTHORITY_VECTORS_H_
