#include "lineage/sealed/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/base/status.h"

namespace aqmesh::lineage {

namespace {

absl::Status Failed(std::string_view doing, const std::string& path, int error) {
  const std::string why = std::generic_category().message(error);
  if (error == ENOENT) return NotFound(doing, " ", path, ": ", why);
  if (error == ENOSPC || error == EDQUOT)
    return ResourceExhausted(doing, " ", path, ": ", why, ": free some space");
  return Unavailable(doing, " ", path, ": ", why);
}

// A descriptor that closes itself.
struct File {
  int fd;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

absl::StatusOr<Bytes> ReadWhole(const std::string& path, uint64_t bytes_max) {
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (file.fd < 0) return Failed("reading", path, errno);
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) return Failed("reading", path, errno);
  if (!S_ISREG(info.st_mode)) return Failed("reading", path, EINVAL);
  if (static_cast<uint64_t>(info.st_size) > bytes_max)
    return ResourceExhausted(path, " has ", info.st_size, " bytes: at most ", bytes_max);
  Bytes out(static_cast<size_t>(info.st_size));
  size_t got = 0;
  while (got < out.size()) {
    const ssize_t n = ::read(file.fd, out.data() + got, out.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("reading", path, errno);
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  out.resize(got);
  return out;
}

absl::StatusOr<Bytes> ReadPart(const std::string& path, uint64_t at, size_t count) {
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (file.fd < 0) return Failed("reading", path, errno);
  Bytes out(count);
  size_t got = 0;
  while (got < count) {
    const ssize_t n = ::pread(file.fd, out.data() + got, count - got, static_cast<off_t>(at + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("reading", path, errno);
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  out.resize(got);
  return out;
}

absl::Status WriteNew(const std::string& path, ByteView content) {
  const File file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (file.fd < 0) return Failed("writing", path, errno);
  while (!content.empty()) {
    const ssize_t n = ::write(file.fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("writing", path, errno);
    content = content.subspan(static_cast<size_t>(n));
  }
  return ::fsync(file.fd) == 0 ? absl::OkStatus() : Failed("syncing", path, errno);
}

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || (errno == EEXIST && IsDirectory(path)))
    return absl::OkStatus();
  return Failed("making", path, errno);
}

absl::Status SyncDirectory(const std::string& path) {
  const File file{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd < 0 || ::fsync(file.fd) != 0) return Failed("syncing", path, errno);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::error_code error;
  std::vector<std::string> out;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error))
    out.push_back(it->path().filename().string());
  if (error) return Failed("listing", path, error.value());
  std::ranges::sort(out);
  return out;
}

bool IsDirectory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? Failed("removing", path, error.value()) : absl::OkStatus();
}

absl::Status RenameTo(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus()
                                                 : Failed("renaming to", to, errno);
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("opening", dir, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
    return std::unique_ptr<DirectoryLock>(new DirectoryLock(fd));
  const int error = errno;
  ::close(fd);
  if (error == EWOULDBLOCK)
    return Unavailable(dir, " is being written by another process: try again when it is done");
  return Failed("locking", dir, error);
}

DirectoryLock::~DirectoryLock() { ::close(fd_); }

}  // namespace aqmesh::lineage
