// lineage redact: closes for good what records committed to about somebody.
#include <boost/json.hpp>

#include "daemon/cli/commands.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/lineage_lookup.h"

namespace aqmesh::cli {

namespace {

struct RedactFlags {
  std::string who;
  bool yes = false;
};

absl::StatusOr<int> Redact(Session& s, const RedactFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const Kid kid, KidInLog(*store, flags.who, known));
  if (!flags.yes) {
    const auto sure = s.env().ask(
        Join("Nobody will ever read again which flows were tried with ",
             flags.who,
             ", as far as this machine wrote it down. Decisions and proofs stay. Do it? [Y/n] "));
    if (!sure) return s.Usage("this cannot be undone: repeat with --yes");
    if (!*sure) {
      s.Say("Nothing was changed.");
      return 1;
    }
  }
  const boost::json::object args{{"kid", ToHex(kid)}};
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer,
                      s.Live()->Call({.verb = "redact", .json = boost::json::serialize(args)}));
  s.Out(s.json ? Join(answer.json, "\n")
               : Join("Redacted: what this machine's log committed to about ",
                      flags.who,
                      " is closed for good. The other end of each flow has its own log.\n"));
  return answer.exit;
}

}  // namespace

void AddPrivacy(Tree& tree, CLI::App* lineage) {
  auto flags = std::make_shared<RedactFlags>();
  CLI::App* app = tree.Command(lineage,
                               "redact",
                               "Close for good what was written down of somebody's flows",
                               "aqmesh lineage redact borealis",
                               [flags](Session& s) { return Redact(s, *flags); });
  app->add_option("WHO", flags->who, "Name, or key")->required();
  app->add_flag("--yes", flags->yes, "Do not ask");
  tree.Json(app);
}

}  // namespace aqmesh::cli
