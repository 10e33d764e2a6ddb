#include "lineage/rocks/table_check.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/status.h"

namespace aqmesh::lineage {
namespace {

constexpr uint64_t kMagic = 0x88e241b785f4cff7;
constexpr size_t kFooterBytes =
    53;  // u8 checksum's kind, two handles in 40, u32 version, u64 magic
constexpr uint64_t kBlockBytesMax = 1 << 20;  // of those that are looked at
constexpr std::string_view kProperties = "rocksdb.properties";
// A block ends with a count of which the highest bit says that a hash index lies before it. Blocks
// of properties have none.
constexpr uint8_t kHashIndexBit = 0x80;

struct Handle {
  uint64_t offset = 0, size = 0;
};

std::optional<uint64_t> TakeVarint(ByteView& from) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const uint8_t byte = from[0];
    from = from.subspan(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}
std::optional<Handle> TakeHandle(ByteView& from) {
  const auto offset = TakeVarint(from), size = TakeVarint(from);
  if (!offset || !size) return std::nullopt;
  return Handle{*offset, *size};
}

std::optional<Bytes> ReadAt(std::ifstream& file, const Handle& at) {
  if (at.size == 0 || at.size > kBlockBytesMax) return std::nullopt;
  Bytes out(at.size);
  file.clear();
  file.seekg(static_cast<std::streamoff>(at.offset));
  file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  if (!file) return std::nullopt;
  return out;
}

// Where the block of properties lies, by the index of such blocks. Its entries follow each other:
// how much of the key before is kept, how long the rest and the value are, both.
std::optional<Handle> FindProperties(ByteView index) {
  std::string key;
  while (!index.empty()) {
    const auto kept = TakeVarint(index), rest = TakeVarint(index), value = TakeVarint(index);
    if (!kept || !rest || !value || *kept > key.size() || *rest > index.size() ||
        *value > index.size() - *rest)
      return std::nullopt;
    key = key.substr(0, *kept) + std::string(AsText(index.first(*rest)));
    index = index.subspan(*rest);
    ByteView at = index.first(*value);
    if (key == kProperties) return TakeHandle(at);
    index = index.subspan(*value);
  }
  return std::nullopt;
}

// Whether RocksDB can be let at it. What does not even look like a table it refuses by itself.
bool IsSafe(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code gone;
  const uint64_t size = std::filesystem::file_size(path, gone);
  if (gone || size < kFooterBytes) return true;
  const auto footer = ReadAt(file, {size - kFooterBytes, kFooterBytes});
  if (!footer || LoadLe<uint64_t>(footer->data() + kFooterBytes - 8) != kMagic) return true;
  ByteView handles = ByteView(*footer).subspan(1, 40);
  const auto index_at = TakeHandle(handles);
  const auto index = index_at ? ReadAt(file, *index_at) : std::nullopt;
  const auto properties_at = index ? FindProperties(*index) : std::nullopt;
  const auto properties = properties_at ? ReadAt(file, *properties_at) : std::nullopt;
  return !properties || (properties->back() & kHashIndexBit) == 0;
}

}  // namespace

absl::Status CheckTables(const std::string& db) {
  std::error_code none;
  for (std::filesystem::directory_iterator at(db, none), end; !none && at != end;
       at.increment(none)) {
    const std::filesystem::path& path = at->path();
    if (path.extension() == ".sst" && !IsSafe(path))
      return DataLoss("the properties of table ",
                      path.string(),
                      " are altered: restore the state directory, or start a new log");
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage
