// attest list: whose word this machine has, for itself and of others.
#include <algorithm>

#include "daemon/cli/commands.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

namespace json = boost::json;

std::string WhoText(const json::object& o, const std::string& role) {
  const std::string name = TextIn(o, role + "_name");
  return name.empty() ? TextIn(o, role).substr(0, 8) : name;
}

// "" fits everybody; else by name, or by the first digits of the key.
bool IsAbout(const json::object& word, const std::string& node) {
  return node.empty() || WhoText(word, "about") == node || TextIn(word, "about").starts_with(node);
}

absl::StatusOr<int> List(Session& s, const std::string& node) {
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer, s.Live()->Call({.verb = "attest"}));
  const json::object o = ReadObject(answer.json);
  if (s.json) {
    json::object out = o;
    json::array kept;
    for (const json::object& w : ObjectsIn(o, "words")) {
      if (IsAbout(w, node)) kept.push_back(w);
    }
    out["words"] = std::move(kept);
    s.Out(Join(json::serialize(out), "\n"));
    return answer.exit;
  }
  Table table({"ABOUT", "BY", "GROUP", "SAYS", "AGE", "ENDS IN"});
  bool any = false;
  for (const json::object& w : ObjectsIn(o, "words")) {
    if (!IsAbout(w, node)) continue;
    any = true;
    const uint64_t ends = NumberIn(w, "ends");
    table.Row({WhoText(w, "about"),
               WhoText(w, "by"),
               TextIn(w, "group"),
               TextIn(w, "kind"),
               AgoText(NumberIn(w, "since"), s.now()),
               ends > s.now() ? SpanText(ends - s.now()) : "lapsed"});
  }
  s.Out(any ? table.Print(s.env().columns) : "Nobody's word is held here.\n");
  return 0;
}

}  // namespace

void AddAttest(Tree& tree) {
  CLI::App* noun = tree.Noun("attest", "What machines say of each other");
  auto node = std::make_shared<std::string>();
  CLI::App* list = tree.Command(noun,
                                "list",
                                "Whose word is held here, for whom, and how long it holds",
                                "aqmesh attest list borealis",
                                [node](Session& s) { return List(s, *node); });
  list->add_option("NODE", *node, "Only what is said about it: a name, or digits of a key");
  tree.Json(list);
}

}  // namespace aqmesh::cli
