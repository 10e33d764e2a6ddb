// What the fuzz entries of sealed segments claim, so that the plain suite can claim it too: what is
// taken is written again as it came, and nothing grows beyond its bound. A broken claim is a failed
// check.
#ifndef AQMESH_TESTS_FUZZ_SEALED_TARGETS_H_
#define AQMESH_TESTS_FUZZ_SEALED_TARGETS_H_

#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/sealed/frame.h"
#include "lineage/sealed/items.h"
#include "lineage/sealed/segment.h"

namespace aqmesh::fuzz {

inline void FuzzSealed(ByteView bytes) {
  using namespace lineage;  // NOLINT(google-build-using-namespace)
  const auto manifest = ParseManifest(AsText(bytes));
  if (manifest.ok()) AQ_CHECK(manifest->Text() == AsText(bytes));
  constexpr size_t kContentMax = 65'536;
  const auto content = UnpackFrame(bytes, kContentMax);
  if (content.ok()) {
    AQ_CHECK(content->size() <= kContentMax);
    const auto again = UnpackFrame(PackFrame(*content), kContentMax);
    AQ_CHECK(again.ok() && *again == *content);
  }
  const ByteView items = content.ok() ? ByteView(*content) : bytes;
  if (const auto objects = ParseObjectFrame(items); objects.ok()) {
    Bytes again;
    for (const ObjectView& o : *objects) {
      again.push_back(static_cast<uint8_t>(o.shelf));
      Append(again, o.oid);
      AppendBe(again, static_cast<uint32_t>(o.bytes.size()));
      Append(again, o.bytes);
    }
    AQ_CHECK(Equal(again, items));
  }
  StateNamed state;
  if (ParseStateFrame(items, state).ok() && !state.empty()) {
    const auto packed = UnpackFrame(PackState(state), kItemFrameBytesMax);
    AQ_CHECK(!packed.ok() || Equal(*packed, items));  // several frames where it is large
  }
  if (const auto index = ParseObjectIndex(items); index.ok())
    AQ_CHECK(index->size() * kObjectRowBytes == items.size());
  const Bytes tile(tlog::kTileWidth * Digest::kSize, 1);
  AQ_CHECK(!UnpackBundle(bytes, tile, 0).ok());  // nobody has records of such hashes
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_SEALED_TARGETS_H_
