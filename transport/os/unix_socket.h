// Local sockets: the listening control socket, who called, and descriptors passed between our
// processes.
// Spec:   spec/wire.md §2 (stale sockets: connect; refused = unlink and bind again, accepted = in use);
//         unix(7): SO_PEERCRED, SO_PEERGROUPS, SCM_RIGHTS.
// Bounds: a message of the sequenced pair is at most kMessageMax bytes and kMessageFdsMax descriptors.
// Thread: one owner. Errors: absl::Status; ReceiveMessage closes descriptors it cannot hand over.
#ifndef AQMESH_TRANSPORT_OS_UNIX_SOCKET_H_
#define AQMESH_TRANSPORT_OS_UNIX_SOCKET_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "transport/os/fd.h"

namespace aqmesh::os {

inline constexpr size_t kMessageMax = 64 * 1024;
inline constexpr size_t kMessageFdsMax = 64;

struct PeerCredentials {
  pid_t pid = 0;  // for the log only: a pid proves nothing
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary ones
};

class UnixListener {
 public:
  struct Options {
    std::string path;
    mode_t mode = 0600;
    mode_t directory_mode = 0755;  // of the last directory, made when missing; the one above it too
    std::string stale_advice = {};  // the mend when the socket is in use
  };
  static absl::StatusOr<std::unique_ptr<UnixListener>> Listen(const Options& options);
  // Takes a listening descriptor that was inherited. The path, if not empty, is removed on exit.
  static absl::StatusOr<std::unique_ptr<UnixListener>> Adopt(Fd fd, std::string path);
  ~UnixListener();  // removes the socket file if it is still the one that was bound

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  // A non-blocking connection; an invalid Fd when none waits.
  Fd Accept();
  bool FileIsThere() const;  // false once somebody removed or replaced the socket file
  void Abandon();            // forget the file: the parent of a fork must not remove it

 private:
  UnixListener(Fd fd, std::string path);
  Fd fd_;
  std::string path_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

absl::StatusOr<Fd> ConnectUnix(const std::string& path);
absl::StatusOr<PeerCredentials> CredentialsOf(int fd);

// SOCK_SEQPACKET, close-on-exec, blocking.
absl::StatusOr<std::pair<Fd, Fd>> SequencedPair();
// One message with descriptors (they stay the caller's).
absl::Status SendMessage(int fd, ByteView bytes, std::span<const int> fds = {});
struct Message {
  Bytes bytes;
  std::vector<Fd> fds;
};
// Unavailable: nothing there (non-blocking). NotFound: the other end is gone. InvalidArgument: too
// large.
absl::StatusOr<Message> ReceiveMessage(int fd);

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_UNIX_SOCKET_H_
