#include "transport/wireguard/uapi_lines.h"

#include <charconv>

namespace aqmesh::wireguard::uapi {

namespace {

using Parsed = std::optional<Line>;

template <typename T>
std::optional<T> ParseDecimal(std::string_view text) {
  T v{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc{} || stop != text.data() + text.size() || text.empty())
    return std::nullopt;
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

template <class T>
Parsed OnlyTrue(std::string_view value) {
  return value == "true" ? Parsed(T{}) : std::nullopt;
}

Parsed ParsePublicKey(std::string_view value) {
  PublicKeyIs line;
  return ParseKey(value, line.key.bytes) ? Parsed(line) : std::nullopt;
}

template <class T>
Parsed ParseSecret(std::string_view value) {
  T line;
  return ParseKey(value, line.key.mutable_view()) ? Parsed(std::move(line)) : std::nullopt;
}

template <class T, class Number>
Parsed ParseNumber(std::string_view value) {
  const auto number = ParseDecimal<Number>(value);
  return number ? Parsed(T{*number}) : std::nullopt;
}

Parsed ParseAllowedIp(std::string_view value) {
  const bool removes = value.starts_with('-');
  if (removes) value.remove_prefix(1);
  const auto prefix = Prefix::Parse(value);
  if (!prefix || value.find('/') == std::string_view::npos) return std::nullopt;
  return AllowedIpIs{*prefix, removes};
}

Parsed ParseEndpoint(std::string_view value) {
  const auto endpoint = Endpoint::Parse(value);
  return endpoint ? Parsed(EndpointIs{*endpoint}) : std::nullopt;
}

Parsed ParseProtocolVersion(std::string_view value) {
  return value == "1" ? Parsed(ProtocolVersionIsOne{}) : std::nullopt;
}

struct Rule {
  std::string_view key;
  Parsed (*parse)(std::string_view value);
};
constexpr Rule kDeviceRules[] = {{"private_key", ParseSecret<PrivateKeyIs>},
                                 {"listen_port", ParseNumber<ListenPortIs, uint16_t>},
                                 {"fwmark", ParseNumber<FwmarkIs, uint32_t>},
                                 {"replace_peers", OnlyTrue<ReplacePeers>}};
constexpr Rule kPeerRules[] = {
    {"update_only", OnlyTrue<UpdateOnly>},
    {"remove", OnlyTrue<Remove>},
    {"preshared_key", ParseSecret<PresharedKeyIs>},
    {"endpoint", ParseEndpoint},
    {"persistent_keepalive_interval", ParseNumber<KeepaliveIs, uint16_t>},
    {"replace_allowed_ips", OnlyTrue<ReplaceAllowedIps>},
    {"allowed_ip", ParseAllowedIp},
    {"protocol_version", ParseProtocolVersion}};

int ParseBy(std::span<const Rule> rules,
            std::string_view key,
            std::string_view value,
            Parsed& out) {
  for (const Rule& rule : rules) {
    if (rule.key != key) continue;
    out = rule.parse(value);
    return out ? 0 : kUapiInvalid;
  }
  return kUapiInvalid;
}

}  // namespace

int ParseLine(std::string_view line, bool in_peer, std::optional<Line>& out) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0) return kUapiProtocol;
  const std::string_view key = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  if (key == "public_key") {
    out = ParsePublicKey(value);
    return out ? 0 : kUapiInvalid;
  }
  return in_peer ? ParseBy(kPeerRules, key, value, out) : ParseBy(kDeviceRules, key, value, out);
}

}  // namespace aqmesh::wireguard::uapi
