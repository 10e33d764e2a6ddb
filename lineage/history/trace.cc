#include "lineage/history/trace.h"

#include <algorithm>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "lineage/history/trace_reader.h"

// spec: lineage#10, the table of edges: Causes reads it from left to right, Effects from right to
// left.
namespace aqmesh::lineage {

using authority::Observe;
using authority::RecordKind;

namespace {

constexpr size_t kFlowsShown = 3;
constexpr uint16_t kRevoked = static_cast<uint16_t>(authority::Reason::kRevoked);

bool IsDecision(const Observe& r) {
  return r.kind == RecordKind::kProposed || r.kind == RecordKind::kDecided;
}
bool IsEdge(RecordKind kind) { return kind >= RecordKind::kArmed && kind <= RecordKind::kDiverged; }

Oid EvidenceOid(const Observe& r) { return Oid{r.evidence->bytes}; }

SearchSpan Back(Seq end, size_t some = 1) {
  return {.end = end, .order = Order::kNewestFirst, .some = some};
}
SearchSpan OnFrom(Seq seq, size_t some = 1) { return {.first = seq + 1, .some = some}; }

class Tracer {
 public:
  Tracer(std::span<const TracedLog> logs, const TraceOptions& options)
      : logs_(logs), options_(options), read_(logs) {
    graph_.up = options.up;
  }

  absl::StatusOr<TraceGraph> Run(size_t log, Seq seq) {
    AQ_ASSIGN_OR_RETURN(const Bytes body, logs_[log].store->Read(seq));
    AQ_ASSIGN_OR_RETURN(const RecordEntry entry, ParseEntry(body));
    AQ_ASSIGN_OR_RETURN(Observe record, authority::ParseBody<Observe>(body));
    AddRecord(log, {entry.leaf, std::move(record)});
    std::vector<size_t> at = {0};
    for (size_t depth = 0; !at.empty(); ++depth) {
      if (depth == options_.depth_max) {
        graph_.cut = true;
        break;
      }
      next_.clear();
      for (const size_t n : at) {
        if (!graph_.nodes[n].record) continue;
        node_ = n;
        const Observe r = *graph_.nodes[n].record;  // nodes move as they are added
        options_.up ? Causes(graph_.nodes[n].log, r) : Effects(graph_.nodes[n].log, r);
        AQ_RETURN_IF_ERROR(read_.status());
      }
      at = next_;
    }
    return std::move(graph_);
  }

 private:
  using Found = TraceReader::Found;

  // ---- the graph

  size_t AddRecord(size_t log, FoundRecord found) {
    const auto [it, fresh] = known_.try_emplace(found.leaf, graph_.nodes.size());
    if (!fresh) return it->second;
    graph_.nodes.push_back({log, found.leaf, std::move(found.record), {}});
    next_.push_back(it->second);
    return it->second;
  }
  bool Room(const Digest& id) {
    if (known_.contains(id) || graph_.nodes.size() < options_.nodes_max) return true;
    graph_.cut = true;
    return false;
  }
  void Connect(size_t other, Because because) {
    if (other == node_) return;
    const TraceEdge e{options_.up ? node_ : other, options_.up ? other : node_, because};
    const bool known = std::ranges::any_of(graph_.edges, [&e](const TraceEdge& have) {
      return have.effect == e.effect && have.cause == e.cause;
    });
    if (!known) graph_.edges.push_back(e);
  }
  void Link(size_t log, const Found& found, Because because) {
    for (const FoundRecord& f : found) {
      if (Room(f.leaf)) Connect(AddRecord(log, f), because);
    }
  }
  void LinkObject(size_t log, const Oid& oid, Because because) {
    const Digest id{oid.bytes};
    if (!Room(id)) return;
    const auto [it, fresh] = known_.try_emplace(id, graph_.nodes.size());
    if (fresh) graph_.nodes.push_back({log, id, std::nullopt, read_.ObjectText(log, oid)});
    Connect(it->second, because);
  }
  template <class F>
  void ForEachOther(size_t log, F f) {
    for (size_t other = 0; other < logs_.size(); ++other) {
      if (other != log) f(other);
    }
  }

  // ---- causes

  void Causes(size_t log, const Observe& r) {
    if (IsEdge(r.kind)) {
      CausesOfEdge(log, r);
    } else if (IsDecision(r)) {
      CausesOfDecision(log, r);
    } else if (r.kind == RecordKind::kFlow) {
      CausesOfFlow(log, r);
    } else {
      if (r.kind == RecordKind::kRevokeSeen) LinkFirstHeard(log, r);
      if (r.kind == RecordKind::kApproved && r.subject) {
        const auto decision = [](const Observe& o, const Digest&) { return IsDecision(o); };
        Link(log, read_.About(log, *r.subject, Back(r.seq), decision), Because::kAnswers);
      }
      if (r.evidence) LinkEvidence(log, r);
    }
    if (options_.previous && r.seq > 0) LinkAt(log, r.seq - 1);
  }
  void LinkAt(size_t log, Seq seq) {
    const auto any = [](const Observe&, const Digest&) { return true; };
    Link(log, read_.InLog(log, {.first = seq, .end = seq + 1}, any), Because::kPrevious);
  }

  void CausesOfEdge(size_t log, const Observe& r) {
    if (!r.subject) return;
    const bool armed = r.kind == RecordKind::kArmed;
    const auto take = [&](const Observe& o, const Digest& leaf) {
      if (!armed) return IsEdge(o.kind) && o.action_id == r.action_id;
      return r.evidence ? leaf == *r.evidence : IsDecision(o) && o.action == r.action;
    };
    Link(log,
         read_.About(log, *r.subject, Back(r.seq), take),
         armed ? Because::kCarriesOut : Because::kFollows);
  }

  void CausesOfDecision(size_t log, const Observe& r) {
    const TraceReader::Ground& g = read_.GroundOf(log, r);
    if (r.subject) {
      const auto again = [&](const Observe& o, const Digest&) {
        return IsDecision(o) && o.authority && o.authority == r.authority;
      };
      Link(log, read_.About(log, *r.subject, Back(r.seq), again), Because::kAgain);
    }
    if (r.reason == kRevoked) {
      const auto heard = [&](const Observe& o, const Digest&) {
        return o.kind == RecordKind::kRevokeSeen && read_.Hits(read_.TargetOf(log, o), log, r);
      };
      Link(log, read_.InLog(log, Back(r.seq), heard), Because::kRestricted);
    }
    ForEachOther(log, [&](size_t other) {
      if (!g.answers) return;
      const auto asked = [&](const Observe& o, const Digest&) {
        return IsDecision(o) && read_.GroundOf(other, o).opened == *g.answers;
      };
      Link(other, read_.InLog(other, read_.Around(other, r.hlc), asked), Because::kOtherEnd);
    });
    for (size_t other = 0; r.subject && other < logs_.size(); ++other) {
      const auto made = [&](const Observe& o, const Digest&) {
        return o.kind == RecordKind::kApproved && o.evidence &&
               read_.IsMadeFrom(log, r, EvidenceOid(o));
      };
      const SearchSpan span = Back(other == log ? r.seq : kSeqEnd);
      Link(other, read_.About(other, *r.subject, span, made), Because::kGranted);
    }
    for (const Oid& oid : g.oids) LinkObject(log, oid, Because::kMadeFrom);
  }

  void CausesOfFlow(size_t log, const Observe& r) {
    if (!r.subject || !r.flow) return;
    const std::vector<Oid>& shown = r.flow->presentations;
    const auto opens = [&](const Observe& o, const Digest&) {
      if (!IsDecision(o)) return false;
      const std::optional<Oid>& opened = read_.GroundOf(log, o).opened;
      return opened && std::ranges::find(shown, *opened) != shown.end();
    };
    Found under = read_.About(log, *r.subject, Back(r.seq, shown.size()), opens);
    if (under.empty()) {
      under = read_.About(log, *r.subject, Back(r.seq), [](const Observe& o, const Digest&) {
        return o.kind == RecordKind::kCommitted;
      });
    }
    Link(log, under, Because::kCarriedUnder);
  }

  void LinkFirstHeard(size_t log, const Observe& r) {
    std::optional<std::pair<size_t, Found>> first;
    ForEachOther(log, [&](size_t other) {
      const auto before = [&](const Observe& o, const Digest&) {
        return o.kind == RecordKind::kRevokeSeen && o.evidence == r.evidence && o.hlc < r.hlc;
      };
      Found found = read_.InLog(other, read_.Around(other, r.hlc), before);
      if (found.empty()) return;
      if (!first || found[0].record.hlc < first->second[0].record.hlc)
        first.emplace(other, std::move(found));
    });
    if (first) Link(first->first, first->second, Because::kHeard);
  }

  void LinkEvidence(size_t log, const Observe& r) {
    for (size_t other = 0; other < logs_.size(); ++other) {
      const SearchSpan span = other == log ? Back(r.seq) : read_.Around(other, r.hlc);
      const Found leaf = read_.InLog(
          other, span, [&](const Observe&, const Digest& l) { return l == *r.evidence; });
      Link(other, leaf, Because::kEvidence);
      if (!leaf.empty()) return;
    }
    LinkObject(log, EvidenceOid(r), Because::kEvidence);
  }

  // ---- effects

  void Effects(size_t log, const Observe& r) {
    const Digest leaf = graph_.nodes[node_].id;
    if (IsEdge(r.kind)) {
      EffectsOfEdge(log, r);
    } else if (IsDecision(r)) {
      EffectsOfDecision(log, r, leaf);
    } else if (r.kind == RecordKind::kRevokeSeen) {
      EffectsOfRestriction(log, r);
    } else if (r.kind == RecordKind::kApproved && r.subject && r.evidence) {
      for (size_t other = 0; other < logs_.size(); ++other) {
        const auto rests = [&](const Observe& o, const Digest&) {
          return IsDecision(o) && read_.IsMadeFrom(other, o, EvidenceOid(r));
        };
        const SearchSpan span = {.first =
                                     other == log ? r.seq + 1 : read_.Around(other, r.hlc).first};
        Link(other, read_.About(other, *r.subject, span, rests), Because::kGranted);
      }
    }
    if (options_.previous) LinkAt(log, r.seq + 1);
  }

  void EffectsOfEdge(size_t log, const Observe& r) {
    if (!r.subject) return;
    const auto next = [&](const Observe& o, const Digest&) {
      return IsEdge(o.kind) && o.action_id == r.action_id;
    };
    Link(log, read_.About(log, *r.subject, OnFrom(r.seq), next), Because::kFollows);
    if (r.kind != RecordKind::kCommitted) return;
    // What was carried in sessions that were renewed without a decision of their own.
    bool over = false;
    const auto carried = [&](const Observe& o, const Digest&) {
      over = over || o.kind == RecordKind::kCommitted || o.kind == RecordKind::kRolledBack;
      return !over && o.kind == RecordKind::kFlow && o.flow &&
             std::ranges::none_of(o.flow->presentations,
                                  [this](const Oid& oid) { return read_.Opened(oid); });
    };
    Link(log,
         read_.About(log, *r.subject, OnFrom(r.seq, kFlowsShown), carried),
         Because::kCarriedUnder);
  }

  void EffectsOfDecision(size_t log, const Observe& r, const Digest& leaf) {
    if (!r.subject) return;
    const std::optional<Oid> opened = read_.GroundOf(log, r).opened;
    const auto armed = [&](const Observe& o, const Digest&) {
      return o.kind == RecordKind::kArmed && o.evidence == leaf;
    };
    const auto again = [&](const Observe& o, const Digest&) {
      return IsDecision(o) && o.authority && o.authority == r.authority;
    };
    Link(log, read_.About(log, *r.subject, OnFrom(r.seq), armed), Because::kCarriesOut);
    Link(log, read_.About(log, *r.subject, OnFrom(r.seq), again), Because::kAgain);
    if (!opened) return;
    const auto carried = [&](const Observe& o, const Digest&) {
      if (o.kind != RecordKind::kFlow || !o.flow) return false;
      const std::vector<Oid>& shown = o.flow->presentations;
      return std::ranges::find(shown, *opened) != shown.end();
    };
    Link(log,
         read_.About(log, *r.subject, OnFrom(r.seq, kFlowsShown), carried),
         Because::kCarriedUnder);
    ForEachOther(log, [&](size_t other) {
      const auto answer = [&](const Observe& o, const Digest&) {
        return IsDecision(o) && read_.GroundOf(other, o).answers == *opened;
      };
      Link(other, read_.InLog(other, read_.Around(other, r.hlc), answer), Because::kOtherEnd);
    });
  }

  void EffectsOfRestriction(size_t log, const Observe& r) {
    const TraceReader::Target target = read_.TargetOf(log, r);
    std::set<Kid> ended;  // the first refusal of each is its effect; the later ones repeat it
    const auto ends = [&](const Observe& o, const Digest&) {
      return IsDecision(o) && o.reason == kRevoked && o.subject && read_.Hits(target, log, o) &&
             ended.insert(*o.subject).second;
    };
    Link(log, read_.InLog(log, OnFrom(r.seq, TraceReader::kNearby), ends), Because::kRestricted);
    ForEachOther(log, [&](size_t other) {
      const auto after = [&](const Observe& o, const Digest&) {
        return o.kind == RecordKind::kRevokeSeen && o.evidence == r.evidence && o.hlc > r.hlc;
      };
      Link(other, read_.InLog(other, read_.Around(other, r.hlc), after), Because::kHeard);
    });
  }

  std::span<const TracedLog> logs_;
  const TraceOptions options_;
  TraceReader read_;
  TraceGraph graph_;
  std::map<Digest, size_t> known_;
  std::vector<size_t> next_;
  size_t node_ = 0;  // whose edges are being found
};

}  // namespace

std::string_view BecauseName(Because b) {
  constexpr std::string_view kNames[] = {"",
                                         "follows",
                                         "carries out",
                                         "made from",
                                         "judged again",
                                         "because of",
                                         "granted by",
                                         "other end",
                                         "carried under",
                                         "heard after",
                                         "rests on",
                                         "answers",
                                         "after"};
  return kNames[static_cast<size_t>(b)];
}

absl::StatusOr<TraceGraph> Trace(std::span<const TracedLog> logs,
                                 size_t log,
                                 Seq seq,
                                 const TraceOptions& options) {
  return Tracer(logs, options).Run(log, seq);
}

}  // namespace aqmesh::lineage
