// Cryptokey routing: which peer owns an inner address. One table for all peers of a device.
// Spec:   WireGuard paper §2; spec/wire.md §1.9: longest match; inserting a prefix that exists moves it.
// Bounds: kAllowedIpsMax prefixes; one more is refused.
// Thread: const functions may run together; changes need one owner.
// Cost:   Find O(depth) over a path-compressed trie, no allocation; a removal is linear in its
// peer's prefixes.
#ifndef AQMESH_TRANSPORT_WIREGUARD_ALLOWED_IPS_H_
#define AQMESH_TRANSPORT_WIREGUARD_ALLOWED_IPS_H_

#include <absl/container/flat_hash_map.h>

#include <vector>

#include "core/base/net.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::wireguard {

inline constexpr size_t kAllowedIpsMax = 1 << 20;

class AllowedIps {
 public:
  PeerId Find(const IpAddress& a) const;           // kNoPeer: nobody
  bool Insert(const Prefix& prefix, PeerId peer);  // false: full
  bool Remove(const Prefix& prefix, PeerId peer);  // false: that peer does not hold it
  void RemovePeer(PeerId peer);
  std::vector<Prefix> Of(PeerId peer) const;  // sorted
  size_t size() const { return size_; }

 private:
  // A prefix as 128 bits; an IPv4 one lies in the upper 32.
  struct Bits {
    uint64_t high = 0;
    uint64_t low = 0;
    bool operator==(const Bits&) const = default;
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    Bits bits;
    uint8_t length = 0;
    PeerId peer = kNoPeer;  // kNoPeer: only a fork
    uint32_t child[2] = {kNone, kNone};
  };
  struct Trie {
    std::vector<Node> nodes;
    std::vector<uint32_t> free;
    uint32_t root = kNone;

    PeerId Find(const Bits& key) const;
    PeerId Set(const Bits& key,
               uint8_t length,
               PeerId peer);  // returns the owner before, kNoPeer if new
    PeerId OwnerOf(const Bits& key, uint8_t length) const;
    void Erase(const Bits& key, uint8_t length);  // the prefix is there
    uint32_t New(const Bits& key, uint8_t length, PeerId peer);
    void Splice(uint32_t* link);  // takes out a node that has no owner and at most one child
  };
  static Bits BitsOf(const IpAddress& a);
  static unsigned BitAt(const Bits& b, unsigned i);
  static unsigned Common(const Bits& a, const Bits& b);
  static bool Covers(const Node& n, const Bits& key);

  Trie& TrieOf(const Prefix& p) { return p.address.is_v6() ? v6_ : v4_; }

  Trie v4_;
  Trie v6_;
  absl::flat_hash_map<PeerId, std::vector<Prefix>> held_;
  size_t size_ = 0;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_ALLOWED_IPS_H_
