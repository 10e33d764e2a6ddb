// The mesh of the vectors of spec/objects.md §8, built from its seeds: root, atlas, borealis, and
// what the handshake of spec/wire.md 1.10 printed. Shared by the tests of this room.
#ifndef AQMESH_TESTS_TRANSPORT_FRAME_MESH_VECTORS_H_
#define AQMESH_TESTS_TRANSPORT_FRAME_MESH_VECTORS_H_

#include <string>
#include <string_view>
#include <vector>

#include "core/authority/address.h"
#include "core/authority/objects.h"
#include "core/authority/signed.h"
#include "core/base/bytes.h"
#include "core/crypto/keys.h"
#include "transport/frame/envelope.h"
#include "transport/frame/notice.h"

namespace aqmesh::frame::vectors {

inline Bytes Hex(std::string_view text) { return *FromHex(text); }
template <size_t N>
std::array<uint8_t, N> Counting(uint8_t first) {
  std::array<uint8_t, N> out;
  for (size_t i = 0; i < N; ++i) out[i] = static_cast<uint8_t>(first + i);
  return out;
}
inline crypto::Ed25519Seed SeedOf(uint8_t b) { return crypto::Ed25519Seed(Bytes(32, b)); }

inline constexpr uint64_t kT = 1'700'000'000;
inline constexpr uint32_t kDay = 86'400;

// spec/wire.md 1.10
inline const X25519Key kStaticI =
    *X25519Key::From(Hex("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"));
inline const X25519Key kStaticR =
    *X25519Key::From(Hex("5869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b"));
inline const Bytes kCkInit =
    Hex("643693a7636a42b588f115bc0aae9a1db8432634b2e8d96ed67d308e74e132f5");  // step 4
inline const Bytes kHInit = Hex("c3d9af5db416ab9bddf369ce09f75ffc61326c6d5d4444b77da12b4aa5a266d9");
inline const Bytes kCkResp =
    Hex("08f6c56ff80891c79f11a909e3951bee532a9bb89a26be63697e89e8ff7e6345");  // step 7
inline const Bytes kHFinal =
    Hex("8a71b2ccf1a8e5814f2b7c039dfb43c169c18d03acd25db9dff0fe06cedeee4b");
inline const Bytes kInitiation =
    Hex("010000004433221164b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466158a0e4ca2"
        "42d151"
        "ca97ab90159a98b67e616625e68b4065d357376b6598e644ad7d678c0295d22de4cb43d5135581ed36346bfa7c"
        "f42a12"
        "2c39f893dab9ca8f0e37aa97b2e6217c6990bf99ce1ef29906180d65ea0cfa0fe9a879e2"
        "00000000000000000000000000000000");
inline const Bytes kResponse =
    Hex("020000008877665544332211244fe3b963e899dd295baffce248d3530f3a9a7479ba063002680ebfe7adad49a9"
        "cdc11f"
        "d8e9aa225d9183c68306ec35a154b759e267c664a493180996f620e700000000000000000000000000000000");
inline const Bytes kKeepalive =
    Hex("04000000887766550000000000000000c7401bed732b18f3c0e395fc3f7435fa");
inline const Bytes kCookieValue = Hex("7016835937852edc1b8d8fdb64effd95");
inline const Nonce24 kNonce = Counting<24>(0xc0);

struct Mesh {
  crypto::Ed25519Seed root = SeedOf(1), atlas = SeedOf(2), borealis = SeedOf(3);
  Kid root_kid = KidFor(root), atlas_kid = KidFor(atlas), borealis_kid = KidFor(borealis);
  authority::Signed charter = MakeCharter();
  ScopeId scope = authority::ScopeOf(charter.body());
  authority::Signed e = MakeEnroller();
  authority::Signed n = MakeBorealis();
  authority::Signed a = MakeAtlas();
  authority::Signed f = MakeDefault();
  authority::Signed r = MakeRevoke();
  authority::Signed initiator = MakeInitiator();
  authority::Signed responder = MakeResponder();

  static Kid KidFor(const crypto::Ed25519Seed& seed) {
    return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seed));
  }
  static Digest NextFor(uint8_t seed) {
    return authority::NextKeyOf(authority::Suite::kEd25519, crypto::Ed25519Public(SeedOf(seed)));
  }
  authority::Signed MakeCharter() const {
    authority::Charter c;
    c.version = 1;
    c.salt.emplace();
    c.salt->bytes.fill(0x5a);
    c.name = "home";
    c.level = 1;
    c.profile = authority::Profile::kSmallMesh;
    c.flags = authority::kSingleDomain;
    c.created = kT;
    c.voters = {{.suite = authority::Suite::kEd25519,
                 .key = crypto::Ed25519Public(root),
                 .weight = 1,
                 .group = "home",
                 .next_key = NextFor(9)}};
    c.q_reg = c.q_sens = 1;
    c.suites = {1};
    return authority::SignObject(c, root);
  }
  authority::Grant GrantFor(const crypto::Ed25519Seed& subject, std::string name) const {
    authority::Grant g;
    g.scope = scope;
    g.suite = authority::Suite::kEd25519;
    g.key = crypto::Ed25519Public(subject);
    g.generation = 1;
    g.seq = 1;
    g.not_before = kT;
    g.charter_version = 1;
    g.tags = {"member"};
    g.name = std::move(name);
    return g;
  }
  authority::Grant NodeFor(const crypto::Ed25519Seed& subject,
                           std::string name,
                           const char* v4) const {
    authority::Grant g = GrantFor(subject, std::move(name));
    g.cls = authority::Class::kNode;
    g.ttl = 30 * kDay;
    g.caps = 0x27;
    g.prefixes = {Prefix::Host(*IpAddress::Parse(v4)),
                  Prefix::Host(authority::DerivedIp6(scope, KidFor(subject)))};
    return g;
  }
  authority::Signed MakeEnroller() const {
    authority::Grant g = GrantFor(atlas, "atlas");
    g.cls = authority::Class::kEnroller;
    g.depth_left = 3;
    g.ttl = 400 * kDay;
    g.caps = 0x24a7;
    g.parent = charter.oid();
    return authority::SignObject(g, root);
  }
  authority::Signed MakeBorealis() const {
    authority::Grant g = NodeFor(borealis, "borealis", "100.105.218.231");
    g.parent = e.oid();
    g.next_key = NextFor(8);
    return authority::SignObject(g, atlas);
  }
  authority::Signed MakeAtlas() const {
    authority::Grant g = NodeFor(atlas, "atlas", "100.80.187.237");
    g.seq = 2;
    g.parent = charter.oid();
    return authority::SignObject(g, root);
  }
  authority::Signed MakeDefault() const {
    authority::Fragment x;
    x.scope = scope;
    x.seq = 3;
    x.not_before = kT;
    x.ttl = 400 * kDay;
    x.authority = charter.oid();
    x.charter_version = 1;
    authority::Rule rule;
    rule.src.kind = rule.dst.kind = authority::Selector::Kind::kTag;
    rule.src.tag = rule.dst.tag = "member";
    rule.protos = {255};
    x.rules = {rule};
    return authority::SignObject(x, root);
  }
  authority::Signed MakeRevoke() const {
    authority::Revoke x;
    x.scope = scope;
    x.seq = 1;
    x.hlc = kT * 1000 << 16 | 7;
    x.type = authority::RevokeType::kFloor;
    x.kid = borealis_kid;
    x.floor = 2;
    x.reason = 1;
    return authority::SignObject(x, atlas);
  }
  authority::Signed MakeInitiator() const {
    authority::Presentation p;
    p.h = *Digest::From(kHInit);
    p.role = 1;
    p.rx_handle = 0x0a0b0c0d;
    p.charter_version = 1;
    p.refs = {n.ref(), e.ref(), f.ref()};
    return authority::SignObject(p, borealis);
  }
  authority::Signed MakeResponder() const {
    authority::Presentation p;
    p.h = *Digest::From(kHFinal);
    p.role = 2;
    p.rx_handle = 0x01020304;
    p.charter_version = 1;
    p.refs = {a.ref(), f.ref()};
    p.answers = initiator.oid();
    p.restrict_root = *Ref16::From(Hex("5d8f1ba4fede53395a486e839921b7f7"));
    return authority::SignObject(p, atlas);
  }
  std::vector<ByteView> InitiatorItems() const {
    return {initiator.bytes(), n.bytes(), e.bytes(), f.bytes()};
  }
  std::vector<ByteView> ResponderItems() const { return {responder.bytes(), a.bytes(), f.bytes()}; }
  Envelope A1(ByteView cookie = {}) const {
    return *BuildEnvelope({.kind = Handshake::kInitiation,
                           .inner = kInitiation,
                           .items = InitiatorItems(),
                           .ck = kCkInit,
                           .receiver = StaticKeysOf(kStaticR),
                           .cookie = cookie});
  }
  Envelope A2() const {
    return *BuildEnvelope({.kind = Handshake::kResponse,
                           .inner = kResponse,
                           .items = ResponderItems(),
                           .ck = kCkResp,
                           .receiver = StaticKeysOf(kStaticI)});
  }
};

}  // namespace aqmesh::frame::vectors

#endif  // AQMESH_TESTS_TRANSPORT_FRAME_MESH_VECTORS_H_
