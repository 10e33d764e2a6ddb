// lineage verify: chain, tree and heads, and on request every decision, made again.
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/local_policy_file.h"
#include "lineage/audit.h"
#include "node/redecide.h"

namespace aqmesh::cli {

namespace {

struct VerifyLogFlags {
  bool decisions = false;
};

struct Remade {
  uint64_t decisions = 0, wrong = 0;
  std::optional<node::Redecider::Result> first;  // that did not come out as recorded
  absl::Status status;
};

Remade RedecideLog(const lineage::Store& store) {
  Remade audit;
  auto redecider = node::Redecider::Open(store, KeptPolicy);
  audit.status = redecider.status();
  if (!redecider.ok()) return audit;
  audit.status = redecider->All([&audit](const node::Redecider::Result& r) {
    ++audit.decisions;
    if (r.same()) return true;
    ++audit.wrong;
    if (!audit.first) audit.first = r;
    return true;
  });
  return audit;
}

std::string WhyText(const node::Redecider::Result& r) {
  return r.status.ok() ? r.differs : Join("it cannot be made again: ", Text(r.status));
}

void PutRemade(const Remade& audit, wire::JsonWriter& w) {
  w.Key("decisions").Object().Field("made", audit.decisions).Field("wrong", audit.wrong);
  if (audit.first) {
    w.Key("first").Object().Field("id", ToHex(audit.first->leaf)).Field("seq", audit.first->seq);
    w.Field("why", WhyText(*audit.first)).End();
  }
  w.End();
}

absl::StatusOr<lineage::AuditReport> Audit(const StateDir& state, const lineage::Store& store) {
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info log, keys.Look(kLogKey));
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(store));
  std::vector<tlog::NoteKey> cosigners;
  for (const auto& g : known.grants) {
    if (g.body.cls != authority::Class::kNode) continue;
    const tlog::NoteKey key = lineage::CosignerNoteKey(g.body.key);
    if (std::ranges::find(cosigners, key) == cosigners.end()) cosigners.push_back(key);
  }
  return lineage::AuditLog(store, lineage::LogNoteKey(Ed25519Key{log.public_key}), cosigners);
}

absl::StatusOr<int> VerifyLog(Session& s, const VerifyLogFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  const auto report = Audit(state, *store);
  absl::Status status = report.status();
  const auto contents = lineage::AuditContents(*store);
  if (status.ok()) status = contents.status();
  std::optional<Remade> audit;
  if (status.ok() && flags.decisions) {
    audit = RedecideLog(*store);
    status = audit->status;
  }
  const bool ok = status.ok() && (!audit || audit->wrong == 0);
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.lineage-verify/1").Field("ok", ok);
    w.Field("size", store->size());
    if (report.ok()) {
      w.Field("heads", report->heads).Field("cosignatures", report->cosignatures);
      w.Field("covered", report->covered);
    }
    if (contents.ok()) {
      w.Key("contents").Object().Field("open", contents->open);
      w.Field("redacted", contents->redacted).Field("absent", contents->absent).End();
    }
    if (!status.ok()) w.Field("why", Text(status));
    if (audit) PutRemade(*audit, w);
    w.End();
    s.Out(Join(w.Take(), "\n"));
    return ok ? 0 : 1;
  }
  AQ_RETURN_IF_ERROR(status);
  s.Out(Join(report->records,
             " records, each follows from the one before",
             report->end ? Join("; head ", ToHex(report->end->leaf)) : "",
             "\n",
             report->heads,
             " signed heads over ",
             report->covered,
             " of them, each with the root that the records give; ",
             report->cosignatures,
             " cosignatures of members\n"));
  s.Out(Join("what ",
             contents->open,
             " records commit to is here and is that; of ",
             contents->redacted,
             " it was redacted",
             contents->absent == 0 ? "" : Join(", of ", contents->absent, " it is not here"),
             "\n"));
  if (!audit) return 0;
  if (ok) {
    s.Out(Join(audit->decisions, " decisions, each the same when made again from its inputs\n"));
    return 0;
  }
  s.Out(Join(audit->wrong,
             " of ",
             audit->decisions,
             " decisions do not come out as they are recorded\nthe first: record ",
             audit->first->seq,
             ", ",
             ShortId(audit->first->leaf),
             ": ",
             WhyText(*audit->first),
             "\n"));
  return 1;
}

}  // namespace

void AddVerify(Tree& tree, CLI::App* lineage) {
  auto flags = std::make_shared<VerifyLogFlags>();
  CLI::App* app = tree.Command(lineage,
                               "verify",
                               "Recompute the whole log, and check what was signed about it",
                               "aqmesh lineage verify --decisions",
                               [flags](Session& s) { return VerifyLog(s, *flags); });
  app->add_flag("--decisions", flags->decisions, "Also make every decision again from its inputs");
  tree.Json(app);
}

}  // namespace aqmesh::cli
