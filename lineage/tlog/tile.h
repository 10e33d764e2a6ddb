// Tiles: the tree cut into pieces of 256 hashes, as files that anybody may fetch and keep.
// Spec:   C2SP tlog-tiles; spec/lineage.md §7.2.
// Wire:   a tile: 1 to 256 hashes of 32 bytes. A bundle: for each of 1 to 256 entries BE16 length,
//         bytes. Paths: tile/LEVEL/NNN[.p/W], tile/entries/NNN[.p/W]; NNN in groups of three
//         digits, all but the last with an x before them: 1234067 is x001/x234/067.
// Bounds: a tile 8,192 bytes; a bundle 256 × 65,537. Thread: pure.
// Errors: paths that are none give nullopt; bundles InvalidArgument.
#ifndef AQMESH_LINEAGE_TLOG_TILE_H_
#define AQMESH_LINEAGE_TLOG_TILE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lineage/tlog/tree.h"

namespace aqmesh::tlog {

inline constexpr unsigned kTileWidth = 1u << kTileHeight;
inline constexpr unsigned kTileLevelMax = 7;  // of a tree of kTreeSizeMax leaves

// A tile, or a partial one: its first `width` hashes.
struct Tile {
  unsigned level = 0;
  uint64_t index = 0;
  unsigned width = kTileWidth;
  bool full() const { return width == kTileWidth; }
  auto operator<=>(const Tile&) const = default;
};

std::string TilePath(const Tile& tile);                      // "tile/0/x001/234.p/17"
std::string BundlePath(uint64_t index, unsigned width);      // "tile/entries/x001/234.p/17"
std::optional<Tile> ParseTilePath(std::string_view path);    // exactly what TilePath gives
std::optional<Tile> ParseBundlePath(std::string_view path);  // level 0; likewise

// How many hashes the tile (level, index) has in a tree of `size` leaves: 0 if it does not exist.
unsigned WidthIn(uint64_t size, unsigned level, uint64_t index);
// The tile in which a subtree is found, in a tree that has it, and its place there: the subtree is
// the root over `count` (a power of two) hashes from `at`.
struct TilePlace {
  Tile tile;
  unsigned at = 0, count = 0;
};
TilePlace PlaceOf(const Node& node, uint64_t size);

// The tiles that exist in a tree of new_size leaves and did not in one of old_size <= new_size,
// from level 0 up: what a log publishes before a checkpoint. Bounds: one tile a call of `visit`.
using TileVisitor = absl::FunctionRef<void(const Tile&)>;
void ForEachNewTile(uint64_t old_size, uint64_t new_size, TileVisitor visit);

void AppendBundleEntry(Bytes& bundle, ByteView entry);  // AQ_CHECKs entry <= 65,535 bytes
// The entries of a bundle of `width`: views into it.
absl::StatusOr<std::vector<ByteView>> ParseBundle(ByteView bundle, unsigned width);

}  // namespace aqmesh::tlog

#endif  // AQMESH_LINEAGE_TLOG_TILE_H_
