// How a command enters the tree: a name, a sentence, an example, its flags, and what it does.
// Each file of commands adds its own; flags live in a struct that the handler keeps.
// Thread: one owner.
#ifndef AQMESH_DAEMON_CLI_COMMANDS_H_
#define AQMESH_DAEMON_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "daemon/cli/session.h"

namespace aqmesh::cli {

// The exit code, or what went wrong.
using Handler = std::function<absl::StatusOr<int>(Session&)>;

class Tree {
 public:
  Tree(CLI::App& root, Session& session) : root_(root), session_(session) {}

  CLI::App* Noun(const std::string& name, const std::string& sentence) {
    CLI::App* noun = root_.add_subcommand(name, sentence);
    noun->require_subcommand(0, 1);
    return noun;
  }
  CLI::App* Command(CLI::App* parent,
                    const std::string& name,
                    const std::string& sentence,
                    const std::string& example,
                    Handler handler) {
    CLI::App* app = (parent ? parent : &root_)->add_subcommand(name, sentence);
    app->footer("Example:\n  " + example);
    app->callback([this, handler = std::move(handler)] { chosen_ = handler; });
    return app;
  }
  // Of commands that print data.
  void Json(CLI::App* app) { app->add_flag("--json", session_.json, "Print JSON, for programs"); }
  // Of commands that ask the lineage.
  void Lineage(CLI::App* app) {
    app->add_option("--from", session_.from, "Ask this state directory, store or sealed copy");
    app->add_option("--log", session_.log, "An older log of it, by the first digits of its key");
  }

  CLI::App& root() { return root_; }
  const Handler& chosen() const { return chosen_; }

 private:
  CLI::App& root_;
  Session& session_;
  Handler chosen_;
};

inline void AddPassphrase(CLI::App* app, PassphraseFlags& flags) {
  app->add_option("--passphrase-file", flags.file, "Read the root key's passphrase from this file");
}

void AddStart(Tree& tree);      // init invite join up down
void AddExchange(Tree& tree);   // request sign import
void AddLook(Tree& tree);       // status peers ping whois whoami ip wait explain can
void AddAuthority(Tree& tree);  // authority, grant, fragment, revoke
void AddCharter(Tree& tree);    // charter show draft propose vote list
void AddGrantVote(Tree& tree, CLI::App* grant);  // vote
void AddObjects(Tree& tree);                     // inspect verify
void AddLineage(Tree& tree);  // lineage: query show, and what those below add to it
void AddVerify(Tree& tree, CLI::App* lineage);     // verify
void AddEvidence(Tree& tree, CLI::App* lineage);   // prove check forks
void AddHistory(Tree& tree, CLI::App* lineage);    // state diff
void AddTrace(Tree& tree, CLI::App* lineage);      // trace
void AddPrivacy(Tree& tree, CLI::App* lineage);    // redact
void AddRetention(Tree& tree, CLI::App* lineage);  // retain prune import
void AddSql(Tree& tree, CLI::App* lineage);        // sql
void AddRowFiles(Tree& tree, CLI::App* lineage);   // export
void AddShip(Tree& tree, CLI::App* lineage);       // ship
void AddPolicy(Tree& tree);                        // policy what-if
void AddEscalations(Tree& tree);                   // escalations list show approve deny
void AddAttest(Tree& tree);                        // attest list
void AddTrust(Tree& tree);                         // trust report
void AddTrustLook(Tree& tree, CLI::App* trust);    // list show plot
void AddHelp(Tree& tree);                          // version completion help

// A span as "30d"; Usage errors name the flag.
absl::StatusOr<uint64_t> SpanFlag(Session& s,
                                  std::string_view flag,
                                  const std::string& text,
                                  uint64_t otherwise);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_COMMANDS_H_
