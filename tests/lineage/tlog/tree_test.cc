#include "lineage/tlog/tree.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "tests/lineage/story.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::tlog {
namespace {

Digest Hex(const char* hex) { return *Digest::From(*FromHex(hex)); }

TEST(TreeTest, RootsOfTheReferenceLeavesAreRfc6962s) {
  const Digest want[] = {Hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                         Hex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
                         Hex("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
                         Hex("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
                         Hex("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
                         Hex("4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
                         Hex("76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
                         Hex("ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
                         Hex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")};
  Edge edge;
  EXPECT_EQ(edge.Root(), want[0]);
  const std::vector<Digest> leaves = ReferenceLeaves();
  for (size_t n = 1; n <= leaves.size(); ++n) {
    edge.Append(leaves[n - 1]);
    EXPECT_EQ(edge.Root(), want[n]) << n;
  }
}

TEST(TreeTest, TheEdgeHasTheRootOfTheSlowTreeAtEverySize) {
  const std::vector<Digest> leaves = NumberedLeaves(300);
  Edge edge;
  for (size_t n = 0; n <= leaves.size(); ++n) {
    EXPECT_EQ(edge.Root(), SlowRoot(Leaves(leaves).first(n))) << n;
    EXPECT_EQ(edge.subtrees().size(), static_cast<size_t>(std::popcount(n)));
    if (n < leaves.size()) edge.Append(leaves[n]);
  }
}

TEST(TreeTest, TheEdgeHasTheRootOfTheSlowTreeAtLargeSizes) {
  Rng rng = lineage::SeededRng();
  const std::vector<Digest> leaves = NumberedLeaves(100'000);
  std::set<size_t> sizes{65'535, 65'536, 65'537, 70'000};
  while (sizes.size() < 12) sizes.insert(rng.Below(leaves.size() + 1));
  Edge edge;
  for (size_t n = 0; n <= leaves.size(); ++n) {
    if (sizes.contains(n)) {
      EXPECT_EQ(edge.Root(), SlowRoot(Leaves(leaves).first(n))) << n;
    }
    if (n < leaves.size()) edge.Append(leaves[n]);
  }
}

TEST(TreeTest, ManyAtOnceAreAsManyOneByOne) {
  Rng rng = lineage::SeededRng();
  const std::vector<Digest> leaves = NumberedLeaves(70'000);
  const auto less = [](const TileEntry& a, const TileEntry& b) {
    return std::tie(a.level, a.index) < std::tie(b.level, b.index);
  };
  for (const size_t most : {size_t{1}, size_t{3}, size_t{257}, size_t{5'000}, size_t{70'000}}) {
    SCOPED_TRACE(most);
    Edge one, many;
    std::vector<TileEntry> each, together;
    for (size_t at = 0; at < leaves.size();) {
      const size_t count = std::min<size_t>(rng.Below(most + 1), leaves.size() - at);
      many.Append(Leaves(leaves).subspan(at, count),
                  [&together](const TileEntry& e) { together.push_back(e); });
      for (; one.size() < many.size(); ++at)
        one.Append(leaves[at], [&each](const TileEntry& e) { each.push_back(e); });
      ASSERT_EQ(one, many) << "of " << one.size();
    }
    std::ranges::sort(each, less);
    std::ranges::sort(together, less);
    EXPECT_EQ(each, together);
  }
}

TEST(TreeTest, GoesOnFromAStoredEdgeAsIfItHadNotStopped) {
  const std::vector<Digest> leaves = NumberedLeaves(140);
  Edge whole;
  for (size_t n = 0; n < leaves.size(); ++n) {
    Bytes stored;
    whole.AppendTo(stored);
    EXPECT_EQ(stored.size(), 8 + 32 * static_cast<size_t>(std::popcount(n)));
    auto resumed = Edge::Parse(stored);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(*resumed, whole);
    whole.Append(leaves[n]);
    resumed->Append(leaves[n]);
    EXPECT_EQ(*resumed, whole);
  }
}

TEST(TreeTest, AStoredEdgeThatIsNoneIsRefusedAndAnAlteredOneIsNotItsHeads) {
  const std::vector<Digest> leaves = NumberedLeaves(11);
  Edge edge;
  for (const Digest& leaf : leaves) edge.Append(leaf);
  const Digest root = edge.Root();
  EXPECT_TRUE(edge.CheckAgainst(11, root).ok());
  EXPECT_EQ(edge.CheckAgainst(10, root).code(), absl::StatusCode::kDataLoss);
  Bytes stored;
  edge.AppendTo(stored);
  for (size_t n = 0; n < stored.size(); ++n)
    EXPECT_FALSE(Edge::Parse(ByteView(stored).first(n)).ok()) << n;
  for (size_t bit = 0; bit < 8 * stored.size(); ++bit) {
    Bytes flipped = stored;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ 1u << bit % 8);
    const auto parsed = Edge::Parse(flipped);
    EXPECT_FALSE(parsed.ok() && parsed->CheckAgainst(11, root).ok()) << bit;
  }
  Bytes huge(8 + 32 * 64, 0xff);
  EXPECT_FALSE(Edge::Parse(huge).ok());
  EXPECT_FALSE(Edge::Restore(kTreeSizeMax + 1, std::vector<Digest>(1)).ok());
  EXPECT_TRUE(Edge::Restore(kTreeSizeMax, std::vector<Digest>(63)).ok());
}

TEST(TreeTest, ShowsEveryTileEntryOnceInOrderAndRight) {
  const std::vector<Digest> leaves = NumberedLeaves(70'000);
  std::map<unsigned, std::vector<Digest>> shown;
  Edge edge;
  for (const Digest& leaf : leaves) {
    edge.Append(leaf, [&shown](const TileEntry& e) {
      EXPECT_EQ(e.index, shown[e.level].size());
      shown[e.level].push_back(e.hash);
    });
  }
  ASSERT_EQ(shown.size(), 3u);
  EXPECT_EQ(shown[0], leaves);
  ASSERT_EQ(shown[1].size(), 273u);
  for (size_t i = 0; i < 273; ++i)
    EXPECT_EQ(shown[1][i], SlowRoot(Leaves(leaves).subspan(256 * i, 256)));
  ASSERT_EQ(shown[2].size(), 1u);
  EXPECT_EQ(shown[2][0], SlowRoot(Leaves(leaves).first(65'536)));
}

TEST(TreeTest, ACoverIsWholeAndOfFallingSize) {
  for (uint64_t n = 0; n < 600; ++n) {
    uint64_t at = 0;
    unsigned last = 64;
    const Cover cover(0, n);
    for (const Node& node : cover.nodes()) {
      EXPECT_EQ(node.first_leaf(), at);
      EXPECT_LT(node.level, last);
      last = node.level;
      at += uint64_t{1} << node.level;
    }
    EXPECT_EQ(at, n);
  }
  const Cover largest(0, kTreeSizeMax);
  EXPECT_EQ(largest.nodes().size(), 63u);
}

}  // namespace
}  // namespace aqmesh::tlog
