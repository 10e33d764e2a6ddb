// The text protocol by which `wg` configures a userspace device: requests in, Device calls and
// replies out.
// Spec:   spec/wire.md §2 (WireGuard's cross-platform userspace interface).
// Wire:   "get=1\n\n" → key=value lines, "errno=N\n\n". "set=1\n", key=value lines, "\n" →
// "errno=N\n\n".
//         errno is negative in answers to set and would be positive to get: `wg` reads them so.
//         Several requests may follow each other on one connection.
// Bounds: a line has at most kUapiLineMax bytes, else the connection ends.
// Thread: one owner, the Device's. Errors: in the reply; lines before a failing one stay applied,
// those
//         after it are skipped up to the blank line.
#ifndef AQMESH_TRANSPORT_WIREGUARD_UAPI_H_
#define AQMESH_TRANSPORT_WIREGUARD_UAPI_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "transport/wireguard/device.h"

namespace aqmesh::wireguard {

inline constexpr size_t kUapiLineMax = 1024;  // the longest of the protocol's own lines has 80

// Magnitudes of errno that the protocol uses, by their Linux numbers.
inline constexpr int kUapiIo = 5;
inline constexpr int kUapiInvalid = 22;
inline constexpr int kUapiProtocol = 71;
inline constexpr int kUapiAddressInUse = 98;

// The text of `get=1` without the final errno line. Holds secrets.
std::string FormatUapi(const DeviceConfig& config);

// One connection.
class UapiSession {
 public:
  // `apply` puts an Outbox into effect and clears it: datagrams, TUN packets, and above all
  // listen_port and fwmark. It answers 0 or the magnitude of an errno (98: the port is taken).
  // `device` must outlive the session.
  using Apply = std::function<int(Outbox&)>;
  UapiSession(Device& device, Apply apply) : device_(device), apply_(std::move(apply)) {}
  ~UapiSession();

  // Takes what has arrived, in pieces of any size; appends replies to `reply`. False: close the
  // connection once `reply` is sent (no such operation, or a line without end).
  bool OnBytes(Now now, ByteView bytes, std::string& reply);

 private:
  enum class State : uint8_t {
    kOperation,
    kGet,
    kSet,
    kSkip
  };  // kSkip: an error was met, its reply waits

  bool OnLine(Now now, std::string_view line, std::string& reply);
  int OnSetLine(Now now, std::string_view line);
  int OnDeviceKey(Now now, std::string_view key, std::string_view value);
  int OnPeerKey(Now now, std::string_view key, std::string_view value);
  int OnAllowedIp(Now now, std::string_view value);
  int OnUpdateOnly(Now now);
  int BeginPeer(Now now, std::string_view value);
  int EndPeer(Now now);
  // The section's peer, created if need be; none where the section is to be ignored.
  std::optional<PeerId> Peer(Now now, int& error);
  int Settle() { return apply_(out_); }

  Device& device_;
  Apply apply_;
  Outbox out_;
  std::string line_;  // the unfinished last line
  State state_ = State::kOperation;
  int error_ = 0;
  bool in_peer_ = false;  // a public_key line was seen in this request
  // The current peer's section.
  X25519Key key_;
  bool ignored_ = false;  // our own key, removed, or update_only of an unknown one
  bool created_ = false;
  std::optional<PeerId> peer_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_UAPI_H_
