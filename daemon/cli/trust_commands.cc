// trust report: shows this mesh a grant that gives more than its signer holds.
#include "core/authority/standalone.h"
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

struct ReportFlags {
  std::string file;
};

absl::StatusOr<int> Report(Session& s, const ReportFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const auto grant, s.ReadOne<authority::Grant>(flags.file));
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, s.Known(state));
  if (known.charter() == nullptr)
    return FailedPrecondition("this machine belongs to no mesh; `aqmesh join` first");
  const std::vector<SignedPtr> held = known.All();
  const authority::StandaloneReport report =
      authority::VerifyStandalone(grant.envelope->bytes(), *known.charter(), held, s.wall());
  if (!report.overreach)
    return InvalidArgument(
        flags.file,
        ": grant ",
        ShortId(grant.oid()),
        " proves nothing against its signer: ",
        report.status.ok() ? "it is within what that holds" : Text(report.status));
  const std::vector<SignedPtr> objects = {grant.envelope};
  AQ_RETURN_IF_ERROR(s.Live()->Call({.verb = "import", .payload = ArmourAll(objects)}).status());
  const auto found = NamesOf(known).peer(report.overreach->signer);
  const std::string name = found.empty() ? ShortId(report.overreach->signer) : found;
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.report/1").Field("grant", ToHex(grant.oid()));
    w.Field("signer", ToHex(report.overreach->signer)).Field("name", name).End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join(name,
             " granted more than it holds. What it signs counts for less here from now on; who it "
             "let in was judged again: aqmesh peers\n"));
  return 0;
}

}  // namespace

void AddTrust(Tree& tree) {
  CLI::App* trust = tree.Noun("trust", "How far each key is trusted, and why");
  auto report = std::make_shared<ReportFlags>();
  CLI::App* app = tree.Command(trust,
                               "report",
                               "Show this mesh a grant that gives more than its signer holds",
                               "aqmesh trust report grant.aq",
                               [report](Session& s) { return Report(s, *report); });
  app->add_option("FILE", report->file, "The grant, armoured or raw; - for standard input")
      ->required();
  tree.Json(app);

  AddTrustLook(tree, trust);
}

}  // namespace aqmesh::cli
