// Voters to tell stories of votes with: who sits in a charter, what they vote, and to which key
// they rotated.
#ifndef AQMESH_TESTS_CORE_AUTHORITY_COUNCIL_FOR_TEST_H_
#define AQMESH_TESTS_CORE_AUTHORITY_COUNCIL_FOR_TEST_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/authority/certificate.h"
#include "core/authority/codec.h"
#include "core/authority/slot_book.h"
#include "tests/core/authority/world_for_test.h"

namespace aqmesh::authority::testing {

struct Seat {
  uint8_t seed = 0;
  uint16_t weight = 1;
  std::string group;
  uint8_t next = 0;  // seed of the key that it committed to; 0: none
};

inline const Ed25519Key& CachedKeyOf(uint8_t seed) {
  static auto& keys = *new std::map<std::pair<Suite, uint8_t>, Ed25519Key>();
  const std::pair<Suite, uint8_t> whose = {SuiteOf(seed), seed};
  const auto found = keys.find(whose);
  return found != keys.end() ? found->second : keys.emplace(whose, KeyOf(seed)).first->second;
}

inline std::vector<Voter> Seated(const std::vector<Seat>& seats) {
  std::vector<Voter> rows;
  for (const Seat& s : seats) {
    Voter v{SuiteOf(s.seed), CachedKeyOf(s.seed), s.weight, s.group, {}};
    if (s.next != 0) v.next_key = NextKeyOf(SuiteOf(s.next), CachedKeyOf(s.next));
    rows.push_back(std::move(v));
  }
  SortVoters(rows);
  return rows;
}

inline uint32_t LeastQuorum(const std::vector<Voter>& rows) {
  uint64_t weight = 0;
  for (const Voter& v : rows) weight += v.weight;
  return rows.empty() ? 0 : static_cast<uint32_t>(QuorumOf(weight));
}

// Version 1, single_domain, the least quorums.
inline Charter CouncilCharter(const std::vector<Seat>& seats,
                              Counting counting = Counting::kWeighted,
                              const std::vector<Seat>& witnesses = {}) {
  Charter c = HomeCharter();
  c.voters = Seated(seats);
  c.witnesses = Seated(witnesses);
  c.q_reg = c.q_sens = LeastQuorum(c.voters);
  c.q_wit = LeastQuorum(c.witnesses);
  if (counting != Counting::kWeighted)
    c.params = {{kConsensusParam, static_cast<uint64_t>(counting)}};
  return c;
}

// The one after `prev`, otherwise the same.
inline Charter After(const Held<Charter>& prev) {
  Charter c = prev.body;
  c.salt.reset();
  c.scope = ScopeIdOf(prev);
  c.version = prev.body.version + 1;
  c.prev = prev.oid();
  return c;
}

inline Held<Cosign> VoteFor(const Slot& slot, const Oid& target, uint8_t by, uint64_t time = kT) {
  Cosign c;
  c.scope = slot.scope;
  c.slot = slot.kind;
  c.id = slot.id;
  c.number = slot.number;
  c.target = target;
  c.time = time;
  return Make(c, by);
}
inline Held<Cosign> VoteFor(const Signed& target, uint8_t by, uint64_t time = kT) {
  return VoteFor(*SlotOf(target), target.oid(), by, time);
}

template <class T>
Held<T> Forged(Held<T> object) {
  Bytes bytes = object.envelope->bytes();
  bytes.back() ^= 1;
  object.envelope = std::make_shared<const Signed>(*Signed::Parse(bytes));
  return object;
}

// `old` moves to `fresh`, which it had committed to; from there to `next`, if that is not 0.
inline absl::Status Rotated(Restrictions& restrictions,
                            const ScopeId& scope,
                            uint8_t old,
                            uint8_t fresh,
                            uint8_t next = 0,
                            uint8_t step = 1) {
  Rotate r;
  r.scope = scope;
  r.seq = 1;
  r.old = KidOf(SuiteOf(old), CachedKeyOf(old));
  r.suite = SuiteOf(fresh);
  r.key = CachedKeyOf(fresh);
  if (next != 0) r.next_key = NextOf(next);
  r.hlc = (kT * 1000) << 16;
  r.step = step;
  return restrictions.Add(Make(r, fresh), NextOf(fresh));
}

// A region's authority: the class that every profile wants certified.
inline Grant RegionBody(const ScopeId& scope, uint64_t seq, uint8_t subject = 90) {
  Grant g;
  g.scope = scope;
  g.suite = SuiteOf(subject);
  g.key = CachedKeyOf(subject);
  g.cls = Class::kRegion;
  g.depth_left = 2;
  g.generation = 1;
  g.seq = seq;
  g.not_before = kT;
  g.ttl = static_cast<uint32_t>(100 * kDay);
  g.caps = kEnrollerCaps;
  g.parent.bytes.fill(7);
  g.charter_version = 1;
  g.tags = {"member"};
  return g;
}

}  // namespace aqmesh::authority::testing

#endif  // AQMESH_TESTS_CORE_AUTHORITY_COUNCIL_FOR_TEST_H_
