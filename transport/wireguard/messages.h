// WireGuard's four messages: layouts, and total parsers and writers for the three handshake ones.
// Spec:   WireGuard paper §5.4; spec/wire.md §1.2. All integers little endian; the first word is the type
//         byte and three zero bytes, compared as one.
// Wire:   initiation 148: @4 sender, @8 ephemeral 32, @40 static 48, @88 timestamp 28, @116 mac1,
// @132 mac2
//         response 92:    @4 sender, @8 receiver, @12 ephemeral 32, @44 nothing 16, @60 mac1, @76
//         mac2 cookie reply 64: @4 receiver, @8 nonce 24, @32 cookie 32 transport 16 + padded + 16:
//         @4 receiver, @8 counter LE64, @16 sealed packet
// Errors: kBadSize, kBadType; a failed Parse leaves `out` untouched.
// Thread: pure.
#ifndef AQMESH_TRANSPORT_WIREGUARD_MESSAGES_H_
#define AQMESH_TRANSPORT_WIREGUARD_MESSAGES_H_

#include <array>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "transport/wireguard/outbox.h"

namespace aqmesh::wireguard {

enum class MessageType : uint32_t {
  kInitiation = 1,
  kResponse = 2,
  kCookieReply = 3,
  kTransport = 4
};

inline constexpr size_t kTag = 16;
inline constexpr size_t kMac = 16;

struct Initiation {
  static constexpr size_t kSize = 148;
  static constexpr size_t kMac1At = 116;
  static constexpr size_t kMac2At = 132;
  uint32_t sender_index = 0;
  X25519Key ephemeral;
  std::array<uint8_t, 32 + kTag> sealed_static{};
  std::array<uint8_t, 12 + kTag> sealed_timestamp{};
};
static_assert(Initiation::kSize == 4 + 4 + 32 + (32 + kTag) + (12 + kTag) + kMac + kMac);
static_assert(Initiation::kMac2At + kMac == Initiation::kSize &&
              Initiation::kMac1At + kMac == Initiation::kMac2At);

struct Response {
  static constexpr size_t kSize = 92;
  static constexpr size_t kMac1At = 60;
  static constexpr size_t kMac2At = 76;
  uint32_t sender_index = 0;
  uint32_t receiver_index = 0;
  X25519Key ephemeral;
  std::array<uint8_t, kTag> sealed_nothing{};
};
static_assert(Response::kSize == 4 + 4 + 4 + 32 + kTag + kMac + kMac);
static_assert(Response::kMac2At + kMac == Response::kSize &&
              Response::kMac1At + kMac == Response::kMac2At);

struct CookieReply {
  static constexpr size_t kSize = 64;
  uint32_t receiver_index = 0;
  std::array<uint8_t, 24> nonce{};
  std::array<uint8_t, 16 + kTag> sealed_cookie{};
};
static_assert(CookieReply::kSize == 4 + 4 + 24 + (16 + kTag));

inline constexpr size_t kTransportHeader = 16;
inline constexpr size_t kTransportMin = kTransportHeader + kTag;  // a keepalive
struct TransportHeader {
  uint32_t receiver_index = 0;
  uint64_t counter = 0;
};

// The type of a message whose first word and length agree, else the reason.
struct Classified {
  Drop why = Drop::kNone;
  MessageType type = MessageType::kTransport;
};
Classified Classify(ByteView message);
inline bool IsData(ByteView message) {
  const Classified c = Classify(message);
  return c.why == Drop::kNone && c.type == MessageType::kTransport;
}

Drop Parse(ByteView message, Initiation& out);
Drop Parse(ByteView message, Response& out);
Drop Parse(ByteView message, CookieReply& out);
Drop Parse(ByteView message, TransportHeader& out);

// Writers fill every byte; both MACs are left zero.
std::array<uint8_t, Initiation::kSize> Serialize(const Initiation& m);
std::array<uint8_t, Response::kSize> Serialize(const Response& m);
std::array<uint8_t, CookieReply::kSize> Serialize(const CookieReply& m);
void WriteTransportHeader(const TransportHeader& h, uint8_t* out16);

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_MESSAGES_H_
