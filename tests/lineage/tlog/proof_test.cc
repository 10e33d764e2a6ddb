#include "lineage/tlog/proof.h"

#include "tests/lineage/story.h"
#include "tests/lineage/tlog/slow_tree.h"

namespace aqmesh::tlog {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kLeaves = 67;  // five times slower there
#else
constexpr size_t kLeaves = 130;
#endif

Digest Hex(const char* hex) { return *Digest::From(*FromHex(hex)); }
Digest Flipped(Digest d, size_t bit) {
  d.bytes[bit / 8] = static_cast<uint8_t>(d.bytes[bit / 8] ^ 1u << bit % 8);
  return d;
}

TEST(ProofTest, ProofsOverTheReferenceLeavesAreRfc6962s) {
  TileStore store{ReferenceLeaves()};
  const auto path = store.Newest().Inclusion(5);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path,
            (Proof{Hex("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
                   Hex("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                   Hex("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")}));
  const auto six = store.Newest().Consistency(6);
  ASSERT_TRUE(six.ok()) << six.status();
  EXPECT_EQ(six->proof,
            (Proof{Hex("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
                   Hex("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                   Hex("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")}));
  const auto seven =
      store.At(7, Hex("ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"))
          .Consistency(3);
  ASSERT_TRUE(seven.ok()) << seven.status();
  EXPECT_EQ(seven->proof,
            (Proof{Hex("0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7"),
                   Hex("07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7"),
                   Hex("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
                   Hex("837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e")}));
}

// What a forger might try with a good proof. Every single bit where the tree is small, one of each
// hash where it is not.
void RefusesEveryChange(const Proof& good,
                        size_t size,
                        absl::FunctionRef<bool(std::span<const Digest>)> verifies) {
  for (size_t i = 0; i < good.size(); ++i) {
    for (size_t bit = size <= 20 ? 0 : (size * 7 + i * 31) % 256; bit < 256;
         bit += size <= 20 ? 1 : 256) {
      Proof forged = good;
      forged[i] = Flipped(forged[i], bit);
      EXPECT_FALSE(verifies(forged)) << size << ", hash " << i << ", bit " << bit;
    }
    Proof shorter = good;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(verifies(shorter));
    if (i > 0) {
      Proof swapped = good;
      std::swap(swapped[i - 1], swapped[i]);
      EXPECT_FALSE(verifies(swapped) && swapped != good);
    }
  }
  for (size_t i = 0; i <= good.size(); ++i) {
    Proof longer = good;
    longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(i), Digest{});
    EXPECT_FALSE(verifies(longer));
  }
}

TEST(ProofTest, EveryInclusionUpToTheLastLeafHoldsAndNoForgeryOfItDoes) {
  const std::vector<Digest> leaves = NumberedLeaves(kLeaves);
  TileStore store{leaves};
  for (size_t n = 1; n <= leaves.size(); ++n) {
    const Leaves d = Leaves(leaves).first(n);
    const Digest root = SlowRoot(d);
    Prover prover = store.At(n, root);
    for (size_t i = 0; i < n; ++i) {
      const auto path = prover.Inclusion(i);
      ASSERT_TRUE(path.ok()) << path.status();
      ASSERT_EQ(*path, SlowPath(i, d)) << i << " of " << n;
      EXPECT_TRUE(VerifyInclusion(leaves[i], i, n, *path, root).ok());
      EXPECT_FALSE(VerifyInclusion(Flipped(leaves[i], n % 256), i, n, *path, root).ok());
      EXPECT_FALSE(VerifyInclusion(leaves[i], i, n, *path, Flipped(root, i % 256)).ok());
      EXPECT_FALSE(VerifyInclusion(leaves[i], n, n, *path, root).ok());
      EXPECT_EQ(VerifyInclusion(leaves[i], (i + 1) % n, n, *path, root).ok(), n == 1);
      RefusesEveryChange(*path, n, [&](std::span<const Digest> proof) {
        return VerifyInclusion(leaves[i], i, n, proof, root).ok();
      });
    }
  }
}

TEST(ProofTest, EveryConsistencyUpToTheLastLeafHoldsAndNoForgeryOfItDoes) {
  const std::vector<Digest> leaves = NumberedLeaves(kLeaves);
  TileStore store{leaves};
  for (size_t n = 1; n <= leaves.size(); ++n) {
    const Leaves d = Leaves(leaves).first(n);
    const Digest root = SlowRoot(d);
    Prover prover = store.At(n, root);
    for (size_t m = 1; m <= n; ++m) {
      const Digest old_root = SlowRoot(d.first(m));
      const auto made = prover.Consistency(m);
      ASSERT_TRUE(made.ok()) << made.status();
      ASSERT_EQ(made->proof, SlowSubproof(m, d, true)) << m << " to " << n;
      ASSERT_EQ(made->old_root, old_root);
      const Proof& proof = made->proof;
      EXPECT_TRUE(VerifyConsistency(m, old_root, n, root, proof).ok());
      EXPECT_FALSE(VerifyConsistency(m, Flipped(old_root, m % 256), n, root, proof).ok());
      EXPECT_FALSE(VerifyConsistency(m, old_root, n, Flipped(root, n % 256), proof).ok());
      EXPECT_FALSE(VerifyConsistency(0, EmptyRoot(), n, root, proof).ok());
      EXPECT_FALSE(VerifyConsistency(n + 1, old_root, n, root, proof).ok());
      RefusesEveryChange(proof, n, [&](std::span<const Digest> forged) {
        return VerifyConsistency(m, old_root, n, root, forged).ok();
      });
    }
  }
}

TEST(ProofTest, AProofThatStopsEarlyProvesNothing) {
  const std::vector<Digest> leaves = NumberedLeaves(40);
  for (size_t n = 2; n <= leaves.size(); ++n) {
    const Leaves d = Leaves(leaves).first(n);
    const Digest root = SlowRoot(d);
    for (size_t i = 0; i < n; ++i) {
      // The root as its own leaf, and as the head of a log that has grown.
      EXPECT_FALSE(VerifyInclusion(root, i, n, {}, root).ok());
      if (i > 0) {
        EXPECT_FALSE(VerifyConsistency(i, root, n, root, {}).ok());
      }
      // A subtree as a leaf: the path from there on leads to the root.
      Proof path = SlowPath(i, d);
      Digest at = leaves[i];
      uint64_t fn = i, sn = n - 1;
      while (!path.empty()) {
        const bool left = (fn & 1) != 0 || fn == sn;
        at = left ? NodeHash(path.front(), at) : NodeHash(at, path.front());
        path.erase(path.begin());
        for (; left && (fn & 1) == 0 && fn != 0; fn >>= 1) sn >>= 1;
        fn >>= 1, sn >>= 1;
        EXPECT_FALSE(VerifyInclusion(at, i, n, path, root).ok());
      }
      EXPECT_EQ(at, root);
    }
  }
}

TEST(ProofTest, VerificationIsTotal) {
  Rng rng = lineage::SeededRng();
  const auto number = [&rng] { return rng.U64() >> rng.Below(64); };
  for (int round = 0; round < 20'000; ++round) {
    Proof proof(rng.Below(70));
    for (Digest& d : proof) d.bytes[0] = static_cast<uint8_t>(rng.U32());
    const uint64_t a = number(), b = number();
    EXPECT_FALSE(VerifyInclusion({}, a, b, proof, Digest{{1}}).ok());
    EXPECT_FALSE(VerifyConsistency(a, Digest{{2}}, b, Digest{{1}}, proof).ok());
  }
  const Proof proof(63);
  const uint64_t edges[] = {
      0, 1, 2, kTreeSizeMax - 1, kTreeSizeMax, kTreeSizeMax + 1, ~uint64_t{0}};
  for (const uint64_t a : edges) {
    for (const uint64_t b : edges) {
      EXPECT_FALSE(VerifyInclusion({}, a, b, proof, Digest{{1}}).ok());
      EXPECT_FALSE(VerifyConsistency(a, Digest{{2}}, b, Digest{{1}}, proof).ok());
    }
  }
}

TEST(ProofTest, ALargeLogIsProvenFromTwoTilesALevel) {
  Rng rng = lineage::SeededRng();
  const size_t size = 66'000 + rng.Below(20'000);
  const std::vector<Digest> leaves = NumberedLeaves(size);
  TileStore store{leaves};
  const Digest root = store.edge().Root();
  for (int round = 0; round < 40; ++round) {
    const size_t i = rng.Below(size);
    Prover prover = store.Newest();
    const auto path = prover.Inclusion(i);
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_TRUE(VerifyInclusion(leaves[i], i, size, *path, root).ok());
    EXPECT_EQ(*prover.Leaf(i), leaves[i]);
    EXPECT_LE(prover.tiles_held(), 6u);
    const auto from = store.Newest().Consistency(i + 1);
    ASSERT_TRUE(from.ok()) << from.status();
    EXPECT_TRUE(VerifyConsistency(i + 1, from->old_root, size, root, from->proof).ok());
    if (round < 5) {
      EXPECT_EQ(from->old_root, SlowRoot(Leaves(leaves).first(i + 1)));
      // An older head is proven from tiles that have grown since.
      const auto old_path = store.At(i + 1, from->old_root).Inclusion(i / 2);
      ASSERT_TRUE(old_path.ok()) << old_path.status();
      EXPECT_EQ(*old_path, SlowPath(i / 2, Leaves(leaves).first(i + 1)));
    }
  }
}

TEST(ProofTest, OneProverMakesManyProofsAndHoldsFewTiles) {
  const std::vector<Digest> leaves = NumberedLeaves(20'000);
  TileStore store{leaves};
  Prover prover = store.Newest();
  const Digest root = store.edge().Root();
  for (size_t i = 0; i < leaves.size(); i += 101) {
    const auto path = prover.Inclusion(i);
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_TRUE(VerifyInclusion(leaves[i], i, leaves.size(), *path, root).ok());
    EXPECT_LE(prover.tiles_held(), Prover::kTilesHeldMax);
  }
  EXPECT_LT(store.reads(), 400u);  // each tile a few times, not once a proof
}

TEST(ProofTest, ARestartFindsItsEdgeInTheTiles) {
  const std::vector<Digest> leaves = NumberedLeaves(1030);
  TileStore store;
  for (const Digest& leaf : leaves) {
    store.Append(leaf);
    const auto edge = store.Newest().EdgeAt(store.edge().size());
    ASSERT_TRUE(edge.ok()) << edge.status();
    ASSERT_EQ(*edge, store.edge());
  }
  EXPECT_EQ(store.Newest().EdgeAt(700)->Root(), SlowRoot(Leaves(leaves).first(700)));
  EXPECT_EQ(store.Newest().EdgeAt(1031).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ProofTest, ATileThatRottedGivesNoProof) {
  const std::vector<Digest> leaves = NumberedLeaves(600);
  TileStore store{leaves};
  size_t refused = 0;
  for (auto& [place, tile] : store.tiles()) {
    for (size_t byte = 0; byte < tile.size(); byte += 37) {
      tile[byte] = static_cast<uint8_t>(tile[byte] ^ 4);
      const Digest root = store.edge().Root();
      for (const uint64_t i : {uint64_t{0}, uint64_t{255}, uint64_t{256}, uint64_t{599}}) {
        const auto path = store.At(600, root).Inclusion(i);
        if (path.ok()) {
          EXPECT_EQ(*path, SlowPath(i, leaves));
        } else {
          EXPECT_EQ(path.status().code(), absl::StatusCode::kDataLoss);
          ++refused;
        }
      }
      tile[byte] = static_cast<uint8_t>(tile[byte] ^ 4);
    }
  }
  EXPECT_GT(refused, 0u);
  store.tiles()[{0, 1}].resize(255 * 32);
  EXPECT_EQ(store.Newest().Inclusion(300).status().code(), absl::StatusCode::kDataLoss);
  store.tiles().erase({0, 1});
  EXPECT_EQ(store.Newest().Inclusion(300).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store.Newest().Inclusion(600).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store.Newest().Consistency(0).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace aqmesh::tlog
