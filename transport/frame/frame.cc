#include "transport/frame/frame.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/crypto/hash.h"

namespace aqmesh::frame {

FrameKey FrameKeyOf(ByteView ck,
                    Direction direction,
                    const Digest& sender,
                    uint32_t receiver_handle) {
  static constexpr std::string_view kLabel = "aqmesh/1/frame";
  AQ_CHECK(ck.size() == 32);
  std::array<uint8_t, kLabel.size() + 1 + 32 + 4> input;
  std::copy(kLabel.begin(), kLabel.end(), input.begin());
  input[kLabel.size()] = static_cast<uint8_t>(direction);
  std::copy(sender.bytes.begin(), sender.bytes.end(), input.begin() + kLabel.size() + 1);
  StoreLe(input.data() + kLabel.size() + 33, receiver_handle);
  crypto::Hash32 k = crypto::Kdf1(ck, input);
  FrameKey key{ByteView(k).first(16)};
  sodium_memzero(k.data(), k.size());
  return key;
}

Drop WhyNotFrameWord(uint32_t word) {
  const uint32_t second = word >> 8 & 0xff;
  if ((word & 0xff) != (kFrameWord & 0xff) || second >> 4 != 1) return Drop::kVersion;
  if ((second >> 2 & 3) != 0) return Drop::kHops;
  if ((second & 3) != 0) return Drop::kFlags;
  return word >> 16 != 0 ? Drop::kEpoch : Drop::kNone;
}

}  // namespace aqmesh::frame
