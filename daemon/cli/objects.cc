// inspect and verify: signed objects in files, read by nobody's leave.
#include "core/authority/armour.h"
#include "core/authority/render.h"
#include "core/authority/standalone.h"
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/evidence_check.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

struct InspectFlags {
  std::string file;
};

absl::StatusOr<int> Inspect(Session& s, const InspectFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> objects, s.ReadObjects(flags.file));
  absl::Status first;
  for (size_t i = 0; i < objects.size(); ++i) {
    const absl::Status body = CheckBody(*objects[i]);
    if (first.ok() && !body.ok())
      first = Annotate(body, Join(flags.file, objects.size() > 1 ? Join(", object ", i + 1) : ""));
    if (s.json) {
      s.Out(Join(authority::RenderJson(*objects[i]), "\n"));
    } else {
      s.Out(Join(i > 0 ? "\n" : "", authority::Render(*objects[i])));
    }
  }
  AQ_RETURN_IF_ERROR(first);
  if (!s.json)
    s.Say(
        "Nothing is checked here but the encoding; the signature and the chain: aqmesh verify FILE "
        "--charter FILE");
  return 0;
}

struct VerifyFlags {
  std::string file, charter;
  std::vector<std::string> with;
};

struct Judged {
  SignedPtr object;
  authority::StandaloneReport report;
};

void PrintJudged(Session& s, const Judged& j, uint64_t number) {
  const bool ok = j.report.status.ok();
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.verify/1").Field("ok", ok);
    w.Field("ctx", authority::CtxName(j.object->ctx())).Field("oid", ToHex(j.object->oid()));
    if (!ok) w.Field("why", Text(j.report.status));
    w.Key("made").Array();
    for (const std::string& m : j.report.made) w.Value(m);
    w.End().Key("not_made").Array();
    for (const std::string& m : j.report.not_made) w.Value(m);
    w.End().End();
    s.Out(Join(w.Take(), "\n"));
    return;
  }
  std::string text = Join(number > 0 ? "\n" : "",
                          authority::CtxName(j.object->ctx()),
                          " ",
                          ShortId(j.object->oid()),
                          "  ",
                          ok ? "valid" : Join("NOT VALID: ", Text(j.report.status)),
                          "\n");
  for (const std::string& m : j.report.made) text += Join("  checked      ", m, "\n");
  for (const std::string& m : j.report.not_made) text += Join("  not checked  ", m, "\n");
  s.Out(text);
}

absl::StatusOr<int> Verify(Session& s, const VerifyFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> subjects, s.ReadObjects(flags.file));
  AQ_ASSIGN_OR_RETURN(const auto charter, ReadCharter(s, flags.charter));
  if (charter.body.version > 1) {
    s.Say(Join("The charter is version ",
               charter.body.version,
               ": that the ones before it led here is taken on your word."));
  }
  std::vector<SignedPtr> others = subjects;  // a bundle brings its own chain
  AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> charters, s.ReadObjects(flags.charter));
  others.insert(others.end(), charters.begin(), charters.end());
  for (const std::string& file : flags.with) {
    AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> more, s.ReadObjects(file));
    others.insert(others.end(), more.begin(), more.end());
  }
  bool all = true;
  uint64_t number = 0;
  for (const SignedPtr& subject : subjects) {
    std::vector<SignedPtr> rest;
    for (const SignedPtr& o : others) {
      if (o->oid() != subject->oid()) rest.push_back(o);
    }
    Judged j{subject, authority::VerifyStandalone(subject->bytes(), charter, rest, s.wall())};
    // A joiner's request is signed by the key that it carries: nothing above it exists yet.
    if (subject->ctx() == authority::Ctx::kRequest) {
      const auto request = authority::ParseBody<authority::Request>(subject->body());
      j.report.status = !request.ok() ? request.status()
                        : authority::VerifySignature(*subject, request->key)
                            ? absl::OkStatus()
                            : Unauthenticated("the signature is wrong");
      if (j.report.status.ok())
        j.report.made.push_back("signature by the key that it asks a grant for");
    }
    all = all && j.report.status.ok();
    PrintJudged(s, j, number++);
  }
  return all ? 0 : 1;
}

}  // namespace

void AddObjects(Tree& tree) {
  auto inspect = std::make_shared<InspectFlags>();
  CLI::App* app = tree.Command(nullptr,
                               "inspect",
                               "Show what is in a file of signed objects",
                               "aqmesh inspect borealis.grant",
                               [inspect](Session& s) { return Inspect(s, *inspect); });
  app->add_option("FILE", inspect->file, "Armoured or raw; - for stdin")->required();
  tree.Json(app);

  auto verify = std::make_shared<VerifyFlags>();
  app = tree.Command(nullptr,
                     "verify",
                     "Check signature and chain of a file, with nothing but files",
                     "aqmesh verify borealis.grant --charter home.charter --with atlas.grant",
                     [verify](Session& s) { return Verify(s, *verify); });
  app->add_option("FILE", verify->file, "Armoured or raw; - for stdin")->required();
  app->add_option("--charter", verify->charter, "The charter to trust")->required();
  app->add_option("--with", verify->with, "Grants above it, one or more files");
  tree.Json(app);
}

}  // namespace aqmesh::cli
