#include "issuing/custody/private_dir.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "core/base/status.h"

namespace aqmesh::issuing {
namespace {

absl::Status FromErrno(int error, std::string_view what, std::string_view path) {
  const std::string why = std::generic_category().message(error);
  if (error == ENOENT) return NotFound(what, " ", path, ": ", why);
  if (error == EEXIST) return AlreadyExists(what, " ", path, ": it exists; move it away first");
  if (error == ELOOP)
    return PermissionDenied(what, " ", path, ": it is a symbolic link; put the file itself there");
  if (error == EACCES || error == EPERM) return PermissionDenied(what, " ", path, ": ", why);
  return Unavailable(what, " ", path, ": ", why);
}

// Ours, and closed to everyone else, as ssh wants its keys.
absl::Status CheckOwnerAndMode(const struct stat& st,
                               const std::string& path,
                               std::string_view mend_mode) {
  if (st.st_uid != geteuid()) {
    return PermissionDenied(path,
                            " belongs to user ",
                            st.st_uid,
                            ", not to ",
                            geteuid(),
                            "; run: chown ",
                            geteuid(),
                            " ",
                            path);
  }
  if ((st.st_mode & 077) != 0) {
    return PermissionDenied(path, " can be reached by others; run: chmod ", mend_mode, " ", path);
  }
  return absl::OkStatus();
}

absl::Status CheckFile(int fd, const std::string& path) {
  struct stat st{};
  if (fstat(fd, &st) != 0) return FromErrno(errno, "looking at", path);
  if (!S_ISREG(st.st_mode))
    return PermissionDenied(path, " is no regular file; put the file itself there");
  AQ_RETURN_IF_ERROR(CheckOwnerAndMode(st, path, "600"));
  if (st.st_nlink != 1)
    return PermissionDenied(path, " has ", st.st_nlink, " names; remove the other hard links");
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FromErrno(errno, "writing", path);
    text.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd) != 0) return FromErrno(errno, "syncing", path);
  return absl::OkStatus();
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);  // nothing is lost: what was written was fsynced
}

Fd& Fd::operator=(Fd&& o) noexcept {
  std::swap(fd_, o.fd_);
  return *this;
}

SecretText::~SecretText() { Wipe(); }

SecretText& SecretText::operator=(SecretText&& o) noexcept {
  if (this != &o) {
    Wipe();
    text_ = std::move(o.text_);
    o.Wipe();
  }
  return *this;
}

void SecretText::Wipe() {
  text_.resize(text_.capacity());  // a moved-from short string still holds its bytes
  sodium_memzero(text_.data(), text_.size());
  text_.clear();
}

std::string PrivateDir::At(std::string_view file) const { return Join(path_, "/", file); }

absl::StatusOr<PrivateDir> PrivateDir::Open(const std::string& path, bool create) {
  if (create && mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return FromErrno(errno, "making", path);
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // A link to a directory fails as ENOTDIR under O_DIRECTORY.
  if (!fd.ok() && errno == ENOTDIR)
    return PermissionDenied(path, " is no directory of its own; name the directory itself");
  if (!fd.ok()) return FromErrno(errno, "opening", path);
  struct stat st{};
  if (fstat(fd.get(), &st) != 0) return FromErrno(errno, "looking at", path);
  AQ_RETURN_IF_ERROR(CheckOwnerAndMode(st, path, "700"));
  return PrivateDir(path, std::move(fd));
}

absl::StatusOr<SecretText> PrivateDir::Read(std::string_view file, size_t bytes_max) const {
  const std::string path = At(file);
  // O_NONBLOCK: a FIFO put in its place must not hang us before the check of its kind.
  const Fd fd(
      openat(fd_.get(), std::string(file).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return FromErrno(errno, "opening", path);
  AQ_RETURN_IF_ERROR(CheckFile(fd.get(), path));
  SecretText out;
  out.text().resize(bytes_max + 1);  // once: growing would leave copies behind
  size_t size = 0;
  while (size <= bytes_max) {
    const ssize_t n = read(fd.get(), out.text().data() + size, bytes_max + 1 - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, "reading", path);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > bytes_max)
    return DataLoss(path, " has more than ", bytes_max, " bytes; it is not one of ours");
  out.text().resize(size);
  return out;
}

absl::Status PrivateDir::Write(std::string_view file, std::string_view text, Replace replace) {
  const std::string path = At(file), name(file), aside = Join(".", file, ".new");
  unlinkat(fd_.get(), aside.c_str(), 0);  // left by a crash, or not there
  const Fd fd(
      openat(fd_.get(), aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.ok()) return FromErrno(errno, "writing", path);
  absl::Status status = WriteAll(fd.get(), text, path);
  if (status.ok()) {
    const unsigned flags = replace == Replace::kNever ? RENAME_NOREPLACE : 0u;
    if (renameat2(fd_.get(), aside.c_str(), fd_.get(), name.c_str(), flags) != 0)
      status = FromErrno(errno, "placing", path);
  }
  if (!status.ok()) {
    unlinkat(fd_.get(), aside.c_str(), 0);
    return status;
  }
  if (fsync(fd_.get()) != 0) return FromErrno(errno, "syncing", path_);
  return absl::OkStatus();
}

bool PrivateDir::Exists(std::string_view file) const {
  struct stat st{};
  return fstatat(fd_.get(), std::string(file).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

absl::Status PrivateDir::Remove(std::string_view file) {
  if (unlinkat(fd_.get(), std::string(file).c_str(), 0) != 0)
    return FromErrno(errno, "removing", At(file));
  if (fsync(fd_.get()) != 0) return FromErrno(errno, "syncing", path_);
  return absl::OkStatus();
}

absl::StatusOr<Fd> PrivateDir::Lock(std::string_view file) {
  const std::string path = At(file);
  Fd fd(openat(fd_.get(),
               std::string(file).c_str(),
               O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
               0600));
  if (!fd.ok()) return FromErrno(errno, "opening", path);
  AQ_RETURN_IF_ERROR(CheckFile(fd.get(), path));
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return FromErrno(errno, "locking", path);
  }
  return fd;
}

}  // namespace aqmesh::issuing
