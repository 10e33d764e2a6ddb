#include "lineage/sealed/frame.h"

#include <zstd.h>

#include <memory>

#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::lineage {

namespace {

constexpr int kLevel = 3;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

}  // namespace

Bytes PackFrame(ByteView content) {
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  AQ_CHECK(context != nullptr);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  Bytes out(ZSTD_compressBound(content.size()));
  const size_t size =
      ZSTD_compress2(context.get(), out.data(), out.size(), content.data(), content.size());
  AQ_CHECK(!ZSTD_isError(size));  // there is room for the worst case
  out.resize(size);
  return out;
}

absl::StatusOr<size_t> FirstFrame(ByteView frames) {
  const size_t size = ZSTD_findFrameCompressedSize(frames.data(), frames.size());
  if (ZSTD_isError(size)) return DataLoss("no zstd frame: ", ZSTD_getErrorName(size));
  return size;
}

absl::StatusOr<Bytes> UnpackFrame(ByteView frame, size_t content_max) {
  AQ_ASSIGN_OR_RETURN(const size_t whole, FirstFrame(frame));
  if (whole != frame.size()) return DataLoss(frame.size() - whole, " bytes follow the zstd frame");
  const unsigned long long content = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (content == ZSTD_CONTENTSIZE_ERROR || content == ZSTD_CONTENTSIZE_UNKNOWN)
    return DataLoss("a zstd frame that does not say how much it holds");
  if (content > content_max) {
    return ResourceExhausted(
        "a zstd frame says that it holds ", content, " bytes: at most ", content_max, " are read");
  }
  Bytes out(static_cast<size_t>(content));
  const size_t size = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) return DataLoss("a zstd frame: ", ZSTD_getErrorName(size));
  if (size != out.size()) return DataLoss("a zstd frame holds less than it says");
  return out;
}

}  // namespace aqmesh::lineage
