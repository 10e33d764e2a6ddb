#include "daemon/cli/log_owner.h"

#include <algorithm>

#include "core/authority/chain.h"
#include "core/authority/standalone.h"
#include "core/base/status.h"

namespace aqmesh::cli {

using authority::Grant;
using authority::Keybind;

std::vector<Member> MembersIn(const std::vector<SignedPtr>& objects,
                              const Held<authority::Charter>& charter,
                              uint64_t at) {
  std::vector<Member> out;
  for (const SignedPtr& o : objects) {
    if (o->ctx() != authority::Ctx::kGrant) continue;
    const auto grant = authority::ParseBody<Grant>(o->body());
    if (!grant.ok() || grant->cls != authority::Class::kNode) continue;
    std::vector<SignedPtr> rest;
    for (const SignedPtr& other : objects) {
      if (other != o) rest.push_back(other);
    }
    if (!authority::VerifyStandalone(o->bytes(), charter, rest, WallTime::FromSeconds(at))
             .status.ok())
      continue;
    out.push_back({authority::KidOf(grant->suite, grant->key), grant->key, grant->name});
  }
  return out;
}

absl::StatusOr<LogOwner> OwnerOf(const Kid& log,
                                 const std::vector<SignedPtr>& objects,
                                 std::span<const Member> members,
                                 const ScopeId& scope) {
  for (const SignedPtr& o : objects) {
    if (o->ctx() != authority::Ctx::kKeybind) continue;
    const auto k = authority::ParseBody<Keybind>(o->body());
    if (!k.ok() || k->kind != 2 || k->suite != authority::Suite::kEd25519 || k->scope != scope ||
        authority::KidOf(k->suite, k->key) != log)
      continue;
    const auto m = std::ranges::find(members, o->kid(), &Member::kid);
    if (m == members.end()) {
      return Unauthenticated("the log key is bound to ",
                             ToHex(o->kid()),
                             ", whom no cited grant proves under this charter at that time");
    }
    if (!authority::VerifySignature(*o, m->key))
      return Unauthenticated("the binding of the log key is not signed by ", m->name);
    return LogOwner{Ed25519Key{k->key.bytes}, *m};
  }
  return Unauthenticated("no cited keybind says whose log ", ToHex(log), " is");
}

}  // namespace aqmesh::cli
