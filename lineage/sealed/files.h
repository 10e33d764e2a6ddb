// The few things that sealed segments do to a file system: read a file whole, write one that is on
// the disk when it is there, list and sync directories.
// Bounds: what is read has at most the size that the caller names. Links are not followed to files.
// Thread: any. Errors: NotFound (no such file), ResourceExhausted (too large, or the disk is full),
//         Unavailable (the system's word) with the path.
#ifndef AQMESH_LINEAGE_SEALED_FILES_H_
#define AQMESH_LINEAGE_SEALED_FILES_H_

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace aqmesh::lineage {

absl::StatusOr<Bytes> ReadWhole(const std::string& path, uint64_t bytes_max);
// `count` bytes from `at`; fewer at the file's end.
absl::StatusOr<Bytes> ReadPart(const std::string& path, uint64_t at, size_t count);
// A new file, 0600, synced.
absl::Status WriteNew(const std::string& path, ByteView content);
absl::Status MakeDirectory(const std::string& path);  // 0700; OK if it is there
absl::Status SyncDirectory(const std::string& path);
// Of files and directories in it, ascending; without "." and "..".
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);
bool IsDirectory(const std::string& path);
absl::Status RemoveTree(const std::string& path);
absl::Status RenameTo(const std::string& from, const std::string& to);

// Held by one process at a time; freed when it goes, however it ends.
class DirectoryLock {
 public:
  // Unavailable: another process has it.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& dir);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace aqmesh::lineage

#endif  // AQMESH_LINEAGE_SEALED_FILES_H_
