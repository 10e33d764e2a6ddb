// The lines of a `set=1` request as values: understood one by one, before any of them takes effect.
// Spec:   spec/wire.md §2.
// Thread: pure. Errors: the magnitude of an errno.
#ifndef AQMESH_TRANSPORT_WIREGUARD_UAPI_LINES_H_
#define AQMESH_TRANSPORT_WIREGUARD_UAPI_LINES_H_

#include <optional>
#include <string_view>
#include <variant>

#include "core/base/net.h"
#include "core/crypto/keys.h"

namespace aqmesh::wireguard {

// Magnitudes of errno that the protocol uses, by their Linux numbers.
inline constexpr int kUapiIo = 5;
inline constexpr int kUapiInvalid = 22;
inline constexpr int kUapiProtocol = 71;
inline constexpr int kUapiAddressInUse = 98;

namespace uapi {

// Of the device.
struct PrivateKeyIs {
  crypto::X25519Private key;
};
struct ListenPortIs {
  uint16_t port;
};
struct FwmarkIs {
  uint32_t mark;
};
struct ReplacePeers {};
// Of a peer; PublicKeyIs opens its section.
struct PublicKeyIs {
  X25519Key key;
};
struct UpdateOnly {};
struct Remove {};
struct PresharedKeyIs {
  Secret<32> key;
};
struct EndpointIs {
  Endpoint endpoint;
};
struct KeepaliveIs {
  uint16_t seconds;
};
struct ReplaceAllowedIps {};
struct AllowedIpIs {
  Prefix prefix;
  bool removes;
};
struct ProtocolVersionIsOne {};

using Line = std::variant<PrivateKeyIs,
                          ListenPortIs,
                          FwmarkIs,
                          ReplacePeers,
                          PublicKeyIs,
                          UpdateOnly,
                          Remove,
                          PresharedKeyIs,
                          EndpointIs,
                          KeepaliveIs,
                          ReplaceAllowedIps,
                          AllowedIpIs,
                          ProtocolVersionIsOne>;

// `in_peer`: a public_key line came before this one. 0 and `out`, or the magnitude of an errno.
int ParseLine(std::string_view line, bool in_peer, std::optional<Line>& out);

}  // namespace uapi
}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_UAPI_LINES_H_
