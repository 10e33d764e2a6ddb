// Two machines, their fragments, and tokens minted for tests of the gate.
#ifndef AQMESH_TESTS_ADMISSION_WORLD_H_
#define AQMESH_TESTS_ADMISSION_WORLD_H_

#include "admission/gate.h"
#include "tests/admission/packets.h"

namespace aqmesh::admission {

using authority::Fragment;
using authority::Held;
using authority::Rule;
using authority::Selector;

inline constexpr uint64_t kT = 1'700'000'000;  // a Tuesday, 22:13:20 UTC
inline Now At(uint64_t seconds) {
  return {Instant(std::chrono::seconds(seconds)), WallTime::FromSeconds(kT + seconds)};
}

inline Selector Any() { return {}; }
inline Selector Tag(std::string_view t) { return {Selector::Kind::kTag, std::string(t), {}, {}}; }
inline Selector Node(uint8_t n) {
  Selector s;
  s.kind = Selector::Kind::kKid;
  s.kid.bytes.fill(n);
  return s;
}
inline Selector Net(std::string_view text) {
  Selector s;
  s.prefix = *Prefix::Parse(text);
  s.kind = s.prefix.address.is_v6() ? Selector::Kind::kPrefix6 : Selector::Kind::kPrefix4;
  return s;
}
inline Rule Allow(Selector src,
                  Selector dst,
                  Bytes protos = {kProtoAny},
                  std::vector<authority::Range16> ports = {}) {
  Rule r;
  r.src = std::move(src);
  r.dst = std::move(dst);
  r.protos = std::move(protos);
  r.ports = std::move(ports);
  return r;
}

inline Held<Fragment> Issue(std::vector<Rule> rules,
                            const Held<Fragment>* parent = nullptr,
                            uint64_t seq = 1) {
  Fragment f;
  f.scope.bytes.fill(1);
  f.seq = seq;
  f.not_before = kT;
  f.ttl = 86'400;
  f.authority.bytes.fill(2);
  f.charter_version = 1;
  if (parent) f.parent = parent->oid();
  f.rules = std::move(rules);
  const crypto::Ed25519Seed seed(Bytes(32, 1));
  return {std::make_shared<const authority::Signed>(authority::SignObject(f, seed)), f};
}

inline Party Machine(uint8_t n, std::vector<std::string> tags) {
  Party p;
  p.kids.resize(1);
  p.kids[0].bytes.fill(n);
  p.tags = std::move(tags);
  p.addresses = {*Prefix::Parse("100.64.0." + std::to_string(n)),
                 *Prefix::Parse("fd00::" + std::to_string(n))};
  return p;
}

// We are 1, the peer is 2. Both cite the same fragments.
struct World {
  Party us = Machine(1, {"member", "web.front"}), peer = Machine(2, {"member", "db"});
  LocalPolicy local = OpenLocalPolicy();
  std::vector<Held<Fragment>> cited;
  std::optional<std::vector<authority::Svc>> profile;

  Policy::Inputs Inputs(const Party& src, const Party& dst, uint64_t at = 0) const {
    Policy::Inputs in{cited, src, dst, local, At(at).wall, {}};
    if (profile) in.profile = *profile;
    return in;
  }
  Policies Compile(uint64_t at = 0) const {
    return {Policy::Compile(Inputs(us, peer, at)), Policy::Compile(Inputs(peer, us, at))};
  }
  // May we open this flow to the peer?
  bool Opens(ByteView packet, uint64_t at = 0) const {
    return Policy::Compile(Inputs(us, peer)).Evaluate(Read(packet), At(at).wall).pass();
  }
};

}  // namespace aqmesh::admission

#endif  // AQMESH_TESTS_ADMISSION_WORLD_H_
