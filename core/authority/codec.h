// What a maker of objects needs beside signed.h: sorting, and checking without a crash.
// Spec:   spec/objects.md §1 rules 1-5, §2 (limits, marks `*n`), §3.
// Errors: InvalidArgument as ParseBody gives it. Thread: all functions are pure.
#ifndef AQMESH_CORE_AUTHORITY_CODEC_H_
#define AQMESH_CORE_AUTHORITY_CODEC_H_

#include "core/authority/signed.h"
#include "core/wire/refusal.h"

namespace aqmesh::authority {

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
