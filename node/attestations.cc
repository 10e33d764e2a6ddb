#include "node/attestations.h"

#include <algorithm>
#include <utility>

namespace aqmesh::node {

using authority::Attest;
using authority::Held;
using authority::SignedPtr;

namespace {

constexpr std::string_view kWords = "attest/", kMembers = "attester/";

std::string NameOf(const Oid& oid) { return std::string(kWords) + ToHex(oid); }

void AppendObject(Bytes& out, const authority::Signed& object) {
  AppendLe(out, static_cast<uint16_t>(object.bytes().size()));
  Append(out, object.bytes());
}

// Each behind its length; what does not read ends it.
std::vector<SignedPtr> ParseObjects(ByteView bytes) {
  std::vector<SignedPtr> out;
  while (bytes.size() >= 2 && out.size() <= authority::kChainMax) {
    const size_t size = LoadLe<uint16_t>(bytes.data());
    if (bytes.size() - 2 < size) break;
    auto object = authority::Signed::Parse(bytes.subspan(2, size));
    if (!object.ok()) break;
    out.push_back(std::make_shared<const authority::Signed>(*std::move(object)));
    bytes = bytes.subspan(2 + size);
  }
  return out;
}

bool Over(const Word& word, uint64_t now) { return now >= word.end() + kAttestGrace; }

}  // namespace

void Attestations::Load(std::string_view name, ByteView value, const Kid& us) {
  if (name.starts_with(kMembers)) {
    const auto kid = FromHex(name.substr(kMembers.size()));
    if (!kid || kid->size() != Kid::kSize || value.size() < 8) return;
    loading_ = true;
    Meet(*Kid::From(*kid), ParseObjects(value.subspan(8)), LoadBe<uint64_t>(value.data()));
    loading_ = false;
    return;
  }
  if (!name.starts_with(kWords)) return;
  std::vector<SignedPtr> objects = ParseObjects(value);
  if (objects.empty()) return;
  auto body = authority::ParseObject<Attest>(*objects[0]);
  if (!body.ok()) return;
  Word word{{objects[0], std::move(body->body)}, {objects.begin() + 1, objects.end()}};
  loading_ = true;
  if (word.attest.signer() == us) {
    const uint64_t renew_at = word.attest.body.not_before + word.attest.body.ttl / 2;
    Say(std::move(word), renew_at);
  } else if (word.attest.body.subject == us) {
    TakeOwn(std::move(word), 0);
  } else {
    TakeAbout(std::move(word), 0);
  }
  loading_ = false;
}

void Attestations::Keep(const Word& word) {
  refs_[word.attest.envelope->ref()] = word.attest.envelope;
  if (loading_) return;
  Bytes value;
  AppendObject(value, *word.attest.envelope);
  for (const SignedPtr& g : word.chain) AppendObject(value, *g);
  recorder_.PutState(NameOf(word.attest.oid()), std::move(value));
}

void Attestations::Drop(const Word& word) {
  refs_.erase(word.attest.envelope->ref());
  recorder_.DeleteState(NameOf(word.attest.oid()));
}

// A newer word of the same signer takes the older one's place. Where all places are taken, one of
// a group that has two gives way to one of a group that has none; else one that ends much sooner.
bool Attestations::Put(std::vector<Word>& words, Word word, size_t max, bool spread, uint64_t now) {
  if (Over(word, now)) return false;
  const auto gains = [&](const Word& old) {
    return word.end() >= old.end() + kGain || Over(old, now);
  };
  auto at = std::ranges::find(
      words, word.attest.signer(), [](const Word& w) { return w.attest.signer(); });
  if (at != words.end() && !gains(*at)) return false;
  if (at == words.end() && words.size() >= max) {
    const auto beside = [&](const Kid& top) { return std::ranges::count(words, top, &Word::top); };
    at = std::ranges::min_element(words, {}, &Word::end);
    if (!gains(*at)) at = words.end();
    if (at == words.end() && spread && beside(word.top()) == 0)
      at = std::ranges::find_if(words, [&](const Word& w) { return beside(w.top()) > 1; });
    if (at == words.end()) return false;
  }
  if (at != words.end()) {
    Drop(*at);
    words.erase(at);
  }
  Keep(word);
  words.push_back(std::move(word));
  return true;
}

bool Attestations::TakeOwn(Word word, uint64_t now) {
  if (!Put(own_, std::move(word), kOwnMax, true, now)) return false;
  Order();
  return true;
}

// One of each group, then the second of each, by their signers.
void Attestations::Order() {
  std::ranges::sort(own_, {}, [](const Word& w) { return w.attest.signer(); });
  std::map<Kid, size_t> seen;
  std::map<Oid, size_t> rank;
  for (const Word& w : own_) rank[w.attest.oid()] = seen[w.top()]++;
  std::ranges::stable_sort(own_, {}, [&](const Word& w) { return rank.at(w.attest.oid()); });
}

bool Attestations::TakeAbout(Word word, uint64_t now) {
  const Kid subject = word.attest.body.subject;
  if (!about_.contains(subject) && about_.size() >= kSubjectsMax) return false;
  const bool kept = Put(about_[subject], std::move(word), kVoicesMax, false, now);
  if (about_[subject].empty()) about_.erase(subject);
  return kept;
}

bool Attestations::Say(Word word, uint64_t renew_at) {
  const Kid subject = word.attest.body.subject;
  const auto at = said_.find(subject);
  if (at == said_.end() && said_.size() >= kSaidMax) return false;
  if (at != said_.end()) Drop(at->second.word);
  Keep(word);
  said_.insert_or_assign(subject, Said{std::move(word), renew_at});
  return true;
}

std::vector<Kid> Attestations::Expire(uint64_t now) {
  const auto over = [&](const Word& w) {
    if (Over(w, now)) Drop(w);
    return Over(w, now);
  };
  std::erase_if(own_, over);
  std::erase_if(said_, [&](const auto& s) { return over(s.second.word); });
  std::vector<Kid> out;
  for (auto& [subject, words] : about_) {
    if (std::erase_if(words, over) != 0) out.push_back(subject);
  }
  std::erase_if(about_, [](const auto& a) { return a.second.empty(); });
  return out;
}

std::span<const Word> Attestations::About(const Kid& subject) const {
  const auto at = about_.find(subject);
  return at == about_.end() ? std::span<const Word>() : std::span<const Word>(at->second);
}

const Attestations::Said* Attestations::SaidOf(const Kid& subject) const {
  const auto at = said_.find(subject);
  return at == said_.end() ? nullptr : &at->second;
}

SignedPtr Attestations::Find(const Ref16& ref) const {
  if (const auto at = refs_.find(ref); at != refs_.end()) return at->second;
  for (const Word& w : own_) {
    for (const SignedPtr& g : w.chain) {
      if (g->ref() == ref) return g;
    }
  }
  return nullptr;
}

// False: nobody's own grant has ended where a place is needed.
bool Attestations::MakeRoom(const Kid& top, uint64_t now) {
  const bool full_below = under_[top] >= kMembersEachMax;
  if (members_.size() < kMembersMax && !full_below) return true;
  for (auto it = members_.begin(); it != members_.end(); ++it) {
    const Kid other = it->second.chain.back()->kid();
    if (it->second.end > now || (full_below && other != top)) continue;
    --under_[other];
    recorder_.DeleteState(std::string(kMembers) + ToHex(it->first));
    members_.erase(it);
    return true;
  }
  return false;
}

void Attestations::Meet(const Kid& kid, const std::vector<SignedPtr>& chain, uint64_t since) {
  if (chain.empty()) return;
  const auto at = members_.find(kid);
  const Kid top = chain.back()->kid();
  if (at != members_.end() && at->second.chain[0]->oid() == chain[0]->oid()) return;
  const auto leaf = authority::ParseBody<authority::Grant>(chain[0]->body());
  if (!leaf.ok()) return;
  if (at != members_.end()) {
    --under_[at->second.chain.back()->kid()];
  } else if (!MakeRoom(top, since)) {
    return;
  }
  ++under_[top];
  Member& m = members_[kid];
  if (m.since == 0) m.since = since;
  m.end = leaf->not_before + leaf->ttl;
  m.chain = chain;
  if (loading_) return;
  Bytes value;
  AppendBe(value, m.since);
  for (const SignedPtr& g : chain) AppendObject(value, *g);
  recorder_.PutState(std::string(kMembers) + ToHex(kid), std::move(value));
}

}  // namespace aqmesh::node
