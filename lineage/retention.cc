#include "lineage/retention.h"

#include <algorithm>

#include "core/authority/signed.h"
#include "core/base/status.h"

namespace aqmesh::lineage {

namespace {

constexpr uint64_t kRun = tlog::kTileWidth;

}  // namespace

absl::StatusOr<PrunePlan> PlanPrune(const Store& store,
                                    const authority::Retention& rule,
                                    uint64_t now) {
  PrunePlan plan{.first = store.first(), .end = store.first(), .sealed_before = false};
  const uint64_t size = store.size();
  const Seq last = size > kNewestKept ? (size - kNewestKept) / kRun * kRun : 0;
  absl::Status broken;
  bool stays = false;
  for (Seq at = plan.first; at < last && !stays; at += kRun) {
    bool sealed = false;
    const auto look = [&](Seq seq, const Digest&, ByteView body) {
      const auto record = authority::ParseBody<authority::Observe>(body);
      if (!record.ok())
        broken = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
      if (!broken.ok()) return false;
      const authority::KeepRule* keep = authority::KeepOf(rule, record->kind);
      stays = keep == nullptr || MillisFromHlc(record->hlc) / 1'000 + keep->keep > now;
      sealed = sealed || (keep != nullptr && keep->exported != 0);
      return !stays;
    };
    AQ_RETURN_IF_ERROR(store.WalkLog(at, at + kRun, Order::kOldestFirst, look));
    AQ_RETURN_IF_ERROR(broken);
    if (stays) break;
    plan.end = at + kRun;
    plan.sealed_before = plan.sealed_before || sealed;
  }
  return plan;
}

authority::Observe RetainedRecord(const PrunePlan& plan, const Oid& rule) {
  authority::Observe record;
  record.kind = authority::RecordKind::kRetained;
  record.evidence = Digest{rule.bytes};
  record.intent_gen = plan.end;
  record.observed_gen = plan.records();
  return record;
}

Bytes PruningValue(Seq end, const Oid& rule) {
  Bytes out;
  AppendBe(out, end);
  Append(out, rule);
  return out;
}

absl::StatusOr<std::optional<Pruning>> PruningOf(const Store& store) {
  AQ_ASSIGN_OR_RETURN(const auto value, store.GetState(kPruningName));
  if (!value) return std::optional<Pruning>();
  if (value->size() != 8 + Oid::kSize) return DataLoss("the state `pruning` is malformed");
  return std::optional<Pruning>(
      Pruning{LoadBe<uint64_t>(value->data()), *Oid::From(ByteView(*value).subspan(8))});
}

}  // namespace aqmesh::lineage
