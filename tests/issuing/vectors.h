// The mesh of spec/objects.md §8: root, atlas and borealis under keys of equal bytes, built by
// issuing/.
#ifndef AQMESH_TESTS_ISSUING_VECTORS_H_
#define AQMESH_TESTS_ISSUING_VECTORS_H_

#include <cstdio>

#include "core/base/check.h"
#include "core/base/status.h"
#include "issuing/issue.h"

namespace aqmesh::issuing::vectors {

inline constexpr uint64_t kT = 1'700'000'000;

inline crypto::Ed25519Seed Seed(uint8_t byte) {
  const std::array<uint8_t, 32> raw = [byte] {
    std::array<uint8_t, 32> r;
    r.fill(byte);
    return r;
  }();
  return crypto::Ed25519Seed(raw);
}
inline Digest NextOf(uint8_t byte) {
  return authority::NextKeyOf(authority::Suite::kEd25519, crypto::Ed25519Public(Seed(byte)));
}
template <class T>
T Must(absl::StatusOr<T> v) {
  if (!v.ok()) fprintf(stderr, "%s\n", Text(v.status()).c_str());
  AQ_CHECK(v.ok());
  return *std::move(v);
}

struct World {
  MemorySeqs seqs;
  crypto::Ed25519Seed root_seed = Seed(1), atlas_seed = Seed(2), borealis_seed = Seed(3);
  Signer root{root_seed, seqs}, atlas{atlas_seed, seqs}, borealis{borealis_seed, seqs};
  Held<authority::Charter> charter = MakeCharter({});
  Held<authority::Grant> enroller, atlas_node;
  Held<authority::Fragment> members;

  explicit World(std::vector<std::string> charter_tags = {},
                 std::vector<std::string> enroller_tags = {"member"}) {
    charter = MakeCharter(std::move(charter_tags));
    FirstMachine first{.key = atlas.key(), .name = "atlas"};
    first.enroller_tags = std::move(enroller_tags);
    first.enroller_ttl = 400 * kDay;
    JoinGrants grants = Must(RootGrants(ByRoot(), first, kT));
    enroller = *grants.enroller;
    atlas_node = grants.node;
    members = Must(DefaultFragment(ByRoot(), kT, 400 * kDay));
  }

  Held<authority::Charter> MakeCharter(std::vector<std::string> tags) const {
    GenesisOptions options{.name = "home", .next_key = NextOf(9), .now = kT};
    options.tags = std::move(tags);
    Salt salt;
    salt.bytes.fill(0x5a);
    return Seal(Must(GenesisBody(options, root.key(), salt)), root_seed);
  }
  Issuer ByRoot() const { return {.signer = root, .charter = charter}; }
  Issuer ByAtlas() const { return {.signer = atlas, .charter = charter, .grant = &enroller}; }

  Held<authority::Request> BorealisAsks(std::vector<std::string> tags = {}) const {
    RequestTerms terms;
    terms.scope = ScopeOfCharter(charter);
    terms.static_key.bytes.fill(7);
    terms.now = kT;
    terms.name = "borealis";
    terms.next_key = NextOf(8);
    terms.tags = std::move(tags);
    return Must(MakeRequest(borealis_seed, terms, nullptr, nullptr));
  }

  // The vector's number is 3: two grants of atlas went before it.
  absl::StatusOr<Held<authority::Invite>> Invitation(uint8_t flags = 0,
                                                     std::vector<std::string> tags = {"member"}) {
    for (int i = 0; i < 2; ++i) (void)Must(seqs.ReserveExpansion(atlas.kid()));
    InviteTerms terms;
    terms.one_time_key = crypto::Ed25519Public(Seed(4));
    terms.flags = flags;
    terms.tags = std::move(tags);
    const Bytes static_key =
        *FromHex("5869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b");
    terms.members = {{.kid = atlas.kid(),
                      .static_key = *X25519Key::From(static_key),
                      .endpoints = {*Endpoint::Parse("192.168.1.10:41641")}}};
    return MakeInvite(ByAtlas(), terms, kT);
  }
};

}  // namespace aqmesh::issuing::vectors

#endif  // AQMESH_TESTS_ISSUING_VECTORS_H_
