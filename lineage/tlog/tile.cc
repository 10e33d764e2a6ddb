#include "lineage/tlog/tile.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/tlog/text.h"

namespace aqmesh::tlog {

namespace {

std::string ThreeDigits(uint64_t n) {
  const std::string digits = std::to_string(n % 1000);
  return std::string(3 - digits.size(), '0') + digits;
}

std::string IndexPath(uint64_t index, unsigned width) {
  AQ_CHECK(width >= 1 && width <= kTileWidth);
  std::string path = ThreeDigits(index);
  while (index >= 1000) {
    index /= 1000;
    path = Join("x", ThreeDigits(index), "/", path);
  }
  return width == kTileWidth ? path : Join(path, ".p/", width);
}

// Reads what IndexPath writes, and more; the callers write it again and compare.
std::optional<Tile> ParseIndexPath(std::string_view path) {
  Tile tile;
  if (const size_t partial = path.find(".p/"); partial != std::string_view::npos) {
    const auto width = ParseDecimal(path.substr(partial + 3));
    if (!width || *width < 1 || *width >= kTileWidth) return std::nullopt;
    tile.width = static_cast<unsigned>(*width);
    path = path.substr(0, partial);
  }
  if (path.size() > 33) return std::nullopt;  // seven groups hold more than 2^63
  for (const char c : path) {
    if (c == 'x' || c == '/') continue;
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (tile.index > (kTreeSizeMax - digit) / 10) return std::nullopt;
    tile.index = tile.index * 10 + digit;
  }
  return tile;
}

// Leaves under one hash of a tile of this level; 0: more than there are.
uint64_t LeavesUnder(unsigned level) {
  return level > kTileLevelMax ? 0 : uint64_t{1} << (kTileHeight * level);
}

}  // namespace

std::string TilePath(const Tile& tile) {
  return Join("tile/", tile.level, "/", IndexPath(tile.index, tile.width));
}

std::string BundlePath(uint64_t index, unsigned width) {
  return Join("tile/entries/", IndexPath(index, width));
}

std::optional<Tile> ParseTilePath(std::string_view path) {
  constexpr std::string_view kPrefix = "tile/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  const std::string_view rest = path.substr(kPrefix.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto level = ParseDecimal(rest.substr(0, slash));
  if (!level || *level > 63) return std::nullopt;
  std::optional<Tile> tile = ParseIndexPath(rest.substr(slash + 1));
  if (!tile) return std::nullopt;
  tile->level = static_cast<unsigned>(*level);
  return TilePath(*tile) == path ? tile : std::nullopt;
}

std::optional<Tile> ParseBundlePath(std::string_view path) {
  constexpr std::string_view kPrefix = "tile/entries/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  const std::optional<Tile> tile = ParseIndexPath(path.substr(kPrefix.size()));
  return tile && BundlePath(tile->index, tile->width) == path ? tile : std::nullopt;
}

unsigned WidthIn(uint64_t size, unsigned level, uint64_t index) {
  const uint64_t leaves = LeavesUnder(level);
  if (leaves == 0) return 0;
  const uint64_t hashes = size / leaves;
  if (index > hashes / kTileWidth) return 0;
  return static_cast<unsigned>(std::min<uint64_t>(hashes - index * kTileWidth, kTileWidth));
}

TilePlace PlaceOf(const Node& node, uint64_t size) {
  const unsigned level = node.level / kTileHeight, above = node.level % kTileHeight;
  const uint64_t first = node.index << above;
  const uint64_t index = first / kTileWidth;
  TilePlace place{{level, index, WidthIn(size, level, index)},
                  static_cast<unsigned>(first % kTileWidth),
                  1u << above};
  AQ_CHECK(place.at + place.count <= place.tile.width);
  return place;
}

void ForEachNewTile(uint64_t old_size, uint64_t new_size, TileVisitor visit) {
  AQ_CHECK(old_size <= new_size);
  AQ_CHECK(new_size <= kTreeSizeMax);
  for (unsigned level = 0; level <= kTileLevelMax; ++level) {
    const uint64_t had = old_size / LeavesUnder(level), has = new_size / LeavesUnder(level);
    if (has == 0) return;
    if (had == has) continue;
    for (uint64_t index = had / kTileWidth; index <= (has - 1) / kTileWidth; ++index)
      visit({level, index, WidthIn(new_size, level, index)});
  }
}

void AppendBundleEntry(Bytes& bundle, ByteView entry) {
  AQ_CHECK(entry.size() <= 0xffff);
  AppendBe(bundle, static_cast<uint16_t>(entry.size()));
  Append(bundle, entry);
}

absl::StatusOr<std::vector<ByteView>> ParseBundle(ByteView bundle, unsigned width) {
  AQ_CHECK(width >= 1 && width <= kTileWidth);
  std::vector<ByteView> entries;
  entries.reserve(width);
  size_t at = 0;
  while (entries.size() < width) {
    if (bundle.size() - at < 2) break;
    const size_t length = LoadBe<uint16_t>(bundle.data() + at);
    if (bundle.size() - at - 2 < length) break;
    entries.push_back(bundle.subspan(at + 2, length));
    at += 2 + length;
  }
  if (entries.size() < width) {
    return InvalidArgument(
        "the bundle ends in entry ", entries.size(), ", at byte ", at, "; it should have ", width);
  }
  if (at != bundle.size()) {
    return InvalidArgument("the bundle has ", bundle.size() - at, " bytes behind its last entry");
  }
  return entries;
}

}  // namespace aqmesh::tlog
