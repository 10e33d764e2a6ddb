// Content: what a record commits to and does not say. It lies beside the log under a key of its
// subject's; without the key nobody reads it again, and every proof of the record stays as it was.
// Spec:   spec/lineage.md §11; spec/authority.md G (Privacy).
// Wire:   commit = H256(salt 16 || value); shelf 6, by commit: key id 8 || nonce 24 ||
//         XAEAD(key, nonce, salt || value, ad = "aqmesh/1/content" || subject || commit).
//         State "content-key/<subject>" = key id 8 || key 32. value = u8 kind || body.
// Bounds: a value has kContentValueMax bytes at most. Thread: pure.
// Errors: DataLoss (what is stored is not what the record commits to).
#ifndef AQMESH_LINEAGE_CONTENT_H_
#define AQMESH_LINEAGE_CONTENT_H_

#include <string>
#include <vector>

#include "core/base/rng.h"
#include "core/base/secret.h"
#include "lineage/attempts.h"
#include "lineage/store.h"

namespace aqmesh::lineage {

inline constexpr size_t kContentValueMax = kAttemptsBytesMax + 1;
inline constexpr std::string_view kContentKeys = "content-key/";  // the family of state names
inline constexpr uint8_t kAttemptsContent = 1;                    // kind of a value

struct ContentKey {
  static constexpr size_t kEncodedSize = 40;
  FixedBytes<8, struct ContentKeyIdTag> id;
  Secret<32> key;

  static ContentKey Make(Rng& rng);
  static std::optional<ContentKey> Decode(ByteView bytes);
  Bytes Encode() const;
};
std::string ContentKeyName(const Kid& subject);

struct SealedContent {
  Digest commit;
  Bytes bytes;  // for Shelf::kContent, under ContentName(commit)
};
SealedContent SealContent(const ContentKey& key, const Kid& subject, ByteView value, Rng& rng);
inline Oid ContentName(const Digest& commit) { return Oid{commit.bytes}; }

// What the record committed to, if it can be read.
struct Content {
  enum class State : uint8_t {
    kNone,    // the record commits to nothing
    kOpen,    // `values`, in the order of the commitments
    kClosed,  // the key it was under is not here: thrown away, or not in this copy
    kAbsent,  // the key is here and the content is not: this store has the record alone
  };
  State state = State::kNone;
  std::vector<Bytes> values = {};
  std::vector<Bytes> openings =
      {};  // salt || value: what shows a third party that the commitment holds
};
absl::StatusOr<Content> ReadContent(const Store& store, const authority::Observe& record);

// The attempts among the values; empty if the record has none or they cannot be read.
absl::StatusOr<Attempts> AttemptsIn(const Content& content);
// What an opening opens to: without its salt. It has to be longer than that.
Bytes ValueOfOpening(ByteView opening);
// Whether `opening` is what `commit` stands for.
bool Opens(const Digest& commit, ByteView opening);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_CONTENT_H_
