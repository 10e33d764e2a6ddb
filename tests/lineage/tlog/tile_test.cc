#include "lineage/tlog/tile.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::tlog {
namespace {

TEST(TileTest, PathsAreC2sps) {
  struct Case {
    Tile tile;
    const char* path;
  };
  const Case cases[] = {{{0, 0, 256}, "tile/0/000"},
                        {{0, 0, 1}, "tile/0/000.p/1"},
                        {{1, 999, 255}, "tile/1/999.p/255"},
                        {{2, 1000, 256}, "tile/2/x001/000"},
                        {{0, 1'234'067, 256}, "tile/0/x001/x234/067"},
                        {{3, 1'234'067, 8}, "tile/3/x001/x234/067.p/8"},
                        {{63, kTreeSizeMax, 256}, "tile/63/x009/x223/x372/x036/x854/x775/807"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.path);
    EXPECT_EQ(TilePath(c.tile), c.path);
    EXPECT_EQ(ParseTilePath(c.path), c.tile);
    for (size_t n = 0; n < std::string_view(c.path).size(); ++n) {
      const std::string_view cut = std::string_view(c.path).substr(0, n);
      const auto tile = ParseTilePath(cut);
      EXPECT_TRUE(!tile || TilePath(*tile) == cut);
    }
  }
  EXPECT_EQ(BundlePath(1'234'067, 7), "tile/entries/x001/x234/067.p/7");
  EXPECT_EQ(ParseBundlePath("tile/entries/x001/x234/067.p/7"), (Tile{0, 1'234'067, 7}));
  for (const char* wrong : {"",
                            "tile",
                            "tile/",
                            "tile/0",
                            "tile/0/",
                            "tile/0/0",
                            "tile/0/0000",
                            "tile/0/x000/001",
                            "tile/0/001/000",
                            "tile/0/x001/x000",
                            "tile/00/000",
                            "tile/64/000",
                            "tile/-1/000",
                            "tile/0/000.p/0",
                            "tile/0/000.p/256",
                            "tile/0/000.p/01",
                            "tile/0/000.p/",
                            "tile/0/000.p",
                            "/tile/0/000",
                            "tile/0/000/",
                            "tile/0/x009/x223/x372/x036/x854/x775/808",
                            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
                            "tile/entries/000"})
    EXPECT_FALSE(ParseTilePath(wrong)) << wrong;
  EXPECT_FALSE(ParseBundlePath("tile/0/000"));
  EXPECT_FALSE(ParseBundlePath("tile/entries/"));
}

TEST(TileTest, ATreeOfSeventyThousandHasTheTilesThatTheSpecCounts) {
  EXPECT_EQ(WidthIn(70'000, 0, 272), 256u);
  EXPECT_EQ(WidthIn(70'000, 0, 273), 112u);
  EXPECT_EQ(WidthIn(70'000, 0, 274), 0u);
  EXPECT_EQ(WidthIn(70'000, 1, 0), 256u);
  EXPECT_EQ(WidthIn(70'000, 1, 1), 17u);
  EXPECT_EQ(WidthIn(70'000, 2, 0), 1u);
  EXPECT_EQ(WidthIn(70'000, 3, 0), 0u);
  EXPECT_EQ(WidthIn(256, 0, 0), 256u);
  EXPECT_EQ(WidthIn(256, 0, 1), 0u);
  EXPECT_EQ(WidthIn(256, 1, 0), 1u);
  EXPECT_EQ(WidthIn(kTreeSizeMax, 7, 0), 127u);
  EXPECT_EQ(WidthIn(kTreeSizeMax, 8, 0), 0u);
  EXPECT_EQ(WidthIn(kTreeSizeMax, 63, ~uint64_t{0}), 0u);
}

TEST(TileTest, NewTilesAreThoseThatTheOldTreeHadNot) {
  const auto all = [](uint64_t size) {
    std::set<Tile> tiles;
    for (unsigned level = 0; level <= kTileLevelMax; ++level) {
      for (uint64_t index = 0; WidthIn(size, level, index) > 0; ++index)
        tiles.insert({level, index, WidthIn(size, level, index)});
    }
    return tiles;
  };
  const uint64_t sizes[] = {0, 1, 2, 255, 256, 257, 511, 512, 513, 65'535, 65'536, 65'537, 70'000};
  for (const uint64_t old_size : sizes) {
    const std::set<Tile> before = all(old_size);
    for (const uint64_t new_size : sizes) {
      if (new_size < old_size) continue;
      std::set<Tile> want = all(new_size);
      for (const Tile& tile : before) want.erase(tile);
      std::set<Tile> got;
      ForEachNewTile(old_size, new_size, [&](const Tile& tile) {
        EXPECT_TRUE(got.insert(tile).second) << TilePath(tile);
      });
      EXPECT_EQ(got, want) << old_size << " to " << new_size;
    }
  }
}

TEST(TileTest, EverySubtreeHasItsPlace) {
  EXPECT_EQ(PlaceOf({0, 300}, 301).tile, (Tile{0, 1, 45}));
  EXPECT_EQ(PlaceOf({0, 300}, 301).at, 44u);
  const TilePlace place = PlaceOf({10, 5}, 70'000);  // 4 entries of level 1
  EXPECT_EQ(place.tile, (Tile{1, 0, 256}));
  EXPECT_EQ(place.at, 20u);
  EXPECT_EQ(place.count, 4u);
}

TEST(TileTest, ABundleGivesBackItsEntriesAndNothingElse) {
  const Bytes entries[] = {Bytes{}, Bytes{1}, Bytes(300, 7), Bytes(0xffff, 9)};
  Bytes bundle;
  for (const Bytes& entry : entries) AppendBundleEntry(bundle, entry);
  const auto parsed = ParseBundle(bundle, 4);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(Equal((*parsed)[i], entries[i]));
  EXPECT_FALSE(ParseBundle(bundle, 3).ok());
  EXPECT_FALSE(ParseBundle(bundle, 5).ok());
  bundle.resize(2 + 3 + 302);
  for (size_t n = 0; n < bundle.size(); ++n)
    EXPECT_FALSE(ParseBundle(ByteView(bundle).first(n), 3).ok()) << n;
  EXPECT_TRUE(ParseBundle(bundle, 3).ok());
}

}  // namespace
}  // namespace aqmesh::tlog
