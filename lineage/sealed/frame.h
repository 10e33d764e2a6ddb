// One zstd frame: how the records and objects of a sealed segment are packed.
// Spec:   spec/lineage.md §12.2; RFC 8878. A frame says its content's size and has its checksum.
// Bounds: what a frame says it holds is looked at before anything is unpacked: more than the caller
//         allows is refused, so no small file becomes a large one. Thread: pure.
// Errors: DataLoss (no whole frame, or not what was packed), ResourceExhausted (it says too much).
// Cost:   level 3: ~4 us a record to pack, ~1 us to unpack.
#ifndef AQMESH_LINEAGE_SEALED_FRAME_H_
#define AQMESH_LINEAGE_SEALED_FRAME_H_

#include <absl/status/statusor.h>

#include "core/base/bytes.h"

namespace aqmesh::lineage {

Bytes PackFrame(ByteView content);
// Of exactly one frame, of at most `content_max` bytes.
absl::StatusOr<Bytes> UnpackFrame(ByteView frame, size_t content_max);
// How many bytes the first frame has, of those that lie one behind the other.
absl::StatusOr<size_t> FirstFrame(ByteView frames);

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_FRAME_H_
