#include "core/authority/address.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/hash.h"

namespace aqmesh::authority {
namespace {

using Raw16 = std::array<uint8_t, 16>;

Raw16 Ula(const ScopeId& scope) {
  const crypto::Hash32 hash = crypto::H256({AsBytes("aqmesh/1/ula"), scope});
  Raw16 raw{};
  raw[0] = 0xfd;
  std::memcpy(raw.data() + 1, hash.data(), 5);
  return raw;
}

IpAddress FromV4(uint32_t host_order) {
  std::array<uint8_t, 4> raw;
  StoreBe(raw.data(), host_order);
  return *IpAddress::From(raw);
}

// 100.100.0.0/16 and 100.115.92.0/23 are service ranges of others who live in 100.64.0.0/10.
bool InForeignServiceRange(uint32_t a) {
  return (a & 0xffff0000u) == 0x64640000u || (a & 0xfffffe00u) == 0x64735c00u;
}

}  // namespace

Prefix DefaultPool4() { return {FromV4(0x64400000u), 10}; }

Prefix Prefix48(const ScopeId& scope) { return {*IpAddress::From(Ula(scope)), 48}; }

IpAddress ControlAddress(const ScopeId& scope) {
  Raw16 raw = Ula(scope);
  raw[15] = 0xa5;
  return *IpAddress::From(raw);
}

IpAddress DerivedIp6(const ScopeId& scope, const Kid& kid) {
  const crypto::Hash32 hash = crypto::H256({AsBytes("aqmesh/1/ip6"), scope, kid});
  Raw16 raw = Ula(scope);
  std::memcpy(raw.data() + 6, hash.data(), 10);
  // The subnet 0 holds the control address: no node may derive into it.
  if (raw[6] == 0 && raw[7] == 0) raw[7] = 1;
  return *IpAddress::From(raw);
}

std::vector<IpAddress> Ip4Candidates(const ScopeId& scope,
                                     const Kid& kid,
                                     const std::optional<Prefix>& pool4) {
  const Prefix pool = pool4.value_or(DefaultPool4());
  AQ_CHECK(!pool.address.is_v6());
  AQ_CHECK(pool.length >= 8);
  AQ_CHECK(pool.length <= 24);
  const uint32_t mask = 0xffffffffu >> pool.length;
  const uint32_t base = LoadBe<uint32_t>(pool.address.bytes().data());
  std::vector<IpAddress> out;
  for (uint8_t c = 0; c < kIp4CandidatesMax; ++c) {
    const crypto::Hash32 hash =
        crypto::H256({AsBytes("aqmesh/1/ip4"), scope, kid, ByteView(&c, 1)});
    const uint32_t low = LoadBe<uint32_t>(hash.data()) & mask;
    if (low == 0 || low == mask || InForeignServiceRange(base | low)) continue;
    out.push_back(FromV4(base | low));
  }
  return out;
}

bool IsDerivedHost(const Prefix& p,
                   const ScopeId& scope,
                   const Kid& kid,
                   const std::optional<Prefix>& pool4) {
  if (p.length != p.address.bits()) return false;
  if (p.address.is_v6()) return p.address == DerivedIp6(scope, kid);
  const std::vector<IpAddress> candidates = Ip4Candidates(scope, kid, pool4);
  return std::find(candidates.begin(), candidates.end(), p.address) != candidates.end();
}

}  // namespace aqmesh::authority
