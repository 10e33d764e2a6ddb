#include "transport/wireguard/uapi.h"

#include <sodium.h>

#include "core/base/check.h"

namespace aqmesh::wireguard {

namespace {

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
      lines_.clear();
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
        error_ = OnSetLine(line);
        if (error_ != 0) state_ = State::kSkip;
        return true;
      }
      state_ = State::kApply;
      applied_ = 0;
      in_section_ = false;
      GoOn(now, reply);
      return true;
    case State::kSkip:
      if (line.empty()) EndSet(reply);
      return true;
    case State::kApply: break;
  }
  AQ_CHECK(!applying());
  return false;
}

// The lines that were understood, in order, up to the first failure.
void UapiSession::GoOn(Now now, std::string& reply) {
  for (size_t left = slice_; left > 0 && applied_ < lines_.size() && error_ == 0; --left) {
    error_ = std::visit([this, now](const auto& line) { return Do(now, line); }, lines_[applied_]);
    ++applied_;
  }
  if (error_ == 0 && applied_ < lines_.size()) return;
  if (error_ == 0) error_ = EndPeer(now);
  EndSet(reply);
}

void UapiSession::EndSet(std::string& reply) {
  lines_.clear();
  lines_.shrink_to_fit();
  AppendErrno(reply, -error_);  // negative: `wg` negates it on set
  state_ = State::kOperation;
}

int UapiSession::OnSetLine(std::string_view line) {
  if (lines_.size() >= kUapiLinesMax) return kUapiIo;
  std::optional<uapi::Line> understood;
  if (const int error = uapi::ParseLine(line, in_peer_, understood); error != 0) return error;
  in_peer_ |= std::holds_alternative<uapi::PublicKeyIs>(*understood);
  lines_.push_back(*std::move(understood));
  return 0;
}

int UapiSession::Do(Now now, const uapi::PrivateKeyIs& line) {
  device_.SetPrivateKey(now, line.key, out_);
  return Settle();
}

int UapiSession::Do(Now, const uapi::ListenPortIs& line) {
  device_.SetListenPort(line.port, out_);
  return Settle();
}

int UapiSession::Do(Now, const uapi::FwmarkIs& line) {
  device_.SetFwmark(line.mark, out_);
  return Settle();
}

int UapiSession::Do(Now now, const uapi::ReplacePeers&) {
  // From the last: their places are taken again from the first, so that the same peers, set again,
  // are told in the same order.
  const std::vector<PeerId> peers = device_.handshaker().peers();
  for (auto peer = peers.rbegin(); peer != peers.rend(); ++peer)
    device_.RemovePeer(now, *peer, out_);
  return Settle();
}

int UapiSession::Do(Now now, const uapi::PublicKeyIs& line) {
  const int error = EndPeer(now);
  in_section_ = true;
  created_ = false;
  peer_.reset();
  key_ = line.key;
  // spec: wire#2 the section of our own key is silently ignored (as is the zero key, which is
  // nobody's).
  ignored_ = key_.is_zero() || key_ == device_.public_key();
  if (!ignored_) peer_ = device_.FindPeer(key_);
  return error;
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
  if (!in_section_ || ignored_) return 0;
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
int UapiSession::Do(Now now, const uapi::UpdateOnly&) {
  if (ignored_ || (peer_ && !created_)) return 0;
  ignored_ = true;
  if (!peer_) return 0;
  device_.RemovePeer(now, *peer_, out_);
  peer_.reset();
  return Settle();
}

int UapiSession::Do(Now now, const uapi::Remove&) {
  if (peer_) device_.RemovePeer(now, *peer_, out_);
  peer_.reset();
  ignored_ = true;
  return Settle();
}

int UapiSession::Do(Now now, const uapi::PresharedKeyIs& line) {
  int error = 0;
  if (const auto peer = Peer(now, error)) device_.SetPresharedKey(*peer, line.key);
  return error;
}

int UapiSession::Do(Now now, const uapi::EndpointIs& line) {
  int error = 0;
  if (const auto peer = Peer(now, error)) device_.SetEndpoint(*peer, line.endpoint, out_);
  return error != 0 ? error : Settle();
}

int UapiSession::Do(Now now, const uapi::KeepaliveIs& line) {
  int error = 0;
  if (const auto peer = Peer(now, error))
    device_.SetPersistentKeepalive(now, *peer, line.seconds, out_);
  return error != 0 ? error : Settle();
}

int UapiSession::Do(Now now, const uapi::ReplaceAllowedIps&) {
  int error = 0;
  if (const auto peer = Peer(now, error)) device_.ClearAllowedIps(*peer);
  return error;
}

int UapiSession::Do(Now now, const uapi::AllowedIpIs& line) {
  int error = 0;
  const auto peer = Peer(now, error);
  if (!peer) return error;
  if (line.removes) {
    device_.RemoveAllowedIp(*peer, line.prefix);
    return 0;
  }
  return device_.AddAllowedIp(*peer, line.prefix).ok() ? 0 : kUapiIo;
}

int UapiSession::Do(Now, const uapi::ProtocolVersionIsOne&) { return 0; }

}  // namespace aqmesh::wireguard
