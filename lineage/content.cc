#include "lineage/content.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/aead.h"
#include "core/crypto/hash.h"

namespace aqmesh::lineage {
namespace {

constexpr std::string_view kLabel = "aqmesh/1/content";
constexpr size_t kKeyId = 8, kNonce = 24, kSalt = 16;
constexpr size_t kOverhead = kKeyId + kNonce + kSalt + crypto::kTagSize;

Bytes AdOf(const Kid& subject, const Digest& commit) {
  Bytes ad(kLabel.begin(), kLabel.end());
  ad.insert(ad.end(), subject.bytes.begin(), subject.bytes.end());
  ad.insert(ad.end(), commit.bytes.begin(), commit.bytes.end());
  return ad;
}

// salt || value; nullopt: not under this key.
absl::StatusOr<std::optional<Bytes>> Unseal(const ContentKey& key,
                                            const Kid& subject,
                                            const Digest& commit,
                                            ByteView sealed) {
  if (sealed.size() <= kOverhead || sealed.size() > kOverhead + kContentValueMax)
    return DataLoss("content ", ToHex(commit), " has ", sealed.size(), " bytes");
  if (!Equal(sealed.first(kKeyId), key.id)) return std::nullopt;
  Bytes opening(sealed.size() - kKeyId - kNonce - crypto::kTagSize);
  const bool opens = crypto::XAeadOpen(key.key.view(),
                                       sealed.subspan(kKeyId, kNonce),
                                       sealed.subspan(kKeyId + kNonce),
                                       AdOf(subject, commit),
                                       opening);
  if (!opens || !Opens(commit, opening))
    return DataLoss("content ", ToHex(commit), " is not what its record commits to");
  return opening;
}

}  // namespace

ContentKey ContentKey::Make(Rng& rng) {
  ContentKey out;
  rng.Fill(out.id.bytes);
  rng.Fill(out.key.mutable_view());
  return out;
}

std::optional<ContentKey> ContentKey::Decode(ByteView bytes) {
  if (bytes.size() != kEncodedSize) return std::nullopt;
  ContentKey out;
  std::ranges::copy(bytes.first(kKeyId), out.id.bytes.begin());
  out.key = Secret<32>(bytes.subspan(kKeyId));
  return out;
}

Bytes ContentKey::Encode() const {
  Bytes out(id.bytes.begin(), id.bytes.end());
  out.insert(out.end(), key.view().begin(), key.view().end());
  return out;
}

std::string ContentKeyName(const Kid& subject) { return Join(kContentKeys, ToHex(subject)); }

bool Opens(const Digest& commit, ByteView opening) {
  return opening.size() > kSalt && Equal(commit, crypto::H256({opening}));
}

Bytes ValueOfOpening(ByteView opening) {
  const ByteView value = opening.subspan(kSalt);
  return Bytes(value.begin(), value.end());
}

SealedContent SealContent(const ContentKey& key, const Kid& subject, ByteView value, Rng& rng) {
  AQ_CHECK(!value.empty() && value.size() <= kContentValueMax);
  Bytes opening(kSalt);
  rng.Fill(opening);
  opening.insert(opening.end(), value.begin(), value.end());
  SealedContent out{.commit = Digest{crypto::H256({opening})},
                    .bytes = Bytes(kKeyId + kNonce + opening.size() + crypto::kTagSize)};
  const MutableBytes all(out.bytes);
  std::ranges::copy(key.id.bytes, all.begin());
  rng.Fill(all.subspan(kKeyId, kNonce));
  crypto::XAeadSeal(key.key.view(),
                    all.subspan(kKeyId, kNonce),
                    opening,
                    AdOf(subject, out.commit),
                    all.subspan(kKeyId + kNonce));
  return out;
}

absl::StatusOr<Content> ReadContent(const Store& store, const authority::Observe& record) {
  Content out;
  if (record.commits.empty() || !record.subject) return out;
  AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> kept,
                      store.GetState(ContentKeyName(*record.subject)));
  const std::optional<ContentKey> key = kept ? ContentKey::Decode(*kept) : std::nullopt;
  if (kept && !key) return DataLoss("state ", ContentKeyName(*record.subject), " is no key");
  out.state = key ? Content::State::kOpen : Content::State::kClosed;
  for (const Digest& commit : record.commits) {
    if (!key) break;
    AQ_ASSIGN_OR_RETURN(const std::optional<Bytes> sealed,
                        store.GetObject(Shelf::kContent, ContentName(commit)));
    if (!sealed) {
      out = {.state = Content::State::kAbsent};
      break;
    }
    AQ_ASSIGN_OR_RETURN(std::optional<Bytes> opening,
                        Unseal(*key, *record.subject, commit, *sealed));
    if (!opening) {
      out = {.state = Content::State::kClosed};
      break;
    }
    out.values.push_back(ValueOfOpening(*opening));
    out.openings.push_back(*std::move(opening));
  }
  return out;
}

absl::StatusOr<Attempts> AttemptsIn(const Content& content) {
  Attempts out;
  for (const Bytes& value : content.values) {
    if (value.front() != kAttemptsContent) continue;
    AQ_ASSIGN_OR_RETURN(const Attempts some, ParseAttempts(ByteView(value).subspan(1)));
    out.rows.insert(out.rows.end(), some.rows.begin(), some.rows.end());
    out.unlisted += some.unlisted;
  }
  return out;
}

}  // namespace aqmesh::lineage
