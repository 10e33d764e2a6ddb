#include "daemon/cli/cli.h"

#include "daemon/cli/commands.h"
#include "daemon/cli/live.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

std::string PathOf(const CLI::App* app) {
  return app->get_parent() ? PathOf(app->get_parent()) + " " + app->get_name() : app->get_name();
}

std::vector<std::string> CommandsOf(const CLI::App* app) {
  std::vector<std::string> out;
  for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; }))
    out.push_back(sub->get_name());
  return out;
}

// CLI11 says only that a subcommand is required; we say which word was not one, and which was
// meant.
std::string UnknownWord(const CLI::App* root, const std::vector<std::string>& args) {
  const CLI::App* at = root;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg.starts_with("-")) {
      const CLI::Option* option = nullptr;
      for (const CLI::App* app = at; app && !option; app = app->get_parent())
        option = app->get_option_no_throw(arg);
      if (option && option->get_type_size() > 0) ++i;
      continue;
    }
    const std::vector<std::string> known = CommandsOf(at);
    if (known.empty()) return "";
    if (std::ranges::find(known, arg) != known.end()) {
      at = at->get_subcommand(arg);
      continue;
    }
    const std::string meant = Nearest(arg, known);
    const std::string where =
        at == root ? "" : PathOf(at).substr(root->get_name().size() + 1) + " ";
    return Join("no command `",
                where,
                arg,
                "`",
                meant.empty() ? Join("; see: ", PathOf(at), " --help")
                              : Join("; did you mean `", where, meant, "`?"));
  }
  return "";
}

const CLI::App* Leaf(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

std::vector<std::string> OptionsOf(const CLI::App* app) {
  std::vector<std::string> out;
  for (; app; app = app->get_parent()) {
    for (const CLI::Option* o : app->get_options()) {
      for (const std::string& name : o->get_lnames()) out.push_back("--" + name);
    }
  }
  return out;
}

std::string UsageText(CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* leaf = Leaf(&root);
  std::string what = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error)) {
    const std::vector<std::string> extra = root.remaining(true);
    const std::string word = extra.empty() ? "" : extra.front();
    if (word.starts_with("-")) {
      const std::string meant = Nearest(word, OptionsOf(leaf));
      what = Join("no option `",
                  word,
                  "` here",
                  meant.empty() ? "" : Join("; did you mean `", meant, "`?"));
    } else {
      what = Join("one word too many: `", word, "`");
    }
  }
  // A line is a line, whatever the library's message was.
  std::ranges::replace(what, '\n', ' ');
  return Join(PathOf(leaf),
              ": ",
              what,
              what.ends_with("?") ? "" : Join("; see: ", PathOf(leaf), " --help"),
              "\n");
}

void BuildTree(Tree& tree) {
  AddStart(tree);
  AddExchange(tree);
  AddLook(tree);
  AddAuthority(tree);
  AddObjects(tree);
  AddLineage(tree);
  AddPolicy(tree);
  AddTrust(tree);
  AddEscalations(tree);
  AddAttest(tree);
  AddCharter(tree);
  AddHelp(tree);
}

int RunChosen(Session& session, CLI::App& root, const Handler& handler) {
  const CLI::App* leaf = Leaf(&root);
  if (!handler) {  // a noun without its verb
    session.env().err(root.help());
    return 2;
  }
  const absl::StatusOr<int> exit = handler(session);
  if (exit.ok()) return *exit;
  session.env().err(Join(PathOf(leaf), ": ", Text(exit.status()), "\n"));
  if (session.usage()) return 2;
  return absl::IsDeadlineExceeded(exit.status()) ? kExitTimeIsOver : 1;
}

}  // namespace

absl::StatusOr<uint64_t> SpanFlag(Session& s,
                                  std::string_view flag,
                                  const std::string& text,
                                  uint64_t otherwise) {
  if (text.empty()) return otherwise;
  const absl::StatusOr<uint64_t> span = ParseSpan(text);
  return span.ok() ? span : s.Usage(Join(flag, ": ", Text(span.status())));
}

int RunCli(Env& env, std::vector<std::string> args) {
  Session session(env);
  CLI::App root(
      "A WireGuard mesh without a coordinator: members carry signed authority, and every refusal "
      "has a reason.",
      "aqmesh");
  root.fallthrough();
  root.set_help_flag("-h,--help", "Show help");
  root.add_option("--state", session.state_path, "State directory")->capture_default_str();
  root.add_option("--socket", session.socket_path, "Control socket of the daemon")
      ->capture_default_str();
  root.require_subcommand(0, 1);
  root.footer(
      "Start: sudo aqmesh init home --invite     then, on the next machine: sudo aqmesh join LINE");
  Tree tree(root, session);
  BuildTree(tree);

  const std::string unknown = UnknownWord(&root, args);
  if (!unknown.empty()) {
    env.err(unknown + "\n");
    return 2;
  }
  std::ranges::reverse(args);  // as CLI11 takes them
  try {
    root.parse(args);
  } catch (const CLI::CallForHelp&) {
    env.out(root.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    env.err(UsageText(root, error));
    return 2;
  }
  return RunChosen(session, root, tree.chosen());
}

}  // namespace aqmesh::cli
