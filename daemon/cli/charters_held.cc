#include "daemon/cli/charters_held.h"

#include <map>

#include "core/base/status.h"

namespace aqmesh::cli {

using authority::Signed;
using SignedPtr = std::shared_ptr<const Signed>;

absl::StatusOr<node::Charters> ChartersIn(const lineage::Store& store, const KnownObjects& known) {
  node::Charters out;
  std::map<Oid, std::vector<SignedPtr>> votes;
  for (const SignedPtr& o : known.others) {
    if (o->ctx() != authority::Ctx::kCosign) continue;
    if (const auto v = authority::ParseBody<authority::Cosign>(o->body()); v.ok())
      votes[v->target].push_back(o);
  }
  for (const auto& c : known.charters) {
    // What does not hold the node passes over too.
    (void)out.Restore(c.envelope, votes[c.oid()], nullptr);
  }
  for (const std::string_view family : {node::kProposalState, node::kVoteState}) {
    AQ_RETURN_IF_ERROR(store.ScanState(family, [&](std::string_view, ByteView bytes) {
      auto object = Signed::Parse(bytes);
      // What does not hold is the node's to refuse.
      if (object.ok()) (void)out.Take(std::make_shared<const Signed>(*std::move(object)), nullptr);
      return true;
    }));
  }
  return out;
}

absl::Status TakeCharters(node::Charters& charters, std::span<const SignedPtr> objects) {
  std::vector<SignedPtr> mine;
  for (const SignedPtr& o : objects) {
    if (o->ctx() == authority::Ctx::kCharter || IsProposed(*o)) mine.push_back(o);
  }
  for (const SignedPtr& o : mine) {
    const absl::Status taken = charters.Take(o, nullptr);
    if (!taken.ok() && !absl::IsUnavailable(taken)) return taken;
  }
  for (const SignedPtr& o : mine) AQ_RETURN_IF_ERROR(charters.Take(o, nullptr));
  return absl::OkStatus();
}

}  // namespace aqmesh::cli
