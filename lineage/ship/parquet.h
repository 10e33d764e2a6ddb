// ParquetWriter: rows as an Apache Parquet file, so that any tool reads typed columns without
// guessing. The plainest that the format allows: PLAIN values, one page a column and row group,
// no compression, no dictionary.
// Spec:   Apache Parquet format 2.x (data page version 1), Thrift compact protocol for its headers.
// Wire:   "PAR1", row groups (of each column a page header and its page), FileMetaData, its size
//         u32 little-endian, "PAR1".
// Bounds: a row group is kGroupRows rows or kGroupBytes, and is held until it is written; some 4 KiB
//         of metadata a row group are held until the end.
// Thread: one owner. Errors: none of its own; `out` takes the bytes and keeps its own.
#ifndef AQMESH_LINEAGE_SHIP_PARQUET_H_
#define AQMESH_LINEAGE_SHIP_PARQUET_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lineage/ship/schema.h"

namespace aqmesh::lineage::ship {

class ParquetWriter {
 public:
  static constexpr size_t kGroupRows = 65'536;
  static constexpr size_t kGroupBytes = 33'554'432;

  using Out = std::function<void(std::string_view)>;
  explicit ParquetWriter(Out out);

  void Add(const Row& row, const Words& words);
  void Finish();  // without it, it is no Parquet file

 private:
  struct Buffer {
    std::string values;  // PLAIN, those that are not NULL
    std::string levels;  // RLE runs, of columns that may be NULL
    bool present = false;
    uint64_t run = 0;  // of levels like the last
    void Level(bool is_present);
    void CloseRun();
  };
  void Write(std::string_view bytes);
  void CloseGroup();

  Out out_;
  uint64_t at_ = 0;  // bytes written
  uint64_t rows_ = 0, group_rows_ = 0, group_bytes_ = 0;
  std::vector<Buffer> columns_;
  std::vector<std::string> groups_;  // RowGroup structs
};

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_PARQUET_H_
