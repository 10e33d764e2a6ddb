#include "issuing/vote.h"

#include <algorithm>

#include "core/authority/charter.h"
#include "core/base/status.h"

namespace aqmesh::issuing {

using authority::Charter;
using authority::Cosign;
using authority::Held;
using authority::Permit;
using authority::Slot;
using authority::SlotBook;
using authority::Suite;

namespace {

absl::StatusOr<SlotBook::Answer> Permitted(
    VoteSource& votes, const Kid& kid, const Slot& slot, const Oid& target, uint64_t time) {
  AQ_ASSIGN_OR_RETURN(const SlotBook::Answer answer, votes.Take(kid, slot, target, time));
  if (answer.permit != Permit::kRefuse) return answer;
  return FailedPrecondition(
      "key ", ToHex(kid), " signs one answer to a question, and this is another: ", answer.why);
}

}  // namespace

absl::StatusOr<SlotBook::Answer> MemoryVotes::Take(const Kid& kid,
                                                   const Slot& slot,
                                                   const Oid& target,
                                                   uint64_t time) {
  return books_[kid].Take(slot, target, time);
}

Charter NextOf(const Held<Charter>& now, uint64_t time) {
  Charter next = now.body;
  next.scope = authority::ScopeIdOf(now);
  next.version = now.body.version + 1;
  next.prev = now.oid();
  next.salt.reset();
  next.created = time;
  return next;
}

void PutInOrder(Charter& c) {
  for (std::vector<authority::Voter>* rows : {&c.voters, &c.witnesses})
    std::ranges::sort(
        *rows, {}, [](const authority::Voter& v) { return std::pair(v.suite, v.key); });
  std::ranges::sort(c.suites);
  std::ranges::sort(c.classes, {}, &authority::ClassRow::id);
  std::ranges::sort(c.params, {}, &authority::Param::id);
  std::ranges::sort(c.tags);
  std::ranges::sort(c.prefixes, {}, [](const Prefix& p) {
    Bytes encoded(p.address.bytes().begin(), p.address.bytes().end());
    encoded.push_back(p.length);
    return encoded;
  });
}

absl::StatusOr<Held<Charter>> Propose(Charter body,
                                      const crypto::Ed25519Seed& seed,
                                      VoteSource& votes,
                                      uint64_t time) {
  PutInOrder(body);
  const Kid kid = authority::KidOf(Suite::kEd25519, crypto::Ed25519Public(seed));
  const absl::StatusOr<Bytes> bytes = authority::TryEncodeBody(body);
  if (!bytes.ok()) return bytes.status();
  if (!body.scope) return InvalidArgument("a charter without scope is a first one, not the next");
  const Slot slot{*body.scope, 3, *Kid::From(body.scope->view()), body.version};
  const Oid oid = OidOf(authority::Ctx::kCharter, kid, *bytes);
  AQ_RETURN_IF_ERROR(Permitted(votes, kid, slot, oid, time).status());
  return TrySeal(body, seed);
}

absl::StatusOr<Held<Cosign>> Vote(const authority::Signed& target,
                                  const crypto::Ed25519Seed& seed,
                                  VoteSource& votes,
                                  uint64_t time) {
  const Kid kid = authority::KidOf(Suite::kEd25519, crypto::Ed25519Public(seed));
  AQ_ASSIGN_OR_RETURN(const Slot slot, authority::SlotOf(target));
  AQ_ASSIGN_OR_RETURN(const SlotBook::Answer answer,
                      Permitted(votes, kid, slot, target.oid(), time));
  return TrySeal(Cosign{.scope = slot.scope,
                        .slot = slot.kind,
                        .id = slot.id,
                        .number = slot.number,
                        .target = target.oid(),
                        .time = answer.time},
                 seed);
}

}  // namespace aqmesh::issuing
