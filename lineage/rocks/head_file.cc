#include "lineage/rocks/head_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::lineage {
namespace {

constexpr size_t kSlotAt[2] = {0, 4096};  // a sector each, so that one torn write spoils one slot
constexpr size_t kFileBytes = 8192;
constexpr size_t kSumAt = 56;
constexpr size_t kSlotBytes = kSumAt + 32;
constexpr std::string_view kMagic("aqhead1\0", 8);

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  return Unavailable(what, " ", path, ": ", std::generic_category().message(error));
}

std::array<uint8_t, kSlotBytes> EncodeSlot(const CommitMark& mark) {
  std::array<uint8_t, kSlotBytes> slot{};
  std::memcpy(slot.data(), kMagic.data(), kMagic.size());
  StoreBe(&slot[8], mark.commit);
  StoreBe(&slot[16], mark.records);
  std::memcpy(&slot[24], mark.leaf.data(), 32);
  const crypto::Hash32 sum = crypto::H256({ByteView(slot).first(kSumAt)});
  std::memcpy(&slot[kSumAt], sum.data(), sum.size());
  return slot;
}

std::optional<CommitMark> ParseSlot(ByteView slot) {
  CommitMark mark;
  mark.commit = LoadBe<uint64_t>(&slot[8]);
  mark.records = LoadBe<uint64_t>(&slot[16]);
  mark.leaf = *Digest::From(slot.subspan(24, 32));
  if (!Equal(slot, EncodeSlot(mark))) return std::nullopt;
  return mark;
}

absl::Status WriteAll(int fd, ByteView data, size_t at, const std::string& path) {
  while (!data.empty()) {
    const ssize_t n = pwrite(fd, data.data(), data.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return SystemError("writing", path, n < 0 ? errno : EIO);
    data = data.subspan(static_cast<size_t>(n));
    at += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const std::string dir = path.substr(0, path.rfind('/') + 1);
  const int fd = open(dir.empty() ? "." : dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("opening", dir, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? absl::OkStatus() : SystemError("syncing", dir, error);
}

absl::Status WriteFresh(int fd, const std::string& path) {
  Bytes image(kFileBytes);
  const auto slot = EncodeSlot(CommitMark{});
  std::memcpy(&image[kSlotAt[0]], slot.data(), slot.size());
  AQ_RETURN_IF_ERROR(WriteAll(fd, image, 0, path));
  return fsync(fd) == 0 ? absl::OkStatus() : SystemError("syncing", path, errno);
}

}  // namespace

absl::Status HeadFile::Create(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return absl::OkStatus();
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());  // what a crash left here was never named HEAD
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return SystemError("creating", fresh, errno);
  const absl::Status written = WriteFresh(fd, fresh);
  close(fd);
  AQ_RETURN_IF_ERROR(written);
  // link, not rename: it never takes the place of a HEAD that another process has just made.
  if (link(fresh.c_str(), path.c_str()) != 0 && errno != EEXIST)
    return SystemError("creating", path, errno);
  unlink(fresh.c_str());
  return SyncDirectoryOf(path);
}

absl::StatusOr<HeadFile> HeadFile::Open(const std::string& path, bool writable) {
  const int fd = open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    if (errno == ENOENT) return NotFound("no ", path);
    return SystemError("opening", path, errno);
  }
  HeadFile file(fd, path);
  std::array<uint8_t, kFileBytes> image{};
  const ssize_t n = pread(fd, image.data(), image.size(), 0);
  if (n < 0) return SystemError("reading", path, errno);
  std::optional<CommitMark> newest;
  for (size_t at : kSlotAt) {
    const std::optional<CommitMark> mark = ParseSlot(ByteView(image).subspan(at, kSlotBytes));
    if (mark && (!newest || mark->commit > newest->commit)) newest = mark;
  }
  if (!newest) {
    return DataLoss(
        path,
        ": neither copy of the log's head is whole: the log cannot be shown to be complete; "
        "restore the state directory, or start a new log");
  }
  file.mark_ = *newest;
  return file;
}

HeadFile::~HeadFile() {
  if (fd_ >= 0) close(fd_);
}

HeadFile::HeadFile(HeadFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), mark_(other.mark_) {}

absl::Status HeadFile::Write(const CommitMark& mark) {
  AQ_RETURN_IF_ERROR(WriteAll(fd_, EncodeSlot(mark), kSlotAt[mark.commit % 2], path_));
  if (fdatasync(fd_) != 0) return SystemError("syncing", path_, errno);
  mark_ = mark;
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage
