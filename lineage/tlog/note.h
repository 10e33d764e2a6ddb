// Signed notes: text with signature lines under it, the form of every checkpoint.
// Spec:   C2SP signed-note v1.0.0; tlog-cosignature (type 4); spec/lineage.md §7.3.
// Wire:   text that ends in a newline, an empty line, then lines "— NAME BASE64(BE32 key id ||
//         signature)". key id = SHA-256(name || 0a || type || public key)[0..4).
// Bounds: kNoteBytesMax, kNoteLinesMax; a name kNameBytesMax. Thread: pure.
// Errors: InvalidArgument (no note, no key), Unauthenticated (a known key's signature is wrong, or
//         no known key signed). Cost: verify 39 us a line of a known key.
#ifndef AQMESH_LINEAGE_TLOG_NOTE_H_
#define AQMESH_LINEAGE_TLOG_NOTE_H_

#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/crypto/keys.h"

namespace aqmesh::tlog {

inline constexpr size_t kNoteBytesMax = 131'072;  // 16 lines of nearly 5 kB, as signed-note asks
inline constexpr size_t kNoteLinesMax = 64;       // it asks for 16

// A signature line. What follows the key id is opaque until a key of that name and id is known.
struct NoteLine {
  std::string name;
  uint32_t key_id = 0;
  Bytes signature;
  std::string Text() const;  // with its newline
  bool operator==(const NoteLine&) const = default;
};

struct Note {
  std::string text;  // as signed, with the last newline
  std::vector<NoteLine> lines;
  std::string Text() const;  // the whole note: what ParseNote read, byte for byte
  bool operator==(const Note&) const = default;
};

absl::StatusOr<Note> ParseNote(std::string_view bytes);
// Signature lines alone: what a witness answers. At least one.
absl::StatusOr<std::vector<NoteLine>> ParseNoteLines(std::string_view bytes);

enum class KeyType : uint8_t {
  kEd25519 = 1,      // signs the text
  kCosignature = 4,  // signs the text and the time
};

// A verifier key: NAME+HEX(key id)+BASE64(type || public key).
struct NoteKey {
  std::string name;
  KeyType type = KeyType::kEd25519;
  Ed25519Key key;
  uint32_t id() const;
  std::string Vkey() const;
  static absl::StatusOr<NoteKey> Parse(std::string_view vkey);
  bool operator==(const NoteKey&) const = default;
};

// Signs with a key of either type. Resource: it holds the secret.
class NoteSigner {
 public:
  // AQ_CHECKs IsKeyName(name).
  NoteSigner(std::string name, KeyType type, const crypto::Ed25519Seed& seed);
  // Of "PRIVATE+KEY+NAME+HEX(key id)+BASE64(type || seed)". Errors: InvalidArgument, without a word
  // of what it read.
  static absl::StatusOr<NoteSigner> Parse(std::string_view skey);

  const NoteKey& key() const { return key_; }
  // `time` is signed by type 4 alone; AQ_CHECKs that it is then in 1..2^63-1 (spec: no zero for a
  // checkpoint).
  NoteLine Sign(std::string_view text, uint64_t time) const;

 private:
  NoteKey key_;
  crypto::Ed25519Pair pair_;
};
// The secret as text; for tests and for other implementations' tools.
std::string Skey(const NoteKey& key, const crypto::Ed25519Seed& seed);

// Whether `line` is `key`'s over this text; the time that it is of, 0 for type 1. Total.
// Errors: Unauthenticated.
absl::StatusOr<uint64_t> VerifyLine(const NoteKey& key,
                                    std::string_view text,
                                    const NoteLine& line);

// Who signed, of those known.
struct Signer {
  size_t key = 0;     // its place in `known`
  uint64_t time = 0;  // of a cosignature; the newest, if there are several lines
  bool operator==(const Signer&) const = default;
};
// Lines of unknown keys are passed over. A wrong line of a known key refuses the whole note, and so
// does a note that no known key signed. Each key counts once. FailedPrecondition: two of `known`
// have one name and id.
absl::StatusOr<std::vector<Signer>> VerifyNote(const Note& note, std::span<const NoteKey> known);

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_NOTE_H_
