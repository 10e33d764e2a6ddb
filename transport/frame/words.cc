#include "transport/frame/words.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/crypto/hash.h"

namespace aqmesh::frame {

namespace {
// BIP-39 English, one word a line; the file of bare lines has SHA-256
// 2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda.
constexpr std::string_view kWords[] = {
#include "transport/frame/english.inc"
};
static_assert(std::size(kWords) == kWordListSize);
static_assert(std::is_sorted(std::begin(kWords), std::end(kWords)));
}  // namespace

std::string_view Word(uint16_t index) {
  AQ_CHECK(index < kWordListSize);
  return kWords[index];
}

std::array<uint8_t, 16> CommitTo(ByteView nonce16) {
  AQ_CHECK(nonce16.size() == 16);
  return crypto::H128({AsBytes("aqmesh/1/commit"), nonce16});
}

WordIndices WordsOf(ByteView final_h32, ByteView nonce16) {
  AQ_CHECK(final_h32.size() == 32 && nonce16.size() == 16);
  const crypto::Hash32 hash = crypto::H256({AsBytes("aqmesh/1/words"), final_h32, nonce16});
  const uint64_t v = LoadBe<uint64_t>(hash.data()) >> 31;
  return {static_cast<uint16_t>(v >> 22),
          static_cast<uint16_t>(v >> 11 & 2047),
          static_cast<uint16_t>(v & 2047)};
}

std::string WordsText(const WordIndices& words) {
  std::string out;
  for (const uint16_t w : words) {
    if (!out.empty()) out += ' ';
    out += Word(w);
  }
  return out;
}

}  // namespace aqmesh::frame
