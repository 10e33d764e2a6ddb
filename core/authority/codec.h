// What a maker of objects needs beside signed.h: sorting, checking without a crash, and the size
// limits.
// Spec:   spec/objects.md §1 rules 1-5, §2 (limits, marks `*n`), §3.
// Errors: InvalidArgument as ParseBody gives it. Thread: all functions are pure.
#ifndef AQMESH_CORE_AUTHORITY_CODEC_H_
#define AQMESH_CORE_AUTHORITY_CODEC_H_

#include "core/authority/signed.h"
#include "core/wire/refusal.h"

namespace aqmesh::authority {

inline constexpr size_t kBodyBytesMax = 16'384;
inline constexpr size_t kSigBytesMax = 4'096;
inline constexpr size_t kLeafGrantBytesMax = 640;   // a grant without an issue bit travels by value
inline constexpr size_t kLargeTestPadding = 2'356;  // suite 65281: suite 1 plus so many bytes 5a

// Largest Signed of this kind under a suite, in bytes; a larger suite's signature comes on top.
size_t SignedBytesMax(Ctx ctx, Suite suite);
// Bytes of the Signed around a body under a suite. `body_size` is 1..kBodyBytesMax.
size_t SignedSize(size_t body_size, Suite suite);
// Bytes of a signature; 0 for a suite that cannot sign an envelope (2 is reserved, 16 a static).
size_t SignatureSize(Suite suite);

// Sorts every `*n` list of the object by its encodings, as the wire wants it. Equal entries stay,
// and are refused by CheckObject.
template <class T>
void SortLists(T& object);

// EncodeBody that reports a broken rule instead of failing a check: for objects made from an
// operator's words. The size limit is that of suite 1.
template <class T>
absl::StatusOr<Bytes> TryEncodeBody(const T& object);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CODEC_H_
