// lineage verify: chain, tree and heads, and on request every decision, made again.
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "daemon/cli/local_policy_file.h"
#include "daemon/cli/witness_file.h"
#include "lineage/audit.h"
#include "lineage/held_forks.h"
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

// The key of the log: this machine's own, or, of another place or an older log, the one that was
// bound to its name.
absl::StatusOr<Ed25519Key> LogKeyOf(Session& s,
                                    const lineage::Store& store,
                                    const KnownObjects& known) {
  if (s.from.empty() && s.log.empty()) {
    AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
    AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
    AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info log, keys.Look(kLogKey));
    return Ed25519Key{log.public_key};
  }
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> log, LogKidOf(store));
  authority::Keybind bound;
  if (!log || KeybindOf(known, *log, bound) == nullptr)
    return NotFound("nothing here binds the key of log ", log ? ToHex(*log) : "");
  return Ed25519Key{bound.key.bytes};
}

// What was signed about the log, by whom, and what else is known of keys that signed twice.
struct Audited {
  lineage::AuditReport report;
  tlog::NoteKey log;
  std::optional<tlog::Policy> policy;                      // witnesses.policy
  std::vector<tlog::Policy::Peer> witnesses;               // of it
  std::vector<lineage::AuditReport::Cosigned> by_witness;  // in their order
  uint64_t by_members = 0;                                 // cosignatures
  size_t forks = 0;
};

absl::StatusOr<Audited> Audit(Session& s, const lineage::Store& store) {
  Audited out;
  if (s.from.empty()) {  // a copy has no witnesses.policy beside it
    AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
    auto policy = LoadWitnesses(state.witnesses_path());
    if (!policy.ok() && !absl::IsNotFound(policy.status())) return policy.status();
    if (policy.ok()) {
      out.witnesses = policy->witnesses();
      out.policy = *std::move(policy);
    }
  }
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(store));
  AQ_ASSIGN_OR_RETURN(const Ed25519Key log, LogKeyOf(s, store, known));
  std::vector<tlog::NoteKey> cosigners;
  for (const auto& g : known.grants) {
    if (g.body.cls != authority::Class::kNode) continue;
    const tlog::NoteKey key = lineage::CosignerNoteKey(g.body.key);
    if (std::ranges::find(cosigners, key) == cosigners.end()) cosigners.push_back(key);
  }
  const size_t members = cosigners.size();
  for (const auto& w : out.witnesses) cosigners.push_back(w.key);
  out.log = lineage::LogNoteKey(log);
  AQ_ASSIGN_OR_RETURN(out.report, lineage::AuditLog(store, out.log, cosigners));
  out.by_members = out.report.cosignatures;
  for (size_t i = members; i < cosigners.size(); ++i) {
    out.by_witness.push_back(out.report.by_cosigner[i]);
    out.by_members -= out.by_witness.back().heads;
  }
  AQ_ASSIGN_OR_RETURN(const auto forks, lineage::HeldForks(store));
  out.forks = forks.size();
  return out;
}

// Whether the newest head has the quorum of witnesses.policy; nothing where there is neither.
std::optional<absl::Status> Quorum(const Audited& a) {
  if (!a.policy || !a.report.newest) return std::nullopt;
  return a.policy->AcceptFrom(*a.report.newest, {&a.log, 1});
}

std::string AuditText(const Audited& a) {
  std::string out = Join(a.report.records,
                         " records, each follows from the one before",
                         a.report.end ? Join("; head ", ToHex(a.report.end->leaf)) : "",
                         "\n",
                         a.report.heads,
                         " signed heads over ",
                         a.report.covered,
                         " of them, each with the root that the records give; ",
                         a.by_members,
                         " cosignatures of members\n");
  for (size_t i = 0; i < a.witnesses.size(); ++i) {
    const auto& by = a.by_witness[i];
    out += Join("witness ", a.witnesses[i].name);
    out += by.heads != 0
               ? Join(" cosigned ", by.heads, " heads, the longest of ", by.size, " records\n")
               : std::string(" has cosigned none; `aqmesh status` says why not the newest\n");
  }
  if (const auto quorum = Quorum(a)) {
    out += quorum->ok() ? "the newest head has the quorum of witnesses.policy\n"
                        : Join("not enough for witnesses.policy: ", Text(*quorum), "\n");
  }
  out += Join("the log's key, for witnesses: ", a.log.Vkey(), "\n");
  if (a.forks != 0)
    out += Join(a.forks, " proofs that a key signed twice are held: aqmesh lineage forks\n");
  return out;
}

void PutAudited(const Audited& a, wire::JsonWriter& w) {
  w.Field("heads", a.report.heads).Field("cosignatures", a.by_members);
  w.Field("covered", a.report.covered).Field("vkey", a.log.Vkey()).Key("witnesses").Array();
  for (size_t i = 0; i < a.witnesses.size(); ++i) {
    const auto& by = a.by_witness[i];
    w.Object().Field("name", a.witnesses[i].name).Field("heads", by.heads).Field("size", by.size);
    if (by.time != 0) w.Field("time", by.time);
    w.End();
  }
  w.End();
  if (const auto quorum = Quorum(a)) w.Field("quorum", quorum->ok());
  w.Field("forks", a.forks);
}

void PutContents(const lineage::ContentReport& r, wire::JsonWriter& w) {
  w.Key("contents").Object().Field("open", r.open).Field("closed", r.closed);
  w.Field("absent", r.absent).End();
}

std::string ContentsText(const lineage::ContentReport& r) {
  std::string out =
      Join("what ", r.open, " records commit to beside that is here, and is what they say");
  if (r.closed != 0) out += Join("; of ", r.closed, " the key is not here");
  if (r.absent != 0) out += Join("; of ", r.absent, " it is not here");
  return out + "\n";
}

absl::StatusOr<int> VerifyLog(Session& s, const VerifyLogFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  const auto report = Audit(s, *store);
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
    if (store->first() > 0) {
      w.Key("gone").Object().Field("end", store->first());
      if (store->gone().under) w.Field("under", ToHex(*store->gone().under));
      w.End();
    }
    if (report.ok()) PutAudited(*report, w);
    if (contents.ok()) PutContents(*contents, w);
    if (!status.ok()) w.Field("why", Text(status));
    if (audit) PutRemade(*audit, w);
    w.End();
    s.Out(Join(w.Take(), "\n"));
    return ok ? 0 : 1;
  }
  AQ_RETURN_IF_ERROR(status);
  const lineage::Gone& gone = report->report.gone;
  if (gone.end > 0)
    s.Out(Join(lineage::GoneText(gone),
               gone.under ? "; their hashes are here and in the tree\n" : "\n"));
  s.Out(AuditText(*report));
  s.Out(ContentsText(*contents));
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
  tree.Lineage(app);
  tree.Json(app);
}

}  // namespace aqmesh::cli
