// Reads the vector files beside it: lines of words, '#' comments, "-" for an empty value.
#ifndef AQMESH_TESTS_VECTORS_READ_H_
#define AQMESH_TESTS_VECTORS_READ_H_

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace aqmesh::vectors {

using Row = std::vector<std::string>;

inline std::vector<Row> Read(const std::string& file) {
  std::ifstream in(std::string(AQ_TEST_DATA) + "/" + file);
  EXPECT_TRUE(in.good()) << file;
  std::vector<Row> rows;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    Row row;
    for (std::string word; words >> word;) row.push_back(word == "-" ? "" : word);
    rows.push_back(std::move(row));
  }
  return rows;
}

inline Bytes Hex(const std::string& text) {
  const auto bytes = FromHex(text);
  EXPECT_TRUE(bytes.has_value()) << text;
  return bytes ? *bytes : Bytes();
}

inline Bytes Joined(const std::string& a, const std::string& b) { return Hex(a + b); }

}  // namespace aqmesh::vectors

#endif  // AQMESH_TESTS_VECTORS_READ_H_
