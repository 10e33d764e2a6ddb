// The control socket: who may ask for what, the framing, and the connections. What a verb does is
// verbs.h's.
// Spec:   spec/reliability.md §5 (control socket).
// Wire:   cli/live.h.
// Bounds: kRequestBytesMax a request, kReadDeadline for it to arrive, kConnectionsMax in all and
//         kConnectionsPerUserMax a user, kUnreadMax of answers that a client does not take: then it
//         is dropped.
// Thread: the loop's. Errors: a malformed request closes its connection; a verb that the caller's
// role does
//         not reach is answered so.
#ifndef AQMESH_DAEMON_CONTROL_API_H_
#define AQMESH_DAEMON_CONTROL_API_H_

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "daemon/cli/live.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::daemon {

inline constexpr size_t kRequestBytesMax = 1u << 20;
inline constexpr size_t kConnectionsMax = 64;
inline constexpr size_t kConnectionsPerUserMax = 32;
inline constexpr size_t kUnreadMax = 8u << 20;
inline constexpr std::chrono::seconds kReadDeadline{5};

// ---- who may

enum class Role : uint8_t { kNone, kRead, kChange };  // each includes the one before

enum class Verb : uint8_t {
  kStatus,
  kPeers,
  kPing,
  kWhois,
  kWhoami,
  kIp,
  kWait,
  kExplain,
  kCan,
  kFollow,
  kEscalations,
  kAttest,
  kInvite,
  kAnswer,
  kApprove,
  kRevoke,
  kRedact,
  kImport,
  kUp,
  kDown,
  kPolicyReload,
  kStop,
  kPrune,
};
struct VerbRow {
  Verb verb{};
  std::string_view name;
  Role needs = Role::kNone;  // kNone on no row: a test looks
};
std::span<const VerbRow> VerbTable();  // one row for each Verb, in its order
const VerbRow* FindVerb(std::string_view name);

// The groups that may look, and that may change. -1: the machine has no such group.
struct RoleGroups {
  gid_t read = static_cast<gid_t>(-1);    // "aqmesh"
  gid_t change = static_cast<gid_t>(-1);  // "aqmesh-operator"
  static RoleGroups OfMachine();
};
// Root may all, the user that runs the daemon too; else the groups decide. A pid is never looked
// at.
Role RoleOf(const os::PeerCredentials& who, const RoleGroups& groups, uid_t daemon_user);

// ---- framing

// Takes bytes as they come and gives whole requests.
class Unframer {
 public:
  void Add(ByteView bytes) { Append(buffer_, bytes); }
  // nullopt: more bytes are needed. InvalidArgument: no sound client sends this; close.
  absl::StatusOr<std::optional<cli::LiveRequest>> Next();
  size_t size() const { return buffer_.size(); }

 private:
  Bytes buffer_;
};

cli::LiveReply Refusal(std::string error, int exit = 1);
cli::LiveReply Refusal(const absl::Status& status);

// ---- connections

using SessionId = uint64_t;

class ControlServer {
 public:
  // Called for each request that the caller's role reaches; answered with Reply, at once or later.
  using Handler = std::function<void(SessionId, Verb, const cli::LiveRequest&)>;

  ControlServer(boost::asio::io_context& io,
                std::unique_ptr<os::UnixListener> listener,
                RoleGroups groups,
                Handler handler);
  ~ControlServer();

  // Without effect if the client has gone.
  void Reply(SessionId session, const cli::LiveReply& reply);
  bool IsOpen(SessionId session) const { return sessions_.contains(session); }
  void CloseAll();  // after a last attempt to send what waits

 private:
  struct Session;
  void WaitForClient();
  void TakeClients();
  void Admit(os::Fd fd);
  void Read(Session& session);
  void OnBytes(Session& session, ByteView bytes);
  void Dispatch(Session& session);
  void ArmDeadline(Session& session);
  void Write(Session& session);
  void Close(SessionId id);

  boost::asio::io_context& io_;
  std::unique_ptr<os::UnixListener> listener_;
  boost::asio::posix::stream_descriptor acceptor_;
  const RoleGroups groups_;
  const Handler handler_;
  std::map<SessionId, std::unique_ptr<Session>> sessions_;
  SessionId last_session_ = 0;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_CONTROL_API_H_
