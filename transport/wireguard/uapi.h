// The text protocol by which `wg` configures a userspace device: requests in, Device calls and
// replies out.
// Spec:   spec/wire.md §2 (WireGuard's cross-platform userspace interface).
// Wire:   "get=1\n\n" → key=value lines, "errno=N\n\n". "set=1\n", key=value lines, "\n" →
// "errno=N\n\n".
//         errno is negative in answers to set and would be positive to get: `wg` reads them so.
//         Several requests may follow each other on one connection.
// Bounds: a line has at most kUapiLineMax bytes, else the connection ends; a request at most
//         kUapiLinesMax lines.
// Thread: one owner, the Device's.
// Errors: in the reply. A request with a line that is not understood changes nothing. What can only
//         be found out by doing it (a taken port, a full table) ends a request where it is: lines
//         before it stay applied.
#ifndef AQMESH_TRANSPORT_WIREGUARD_UAPI_H_
#define AQMESH_TRANSPORT_WIREGUARD_UAPI_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "transport/wireguard/device.h"
#include "transport/wireguard/uapi_lines.h"

namespace aqmesh::wireguard {

inline constexpr size_t kUapiLineMax = 1024;  // the longest of the protocol's own lines has 80

inline constexpr size_t kUapiLinesMax = size_t{1} << 21;  // every peer and prefix of a full device

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
  // connection once `reply` is sent (no such operation, or a line without end). Not while
  // applying().
  bool OnBytes(Now now, ByteView bytes, std::string& reply);

  // A set of ten thousand peers is a quarter of a second of handshake arithmetic, in which no
  // packet would flow. So a driver may have it applied in slices, and call GoOn until it is no
  // longer applying(); nobody else may be let to the device between them.
  void ApplyInSlicesOf(size_t lines) { slice_ = lines; }
  bool applying() const { return state_ == State::kApply; }
  void GoOn(Now now, std::string& reply);

 private:
  enum class State : uint8_t {
    kOperation,
    kGet,
    kSet,
    kApply,
    kSkip
  };  // kSkip: an error was met, its reply waits

  bool OnLine(Now now, std::string_view line, std::string& reply);
  int OnSetLine(std::string_view line);
  void EndSet(std::string& reply);
  int Do(Now now, const uapi::PrivateKeyIs& line);
  int Do(Now now, const uapi::ListenPortIs& line);
  int Do(Now now, const uapi::FwmarkIs& line);
  int Do(Now now, const uapi::ReplacePeers& line);
  int Do(Now now, const uapi::PublicKeyIs& line);
  int Do(Now now, const uapi::UpdateOnly& line);
  int Do(Now now, const uapi::Remove& line);
  int Do(Now now, const uapi::PresharedKeyIs& line);
  int Do(Now now, const uapi::EndpointIs& line);
  int Do(Now now, const uapi::KeepaliveIs& line);
  int Do(Now now, const uapi::ReplaceAllowedIps& line);
  int Do(Now now, const uapi::AllowedIpIs& line);
  int Do(Now now, const uapi::ProtocolVersionIsOne& line);
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
  std::vector<uapi::Line> lines_;  // of the request that is coming in
  bool in_peer_ = false;           // a public_key line was seen in it
  size_t slice_ = SIZE_MAX;
  size_t applied_ = 0;
  // While they are applied: the current peer's section.
  bool in_section_ = false;
  X25519Key key_;
  bool ignored_ = false;  // our own key, removed, or update_only of an unknown one
  bool created_ = false;
  std::optional<PeerId> peer_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_UAPI_H_
