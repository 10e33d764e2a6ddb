// The objects at hand: what was received, by oid and by the half of it that wires cite; which
// issuers a verified chain has proven; which signatures were found right. Never a verdict:
// revocation, floors and time are read again on every use.
// Spec:   spec/admission.md §3 (caches), spec/objects.md §4 step 11 (issuer known).
// Bounds: kHeldMax objects and kHeldBytesMax bytes, longest unused evicted, pinned ones (kPinnedMax) stay;
//         kIssuersMax issuers, kGrantedMax pairs and kSignaturesMax signatures, oldest dropped.
// Thread: the control engine's. Cost: O(1) a call.
#ifndef AQMESH_CORE_AUTHORITY_OBJECTS_HELD_H_
#define AQMESH_CORE_AUTHORITY_OBJECTS_HELD_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "core/authority/decision.h"
#include "core/authority/signed.h"

namespace aqmesh::authority {

using SignedPtr = std::shared_ptr<const Signed>;

// A map that forgets its oldest key when full.
template <class Key, class Value>
class FifoMap {
 public:
  explicit FifoMap(size_t max) : max_(max) {}
  void Put(const Key& key, const Value& value) {
    if (!map_.insert_or_assign(key, value).second) return;
    order_.push_back(key);
    if (order_.size() <= max_) return;
    map_.erase(order_.front());
    order_.pop_front();
  }
  const Value* Find(const Key& key) const {
    const auto it = map_.find(key);
    return it == map_.end() ? nullptr : &it->second;
  }
  size_t size() const { return map_.size(); }

 private:
  size_t max_;
  absl::flat_hash_map<Key, Value> map_;
  std::deque<Key> order_;
};

// (digest of the exact bytes, issuer's key) -> this signature is right. An oid would not do: it
// does not cover the signature. And the keys by which a signature was right, prepared for the next:
// who presents itself signs anew each time.
class SignatureCache {
 public:
  static constexpr size_t kSignaturesMax = 16'384, kKeysMax = 1'024;  // half a KiB a key
  bool Holds(const Signed& object, const Ed25519Key& key) const;
  void Put(const Signed& object, const Ed25519Key& key);
  // VerifySignature, a quarter of its cost for a key of suite 1 that is prepared.
  [[nodiscard]] bool Verify(const Signed& object, const Ed25519Key& key);

 private:
  FifoMap<Digest, bool> right_{kSignaturesMax};
  FifoMap<std::pair<Suite, Ed25519Key>, std::shared_ptr<const KeyVerifier>> keys_{kKeysMax};
};

class ObjectStore {
 public:
  static constexpr size_t kHeldMax = 8'192, kHeldBytesMax = 16u << 20, kPinnedMax = 1'024;
  static constexpr size_t kIssuersMax = 4'096, kGrantedMax = 65'536;

  // Holds an object, verified or not. Pinned: root-signed things that every member keeps; when
  // kPinnedMax are pinned, the next is held as any other.
  void Put(SignedPtr object, bool pinned = false);
  SignedPtr Find(const Oid& oid) const;  // nullptr if not held
  SignedPtr FindRef(const Ref16& ref) const;

  // After a chain verified: holds its objects (what a voter signed is pinned), and knows from now
  // on the issuers in it and who granted whom.
  void Keep(const Chain& chain);
  std::optional<Ed25519Key> KnownIssuer(const Kid& kid) const;  // proven by a verified chain, once
  bool Granted(const Kid& issuer, const Kid& subject) const;
  // What Keep learned once, told again from a record of it (AuthReport::granted_before and its
  // like).
  void Recall(const Kid& issuer, const Kid& subject) { granted_.Put({issuer, subject}, true); }
  void Recall(const Kid& issuer, const Ed25519Key& key) { issuers_.Put(issuer, key); }

  size_t size() const { return by_oid_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    SignedPtr object;
    bool pinned = false;
    std::list<Oid>::iterator at;  // in used_, unless pinned
  };
  void Evict();

  absl::flat_hash_map<Oid, Entry> by_oid_;
  absl::flat_hash_map<Ref16, Oid> by_ref_;
  mutable std::list<Oid> used_;  // longest unused first
  size_t bytes_ = 0, pinned_ = 0;
  FifoMap<Kid, Ed25519Key> issuers_{kIssuersMax};
  FifoMap<std::pair<Kid, Kid>, bool> granted_{kGrantedMax};
};

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_OBJECTS_HELD_H_
