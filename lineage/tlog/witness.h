// Witness: cosigns the heads of others' logs, each only if it appended to the last one cosigned.
// Spec:   C2SP tlog-witness v1.0.0, add-checkpoint; spec/lineage.md §7.4.
// Wire:   a request: "old N", hashes in base64, an empty line, the checkpoint. Answers: table
// below.
// Bounds: kOriginsMax logs, each with kKeysMax keys; a request kRequestBytesMax.
// Thread: one owner. No I/O: what a turn persists is handed out, and the signature is made of it
// only
//         afterwards, so what was never durable was never signed.
// Errors: a request is answered, never an error. Cost: parse, one verify, at most 126 hashes, one sign.
#ifndef AQMESH_LINEAGE_TLOG_WITNESS_H_
#define AQMESH_LINEAGE_TLOG_WITNESS_H_

#include <map>
#include <optional>
#include <variant>

#include "lineage/tlog/checkpoint.h"

namespace aqmesh::tlog {

inline constexpr size_t kRequestBytesMax = kNoteBytesMax + 4096;  // 63 hashes, and a note

// The body of add-checkpoint.
struct AddCheckpoint {
  uint64_t old_size = 0;
  Proof proof;
  SignedCheckpoint head;
  std::string Text() const;
  bool operator==(const AddCheckpoint&) const = default;
};
absl::StatusOr<AddCheckpoint> ParseAddCheckpoint(std::string_view body);

// What goes back, as HTTP says it: aqmesh's own messages carry the same numbers.
enum class WitnessStatus : uint16_t {
  kCosigned = 200,       // body: the cosignature line
  kMalformed = 400,      // no request, or the old size is above the new
  kNotSigned = 403,      // no key that is trusted for the origin signed, or its signature is wrong
  kUnknownOrigin = 404,  //
  kConflict = 409,       // body: the size last cosigned, and a newline
  kRefused = 422,        // the proof is wrong, two heads of one size, an empty log with a root
  kNoClock = 503,        // our time is 0: a cosignature must have one
};
struct WitnessAnswer {
  WitnessStatus status{};
  std::string body = {};
  std::string_view content_type = {};  // "text/x.tlog.size" or nothing
  // What a person may want to know; never sent.
  std::string why = {};
  // Two heads of one size, both signed by the log: ours first. Proof of its equivocation.
  std::optional<std::array<SignedCheckpoint, 2>> equivocation = {};
};

// The newest head of one log that this witness cosigned or is about to. Its encoding is what is
// stored under the origin; signing it again gives the same cosignature.
// Wire: BE64 time in seconds, the checkpoint with the lines of the log's trusted keys.
struct Witnessed {
  uint64_t time = 0;
  SignedCheckpoint head;
  Bytes Encode() const;
  static absl::StatusOr<Witnessed> Parse(ByteView bytes);  // DataLoss
  bool operator==(const Witnessed&) const = default;
};

class Witness {
 public:
  static constexpr size_t kOriginsMax = 16'384;  // a log each peer
  static constexpr size_t kKeysMax = 8;

  // Borrows the signer, of type 4.
  explicit Witness(const NoteSigner& signer);

  // The keys of one log; an empty list ends the trust. What was cosigned stays known, so that a log
  // trusted anew goes on where it stopped. ResourceExhausted, InvalidArgument (keys not of type 1).
  absl::Status Trust(const std::string& origin, std::vector<NoteKey> keys);
  // After a restart: what was stored. An older head than the one held is refused (DataLoss).
  absl::Status Restore(Witnessed last);

  // A promise to cosign. The log's next request is judged against it already, so two requests that
  // race can never both be granted.
  class [[nodiscard]] Grant {
   public:
    Grant(Grant&&) noexcept = default;
    Grant& operator=(Grant&&) noexcept = default;
    // To be durable before Release: under origin(), replacing what was there.
    const std::string& origin() const { return last_.head.checkpoint.origin; }
    Bytes record() const { return last_.Encode(); }
    const SignedCheckpoint& head() const { return last_.head; }

   private:
    friend class Witness;
    explicit Grant(Witnessed last) : last_(std::move(last)) {}
    Witnessed last_;
  };
  std::variant<WitnessAnswer, Grant> Judge(std::string_view body, WallTime now);
  // The cosignature. Call it once Grant::record() is durable. A grant that could not be stored is
  // dropped instead; the log then hears 409 with its size, and asks again from there.
  WitnessAnswer Release(Grant grant);

  // For monitors: the newest head that was released, with our cosignature. nullopt: none yet.
  std::optional<SignedCheckpoint> Latest(const std::string& origin) const;

 private:
  struct Log {
    std::vector<NoteKey> keys;
    std::optional<Witnessed> last;      // what the next request is judged against
    std::optional<Witnessed> released;  // the newest that may be shown
  };
  std::optional<WitnessAnswer> Refuse(const AddCheckpoint& request, const Log& log) const;

  const NoteSigner& signer_;
  std::map<std::string, Log, std::less<>> logs_;
};

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_WITNESS_H_
