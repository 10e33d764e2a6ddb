#include "lineage/history/trace_reader.h"

#include <algorithm>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "lineage/inputs.h"

namespace aqmesh::lineage {

using authority::Observe;

namespace {

constexpr size_t kAtOnce = 64;  // a visitor may not call the store, so some are read ahead
constexpr uint64_t kSpanMillis = 150'000;  // between clocks of two machines, and a little

}  // namespace

template <class Walk>
TraceReader::Found TraceReader::Search(Walk walk, SearchSpan span, Take take) {
  Found out;
  const bool forward = span.order == Order::kOldestFirst;
  for (uint64_t read = 0; read < kNearby && span.first < span.end;) {
    Found some;
    const absl::Status s = walk(span, [&](Seq, const Digest& leaf, ByteView body) {
      if (auto r = authority::ParseBody<Observe>(body); r.ok())
        some.push_back({leaf, *std::move(r)});
      return some.size() < kAtOnce;
    });
    if (!s.ok() && status_.ok()) status_ = s;
    for (FoundRecord& f : some) {
      (forward ? span.first : span.end) = forward ? f.record.seq + 1 : f.record.seq;
      if (take(f.record, f.leaf)) out.push_back(std::move(f));
      if (out.size() >= span.some) return out;
    }
    read += some.size();
    if (some.size() < kAtOnce) break;
  }
  return out;
}

TraceReader::Found TraceReader::About(size_t log, const Kid& kid, SearchSpan span, Take take) {
  const Store& store = *logs_[log].store;
  return Search([&](const SearchSpan& s,
                    RecordVisitor v) { return store.WalkSubject(kid, s.first, s.end, s.order, v); },
                span,
                take);
}

TraceReader::Found TraceReader::InLog(size_t log, SearchSpan span, Take take) {
  const Store& store = *logs_[log].store;
  return Search([&](const SearchSpan& s,
                    RecordVisitor v) { return store.WalkLog(s.first, s.end, s.order, v); },
                span,
                take);
}

SearchSpan TraceReader::Around(size_t log, uint64_t hlc) {
  const uint64_t span = HlcFromMillis(kSpanMillis);
  const auto first = logs_[log].store->SeqAt(hlc > span ? hlc - span : 0);
  const auto end = logs_[log].store->SeqAt(hlc + span);
  if (!first.ok() || !end.ok()) return {.first = 0, .end = 0};
  return {.first = *first, .end = *end};
}

std::optional<Bytes> TraceReader::Object(size_t log, const Oid& oid) {
  for (const Shelf shelf : {Shelf::kInputs, Shelf::kSigned, Shelf::kNote, Shelf::kProof}) {
    const auto bytes = logs_[log].store->GetObject(shelf, oid);
    if (bytes.ok() && *bytes) return **bytes;
  }
  return std::nullopt;
}

std::string TraceReader::ObjectText(size_t log, const Oid& oid) {
  const std::optional<Bytes> bytes = Object(log, oid);
  if (!bytes) return "not kept here";
  const auto s = authority::Signed::Parse(*bytes);
  if (!s.ok()) return "note";
  std::string text(authority::CtxName(s->ctx()));
  if (s->ctx() == authority::Ctx::kGrant) {
    if (const auto g = authority::ParseBody<authority::Grant>(s->body()); g.ok())
      text = Join(authority::ClassName(g->cls), " grant ", g->name);
  } else if (s->ctx() == authority::Ctx::kCharter) {
    if (const auto c = authority::ParseBody<authority::Charter>(s->body()); c.ok())
      text = Join("charter ", c->name, " version ", c->version);
  } else if (s->ctx() == authority::Ctx::kRequest) {
    if (const auto q = authority::ParseBody<authority::Request>(s->body()); q.ok())
      text = Join("request of ", q->name);
  }
  return text;
}

const TraceReader::Ground& TraceReader::GroundOf(size_t log, const Observe& r) {
  static const Ground kNone;
  if (!r.inputs) return kNone;
  const auto [it, fresh] = grounds_.try_emplace(*r.inputs);
  Ground& g = it->second;
  if (!fresh) return g;
  const auto bytes = Object(log, *r.inputs);
  const auto inputs = bytes ? ParseInputs(*bytes) : absl::StatusOr<Inputs>(NotFound("gone"));
  if (!inputs.ok()) return g;
  g.oids = inputs->oids;
  for (const Oid& oid : g.oids) ReadGround(log, oid, g);
  return g;
}

void TraceReader::ReadGround(size_t log, const Oid& oid, Ground& g) {
  const auto bytes = Object(log, oid);
  if (!bytes) return;
  const auto s = authority::Signed::Parse(*bytes);
  if (!s.ok()) return;
  if (s->ctx() == authority::Ctx::kGrant) {
    const auto grant = authority::ParseBody<authority::Grant>(s->body());
    if (!grant.ok()) return;
    g.kids.insert(s->kid());
    g.kids.insert(authority::KidOf(grant->suite, grant->key));
  } else if (s->ctx() == authority::Ctx::kPresentation) {
    const auto p = authority::ParseBody<authority::Presentation>(s->body());
    g.opened = oid;
    if (p.ok()) g.answers = p->answers;
  } else if (s->ctx() == authority::Ctx::kRequest) {
    g.opened = oid;
  }
}

TraceReader::Target TraceReader::TargetOf(size_t log, const Observe& seen) {
  Target t;
  if (!seen.evidence) return t;
  const auto bytes = Object(log, *Oid::From(seen.evidence->view()));
  if (!bytes) return t;
  const auto s = authority::Signed::Parse(*bytes);
  if (!s.ok() || s->ctx() != authority::Ctx::kRevoke) return t;
  if (const auto r = authority::ParseBody<authority::Revoke>(s->body()); r.ok()) {
    t.kid = r->kid;
    t.oid = r->oid;
  }
  return t;
}

bool TraceReader::Hits(const Target& t, size_t log, const Observe& decision) {
  const Ground& g = GroundOf(log, decision);
  const bool named = t.kid && (decision.subject == t.kid || g.kids.contains(*t.kid));
  return named || (t.oid && std::ranges::find(g.oids, *t.oid) != g.oids.end());
}

bool TraceReader::IsMadeFrom(size_t log, const Observe& decision, const Oid& oid) {
  const std::vector<Oid>& oids = GroundOf(log, decision).oids;
  return std::ranges::find(oids, oid) != oids.end();
}

bool TraceReader::Opened(const Oid& presentation) const {
  return std::ranges::any_of(
      grounds_, [&presentation](const auto& g) { return g.second.opened == presentation; });
}

}  // namespace aqmesh::lineage
