// The fuzz entries of tests/fuzz, over their small corpus.
#include <gtest/gtest.h>

#include "tests/core/authority/vectors.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/targets.h"

namespace aqmesh::fuzz {
namespace {

TEST(FuzzReplayTest, SignedAndBodies) {
  std::vector<Bytes> seeds;
  for (const authority::Signed& s : authority::vectors::All()) {
    seeds.push_back(s.bytes());
    seeds.emplace_back(s.body().begin(), s.body().end());
  }
  Replay(seeds, FuzzSigned);
}

TEST(FuzzReplayTest, Armour) {
  std::vector<Bytes> seeds;
  for (const authority::Signed& s : authority::vectors::All()) {
    const std::string text = authority::Armour(s);
    seeds.emplace_back(text.begin(), text.end());
  }
  Replay(seeds, FuzzArmour);
}

TEST(FuzzReplayTest, SlotBook) {
  authority::SlotBook book;
  for (uint8_t i = 0; i < 40; ++i) {
    authority::Slot slot;
    slot.kind = static_cast<uint8_t>(1 + i % 4);
    slot.id.bytes.fill(static_cast<uint8_t>(i % 3));
    slot.number = i + 1u;
    book.Take(slot, authority::vectors::All()[0].oid(), i);
  }
  Replay({book.Encode()}, FuzzSlotBook, 3'000);
}

}  // namespace
}  // namespace aqmesh::fuzz
