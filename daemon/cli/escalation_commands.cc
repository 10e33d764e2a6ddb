// escalations list, show, approve, deny: what waits for a person.
#include <algorithm>

#include "core/authority/approval.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

namespace json = boost::json;

struct AnswerFlags {
  std::string item, ceiling = "ADMIT", span = "8h";
  bool root = false;
  PassphraseFlags passphrase;
};

absl::StatusOr<LiveAnswer> Waiting(Session& s) { return s.Live()->Call({.verb = "escalations"}); }

std::string WhoText(const json::object& o) {
  const std::string name = TextIn(o, "name");
  return name.empty() ? TextIn(o, "subject").substr(0, 8) : name;
}

// By the first digits of the item, or by whom it is about.
absl::StatusOr<json::object> ItemNamed(const json::object& answer, const std::string& what) {
  std::vector<json::object> found;
  for (const json::object& o : ObjectsIn(answer, "items")) {
    if (WhoText(o) == what || TextIn(o, "item").starts_with(what)) found.push_back(o);
  }
  if (found.empty())
    return NotFound("nothing waits that is called `", what, "`; aqmesh escalations list");
  if (found.size() > 1)
    return InvalidArgument("`", what, "` fits more than one item; give more of its digits");
  return found.front();
}

absl::StatusOr<int> List(Session& s) {
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer, Waiting(s));
  if (s.json) {
    s.Out(Join(answer.json, "\n"));
    return answer.exit;
  }
  const json::object o = ReadObject(answer.json);
  Table table({"ITEM", "WHO", "CAUSE", "HELD AT", "SINCE", "ENDS IN"});
  for (const json::object& e : ObjectsIn(o, "items")) {
    const uint64_t ends = NumberIn(e, "ends");
    table.Row({TextIn(e, "item").substr(0, 8),
               WhoText(e),
               TextIn(e, "cause"),
               TextIn(e, "rung"),
               AgoText(NumberIn(e, "opened"), s.now()),
               ends > s.now() ? SpanText(ends - s.now()) : ""});
  }
  for (const json::object& a : ObjectsIn(o, "answers")) {
    table.Row({"answered",
               WhoText(a),
               TextIn(a, "about") == "flows" ? "action" : "",
               Join("at most ", TextIn(a, "ceiling")),
               "",
               SpanText(NumberIn(a, "until") - std::min(s.now(), NumberIn(a, "until")))});
  }
  s.Out(ObjectsIn(o, "items").empty() && ObjectsIn(o, "answers").empty()
            ? "Nothing waits for you.\n"
            : table.Print(s.env().columns));
  return 0;
}

absl::StatusOr<int> Show(Session& s, const std::string& what) {
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer, Waiting(s));
  AQ_ASSIGN_OR_RETURN(const json::object e, ItemNamed(ReadObject(answer.json), what));
  if (s.json) {
    s.Out(Join(json::serialize(e), "\n"));
    return 0;
  }
  const std::string cause = TextIn(e, "cause"), who = WhoText(e);
  s.Out(Join(
      "item     ", TextIn(e, "item"), "\nwho      ", who, ", key ", TextIn(e, "subject"), "\n"));
  s.Out(Join("cause    ", cause, "\n"));
  if (cause == "join") {
    s.Out(Join("words    ", TextIn(e, "words"), "\n"));
    s.Out(Join("If the other screen shows the same: aqmesh escalations approve ", who, "\n"));
    return 0;
  }
  if (!TextIn(e, "rung").empty()) s.Out(Join("held at  ", TextIn(e, "rung"), "\n"));
  s.Out(Join("reason   ", TextIn(e, "reason"), "\n"));
  if (cause == "action") {
    s.Out("what     flows that it opens, by a rule or a grant that says `escalate`: they wait\n");
    s.Out(Join("which    aqmesh lineage query --subject ", who, " --kind flow\n"));
    s.Out(Join("answer   aqmesh escalations approve ",
               who,
               " --for 8h\n         aqmesh escalations deny ",
               who,
               "\n"));
    return 0;
  }
  s.Out(Join("why      aqmesh lineage query --subject ", who, " --kind weighted\n"));
  if (cause == "trust" || cause == "corroboration") {
    s.Out(Join("answer   aqmesh escalations approve ",
               who,
               " --ceiling CONSTRAIN --for 8h\n         aqmesh escalations deny ",
               who,
               "\n"));
  } else {
    s.Out("answer   nobody's word lifts this: revoke it, or have its key replaced\n");
  }
  return 0;
}

absl::StatusOr<uint8_t> RungFlag(Session& s, const std::string& text) {
  for (size_t i = 1; i < std::size(authority::kRungNames); ++i) {
    if (authority::kRungNames[i] == text) return static_cast<uint8_t>(i);
  }
  return s.Usage(Join("--ceiling ", text, ": ADMIT, CONSTRAIN, PROBATION or ESCALATE"));
}

// Signed with the root key, or another that --state holds: for who is above the subject while this
// machine is not.
absl::StatusOr<int> AnswerByRoot(Session& s,
                                 const AnswerFlags& flags,
                                 const json::object& item,
                                 uint8_t ceiling,
                                 uint64_t until) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto pen, s.TakePen(state, true, flags.passphrase));
  const auto subject = FromHex(TextIn(item, "subject")), id = FromHex(TextIn(item, "item"));
  const auto kid = subject ? Kid::From(*subject) : std::nullopt;
  const auto nonce = id ? authority::Nonce16::From(*id) : std::nullopt;
  if (!kid || !nonce) return Internal("the daemon's answer names no item");
  AQ_ASSIGN_OR_RETURN(const auto said,
                      issuing::MakeApprove(pen->issuer(),
                                           {.subject = *kid,
                                            .item = *nonce,
                                            .ceiling = static_cast<authority::Rung>(ceiling),
                                            .until = until},
                                           s.now(),
                                           issuing::Hlc(s.wall().millis())));
  const std::vector<SignedPtr> objects = {said.envelope};
  AQ_RETURN_IF_ERROR(s.Live()->Call({.verb = "import", .payload = ArmourAll(objects)}).status());
  s.Out(Join("Said of ",
             WhoText(item),
             ", by the root: at most ",
             authority::kRungNames[ceiling],
             " for ",
             SpanText(until - s.now()),
             ".\n"));
  return 0;
}

absl::StatusOr<int> Answer(Session& s, const AnswerFlags& flags, bool deny) {
  uint8_t ceiling = static_cast<uint8_t>(authority::Rung::kRefuse);
  if (!deny) {
    AQ_ASSIGN_OR_RETURN(ceiling, RungFlag(s, flags.ceiling));
  }
  AQ_ASSIGN_OR_RETURN(const uint64_t span, SpanFlag(s, "--for", flags.span, 8 * 3'600));
  const uint64_t until = s.now() + span;
  AQ_ASSIGN_OR_RETURN(const LiveAnswer waiting, Waiting(s));
  AQ_ASSIGN_OR_RETURN(const json::object item, ItemNamed(ReadObject(waiting.json), flags.item));
  if (flags.root) return AnswerByRoot(s, flags, item, ceiling, until);
  const json::object args{{"item", TextIn(item, "item")}, {"ceiling", ceiling}, {"until", until}};
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer,
                      s.Live()->Call({.verb = "approve", .json = json::serialize(args)}));
  const json::object o = ReadObject(answer.json);
  if (s.json) {
    s.Out(Join(answer.json, "\n"));
  } else if (o.contains("join")) {
    s.Out(Join(WhoText(o), TrueIn(o, "join") ? " was let in.\n" : " was turned away.\n"));
  } else {
    const uint64_t ends = NumberIn(o, "until");
    s.Out(Join("Said of ",
               WhoText(o),
               ": at most ",
               TextIn(o, "ceiling"),
               " for ",
               SpanText(ends - std::min(s.now(), ends)),
               ". The others hear it from here.\n"));
  }
  return answer.exit;
}

void AddAnswer(Tree& tree, CLI::App* noun, bool deny) {
  auto flags = std::make_shared<AnswerFlags>();
  CLI::App* app =
      tree.Command(noun,
                   deny ? "deny" : "approve",
                   deny ? "Say no: it is refused everywhere until that time"
                        : "Say yes, up to a rung, for a time",
                   deny ? "aqmesh escalations deny borealis --for 30d"
                        : "aqmesh escalations approve borealis --ceiling CONSTRAIN --for 8h",
                   [=](Session& s) { return Answer(s, *flags, deny); });
  app->add_option("ITEM", flags->item, "First digits of the item, or whom it is about")->required();
  if (!deny)
    app->add_option("--ceiling", flags->ceiling, "The most that it may have")
        ->capture_default_str();
  app->add_option("--for", flags->span, "How long that holds")->capture_default_str();
  app->add_flag("--root", flags->root, "Sign by the root key");
  AddPassphrase(app, flags->passphrase);
  tree.Json(app);
}

}  // namespace

void AddEscalations(Tree& tree) {
  CLI::App* noun = tree.Noun("escalations", "What waits for a person");
  tree.Json(
      tree.Command(noun, "list", "What waits, and what was said", "aqmesh escalations list", List));
  auto what = std::make_shared<std::string>();
  CLI::App* show = tree.Command(noun,
                                "show",
                                "One item, and how to answer it",
                                "aqmesh escalations show borealis",
                                [what](Session& s) { return Show(s, *what); });
  show->add_option("ITEM", *what, "First digits of the item, or whom it is about")->required();
  tree.Json(show);
  AddAnswer(tree, noun, false);
  AddAnswer(tree, noun, true);
}

}  // namespace aqmesh::cli
