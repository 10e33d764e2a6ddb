#include "core/authority/objects_held.h"

#include "core/crypto/hash.h"

namespace aqmesh::authority {

namespace {
Digest CacheKey(const Signed& object, const Ed25519Key& key) {
  return *Digest::From(
      crypto::H256({AsBytes("aqmesh/1/sigcache"), key.view(), ByteView(object.bytes())}));
}
}  // namespace

bool SignatureCache::Holds(const Signed& object, const Ed25519Key& key) const {
  return right_.Find(CacheKey(object, key)) != nullptr;
}
void SignatureCache::Put(const Signed& object, const Ed25519Key& key) {
  right_.Put(CacheKey(object, key), true);
}

bool SignatureCache::Verify(const Signed& object, const Ed25519Key& key) {
  const std::pair<Suite, Ed25519Key> whose = {object.suite(), key};
  if (const auto* prepared = keys_.Find(whose)) return VerifySignature(object, **prepared);
  auto fresh = std::make_shared<const KeyVerifier>(object.suite(), key);
  if (!VerifySignature(object, *fresh)) return false;
  keys_.Put(whose, std::move(fresh));
  return true;
}

void ObjectStore::Put(SignedPtr object, bool pinned) {
  const Oid oid = object->oid();
  const bool pin = pinned && pinned_ < kPinnedMax;
  if (const auto it = by_oid_.find(oid); it != by_oid_.end()) {
    if (pin && !it->second.pinned) {
      used_.erase(it->second.at);
      it->second.pinned = true;
      ++pinned_;
    }
    return;
  }
  bytes_ += object->bytes().size();
  // The first holder of a ref keeps it: whoever grinds a second oid under it is not found by the
  // ref.
  by_ref_.try_emplace(RefOf(oid), oid);
  Entry entry{std::move(object), pin, {}};
  if (pin) {
    ++pinned_;
  } else {
    entry.at = used_.insert(used_.end(), oid);
  }
  by_oid_.emplace(oid, std::move(entry));
  Evict();
}

void ObjectStore::Evict() {
  while ((by_oid_.size() > kHeldMax || bytes_ > kHeldBytesMax) && !used_.empty()) {
    const auto it = by_oid_.find(used_.front());
    const auto ref = by_ref_.find(RefOf(it->first));
    if (ref != by_ref_.end() && ref->second == it->first) by_ref_.erase(ref);
    bytes_ -= it->second.object->bytes().size();
    by_oid_.erase(it);
    used_.pop_front();
  }
}

SignedPtr ObjectStore::Find(const Oid& oid) const {
  const auto it = by_oid_.find(oid);
  if (it == by_oid_.end()) return nullptr;
  if (!it->second.pinned) used_.splice(used_.end(), used_, it->second.at);
  return it->second.object;
}

SignedPtr ObjectStore::FindRef(const Ref16& ref) const {
  const auto it = by_ref_.find(ref);
  return it == by_ref_.end() ? nullptr : Find(it->second);
}

void ObjectStore::Keep(const Chain& chain) {
  for (size_t i = 0; i < chain.grants.size(); ++i) {
    const Held<Grant>& g = chain.grants[i];
    const bool by_voter = i + 1 == chain.grants.size();
    Put(g.envelope, by_voter && (g.body.caps & kCapsIssue) != 0);
    const Kid subject = KidOf(g.body.suite, g.body.key);
    if ((g.body.caps & kCapsIssue) != 0) issuers_.Put(subject, g.body.key);
    granted_.Put({g.signer(), subject}, true);
  }
  for (const Held<Fragment>& f : chain.fragments) Put(f.envelope, f.signer() == chain.voter);
}

std::optional<Ed25519Key> ObjectStore::KnownIssuer(const Kid& kid) const {
  const Ed25519Key* key = issuers_.Find(kid);
  return key == nullptr ? std::nullopt : std::optional(*key);
}
bool ObjectStore::Granted(const Kid& issuer, const Kid& subject) const {
  return granted_.Find({issuer, subject}) != nullptr;
}

}  // namespace aqmesh::authority
