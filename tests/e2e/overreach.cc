// Signs, with a machine's own key, what our own tools would refuse to sign for it: a grant of a
// subnet that its ENROLLER grant does not hold. Armoured, on standard output.
//   overreach STATE_DIR SUBNET
#include <cstdio>
#include <string>

#include "core/authority/armour.h"
#include "core/base/status.h"
#include "daemon/cli/state.h"
#include "issuing/issue.h"
#include "transport/os/clock.h"

namespace {

using namespace aqmesh;  // NOLINT(google-build-using-namespace)

absl::StatusOr<std::string> Overreach(const std::string& path, const std::string& subnet) {
  AQ_ASSIGN_OR_RETURN(const cli::StateDir state, cli::StateDir::Open(path));
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed identity, keys.LoadEd25519(cli::kIdentityKey));
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(const cli::KnownObjects known, cli::LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const Kid kid, state.KidOfKey(cli::kIdentityKey));
  const uint64_t now = os::ReadNow().wall.seconds();
  const auto* own = known.GrantOf(kid, authority::Class::kEnroller, now);
  const auto prefix = Prefix::Parse(subnet);
  if (own == nullptr || !prefix) return InvalidArgument("no ENROLLER grant, or no subnet");
  authority::Grant g;
  g.scope = own->body.scope;
  g.suite = authority::Suite::kEd25519;
  g.key.bytes.fill(0x07);
  g.cls = authority::Class::kNode;
  g.generation = 1;
  g.seq = 1'000'000 + now;
  g.not_before = now;
  g.ttl = 3'600;
  g.caps = issuing::kNodeCaps;
  g.parent = own->oid();
  g.charter_version = known.charter()->body.version;
  g.prefixes = {*prefix};
  g.tags = {"member"};
  return authority::Armour(*issuing::Seal(g, identity).envelope);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: overreach STATE_DIR SUBNET\n");
    return 2;
  }
  const absl::StatusOr<std::string> text = Overreach(argv[1], argv[2]);
  if (!text.ok()) {
    std::fprintf(stderr, "overreach: %s\n", Text(text.status()).c_str());
    return 1;
  }
  std::fputs(text->c_str(), stdout);
  return 0;
}
