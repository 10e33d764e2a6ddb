#include "daemon/cli/history_view.h"

#include <algorithm>

#include "admission/explain.h"
#include "core/base/status.h"
#include "daemon/cli/session.h"

namespace aqmesh::cli {

namespace {

using authority::Fragment;
using authority::Grant;

// Whoever the rules mean when they speak of this subject as the source.
bool Speaks(const authority::Selector& s, const SubjectView& view) {
  using Kind = authority::Selector::Kind;
  switch (s.kind) {
    case Kind::kAny: return true;
    case Kind::kKid: return s.kid == view.kid;
    case Kind::kTag:
      return view.leaf && std::ranges::any_of(view.leaf->body.tags, [&s](const std::string& tag) {
               return admission::TagMatches(s.tag, tag);
             });
    case Kind::kPrefix4:
    case Kind::kPrefix6:
      return view.leaf && std::ranges::any_of(view.leaf->body.prefixes, [&s](const Prefix& p) {
               return s.prefix.Contains(p.address);
             });
  }
  return false;
}

absl::StatusOr<std::optional<Bytes>> Fetch(const lineage::Store& store, const Oid& oid) {
  AQ_ASSIGN_OR_RETURN(std::optional<Bytes> bytes, store.GetObject(lineage::Shelf::kInputs, oid));
  if (bytes) return bytes;
  return store.GetObject(lineage::Shelf::kSigned, oid);
}

void TakeObject(const SignedPtr& object, SubjectView& view, KnownObjects& known) {
  if (object->ctx() == authority::Ctx::kGrant) {
    auto g = authority::ParseBody<Grant>(object->body());
    if (!g.ok()) return;
    const bool its = authority::KidOf(g->suite, g->key) == view.kid;
    const bool opens =
        (g->caps & authority::kCapJoin) != 0 && (g->caps & authority::kCapsIssue) == 0;
    const Held<Grant> held{object, *std::move(g)};
    if (its && opens) view.leaf = held;
    if (known.GrantNamed(held.oid()) == nullptr) known.grants.push_back(held);
  } else if (object->ctx() == authority::Ctx::kFragment) {
    auto f = authority::ParseBody<Fragment>(object->body());
    if (f.ok()) view.fragments.push_back({object, *std::move(f)});
  } else if (object->ctx() == authority::Ctx::kRequest) {
    const auto r = authority::ParseBody<authority::Request>(object->body());
    if (r.ok()) view.name = r->name;
  }
}

absl::Status Resolve(const lineage::Store& store, SubjectView& view, KnownObjects& known) {
  if (!view.ruling || !view.ruling->inputs) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, Fetch(store, *view.ruling->inputs));
  if (!bytes) return absl::OkStatus();
  auto inputs = lineage::ParseInputs(*bytes);
  if (!inputs.ok())
    return DataLoss("inputs ", ToHex(*view.ruling->inputs), ": ", Text(inputs.status()));
  view.inputs = *std::move(inputs);
  for (const Oid& oid : view.inputs->oids) {
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> object, Fetch(store, oid));
    if (!object) continue;
    auto parsed = authority::Signed::Parse(*object);
    if (!parsed.ok()) return DataLoss("object ", ToHex(oid), ": ", Text(parsed.status()));
    TakeObject(std::make_shared<const authority::Signed>(*std::move(parsed)), view, known);
  }
  if (view.leaf) view.name = view.leaf->body.name;
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> SubjectView::addresses() const {
  return leaf ? AddressesOf(leaf->body) : std::vector<std::string>();
}

std::vector<RuleView> RulesOf(const SubjectView& view) {
  std::vector<RuleView> out;
  for (const auto& f : view.fragments) {
    for (const authority::Rule& rule : f.body.rules)
      out.push_back({f.oid(), f.signer(), admission::RuleText(rule), Speaks(rule.src, view)});
  }
  return out;
}

absl::StatusOr<StateView> ViewOf(const lineage::Store& store,
                                 const lineage::State& state,
                                 const Kid& own,
                                 KnownObjects& known) {
  StateView out{.log = state.log() ? ToHex(*state.log()) : "",
                .records = state.records(),
                .hlc = state.hlc(),
                .subjects = {},
                .tables = {}};
  for (const Kid& kid : state.Subjects()) {
    const lineage::Subject& s = *state.Find(kid);
    if (kid == own) out.tables = s.in_force;
    if (s.rulings.empty()) continue;  // only spoken of
    const lineage::Ruling* ruling = s.ground() ? s.ground() : s.newest();
    SubjectView view{.kid = kid,
                     .name = {},
                     .subject = s,
                     .ruling = *ruling,
                     .inputs = {},
                     .leaf = {},
                     .fragments = {}};
    AQ_RETURN_IF_ERROR(Resolve(store, view, known));
    out.subjects.push_back(std::move(view));
  }
  std::ranges::sort(out.subjects, [](const SubjectView& a, const SubjectView& b) {
    // Those without a name last.
    if (a.name.empty() != b.name.empty()) return b.name.empty();
    return a.name != b.name ? a.name < b.name : a.kid < b.kid;
  });
  return out;
}

}  // namespace aqmesh::cli
