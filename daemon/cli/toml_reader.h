// TOML read strictly: each key is asked for by name and kind, and a key that nobody asked for is an
// error, because a typing error must not pass for a default.
// Errors: InvalidArgument "FILE:LINE:COLUMN: what; the mend". The first error sticks. Thread: a value.
#ifndef AQMESH_DAEMON_CLI_TOML_READER_H_
#define AQMESH_DAEMON_CLI_TOML_READER_H_

#include <toml++/toml.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace aqmesh::cli {

absl::StatusOr<toml::table> ParseToml(std::string_view text, std::string_view file_name);

class TomlReader {
 public:
  TomlReader(const toml::table& table, std::string_view file_name)
      : table_(table), file_name_(file_name) {}

  std::optional<std::string> String(std::string_view key);
  std::optional<int64_t> Number(std::string_view key, int64_t lo, int64_t hi);
  std::vector<std::string> Strings(std::string_view key, size_t max);
  // Of one text, parted by commas or blanks, or of a list of texts. nullopt: the key is not there.
  struct Word {
    std::string text;
    toml::source_region where;
  };
  std::optional<std::vector<Word>> Words(std::string_view key, size_t max);
  std::vector<const toml::table*> Tables(std::string_view key, size_t max);

  // Blames the value of `key`, or a word of it.
  void Fail(std::string_view key, std::string_view what);
  void Fail(std::string_view key, const Word& word, std::string_view what);
  // The first error, or the first key that was never asked for.
  absl::Status Done();

 private:
  const toml::node* Get(std::string_view key);
  void FailAt(const toml::source_region& where, std::string_view what);

  const toml::table& table_;
  std::string file_name_;
  std::set<std::string, std::less<>> asked_;
  absl::Status status_;
};

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_TOML_READER_H_
