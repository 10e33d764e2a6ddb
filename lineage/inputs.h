// Inputs: all that a decision was made from, stored once by its hash so that it can be made again.
// Spec:   spec/objects.md §7 Inputs; strict subset of protobuf, §1.
// Wire:   1*128 oids b32; 2! policy b32; 3*16 slopes Slope; 4? age u64 s; 5! wall u64 ms; 6! mono
// u64 ns;
//         7? prev_rung u8; 8? h b32; 9? action u16; 10? since u64 s; 11? epochs u32; 12? flags u16;
//         13? held u64; 14? restricted u64; 15*16 granted b32; 16? issuer b32; 17? last_use u64 s;
//         18? epoch u64; 19? Weighed; 20*16 voices Voice; 21? eligible u32.
//         Slope: 1! kid b16; 2? a; 3? R_f; 4? S_f; 5? U; 6? R_s; 7? S_s; 8? J; 9? X, all u32; 10?
//         kap u8; 11? last u64; 12? col u8; 13? e_pos u64.
//         Weighed: 1? r; 2? s; 3? u, all u32; 4? equivocation u8 1. Voice: 1! kid b16; 2? ladm
//         u32.
// Bounds: 128 oids, 16 slopes, 16 voices, each strictly ascending as encoded. Thread: values.
// Errors: InvalidArgument naming the field, the rule and the byte.
#ifndef AQMESH_LINEAGE_INPUTS_H_
#define AQMESH_LINEAGE_INPUTS_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/authority/objects.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace aqmesh::lineage {

inline constexpr size_t kInputOidsMax = 128;
inline constexpr size_t kInputSlopesMax = 16;
inline constexpr size_t kInputGrantedMax = 16;
inline constexpr size_t kInputVoicesMax = 16;
inline constexpr size_t kInputsBytesMax = authority::kObjectBytesMax;

// The state of one slope as it was read (spec: authority#D.2 names the fields).
struct SlopeInput {
  Kid kid = {};
  uint32_t a = 0, r_f = 0, s_f = 0, u = 0, r_s = 0, s_s = 0, j = 0, x = 0;
  uint8_t kap = 0;
  uint64_t last = 0;
  uint8_t col = 0;
  uint64_t e_pos = 0;
  bool operator==(const SlopeInput&) const = default;
};

// What one epoch brought for the key of the one slope of a WEIGHTED record, upon which it was
// folded.
struct WeighedInput {
  uint32_t r = 0, s = 0, u = 0;
  bool equivocation = false;
  bool operator==(const WeighedInput&) const = default;
};

// Who speaks for the subject, and what its own chain weighed then.
struct VoiceInput {
  Kid kid = {};
  uint32_t ladm = 0;
  bool operator==(const VoiceInput&) const = default;
};

// issuer || subject: that the one granted the other was known from an earlier chain.
using GrantedPair = FixedBytes<32, struct GrantedPairTag>;

// Inputs::flags.
inline constexpr uint16_t kInputCommittedBefore = 1;     // the subject was admitted here before
inline constexpr uint16_t kInputSession = 2;             // its session stood
inline constexpr uint16_t kInputRestrictionsDiffer = 4;  // the two presentations' `restrict`
inline constexpr uint16_t kInputAgain = 8;  // judged again: signatures only if all else holds
inline constexpr uint16_t kInputFlagsAll = 15;

struct Inputs {
  std::vector<Oid> oids;  // all that was looked at: charter, what was presented, what it hangs on
  Digest policy;          // of the local policy in force
  std::vector<SlopeInput> slopes;
  uint64_t age = 0;          // seconds since the restrictions were fresh, as the gate was told
  uint64_t wall_millis = 0;  // required: not zero
  uint64_t mono_nanos = 0;   // required: not zero
  authority::Rung prev_rung = authority::Rung::kNone;
  std::optional<Digest> h;
  uint16_t action = 0;
  uint64_t since = 0;       // wall seconds since when prev_rung was the trust gate's
  uint32_t epochs = 0;      // with observations since then
  uint16_t flags = 0;       // kInput...
  uint64_t held = 0;        // E statements held before: the first so many of state `held/`
  uint64_t restricted = 0;  // restrictions in effect: the first so many REVOKE_SEEN of the log
  std::vector<GrantedPair> granted;  // what memory answered where no object did
  std::optional<Ed25519Key> issuer;  // the key of an issuer above what is at hand, from memory
  uint64_t last_use = 0;  // wall seconds of the subject's last confirmed session; 0: none is known
  uint64_t epoch = 0;     // in which the slopes were read; 0: they were not, priors alone counted
  std::optional<WeighedInput> weighed = {};  // of a WEIGHTED record
  std::vector<VoiceInput> voices = {};       // of the attestations among oids, those that counted
  uint32_t eligible = 0;                     // as the corroboration gate was told
  bool operator==(const Inputs&) const = default;
};

// Sorts oids, slopes and voices, drops doubles, encodes. AQ_CHECKs the bounds and what is required.
Bytes EncodeInputs(Inputs inputs);
absl::StatusOr<Inputs> ParseInputs(ByteView bytes);
Oid InputsId(ByteView encoded);  // BLAKE2b-256, personal "aqmesh-inp-v1"

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_INPUTS_H_
