#include "daemon/cli/toml_reader.h"

#include "transport/os/offload_set.h"

namespace aqmesh::cli {

namespace {

absl::Status At(std::string_view file, const toml::source_position& where, std::string_view what) {
  return InvalidArgument(file, ":", where.line, ":", where.column, ": ", what);
}

}  // namespace

absl::StatusOr<toml::table> ParseToml(std::string_view text, std::string_view file_name) {
  try {  // the library, as Debian builds it, says an error by throwing
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    return At(file_name, error.source().begin, error.description());
  }
}

const toml::node* TomlReader::Get(std::string_view key) {
  asked_.emplace(key);
  return table_.get(key);
}

void TomlReader::FailAt(const toml::source_region& where, std::string_view what) {
  if (status_.ok()) status_ = At(file_name_, where.begin, what);
}

void TomlReader::Fail(std::string_view key, std::string_view what) {
  const toml::node* node = Get(key);
  FailAt(node ? node->source() : table_.source(), Join(key, ": ", what));
}

void TomlReader::Fail(std::string_view key, const Word& word, std::string_view what) {
  FailAt(word.where, Join(key, ": ", what));
}

std::optional<std::string> TomlReader::String(std::string_view key) {
  const toml::node* node = Get(key);
  if (!node) return std::nullopt;
  if (const auto* text = node->as_string()) return text->get();
  Fail(key, "wants text in quotes");
  return std::nullopt;
}

std::optional<int64_t> TomlReader::Number(std::string_view key, int64_t lo, int64_t hi) {
  const toml::node* node = Get(key);
  if (!node) return std::nullopt;
  const auto* number = node->as_integer();
  if (number && number->get() >= lo && number->get() <= hi) return number->get();
  Fail(key, Join("wants a number from ", lo, " to ", hi));
  return std::nullopt;
}

std::vector<std::string> TomlReader::Strings(std::string_view key, size_t max) {
  std::vector<std::string> out;
  const toml::node* node = Get(key);
  if (!node) return out;
  const toml::array* array = node->as_array();
  if (!array || array->size() > max) {
    Fail(key, Join("wants a list of at most ", max, " texts"));
    return out;
  }
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (!text) {
      FailAt(element.source(), Join(key, ": each element is text in quotes"));
      break;
    }
    out.push_back(text->get());
  }
  return out;
}

std::optional<std::vector<TomlReader::Word>> TomlReader::Words(std::string_view key, size_t max) {
  const toml::node* node = Get(key);
  if (!node) return std::nullopt;
  std::vector<Word> out;
  const auto take = [&out](const toml::value<std::string>& text) {
    for (std::string& word : os::SplitWords(text.get()))
      out.push_back({std::move(word), text.source()});
  };
  if (const auto* text = node->as_string()) {
    take(*text);
  } else if (const toml::array* array = node->as_array()) {
    for (const toml::node& element : *array) {
      const auto* each = element.as_string();
      if (!each) {
        FailAt(element.source(), Join(key, ": each element is text in quotes"));
        return out;
      }
      take(*each);
    }
  } else {
    Fail(key, "wants a text or a list of texts");
  }
  if (out.size() > max) Fail(key, Join("wants at most ", max, " words"));
  return out;
}

std::vector<const toml::table*> TomlReader::Tables(std::string_view key, size_t max) {
  std::vector<const toml::table*> out;
  const toml::node* node = Get(key);
  if (!node) return out;
  const toml::array* array = node->as_array();
  if (!array || array->size() > max) {
    Fail(key, Join("wants at most ", max, " tables, each under [[", key, "]]"));
    return out;
  }
  for (const toml::node& element : *array) {
    const toml::table* table = element.as_table();
    if (!table) {
      FailAt(element.source(), Join(key, ": write each as a table under [[", key, "]]"));
      break;
    }
    out.push_back(table);
  }
  return out;
}

absl::Status TomlReader::Done() {
  for (const auto& [key, value] : table_) {
    if (!status_.ok()) break;
    if (asked_.contains(key.str())) continue;
    std::string known;
    for (const std::string& name : asked_) known += Join(known.empty() ? "" : ", ", name);
    FailAt(key.source(), Join("no setting `", key.str(), "` here; there are: ", known));
  }
  return status_;
}

}  // namespace aqmesh::cli
