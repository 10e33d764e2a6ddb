// Two small sets by evidence: what an epoch brought so far, and what was counted in epochs before.
// Spec:   spec/trust.md §7: a piece of evidence counts once, by its heaviest report, however many echo it.
// Bounds: each set holds so many and no more; who leaves is a function of what was put in, never of
//         the order.
// Thread: values. Cost: linear in a set of at most 64.
#ifndef AQMESH_TRUST_FINDINGS_H_
#define AQMESH_TRUST_FINDINGS_H_

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/ids.h"

namespace aqmesh::trust {

// Which evidence, and on which side it stands.
struct FindingKey {
  bool against = false;
  Digest evidence;
  auto operator<=>(const FindingKey&) const = default;
};

// Of the open epoch.
struct Finding {
  FindingKey key;
  uint32_t weight = 0;  // Q16, not zero
  Kid group;            // the issuing group that praises; else zero
  bool operator==(const Finding&) const = default;
};

// Sorted by key. Full: the lightest leaves, of those the one with the greatest key.
template <size_t N>
class FindingSet {
 public:
  static constexpr size_t kMax = N;

  void Add(const Finding& f) {
    auto at = std::lower_bound(all_.begin(), all_.end(), f.key, Before);
    if (at != all_.end() && at->key == f.key) {
      if (Heavier(f, *at)) *at = f;
      return;
    }
    all_.insert(at, f);
    if (all_.size() > kMax)
      all_.erase(std::max_element(all_.begin(), all_.end(), [](const Finding& l, const Finding& r) {
        return l.weight != r.weight ? l.weight > r.weight : l.key < r.key;
      }));
  }
  uint32_t WeightOf(const FindingKey& key) const {  // 0: not here
    const auto at = std::lower_bound(all_.begin(), all_.end(), key, Before);
    return at != all_.end() && at->key == key ? at->weight : 0;
  }
  bool Has(const FindingKey& key) const { return WeightOf(key) != 0; }
  const std::vector<Finding>& all() const { return all_; }
  bool empty() const { return all_.empty(); }
  void clear() { all_.clear(); }
  bool operator==(const FindingSet&) const = default;

 private:
  static bool Before(const Finding& f, const FindingKey& key) { return f.key < key; }
  static bool Heavier(const Finding& l, const Finding& r) {
    return l.weight != r.weight ? l.weight > r.weight : l.group < r.group;
  }
  std::vector<Finding> all_;
};

// Of an earlier epoch.
struct Counted {
  FindingKey key;
  uint32_t weight = 0;  // that it counted with, all reports of it together
  uint64_t epoch = 0;   // when last
  bool operator==(const Counted&) const = default;
};

// Sorted by key. Full: the oldest leaves, of those the one with the least key.
template <size_t N>
class CountedSet {
 public:
  static constexpr size_t kMax = N;

  uint32_t WeightOf(const FindingKey& key) const {
    const auto at = std::lower_bound(all_.begin(), all_.end(), key, Before);
    return at != all_.end() && at->key == key ? at->weight : 0;
  }
  void Add(const Finding& f, uint64_t epoch) {
    auto at = std::lower_bound(all_.begin(), all_.end(), f.key, Before);
    if (at != all_.end() && at->key == f.key) {
      at->weight = std::max(at->weight, f.weight);
      at->epoch = epoch;
      return;
    }
    all_.insert(at, {f.key, f.weight, epoch});
    if (all_.size() > kMax)
      all_.erase(std::min_element(all_.begin(), all_.end(), [](const Counted& l, const Counted& r) {
        return l.epoch != r.epoch ? l.epoch < r.epoch : l.key < r.key;
      }));
  }
  const std::vector<Counted>& all() const { return all_; }
  bool operator==(const CountedSet&) const = default;

 private:
  static bool Before(const Counted& c, const FindingKey& key) { return c.key < key; }
  std::vector<Counted> all_;
};

}  // namespace aqmesh::trust

#endif  // AQMESH_TRUST_FINDINGS_H_
