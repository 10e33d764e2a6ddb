// HeadFile: where the log ended when last somebody was told so, kept and synced apart from the log,
// so that a log which lost its tail is found out. Wire:   two slots, at 0 and 4096, written in turn
// (commit number mod 2): "aqhead1" 00 || BE64 commit ||
//         BE64 records || leaf of the newest record 32 (zeros: none) || H256 of these 56 bytes.
//         A write torn by a crash spoils one slot; the other then holds the commit before.
// Bounds: 8,192 bytes, allocated at creation: a full disk does not stop it. Thread: one owner.
// Errors: DataLoss (neither slot is whole), Unavailable (the system said no), NotFound (no file).
#ifndef AQMESH_LINEAGE_ROCKS_HEAD_FILE_H_
#define AQMESH_LINEAGE_ROCKS_HEAD_FILE_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "core/base/ids.h"

namespace aqmesh::lineage {

struct CommitMark {
  uint64_t commit = 0;   // synced writes so far
  uint64_t records = 0;  // records in the log
  Digest leaf;           // of the newest
  bool operator==(const CommitMark&) const = default;
};

class HeadFile {
 public:
  // Makes `path` with commit 0, durable with its name; leaves an existing file as it is.
  static absl::Status Create(const std::string& path);
  static absl::StatusOr<HeadFile> Open(const std::string& path, bool writable);
  ~HeadFile();
  HeadFile(HeadFile&& other) noexcept;
  HeadFile& operator=(HeadFile&&) = delete;

  const CommitMark& mark() const { return mark_; }
  // Durable on return. After an error the file may hold the old or the new mark.
  absl::Status Write(const CommitMark& mark);

 private:
  HeadFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_;
  std::string path_;
  CommitMark mark_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_ROCKS_HEAD_FILE_H_
