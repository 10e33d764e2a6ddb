// Three words that two people read to each other when one joins: both ends of the session show the
// same, and no one between them could have chosen them.
// Spec: spec/objects.md §5 (Words). The list is BIP-39 English. Thread: pure.
#ifndef AQMESH_TRANSPORT_FRAME_WORDS_H_
#define AQMESH_TRANSPORT_FRAME_WORDS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace aqmesh::frame {

inline constexpr size_t kWordListSize = 2048;
using WordIndices = std::array<uint16_t, 3>;

std::string_view Word(uint16_t index);  // index < kWordListSize

// H128("aqmesh/1/commit" || nonce): in the live request, before h is known to anyone.
std::array<uint8_t, 16> CommitTo(ByteView nonce16);
// The top 33 bits of H256("aqmesh/1/words" || final h || nonce), eleven for each word, high first.
WordIndices WordsOf(ByteView final_h32, ByteView nonce16);
// "rough before bone"
std::string WordsText(const WordIndices& words);

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_WORDS_H_
