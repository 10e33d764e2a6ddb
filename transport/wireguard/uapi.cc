#include "transport/wireguard/uapi.h"

#include <sodium.h>

#include <charconv>

namespace aqmesh::wireguard {

namespace {

template <typename T>
std::optional<T> ParseDecimal(std::string_view text) {
  T v{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, v);
  if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
  return v;
}

// 64 hex digits. The intermediate copy is wiped: it may be a secret.
bool ParseKey(std::string_view text, MutableBytes out32) {
  if (text.size() != 64) return false;
  auto bytes = FromHex(text);
  if (!bytes) return false;
  std::memcpy(out32.data(), bytes->data(), 32);
  sodium_memzero(bytes->data(), bytes->size());
  return true;
}

void Line(std::string& out, std::string_view key, std::string_view value) {
  out.append(key).append("=").append(value).append("\n");
}
void Line(std::string& out, std::string_view key, uint64_t value) {
  Line(out, key, std::to_string(value));
}
void SecretLine(std::string& out, std::string_view key, ByteView secret) {
  std::string hex = ToHex(secret);
  Line(out, key, hex);
  sodium_memzero(hex.data(), hex.size());
}

void FormatPeer(const PeerConfig& p, std::string& out) {
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  Line(out, "public_key", ToHex(p.public_key));
  SecretLine(out, "preshared_key", p.preshared_key.view());
  Line(out, "protocol_version", 1u);
  if (p.endpoint) Line(out, "endpoint", p.endpoint->ToString());
  Line(out, "last_handshake_time_sec", p.last_handshake.seconds());
  Line(out,
       "last_handshake_time_nsec",
       static_cast<uint64_t>(p.last_handshake.nanos % kNanosPerSecond));
  Line(out, "tx_bytes", p.tx_bytes);
  Line(out, "rx_bytes", p.rx_bytes);
  Line(out, "persistent_keepalive_interval", p.persistent_keepalive);
  for (const Prefix& prefix : p.allowed_ips) Line(out, "allowed_ip", prefix.ToString());
}

void AppendErrno(std::string& reply, int number) {
  reply.append("errno=").append(std::to_string(number)).append("\n\n");
}

}  // namespace

// spec: wire#2 get: device lines first, zero private key and zero fwmark left out
std::string FormatUapi(const DeviceConfig& config) {
  std::string out;
  out.reserve(256 +
              config.peers.size() * 768);  // so that growth leaves few copies of secrets behind
  if (!config.private_key.is_zero()) SecretLine(out, "private_key", config.private_key.view());
  if (config.listen_port != 0) Line(out, "listen_port", config.listen_port);
  if (config.fwmark != 0) Line(out, "fwmark", config.fwmark);
  for (const PeerConfig& p : config.peers) FormatPeer(p, out);
  return out;
}

UapiSession::~UapiSession() { sodium_memzero(line_.data(), line_.size()); }

bool UapiSession::OnBytes(Now now, ByteView bytes, std::string& reply) {
  for (const char c : AsText(bytes)) {
    if (c != '\n') {
      if (line_.size() >= kUapiLineMax) return false;
      line_.push_back(c);
      continue;
    }
    const bool go_on = OnLine(now, line_, reply);
    sodium_memzero(line_.data(), line_.size());
    line_.clear();
    if (!go_on) return false;
  }
  return true;
}

bool UapiSession::OnLine(Now now, std::string_view line, std::string& reply) {
  switch (state_) {
    case State::kOperation:
      in_peer_ = false;
      error_ = 0;
      if (line == "get=1") {
        state_ = State::kGet;
      } else if (line == "set=1") {
        state_ = State::kSet;
      } else {
        return false;
      }
      return true;
    case State::kGet:
      if (line.empty()) {
        std::string text = FormatUapi(device_.GetConfig());
        reply += text;
        sodium_memzero(text.data(), text.size());
        AppendErrno(reply, 0);
      } else {
        AppendErrno(reply, kUapiProtocol);  // positive: `wg` negates nothing on get
      }
      state_ = State::kOperation;
      return line.empty();
    case State::kSet:
      if (!line.empty()) {
        error_ = OnSetLine(now, line);
        if (error_ != 0) state_ = State::kSkip;
        return true;
      }
      error_ = EndPeer(now);
      break;
    case State::kSkip:
      if (!line.empty()) return true;
      peer_.reset();
      break;
  }
  AppendErrno(reply, -error_);  // negative: `wg` negates it on set
  state_ = State::kOperation;
  return true;
}

int UapiSession::OnSetLine(Now now, std::string_view line) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0) return kUapiProtocol;
  const std::string_view key = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  if (key == "public_key") {
    const int error = EndPeer(now);
    return error != 0 ? error : BeginPeer(now, value);
  }
  return in_peer_ ? OnPeerKey(now, key, value) : OnDeviceKey(now, key, value);
}

int UapiSession::OnDeviceKey(Now now, std::string_view key, std::string_view value) {
  if (key == "private_key") {
    crypto::X25519Private secret;
    if (!ParseKey(value, secret.mutable_view())) return kUapiInvalid;
    device_.SetPrivateKey(now, secret, out_);
    return Settle();
  }
  if (key == "listen_port") {
    const auto port = ParseDecimal<uint16_t>(value);
    if (!port) return kUapiInvalid;
    device_.SetListenPort(*port, out_);
    return Settle();
  }
  if (key == "fwmark") {
    const auto mark = ParseDecimal<uint32_t>(value);
    if (!mark) return kUapiInvalid;
    device_.SetFwmark(*mark, out_);
    return Settle();
  }
  if (key == "replace_peers") {
    if (value != "true") return kUapiInvalid;
    device_.RemoveAllPeers(now, out_);
    return Settle();
  }
  return kUapiInvalid;
}

int UapiSession::BeginPeer(Now, std::string_view value) {
  in_peer_ = true;
  created_ = false;
  peer_.reset();
  if (!ParseKey(value, key_.bytes)) {
    ignored_ = true;
    return kUapiInvalid;
  }
  // spec: wire#2 the section of our own key is silently ignored (as is the zero key, which is
  // nobody's).
  ignored_ = key_.is_zero() || key_ == device_.public_key();
  if (!ignored_) peer_ = device_.FindPeer(key_);
  return 0;
}

std::optional<PeerId> UapiSession::Peer(Now now, int& error) {
  error = 0;
  if (ignored_ || peer_) return peer_;
  const absl::StatusOr<PeerId> added = device_.AddPeer(now, key_, out_);
  if (!added.ok()) {
    ignored_ = true;
    error = absl::IsInvalidArgument(added.status()) ? 0 : kUapiIo;
    return std::nullopt;
  }
  peer_ = *added;
  created_ = true;
  error = Settle();
  return peer_;
}

int UapiSession::EndPeer(Now now) {
  if (!in_peer_ || ignored_) return 0;
  int error = 0;
  const auto peer = Peer(now, error);  // a section of nothing but its key still makes the peer
  if (peer && error == 0) {
    device_.FlushStaged(now, *peer, out_);
    error = Settle();
  }
  peer_.reset();
  ignored_ = true;
  return error;
}

// Normally right after public_key, when nothing is made yet; later it undoes what this section
// made.
int UapiSession::OnUpdateOnly(Now now) {
  if (ignored_ || (peer_ && !created_)) return 0;
  ignored_ = true;
  if (!peer_) return 0;
  device_.RemovePeer(now, *peer_, out_);
  peer_.reset();
  return Settle();
}

int UapiSession::OnPeerKey(Now now, std::string_view key, std::string_view value) {
  int error = 0;
  if (key == "update_only") return value == "true" ? OnUpdateOnly(now) : kUapiInvalid;
  if (key == "remove") {
    if (value != "true") return kUapiInvalid;
    if (peer_) device_.RemovePeer(now, *peer_, out_);
    peer_.reset();
    ignored_ = true;
    return Settle();
  }
  if (key == "preshared_key") {
    Secret<32> psk;
    if (!ParseKey(value, psk.mutable_view())) return kUapiInvalid;
    if (const auto peer = Peer(now, error)) device_.SetPresharedKey(*peer, psk);
    return error;
  }
  if (key == "endpoint") {
    const auto endpoint = Endpoint::Parse(value);
    if (!endpoint) return kUapiInvalid;
    if (const auto peer = Peer(now, error)) device_.SetEndpoint(*peer, *endpoint, out_);
    return error != 0 ? error : Settle();
  }
  if (key == "persistent_keepalive_interval") {
    const auto seconds = ParseDecimal<uint16_t>(value);
    if (!seconds) return kUapiInvalid;
    if (const auto peer = Peer(now, error))
      device_.SetPersistentKeepalive(now, *peer, *seconds, out_);
    return error != 0 ? error : Settle();
  }
  if (key == "replace_allowed_ips") {
    if (value != "true") return kUapiInvalid;
    if (const auto peer = Peer(now, error)) device_.ClearAllowedIps(*peer);
    return error;
  }
  if (key == "allowed_ip") return OnAllowedIp(now, value);
  if (key == "protocol_version") return value == "1" ? 0 : kUapiInvalid;
  return kUapiInvalid;
}

int UapiSession::OnAllowedIp(Now now, std::string_view value) {
  const bool removes = value.starts_with('-');
  if (removes) value.remove_prefix(1);
  const auto prefix = Prefix::Parse(value);
  if (!prefix || value.find('/') == std::string_view::npos) return kUapiInvalid;
  int error = 0;
  const auto peer = Peer(now, error);
  if (!peer) return error;
  if (removes) {
    device_.RemoveAllowedIp(*peer, *prefix);
    return 0;
  }
  return device_.AddAllowedIp(*peer, *prefix).ok() ? 0 : kUapiIo;
}

}  // namespace aqmesh::wireguard
