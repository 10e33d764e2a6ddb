// A directory that only its owner can read, and whole-file reads and writes in it that a crash
// cannot tear.
// Spec:   spec/security.md §3: 0700 and 0600, O_NOFOLLOW|O_CLOEXEC, fstat of owner, mode, kind and links; write =
//         temporary file in the same directory, fsync, rename, fsync of the directory.
// Bounds: reads refuse files beyond the caller's limit.
// Errors: PermissionDenied with the chmod or chown that mends it; NotFound; AlreadyExists; Unavailable (errno).
// Thread: one owner.
#ifndef AQMESH_ISSUING_CUSTODY_PRIVATE_DIR_H_
#define AQMESH_ISSUING_CUSTODY_PRIVATE_DIR_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace aqmesh::issuing {

// An open file descriptor, closed on the way out.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd();
  Fd(Fd&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
  Fd& operator=(Fd&& o) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Text that held a secret: wiped when it goes.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  ~SecretText();
  SecretText(SecretText&& o) noexcept : text_(std::move(o.text_)) { o.Wipe(); }
  SecretText& operator=(SecretText&& o) noexcept;
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  std::string& text() { return text_; }
  std::string_view view() const { return text_; }

 private:
  void Wipe();
  std::string text_;
};

class PrivateDir {
 public:
  static absl::StatusOr<PrivateDir> Open(const std::string& path, bool create);

  absl::StatusOr<SecretText> Read(std::string_view file, size_t bytes_max) const;
  enum class Replace : uint8_t { kNever, kAlways };
  // All of it is on the disk when this returns OK; on an error the old file is as it was.
  absl::Status Write(std::string_view file, std::string_view text, Replace replace);
  bool Exists(std::string_view file) const;  // of any kind
  absl::Status Remove(std::string_view file);
  // Waits for, then holds, an exclusive lock on `file` (made if absent) until the Fd goes.
  absl::StatusOr<Fd> Lock(std::string_view file);

  const std::string& path() const { return path_; }

 private:
  PrivateDir(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string At(std::string_view file) const;
  std::string path_;
  Fd fd_;
};

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_CUSTODY_PRIVATE_DIR_H_
