// Addresses that follow from a scope and a key, so that nobody hands them out: the scope's /48, a
// node's IPv6, its sixteen IPv4 candidates, and the address that means "the other end of this
// tunnel".
// Spec:   spec/objects.md §6.
// Bounds: kIp4CandidatesMax candidates. Thread: all functions are pure. Cost: one BLAKE2b each, ~0.3 us.
#ifndef AQMESH_CORE_AUTHORITY_ADDRESS_H_
#define AQMESH_CORE_AUTHORITY_ADDRESS_H_

#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/net.h"

namespace aqmesh::authority {

inline constexpr size_t kIp4CandidatesMax = 16;

Prefix DefaultPool4();  // 100.64.0.0/10, where a charter names no pool

Prefix Prefix48(const ScopeId& scope);           // fd || H256("aqmesh/1/ula" || scope)[0..5), /48
IpAddress ControlAddress(const ScopeId& scope);  // prefix48::a5; never crosses the TUN

// `kid` is the first of the node's lineage, so that rotating the key keeps the address.
IpAddress DerivedIp6(const ScopeId& scope, const Kid& kid);

// In the order in which an issuer tries them. The skipped ones are left out: host bits all 0 or all
// 1, 100.100.0.0/16 and 100.115.92.0/23 (other networks' service addresses). pool4 is IPv4, /8 to
// /24.
std::vector<IpAddress> Ip4Candidates(const ScopeId& scope,
                                     const Kid& kid,
                                     const std::optional<Prefix>& pool4 = std::nullopt);

// True iff `p` is a host route to the node's own IPv6 or to one of its IPv4 candidates: the only
// prefixes that may exceed the parent grant's.
bool IsDerivedHost(const Prefix& p,
                   const ScopeId& scope,
                   const Kid& kid,
                   const std::optional<Prefix>& pool4 = std::nullopt);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_ADDRESS_H_
