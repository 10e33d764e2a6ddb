#include "daemon/cli/retention.h"

#include <algorithm>

#include "core/base/status.h"
#include "core/wire/json.h"
#include "daemon/cli/lineage_source.h"
#include "lineage/sealed/seal.h"

namespace aqmesh::cli {

namespace {

using authority::Retention;

// Whether one who may said that this object counts no more.
bool IsTakenBack(const Oid& oid, const KnownObjects& known) {
  const auto& charter = known.charter()->body;
  return std::ranges::any_of(known.others, [&](const auto& o) {
    if (o->ctx() != authority::Ctx::kRevoke) return false;
    const auto revoke = authority::ParseBody<authority::Revoke>(o->body());
    if (!revoke.ok() || revoke->oid != oid) return false;
    const auto voter = std::ranges::find_if(charter.voters, [&o](const authority::Voter& v) {
      return authority::KidOf(v.suite, v.key) == o->kid();
    });
    return voter != charter.voters.end() && authority::VerifySignature(*o, voter->key);
  });
}

}  // namespace

absl::StatusOr<authority::Held<Retention>> RuleFor(const lineage::Store& store,
                                                   const KnownObjects& known,
                                                   uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> log, LogKidOf(store));
  absl::Status first_refusal;
  std::vector<authority::Held<Retention>> rules;
  for (const auto& o : known.others) {
    if (o->ctx() != authority::Ctx::kRetention || known.charter() == nullptr) continue;
    auto rule = authority::VerifyRetention(*o, *known.charter());
    if (!rule.ok() && first_refusal.ok()) first_refusal = rule.status();
    if (rule.ok() && !IsTakenBack(rule->oid(), known)) rules.push_back(*std::move(rule));
  }
  const authority::Held<Retention>* rule = log ? authority::RetentionOf(rules, *log, now) : nullptr;
  if (rule != nullptr) return *rule;
  if (!first_refusal.ok()) return first_refusal;
  return NotFound(
      "no retention rule for this log: everything stays; sign one: aqmesh lineage retain --help");
}

absl::StatusOr<PreparedPrune> PreparePrune(const lineage::Store& store,
                                           const std::string& place,
                                           uint64_t now,
                                           Doing doing) {
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(store));
  AQ_ASSIGN_OR_RETURN(const authority::Held<Retention> rule, RuleFor(store, known, now));
  PreparedPrune out;
  out.rule = rule.oid();
  AQ_ASSIGN_OR_RETURN(out.plan, lineage::PlanPrune(store, rule.body, now));
  if (!out.plan.sealed_before) return out;
  out.sealed = place;
  if (doing == Doing::kLook) return out;
  AQ_ASSIGN_OR_RETURN(const lineage::SealReport report, lineage::Seal(store, place, out.plan.end));
  out.sealed_now = report.records;
  out.waits_for_head = report.end < out.plan.end;
  out.plan.end = std::clamp(report.end, out.plan.first, out.plan.end);
  if (out.plan.records() == 0) return out;
  AQ_RETURN_IF_ERROR(
      Annotate(lineage::CheckSealed(store, place, out.plan.first, out.plan.end), "nothing pruned"));
  return out;
}

lineage::StatePut PruningMark(const PreparedPrune& prepared) {
  return {std::string(lineage::kPruningName),
          lineage::PruningValue(prepared.plan.end, prepared.rule)};
}

absl::Status FinishPruning(lineage::RocksStore& store) {
  AQ_ASSIGN_OR_RETURN(const std::optional<lineage::Pruning> left, lineage::PruningOf(store));
  if (!left) return absl::OkStatus();
  AQ_RETURN_IF_ERROR(store.Prune(left->end, left->rule));
  lineage::Batch batch;
  batch.deletes = {std::string(lineage::kPruningName)};
  return store.Commit(batch);
}

std::string PruneJson(const PreparedPrune& p, bool dry) {
  wire::JsonWriter w;
  w.Object().Field("schema", "aqmesh.prune/1").Field("dry_run", dry).Field("rule", ToHex(p.rule));
  w.Field("first", p.plan.first).Field("end", p.plan.end).Field("records", p.plan.records());
  if (!p.sealed.empty()) w.Field("sealed", p.sealed).Field("sealed_now", p.sealed_now);
  w.Field("waits_for_head", p.waits_for_head).End();
  return w.Take();
}

std::string PruneText(const PreparedPrune& p, bool dry) {
  std::string out = p.plan.records() == 0 ? Join("Nothing to prune under ",
                                                 ToHex(p.rule),
                                                 ": every record before ",
                                                 p.plan.first,
                                                 " is gone, and those after it stay\n")
                                          : Join(dry ? "Would prune records " : "Pruned records ",
                                                 p.plan.first,
                                                 " to ",
                                                 p.plan.end - 1,
                                                 " under ",
                                                 ToHex(p.rule),
                                                 "\n");
  if (!p.sealed.empty())
    out += Join(dry ? "They are sealed in " : "Sealed and read again in ",
                p.sealed,
                dry ? " before\n" : "\n");
  if (p.waits_for_head) out += "More will go once a signed head covers it\n";
  return out;
}

}  // namespace aqmesh::cli
