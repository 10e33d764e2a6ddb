#include "lineage/rocks/block_index.h"

#include <algorithm>

#include "core/base/check.h"

namespace aqmesh::lineage {
namespace {

constexpr unsigned kKindBits = 5;
constexpr uint8_t kOtherKind = (1u << kKindBits) - 1;  // of a later version, whatever it is
constexpr size_t kFixedBytes = 1 + 4 * kBlockRecords;
constexpr size_t kBitmapBytes = kBlockRecords / 8;
static_assert(static_cast<size_t>(authority::RecordKind::kRetained) < kOtherKind);
static_assert(static_cast<size_t>(authority::Rung::kAdmit) < 8);

// Whether the first bytes are the same, of as many as both have.
bool Agree(ByteView a, ByteView b) {
  const size_t n = std::min(a.size(), b.size());
  return Equal(a.first(n), b.first(n));
}

}  // namespace

uint8_t Block::PlaceOf(const Digest& authority) {
  Short first;
  std::copy_n(authority.bytes.begin(), first.size(), first.begin());
  const auto found = std::ranges::find(authorities_, first);
  if (found != authorities_.end()) return static_cast<uint8_t>(found - authorities_.begin() + 1);
  if (authorities_.size() == kAuthoritiesMax) return kOtherAuthority;
  authorities_.push_back(first);
  return static_cast<uint8_t>(authorities_.size());
}

void Block::Add(const RecordEntry& entry) {
  AQ_CHECK(!full());
  const auto kind = std::min(static_cast<uint8_t>(entry.kind), kOtherKind);
  traits_[size_] = static_cast<uint8_t>(kind | static_cast<uint8_t>(entry.rung) << kKindBits);
  authority_[size_] = entry.authority ? PlaceOf(*entry.authority) : uint8_t{0};
  leaves_[size_] = {entry.leaf.bytes[0], entry.leaf.bytes[1]};
  if (entry.subject) HitsOf(*entry.subject).set(size_);
  ++size_;
}

// From the back: records about the same one come in a row.
BlockHits& Block::HitsOf(const Kid& subject) {
  for (size_t i = subjects_.size(); i > 0; --i) {
    if (subjects_[i - 1].first == subject) return subjects_[i - 1].second;
  }
  return subjects_.emplace_back(subject, BlockHits()).second;
}

Bytes Block::Encode() const {
  AQ_CHECK(full());
  Bytes out;
  out.reserve(kFixedBytes + authorities_.size() * sizeof(Short));
  out.push_back(static_cast<uint8_t>(authorities_.size()));
  for (const Short& first : authorities_) Append(out, first);
  Append(out, traits_);
  Append(out, authority_);
  for (const auto& leaf : leaves_) Append(out, leaf);
  return out;
}

std::optional<Block> Block::Parse(ByteView bytes) {
  if (bytes.empty() || bytes.size() != kFixedBytes + bytes[0] * sizeof(Short)) return std::nullopt;
  Block block;
  block.size_ = kBlockRecords;
  block.authorities_.resize(bytes[0]);
  const uint8_t* at = bytes.data() + 1;
  const auto take = [&at](auto& into) {
    std::copy_n(at, into.size(), into.data());
    at += into.size();
  };
  for (Short& first : block.authorities_) take(first);
  take(block.traits_);
  take(block.authority_);
  for (auto& leaf : block.leaves_) take(leaf);
  return block;
}

BlockHits Block::Find(const Where& where) const {
  std::array<bool, 256> authority_fits{};
  authority_fits.fill(where.authority_prefix.empty());
  if (!where.authority_prefix.empty()) {
    for (size_t i = 0; i < authorities_.size(); ++i)
      authority_fits[i + 1] = Agree(authorities_[i], where.authority_prefix);
    authority_fits[kOtherAuthority] = true;
  }
  BlockHits hits;
  for (size_t i = 0; i < size_; ++i) {
    const uint8_t kind = traits_[i] & kOtherKind;
    const bool fits = (kind == kOtherKind || (where.kinds >> kind & 1) != 0) &&
                      (where.rungs >> (traits_[i] >> kKindBits) & 1) != 0 &&
                      authority_fits[authority_[i]] && Agree(leaves_[i], where.id_prefix);
    hits[i] = fits;
  }
  return hits;
}

Bytes EncodeHits(const BlockHits& hits) {
  Bytes out;
  if (hits.count() < kBitmapBytes) {
    for (size_t i = 0; i < hits.size(); ++i) {
      if (hits[i]) out.push_back(static_cast<uint8_t>(i));
    }
    return out;
  }
  out.resize(kBitmapBytes);
  for (size_t i = 0; i < hits.size(); ++i)
    out[i / 8] = static_cast<uint8_t>(out[i / 8] | unsigned{hits[i]} << (i % 8));
  return out;
}

std::optional<BlockHits> ParseHits(ByteView bytes) {
  BlockHits hits;
  if (bytes.empty() || bytes.size() > kBitmapBytes) return std::nullopt;
  if (bytes.size() < kBitmapBytes) {
    for (const uint8_t place : bytes) hits.set(place);
    return hits;
  }
  for (size_t i = 0; i < hits.size(); ++i) hits[i] = (bytes[i / 8] >> (i % 8) & 1) != 0;
  return hits;
}

}  // namespace aqmesh::lineage
