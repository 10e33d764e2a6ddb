#include "daemon/cli/trust_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/authority/taxonomy.h"
#include "core/base/status.h"
#include "daemon/cli/session.h"
#include "daemon/cli/text.h"
#include "lineage/history/replay.h"
#include "lineage/inputs.h"
#include "node/trust_book.h"
#include "trust/weigh.h"

namespace aqmesh::cli {

namespace {

using authority::Observe;
using authority::RecordKind;
using authority::Rung;

constexpr size_t kChainMax = 16;

// Without parsing the rest: field 1 of a record's body (spec: objects#2).
bool IsWeighted(ByteView body) {
  return body.size() > 2 && body[0] == 0x08 &&
         body[1] == static_cast<uint8_t>(RecordKind::kWeighted);
}

// A visitor does not call the store, so a record waits here for its inputs.
struct Waiting {
  Digest leaf;
  Observe record;
};

absl::StatusOr<std::optional<Bytes>> Fetch(const lineage::Store& store, const Oid& oid) {
  AQ_ASSIGN_OR_RETURN(std::optional<Bytes> bytes, store.GetObject(lineage::Shelf::kInputs, oid));
  if (bytes) return bytes;
  return store.GetObject(lineage::Shelf::kSigned, oid);
}

absl::StatusOr<Fold> FoldIn(const lineage::Store& store, const Waiting& w) {
  const auto wrong = [&w](std::string_view why) {
    return DataLoss("record ", w.record.seq, ": ", why, "; aqmesh lineage verify --decisions");
  };
  if (!w.record.inputs || !w.record.subject) return wrong("what was weighed is not named");
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, Fetch(store, *w.record.inputs));
  if (!bytes) return wrong("what was weighed is not kept here");
  const auto in = lineage::ParseInputs(*bytes);
  if (!in.ok() || !in->weighed || in->slopes.size() != 1 ||
      in->slopes[0].kid != *w.record.subject || in->slopes[0].last > in->epoch)
    return wrong("its inputs are no weighing of its subject");
  Fold out{.key = *w.record.subject,
           .seq = w.record.seq,
           .hlc = w.record.hlc,
           .leaf = w.leaf,
           .epoch = in->epoch,
           .before = node::StandingOf(in->slopes[0]),
           .evidence = {.r = in->weighed->r,
                        .s = in->weighed->s,
                        .u = in->weighed->u,
                        .equivocation = in->weighed->equivocation}};
  if (!in->oids.empty()) out.charter = in->oids[0];
  if (w.record.evidence) out.grounds.push_back(*w.record.evidence);
  return out;
}

// Takes WEIGHTED records out of a walk until `enough` says so.
class Collector {
 public:
  template <class Enough>
  bool Take(lineage::Seq seq, const Digest& leaf, ByteView body, Enough enough) {
    if (!IsWeighted(body)) return true;
    auto record = authority::ParseBody<Observe>(body);
    if (!record.ok()) {
      status_ = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
      return false;
    }
    return !enough(leaf, *std::move(record));
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

// The newest of one key among the records before `end`.
absl::StatusOr<std::optional<Waiting>> NewestOf(const lineage::Store& store,
                                                const Kid& key,
                                                lineage::Seq end) {
  std::optional<Waiting> found;
  Collector collector;
  AQ_RETURN_IF_ERROR(store.WalkSubject(key,
                                       0,
                                       end,
                                       lineage::Order::kNewestFirst,
                                       [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
                                         return collector.Take(
                                             seq, leaf, body, [&](const Digest& l, Observe r) {
                                               found = Waiting{l, std::move(r)};
                                               return true;
                                             });
                                       }));
  AQ_RETURN_IF_ERROR(collector.status());
  return found;
}

std::string Thousandths(uint64_t q16, bool leading) {
  const uint64_t n = (q16 * 1'000 + 32'768) / 65'536;
  return n < 1'000 && !leading ? fmt::format(".{:03}", n)
                               : fmt::format("{}.{:03}", n / 1'000, n % 1'000);
}

}  // namespace

trust::Standing Fold::after() const {
  trust::Standing s = before;
  s.Step(epoch, evidence);
  return s;
}

absl::StatusOr<std::vector<Fold>> FoldsOf(const lineage::Store& store,
                                          const Kid& key,
                                          FoldSpan span) {
  AQ_ASSIGN_OR_RETURN(const uint64_t end, lineage::RecordsUntil(store, span.until));
  std::vector<Waiting> found;
  Collector collector;
  AQ_RETURN_IF_ERROR(store.WalkSubject(
      key,
      0,
      end,
      lineage::Order::kNewestFirst,
      [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
        return collector.Take(seq, leaf, body, [&](const Digest& l, Observe r) {
          found.push_back({l, std::move(r)});
          return found.back().record.hlc < span.from && found.size() >= span.least;
        });
      }));
  AQ_RETURN_IF_ERROR(collector.status());
  std::vector<Fold> out;
  for (size_t i = found.size(); i-- > 0;) {
    AQ_ASSIGN_OR_RETURN(Fold fold, FoldIn(store, found[i]));
    if (!out.empty() && out.back().epoch == fold.epoch) {
      std::vector<Digest>& grounds = out.back().grounds;
      grounds.insert(grounds.end(), fold.grounds.begin(), fold.grounds.end());
      fold.grounds = std::move(grounds);
      out.back() = std::move(fold);
    } else {
      out.push_back(std::move(fold));
    }
  }
  return out;
}

absl::StatusOr<std::map<Kid, Fold>> NewestFolds(const lineage::Store& store,
                                                uint64_t until,
                                                const std::optional<std::vector<Kid>>& candidates,
                                                size_t newest_first) {
  AQ_ASSIGN_OR_RETURN(const uint64_t end, lineage::RecordsUntil(store, until));
  std::map<Kid, Waiting> found;
  std::set<Kid> missing;
  if (candidates) missing = {candidates->begin(), candidates->end()};
  size_t seen = 0;
  lineage::Seq reached = 0;
  Collector collector;
  const lineage::Where where{.kinds = lineage::Where::Kind(RecordKind::kWeighted)};
  AQ_RETURN_IF_ERROR(
      store.WalkWhere(where,
                      0,
                      end,
                      lineage::Order::kNewestFirst,
                      [&](lineage::Seq seq, const Digest& leaf, ByteView body) {
                        return collector.Take(seq, leaf, body, [&](const Digest& l, Observe r) {
                          reached = r.seq;
                          if (!r.subject) return false;
                          const Kid key = *r.subject;
                          missing.erase(key);
                          found.try_emplace(key, Waiting{l, std::move(r)});
                          return candidates && (missing.empty() || ++seen >= newest_first);
                        });
                      }));
  AQ_RETURN_IF_ERROR(collector.status());
  // Whom so many records did not speak of was long silent: few are about it.
  if (seen >= newest_first) {
    for (const Kid& key : missing) {
      AQ_ASSIGN_OR_RETURN(std::optional<Waiting> w, NewestOf(store, key, reached));
      if (w) found.emplace(key, *std::move(w));
    }
  }
  std::map<Kid, Fold> out;
  for (const auto& [key, w] : found) {
    AQ_ASSIGN_OR_RETURN(Fold fold, FoldIn(store, w));
    out.emplace(key, std::move(fold));
  }
  return out;
}

Measure::Measure(const authority::Charter& c)
    : charter(c), gate(admission::GateParams::From(c)), gap_cap(trust::GapCapOf(c)) {}

Rung Measure::RungOf(const trust::Reading& r) const {
  static const admission::LocalPolicy kNobodys;  // the trust gate does not ask it
  const authority::ChainTrust weight{.ladm = r.ladm,
                                     .slope = r.slope,
                                     .scars = r.scar,
                                     .broken = r.broken(),
                                     .negative = r.negative};
  admission::TrustMemory first;
  return admission::Gate(gate).JudgeTrust(weight, {.now = Now{}, .local = kNobodys}, first).rung;
}

uint32_t Measure::LevelOf(Rung rung) const {
  switch (rung) {
    case Rung::kAdmit: return gate.admit_up;
    case Rung::kConstrain: return gate.constrain_up;
    case Rung::kProbation: return gate.probation_up;
    case Rung::kNone:
    case Rung::kRefuse:
    case Rung::kDefer:
    case Rung::kEscalate: break;
  }
  return 0;
}

absl::StatusOr<Measure> MeasureBy(const lineage::Store& store,
                                  const KnownObjects& known,
                                  const std::optional<Oid>& oid) {
  if (oid) {
    const auto it = std::ranges::find(known.charters, *oid, [](const auto& c) { return c.oid(); });
    if (it != known.charters.end()) return Measure(it->body);
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, Fetch(store, *oid));
    if (bytes) {
      const auto c = authority::ParseObject<authority::Charter>(*bytes);
      if (c.ok()) return Measure(c->body);
    }
  }
  if (known.charter() != nullptr) return Measure(known.charter()->body);
  return NotFound(
      "no charter is kept here, and levels are read by its numbers; ask the machine "
      "that wrote the log, or a copy that has it");
}

std::string_view StateWord(const trust::Reading& r) {
  if (r.collapsed) return "collapsed";
  if (r.capped()) return "capped";
  if (r.broken()) return "broken";
  if (!r.promotable()) return "falling";
  return r.slope > -trust::kPromotionSlope ? "rising" : "steady";
}

std::map<Kid, Promise> PromisesAt(const KnownObjects& known,
                                  const std::map<Kid, Fold>& folds,
                                  const Measure& measure,
                                  uint64_t seconds) {
  const authority::Taxonomy taxonomy = authority::Taxonomy::Of(measure.charter);
  const uint64_t epoch = EpochAt(seconds);
  // Who signs for others stands as an authority, whatever else it is; of two grants, the newer.
  std::set<Kid> signers;
  for (const auto& g : known.grants) signers.insert(g.signer());
  std::map<Kid, const Held<authority::Grant>*> grants;
  const auto fits = [&signers](const Kid& kid, const authority::Grant& g) {
    return signers.contains(kid) == ((g.caps & authority::kCapsIssue) != 0);
  };
  for (const auto& g : known.grants) {
    if (g.body.not_before > seconds || g.body.not_before + g.body.ttl <= seconds) continue;
    const Kid kid = authority::KidOf(g.body.suite, g.body.key);
    const auto [it, fresh] = grants.try_emplace(kid, &g);
    if (!fresh && (fits(kid, g.body) || !fits(kid, it->second->body))) it->second = &g;
  }
  std::map<Kid, Promise> out;
  for (const authority::Voter& v : measure.charter.voters)
    out[authority::KidOf(v.suite, v.key)] = {authority::Class::kRoot, taxonomy.Root().prior};
  // The chain above one key, then its levels from the top down.
  for (const auto& [kid, grant] : grants) {
    std::vector<Kid> chain = {kid};
    while (!out.contains(chain.back()) && chain.size() < kChainMax) {
      const auto it = grants.find(chain.back());
      if (it == grants.end()) break;
      chain.push_back(it->second->signer());
    }
    for (size_t i = chain.size(); i-- > 0;) {
      const auto above = i + 1 < chain.size() ? out.find(chain[i + 1]) : out.end();
      const auto own = grants.find(chain[i]);
      if (out.contains(chain[i]) || above == out.end() || own == grants.end()) continue;
      const auto weighed = folds.find(chain[i + 1]);
      const uint32_t level = weighed == folds.end()
                                 ? above->second.level
                                 : measure.Read(weighed->second.after(), epoch).ladm;
      const authority::ClassRule* row = taxonomy.Find(own->second->body.cls);
      if (row == nullptr) continue;
      out[chain[i]] = {own->second->body.cls, authority::PriorUnder(*row, level)};
    }
  }
  return out;
}

std::optional<Turning> NextTurn(
    trust::Standing s, uint64_t epoch, const Measure& measure, uint32_t r, bool up) {
  epoch = std::max(epoch, s.last);
  const Rung now = measure.RungOf(measure.Read(s, epoch));
  for (uint64_t e = epoch + 1; e <= epoch + kAheadEpochs; ++e) {
    if (r > 0) s.Step(e, {.r = r});
    const Rung then = measure.RungOf(measure.Read(s, e));
    if (up ? then > now : then < now) return Turning{e, then};
  }
  return std::nullopt;
}

absl::StatusOr<std::string> EvidenceText(const lineage::Store& store, const Digest& evidence) {
  const Oid oid = *Oid::From(evidence.view());
  AQ_ASSIGN_OR_RETURN(const auto proof, store.GetObject(lineage::Shelf::kProof, oid));
  if (proof) return std::string("proof that it signed twice");
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, Fetch(store, oid));
  if (!bytes) return std::string();
  const auto object = authority::Signed::Parse(*bytes);
  if (!object.ok()) return std::string("an object that does not parse");
  if (object->ctx() != authority::Ctx::kGrant)
    return std::string(authority::CtxName(object->ctx()));
  const auto g = authority::ParseBody<authority::Grant>(object->body());
  if (!g.ok()) return std::string("a grant that does not parse");
  constexpr size_t kPrefixesShown = 3;
  std::vector<std::string> prefixes;
  for (const Prefix& p : g->prefixes) {
    if (prefixes.size() == kPrefixesShown) {
      prefixes.back() += Join(" and ", g->prefixes.size() - kPrefixesShown, " more");
      break;
    }
    prefixes.push_back(p.ToString());
  }
  return Join(authority::ClassName(g->cls),
              " grant",
              prefixes.empty() ? "" : " of ",
              Listed(prefixes),
              g->name.empty() ? "" : " to ",
              g->name);
}

std::string LevelText(uint32_t q16) { return Thousandths(q16, false); }
std::string SlopeText(int32_t q16) {
  const std::string digits = LevelText(static_cast<uint32_t>(std::abs(q16)));
  return Join(q16 < 0 && digits != ".000" ? "-" : "+", digits);
}
std::string AmountText(uint32_t q16) { return Thousandths(q16, true); }

}  // namespace aqmesh::cli
