// version, completion, help.
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

struct Topic {
  std::string_view name, text;
};
constexpr Topic kTopics[] = {
    {"mesh",
     "A mesh is a set of machines that hold one charter: who may sign, and what. Its id is the "
     "charter's hash, so nobody\n"
     "can pass another mesh for it. There is no server: each machine decides by what was "
     "signed.\n"},
    {"invitation",
     "An invitation is a line of text that lets one machine join for a short while. It is a "
     "secret. Both screens\n"
     "show three words when it is used; they differ if somebody sits between.\n"},
    {"grant",
     "A grant says who a key is: its name, addresses, tags, and until when. It is signed by an "
     "enroller or by the root,\n"
     "and each step of the chain may only narrow the one above.\n"},
    {"rung",
     "A rung says how far somebody is let in: REFUSE, DEFER, ESCALATE, PROBATION, CONSTRAIN, "
     "ADMIT. Six gates each name\n"
     "one, and the lowest holds. `aqmesh explain` names the gate, and what would lift it.\n"},
    {"policy",
     "Rules in signed fragments say who may reach what: tag:app -> tag:db tcp:5432. What no rule "
     "allows is refused.\n"
     "policy.toml is this machine's own: it can only narrow.\n"},
    {"lineage",
     "The lineage is this machine's record of every decision, chained so that nothing can be taken "
     "out unseen.\n"
     "Each minute its head is signed, and three members cosign it: from then on nobody can show "
     "another history.\n"
     "Public witnesses do so too, where witnesses.policy in the state directory names any.\n"
     "`aqmesh lineage query` asks it, and `lineage sql` anything; `lineage prove` makes a file "
     "that others "
     "can check.\n"},
};

absl::StatusOr<int> Help(Session& s, CLI::App& root, const std::vector<std::string>& words) {
  if (words.size() == 1) {
    for (const Topic& t : kTopics) {
      if (t.name != words[0]) continue;
      s.Out(t.text);
      return 0;
    }
  }
  const CLI::App* at = &root;
  for (const std::string& word : words) {
    const auto named =
        at->get_subcommands([&word](const CLI::App* app) { return app->get_name() == word; });
    if (named.empty()) {
      return s.Usage(
          Join("no help on `",
               word,
               "`; topics: mesh, invitation, grant, rung, policy, lineage, and each command"));
    }
    at = named.front();
  }
  // CLI11 would print the help of the command that runs now, which is `help`.
  s.Out(at == &root
            ? root.get_formatter()->make_help(&root, root.get_name(), CLI::AppFormatMode::Normal)
            : at->get_formatter()->make_help(at, "aqmesh", CLI::AppFormatMode::Normal));
  return 0;
}

std::string WordsUnder(const CLI::App* app) {
  std::string out;
  for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; }))
    out += sub->get_name() + " ";
  for (const CLI::Option* o : app->get_options()) {
    for (const std::string& name : o->get_lnames()) out += "--" + name + " ";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

void AppendCases(std::string& out, const CLI::App* app, const std::string& path) {
  out += Join("    '", path, "') words='", WordsUnder(app), "' ;;\n");
  for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) {
    AppendCases(out, sub, Join(path, path.empty() ? "" : " ", sub->get_name()));
  }
}

// One case a command; a word that is no command (a value, a file) leaves the path as it was.
std::string BashCompletion(const CLI::App& root) {
  std::string commands;
  for (const CLI::App* sub : root.get_subcommands([](const CLI::App*) { return true; })) {
    commands += Join(commands.empty() ? "" : "|", sub->get_name());
    for (const CLI::App* verb : sub->get_subcommands([](const CLI::App*) { return true; })) {
      commands += Join("|'", sub->get_name(), " ", verb->get_name(), "'");
    }
  }
  std::string out = Join(
      "# bash completion of aqmesh. Use: aqmesh completion bash > /etc/bash_completion.d/aqmesh\n"
      "_aqmesh() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" path='' words='' word next\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    next=\"${path:+$path }$word\"\n"
      "    case \"$next\" in ",
      commands,
      ") path=\"$next\" ;; esac\n"
      "  done\n"
      "  case \"$path\" in\n");
  AppendCases(out, &root, "");
  out +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}\n"
      "complete -o default -F _aqmesh aqmesh\n";
  return out;
}

}  // namespace

void AddHelp(Tree& tree) {
  CLI::App* app = tree.Command(
      nullptr,
      "version",
      "Print the version",
      "aqmesh version --json",
      [](Session& s) -> absl::StatusOr<int> {
        wire::JsonWriter w;
        w.Object().Field("schema", "aqmesh.version/1").Field("version", s.env().version).End();
        s.Out(s.json ? Join(w.Take(), "\n") : Join("aqmesh ", s.env().version, "\n"));
        return 0;
      });
  tree.Json(app);

  CLI::App& root = tree.root();
  auto shell = std::make_shared<std::string>("bash");
  app = tree.Command(nullptr,
                     "completion",
                     "Print completions for a shell",
                     "source <(aqmesh completion bash)",
                     [shell, &root](Session& s) -> absl::StatusOr<int> {
                       if (*shell != "bash")
                         return s.Usage(Join("no completion for `", *shell, "`; there is bash"));
                       s.Out(BashCompletion(root));
                       return 0;
                     });
  app->add_option("SHELL", *shell, "bash")->capture_default_str();

  auto words = std::make_shared<std::vector<std::string>>();
  app = tree.Command(nullptr,
                     "help",
                     "Explain a command or an idea: mesh, invitation, grant, rung, policy, lineage",
                     "aqmesh help rung",
                     [words, &root](Session& s) { return Help(s, root, *words); });
  app->add_option("TOPIC", *words, "A topic, or a command");
}

}  // namespace aqmesh::cli
