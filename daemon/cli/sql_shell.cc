// The shell of `lineage sql`: statements until a `;`, and words that start with a dot.
#include "daemon/cli/sql_commands.h"

namespace aqmesh::cli {

namespace {

constexpr std::string_view kHelp =
    ".tables               the tables, and what is in them\n"
    ".schema [TABLE]       their columns\n"
    ".mode table|json|csv  how answers are printed\n"
    ".help                 this\n"
    ".quit                 leave (Ctrl-D too)\n"
    "Else SQL, to the `;`. Functions beside SQLite's own: ago('2h') and at('2026-11-21T14:00Z') "
    "give "
    "a\n"
    "time as `time` has it, name(kid), kid(name), id8(id), auth_digest(oid). `EXPLAIN QUERY PLAN "
    "SELECT ...;`\n"
    "names the index that answers.\n";

std::string TablesText() {
  std::string out;
  for (const lineage::sql::TableInfo& table : lineage::sql::Database::Tables())
    out += Join(table.name, std::string(14 - table.name.size(), ' '), table.about, "\n");
  return out;
}

// "" if no table is so called.
std::string SchemaText(std::string_view name) {
  std::string out;
  for (const lineage::sql::TableInfo& table : lineage::sql::Database::Tables()) {
    if (!name.empty() && table.name != name) continue;
    out += Join(table.name, "(");
    for (size_t i = 0; i < table.columns.size(); ++i)
      out += Join(i == 0 ? "" : ",", "\n  ", table.columns[i]);
    out += "\n)\n";
  }
  return out;
}

std::vector<std::string> WordsOf(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const size_t start = line.find_first_not_of(" \t;");
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const size_t end = std::min(line.find_first_of(" \t;"), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

// One word with a dot; false: leave.
bool Obey(Session& s, const std::string& line, SqlMode& mode) {
  const std::vector<std::string> words = WordsOf(line);
  const std::string argument = words.size() > 1 ? words[1] : "";
  if (words[0] == ".quit" || words[0] == ".exit") return false;
  if (words[0] == ".tables") {
    s.Out(TablesText());
  } else if (words[0] == ".schema") {
    const std::string text = SchemaText(argument);
    text.empty() ? s.Say(Join("no table `", argument, "`; see .tables")) : s.Out(text);
  } else if (words[0] == ".help") {
    s.Out(kHelp);
  } else if (words[0] == ".mode" && argument == "table") {
    mode = SqlMode::kTable;
  } else if (words[0] == ".mode" && argument == "json") {
    mode = SqlMode::kJson;
  } else if (words[0] == ".mode" && argument == "csv") {
    mode = SqlMode::kCsv;
  } else if (words[0] == ".mode") {
    s.Say(".mode: wants table, json or csv");
  } else {
    s.Say(Join("no word `", words[0], "`; see .help"));
  }
  return true;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\n;") == std::string_view::npos;
}

}  // namespace

absl::StatusOr<int> RunShell(Session& s,
                             SqlDesk& desk,
                             std::span<const lineage::sql::Param> params,
                             SqlMode mode) {
  const std::unique_ptr<LineReader> reader = s.env().line_reader();
  s.Say(Join(desk.own().size(),
             " records of ",
             desk.name(),
             ". .help says what can be asked; .quit leaves."));
  std::string typed;
  while (const auto line = reader->Read(typed.empty() ? "lineage> " : "    ...> ")) {
    if (s.env().interrupted && s.env().interrupted()) {
      typed.clear();  // Ctrl-C takes back what is half typed
      continue;
    }
    if (!IsBlank(*line)) reader->Remember(*line);
    if (typed.empty() && line->starts_with(".")) {
      if (!Obey(s, *line, mode)) return 0;
      continue;
    }
    typed += *line + "\n";
    if (IsBlank(typed)) typed.clear();
    if (typed.empty() || !lineage::sql::Database::IsWhole(typed)) continue;
    absl::Status status = desk.Refresh();  // each question is about its own moment
    if (status.ok())
      status = desk.Ask(typed, params, mode, [&s](std::string_view text) { s.Out(text); });
    if (!status.ok()) s.Say(Text(status));
    typed.clear();
  }
  s.Out("\n");
  return 0;
}

}  // namespace aqmesh::cli
