#include "transport/wireguard/allowed_ips.h"

#include <algorithm>
#include <bit>

namespace aqmesh::wireguard {

AllowedIps::Bits AllowedIps::BitsOf(const IpAddress& a) {
  const uint8_t* p = a.bytes().data();
  if (!a.is_v6()) return {uint64_t{LoadBe<uint32_t>(p)} << 32, 0};
  return {LoadBe<uint64_t>(p), LoadBe<uint64_t>(p + 8)};
}

unsigned AllowedIps::BitAt(const Bits& b, unsigned i) {
  return static_cast<unsigned>(i < 64 ? b.high >> (63 - i) : b.low >> (127 - i)) & 1u;
}

unsigned AllowedIps::Common(const Bits& a, const Bits& b) {
  if (a.high != b.high) return static_cast<unsigned>(std::countl_zero(a.high ^ b.high));
  return 64 + static_cast<unsigned>(std::countl_zero(a.low ^ b.low));
}

bool AllowedIps::Covers(const Node& n, const Bits& key) { return Common(n.bits, key) >= n.length; }

PeerId AllowedIps::Trie::Find(const Bits& key) const {
  PeerId best = kNoPeer;
  uint32_t at = root;
  while (at != kNone) {
    const Node& n = nodes[at];
    if (!Covers(n, key)) break;
    if (n.peer != kNoPeer) best = n.peer;
    if (n.length == 128) break;
    at = n.child[BitAt(key, n.length)];
  }
  return best;
}

PeerId AllowedIps::Trie::OwnerOf(const Bits& key, uint8_t length) const {
  uint32_t at = root;
  while (at != kNone) {
    const Node& n = nodes[at];
    if (n.length > length || !Covers(n, key)) return kNoPeer;
    if (n.length == length) return n.peer;
    at = n.child[BitAt(key, n.length)];
  }
  return kNoPeer;
}

uint32_t AllowedIps::Trie::New(const Bits& key, uint8_t length, PeerId peer) {
  uint32_t at;
  if (free.empty()) {
    at = static_cast<uint32_t>(nodes.size());
    nodes.emplace_back();
  } else {
    at = free.back();
    free.pop_back();
  }
  nodes[at] = {.bits = key, .length = length, .peer = peer, .child = {kNone, kNone}};
  return at;
}

PeerId AllowedIps::Trie::Set(const Bits& key, uint8_t length, PeerId peer) {
  // Room for both nodes that may be made, so that the links held below stay good.
  if (nodes.capacity() - nodes.size() < 2)
    nodes.reserve(std::max<size_t>(16, nodes.capacity() * 2));
  const uint32_t fresh = New(key, length, peer);
  uint32_t* link = &root;
  while (*link != kNone) {
    Node& n = nodes[*link];
    const unsigned common = std::min<unsigned>({Common(n.bits, key), n.length, length});
    if (common == n.length && n.length == length) {  // there already
      free.push_back(fresh);
      return std::exchange(n.peer, peer);
    }
    if (common == n.length) {  // below this node
      link = &n.child[BitAt(key, n.length)];
      continue;
    }
    if (common == length) {  // above this node
      nodes[fresh].child[BitAt(n.bits, length)] = *link;
      *link = fresh;
      return kNoPeer;
    }
    // Beside it: a fork where the two part.
    const uint32_t old = *link;
    const uint32_t fork = New(key, static_cast<uint8_t>(common), kNoPeer);
    nodes[fork].child[BitAt(nodes[old].bits, common)] = old;
    nodes[fork].child[BitAt(key, common)] = fresh;
    *link = fork;
    return kNoPeer;
  }
  *link = fresh;
  return kNoPeer;
}

void AllowedIps::Trie::Splice(uint32_t* link) {
  const uint32_t at = *link;
  if (at == kNone) return;
  const Node& n = nodes[at];
  if (n.peer != kNoPeer || (n.child[0] != kNone && n.child[1] != kNone)) return;
  *link = n.child[0] != kNone ? n.child[0] : n.child[1];
  free.push_back(at);
}

void AllowedIps::Trie::Erase(const Bits& key, uint8_t length) {
  uint32_t* above = nullptr;
  uint32_t* link = &root;
  while (nodes[*link].length != length) {
    above = link;
    link = &nodes[*link].child[BitAt(key, nodes[*link].length)];
  }
  nodes[*link].peer = kNoPeer;
  Splice(link);
  if (above != nullptr) Splice(above);  // a fork left with one child
}

PeerId AllowedIps::Find(const IpAddress& a) const {
  return (a.is_v6() ? v6_ : v4_).Find(BitsOf(a));
}

bool AllowedIps::Insert(const Prefix& prefix, PeerId peer) {
  Trie& trie = TrieOf(prefix);
  const Bits bits = BitsOf(prefix.address);
  const PeerId before = trie.OwnerOf(bits, prefix.length);
  if (before == peer) return true;
  if (before == kNoPeer && size_ >= kAllowedIpsMax) return false;
  trie.Set(bits, prefix.length, peer);
  if (before != kNoPeer) {
    std::erase(held_[before], prefix);
  } else {
    ++size_;
  }
  held_[peer].push_back(prefix);
  return true;
}

bool AllowedIps::Remove(const Prefix& prefix, PeerId peer) {
  Trie& trie = TrieOf(prefix);
  const Bits bits = BitsOf(prefix.address);
  if (peer == kNoPeer || trie.OwnerOf(bits, prefix.length) != peer) return false;
  trie.Erase(bits, prefix.length);
  std::erase(held_[peer], prefix);
  --size_;
  return true;
}

void AllowedIps::RemovePeer(PeerId peer) {
  const auto it = held_.find(peer);
  if (it == held_.end()) return;
  for (const Prefix& p : it->second) TrieOf(p).Erase(BitsOf(p.address), p.length);
  size_ -= it->second.size();
  held_.erase(it);
}

std::vector<Prefix> AllowedIps::Of(PeerId peer) const {
  const auto it = held_.find(peer);
  if (it == held_.end()) return {};
  std::vector<Prefix> out = it->second;
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace aqmesh::wireguard
