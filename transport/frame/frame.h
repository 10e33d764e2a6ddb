// a4: the 16 bytes in front of every WireGuard transport message of a governed session. Their tag
// binds the frame to its sender's presentation before the message is opened.
// Spec:   spec/objects.md §4 (a4, Tag, K_f); spec/authority.md B.4.
// Wire:   @0 a4; @1 version 1<<4 | hops 0<<2 | flags 0; @2 u16 key epoch 0; @4 u32 handle; @8 u64
// tag;
//         @16 WireGuard type 4, unmodified. All little endian.
//         tag = SipHash-2-4(K_f; frame[0..8) || frame[16..32) || LE16(WireGuard length) || 6
//         zeros).
// Errors: Drop. Thread: pure; a FrameKey may be shared for reading. Cost: ~20 ns, no allocation.
#ifndef AQMESH_TRANSPORT_FRAME_FRAME_H_
#define AQMESH_TRANSPORT_FRAME_FRAME_H_

#include <bit>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret.h"
#include "transport/frame/drop.h"

namespace aqmesh::frame {

inline constexpr size_t kFrameHeaderBytes = 16;
inline constexpr size_t kFrameBytesMin = kFrameHeaderBytes + 32;  // around a keepalive
inline constexpr size_t kFrameBytesMax = kFrameHeaderBytes + UINT16_MAX;
// Bytes 0-3 of version 1 as one little-endian word: hops, flags and epoch are zero.
inline constexpr uint32_t kFrameWord = 0x000010a4;

enum class Direction : uint8_t { kFromInitiator = 0, kFromResponder = 1 };

// K_f of one direction of one session.
class FrameKey {
 public:
  explicit FrameKey(ByteView key16) : key_(key16) {}
  FrameKey Clone() const { return FrameKey(key_.view()); }
  uint64_t k0() const { return LoadLe<uint64_t>(key_.data()); }
  uint64_t k1() const { return LoadLe<uint64_t>(key_.data() + 8); }
  ByteView view() const { return key_.view(); }

 private:
  Secret<16> key_;
};
// ck after psk; the AuthDigest of who sends; the rx_handle that its receiver put in its
// presentation.
FrameKey FrameKeyOf(ByteView ck,
                    Direction direction,
                    const Digest& sender,
                    uint32_t receiver_handle);

// SipHash-2-4 of exactly four words.
inline uint64_t SipHash32Bytes(uint64_t k0, uint64_t k1, const uint64_t (&words)[4]) {
  uint64_t v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
  uint64_t v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
  const auto round = [&v0, &v1, &v2, &v3] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  for (const uint64_t w : words) {
    v3 ^= w;
    round(), round();
    v0 ^= w;
  }
  constexpr uint64_t kLast = uint64_t{32} << 56;  // the length closes the message
  v3 ^= kLast;
  round(), round();
  v0 ^= kLast;
  v2 ^= 0xff;
  round(), round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
}

// The tag of a frame whose bytes [0,8) and [16,32) stand; message_bytes is the WireGuard message's
// length.
inline uint64_t FrameTag(const FrameKey& key,
                         uint64_t front,  // bytes [0,8) of the frame
                         const uint8_t* message,
                         size_t message_bytes) {
  return SipHash32Bytes(key.k0(),
                        key.k1(),
                        {front,
                         LoadLe<uint64_t>(message),
                         LoadLe<uint64_t>(message + 8),
                         static_cast<uint16_t>(message_bytes)});
}
inline uint64_t FrameTag(const FrameKey& key, const uint8_t* frame, size_t message_bytes) {
  return FrameTag(key, LoadLe<uint64_t>(frame), frame + kFrameHeaderBytes, message_bytes);
}

// Fills the 16 bytes before a finished WireGuard message of 32 to 65,535 bytes. handle: the
// receiver's.
inline void WriteFrame(uint8_t* frame, uint32_t handle, const FrameKey& key, size_t message_bytes) {
  // Hashed from the register: a load of what two stores just made would wait for both.
  const uint64_t front = kFrameWord | uint64_t{handle} << 32;
  StoreLe(frame, front);
  StoreLe(frame + 8, FrameTag(key, front, frame + kFrameHeaderBytes, message_bytes));
}

// The order at a receiver: CheckFrameSize, look FrameHandle up among governed sessions, CheckFrame,
// then WireGuard over FrameMessage for that session's index only.
inline Drop CheckFrameSize(ByteView datagram) {
  return datagram.size() < kFrameBytesMin || datagram.size() > kFrameBytesMax ? Drop::kSize
                                                                              : Drop::kNone;
}
inline uint32_t FrameHandle(ByteView datagram) { return LoadLe<uint32_t>(datagram.data() + 4); }
inline ByteView FrameMessage(ByteView datagram) { return datagram.subspan(kFrameHeaderBytes); }

// Which field of bytes 0-3 is not version 1's.
Drop WhyNotFrameWord(uint32_t word);

// Bytes 0-3, the tag, and last the type of the message inside, which must be 4: a right tag is no
// licence to send a bare handshake. The comparison is of whole words, without an early exit.
inline Drop CheckFrame(ByteView datagram, const FrameKey& key) {
  const uint8_t* f = datagram.data();
  const auto word = LoadLe<uint32_t>(f);
  if (word != kFrameWord) [[unlikely]]
    return WhyNotFrameWord(word);
  const uint64_t tag = FrameTag(key, f, datagram.size() - kFrameHeaderBytes);
  if ((tag ^ LoadLe<uint64_t>(f + 8)) != 0) [[unlikely]]
    return Drop::kTag;
  return LoadLe<uint32_t>(f + kFrameHeaderBytes) == 4 ? Drop::kNone : Drop::kInnerType;
}

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_FRAME_H_
