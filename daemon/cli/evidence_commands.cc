// prove and check: a record, or a fork, that leaves the machine to be believed elsewhere, and a row
// that is found there.
#include <algorithm>

#include "core/wire/json.h"
#include "daemon/cli/attempts_view.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/evidence_check.h"
#include "daemon/cli/fork_commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/row_check.h"
#include "daemon/cli/text.h"
#include "lineage/audit.h"
#include "lineage/fork_proof.h"

namespace aqmesh::cli {

namespace {

namespace ship = lineage::ship;

// A head of this log on the shelf, over record `seq`.
absl::StatusOr<tlog::SignedCheckpoint> HeadNamed(const lineage::Store& store,
                                                 const Oid& oid,
                                                 const authority::Observe& record) {
  AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(lineage::Shelf::kNote, oid));
  if (!bytes) return NotFound("no head ", ToHex(oid), " in this store");
  AQ_ASSIGN_OR_RETURN(auto head, tlog::ParseCheckpoint(AsText(*bytes)));
  if (tlog::NoteOid(head.note.text) != oid)
    return DataLoss("note ", ToHex(oid), " is not what it was stored as");
  if (head.checkpoint.origin == lineage::LogOrigin(record.log) && head.checkpoint.size > record.seq)
    return head;
  return NotFound("head ", ToHex(oid), " is not over record ", record.seq, " of this log");
}

struct ProveFlags {
  std::string which, checkpoint, fork, head, out = "-";
  bool disclose = false;
};

absl::StatusOr<int> Prove(Session& s, const ProveFlags& flags) {
  if (flags.which.empty() + flags.fork.empty() + flags.head.empty() != 2)
    return s.Usage("prove takes one of RECORD, --fork and --head");
  if (flags.disclose && flags.which.empty())
    return s.Usage("--disclose: is of a RECORD; a fork and a head commit to nothing");
  if (!flags.fork.empty()) return ProveFork(s, flags.fork, flags.out);
  if (!flags.head.empty()) return ProveHead(s, flags.head, flags.out);
  std::optional<Oid> named;
  if (!flags.checkpoint.empty()) {
    const auto bytes = FromHex(flags.checkpoint);
    named = bytes ? Oid::From(*bytes) : std::nullopt;
    if (!named) return s.Usage("--checkpoint: wants the 64 hex digits that a row has");
  }
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::FoundRecord found, FindRecord(*store, flags.which));
  const authority::Observe& record = found.record;
  AQ_ASSIGN_OR_RETURN(const tlog::SignedCheckpoint head,
                      named
                          ? HeadNamed(*store, *named, record)
                          : lineage::HeadOver(*store, record.seq, lineage::LogOrigin(record.log)));
  AQ_ASSIGN_OR_RETURN(
      const lineage::Evidence evidence,
      MakeEvidence(
          *store, known, record, head, flags.disclose ? Disclosure::kAll : Disclosure::kNone));
  AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, evidence.Text()));
  s.Say(Join("Record ",
             record.seq,
             " under the head of ",
             head.checkpoint.size,
             " records with ",
             head.note.lines.size() - 1,
             " cosignatures; check it with `aqmesh lineage check FILE --charter CHARTER`."));
  return 0;
}

// ---- check ----

struct CheckFlags {
  std::string file, charter, row, store;
  size_t cosigners = 0;
};

// What was tried, if the file discloses it.
std::string DisclosedLines(const lineage::Content& content, const lineage::Names& names) {
  const auto attempts = lineage::AttemptsIn(content);
  if (content.state != lineage::Content::State::kOpen || !attempts.ok()) return "";
  return AttemptLines(content, *attempts, names);
}

std::string DisclosedJson(const lineage::Content& content, const lineage::Names& names) {
  const auto attempts = lineage::AttemptsIn(content);
  if (content.state != lineage::Content::State::kOpen || !attempts.ok()) return "";
  wire::JsonWriter tried;
  PutAttempts(content, *attempts, names, tried);
  return Join(",\"tried\":", tried.Take());
}

std::string CheckText(const Judged& judged, uint64_t size) {
  const lineage::Names names = NamesOf(judged.known);
  std::string cosigned;
  for (const tlog::Signer& c : judged.proven.cosigned)
    cosigned += Join(cosigned.empty() ? "" : ", ", judged.members[c.key].name);
  return Join("Holds.\n",
              lineage::RenderPage(judged.proven.record, judged.proven.leaf, names),
              DisclosedLines(judged.proven.content, names),
              "\nof the log of    ",
              judged.owner.name,
              "\nin its head of   ",
              size,
              " records\ncosigned by      ",
              cosigned.empty() ? "nobody" : cosigned,
              "\n");
}

// Of a whole object, but for its end: the record has its own renderer.
std::string CheckJson(const Judged& judged, uint64_t size, const RowReport* row) {
  wire::JsonWriter w;
  w.Object().Field("schema", "aqmesh.check/1").Field("ok", row == nullptr || row->altered.empty());
  w.Field("owner", judged.owner.name).Field("size", size).Key("cosigned").Array();
  for (const tlog::Signer& c : judged.proven.cosigned) {
    w.Object().Field("name", judged.members[c.key].name);
    w.Field("kid", ToHex(judged.members[c.key].kid)).Field("time", c.time).End();
  }
  w.End();
  if (row != nullptr) {
    w.Key("row").Object().Field("same", row->same).Key("altered").Array();
    for (const Difference& d : row->altered) {
      w.Object().Field("column", d.column).Field("row", d.in_row);
      w.Field("record", d.in_record).End();
    }
    w.End().Key("unproven").Array();
    for (const std::string& column : row->unproven) w.Value(column);
    w.End().End();
  }
  w.End();
  std::string out = w.Take();
  out.pop_back();
  const lineage::Names names = NamesOf(judged.known);
  return Join(out,
              ",\"record\":",
              lineage::RenderJson(judged.proven.record, judged.proven.leaf, names),
              DisclosedJson(judged.proven.content, names),
              "}\n");
}

absl::Status EnoughCosigners(const Judged& judged, size_t wanted) {
  if (judged.proven.cosigned.size() >= wanted) return absl::OkStatus();
  return Unauthenticated("the head is cosigned by ",
                         judged.proven.cosigned.size(),
                         " members that the file proves, --cosigners wants ",
                         wanted);
}

absl::StatusOr<lineage::Evidence> EvidenceIn(std::string_view text, const std::string& path) {
  auto parsed = lineage::ParseEvidence(text);
  return parsed.ok() ? std::move(parsed) : Annotate(parsed.status(), path);
}

// Nothing but the file and the charter is believed.
absl::StatusOr<int> CheckFile(Session& s, const CheckFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::string text, s.ReadFile(flags.file, lineage::kEvidenceBytesMax));
  if (text.starts_with(lineage::kForkHeader)) {
    if (flags.cosigners != 0)
      return s.Usage("--cosigners is about records; this file is of a fork");
    return CheckFork(s, text, flags.file, flags.charter);
  }
  AQ_ASSIGN_OR_RETURN(const lineage::Evidence evidence, EvidenceIn(text, flags.file));
  AQ_ASSIGN_OR_RETURN(const auto charter, ReadCharter(s, flags.charter));
  AQ_ASSIGN_OR_RETURN(const Judged judged, JudgeEvidence(evidence, charter, flags.file));
  AQ_RETURN_IF_ERROR(EnoughCosigners(judged, flags.cosigners));
  const uint64_t size = evidence.proof.head.checkpoint.size;
  s.Out(s.json ? CheckJson(judged, size, nullptr) : CheckText(judged, size));
  return 0;
}

// ---- check --row ----

// The store that has the log which the row says it is of: among several logs of one disk, that one.
absl::StatusOr<std::unique_ptr<lineage::RocksStore>> StoreOf(const std::string& dir,
                                                             const RowClaims& claims) {
  AQ_ASSIGN_OR_RETURN(auto store, lineage::RocksStore::OpenReadOnly(dir));
  AQ_ASSIGN_OR_RETURN(const auto logs, store->Logs());
  std::vector<Kid> wanted;
  if (claims.record) wanted.push_back(claims.record->log);
  if (claims.log) wanted.push_back(*claims.log);
  for (const Kid& log : wanted) {
    const auto at = std::ranges::find(logs, std::optional(log), &lineage::RocksStore::Log::kid);
    if (at == logs.end()) continue;
    if (at + 1 == logs.end()) return store;
    return lineage::RocksStore::OpenReadOnly(dir, {.log = log});
  }
  if (wanted.empty()) return store;
  return NotFound("the row is of log ",
                  ToHex(wanted.back()),
                  ", which is not in ",
                  dir,
                  "; name that machine's store with --store, or a file of its `lineage prove`");
}

// By whatever of the row still holds: its bytes, its hash, its number.
absl::StatusOr<lineage::Seq> PlaceOf(const lineage::Store& store, const RowClaims& claims) {
  if (claims.record && claims.record->seq < store.size()) {
    AQ_ASSIGN_OR_RETURN(const Bytes body, store.Read(claims.record->seq));
    if (body == *claims.body) return claims.record->seq;
  }
  if (claims.digest) {
    lineage::Filter filter;
    filter.id_prefix = Bytes(claims.digest->bytes.begin(), claims.digest->bytes.end());
    filter.limit = 1;
    AQ_ASSIGN_OR_RETURN(const auto found, store.Query(filter));
    if (!found.empty()) return found[0].record.seq;
  }
  if (claims.seq && *claims.seq < store.size()) return *claims.seq;
  return NotFound("neither body, record_digest nor leaf_index of the row lead to one of the ",
                  store.size(),
                  " records of this log");
}

// The proof of what the row should be, under the head that it names if there is such a head.
absl::StatusOr<lineage::Evidence> EvidenceFor(const lineage::Store& store,
                                              const KnownObjects& known,
                                              const RowClaims& claims) {
  AQ_ASSIGN_OR_RETURN(const lineage::Seq seq, PlaceOf(store, claims));
  AQ_ASSIGN_OR_RETURN(const Bytes body, store.Read(seq));
  AQ_ASSIGN_OR_RETURN(const auto record, authority::ParseBody<authority::Observe>(body));
  absl::StatusOr<tlog::SignedCheckpoint> head = NotFound("no head is named");
  if (claims.checkpoint) head = HeadNamed(store, *claims.checkpoint, record);
  if (absl::IsNotFound(head.status()))
    head = lineage::HeadOver(store, seq, lineage::LogOrigin(record.log));
  AQ_RETURN_IF_ERROR(head.status());
  return MakeEvidence(store, known, record, *head);
}

struct RowProof {
  lineage::Evidence evidence;
  Judged judged;
};

absl::StatusOr<RowProof> ProveByStore(Session& s,
                                      const CheckFlags& flags,
                                      const RowClaims& claims) {
  std::string dir = flags.store;
  if (dir.empty()) {
    AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
    dir = state.store_path();
  }
  AQ_ASSIGN_OR_RETURN(const auto store, StoreOf(dir, claims));
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(*store));
  RowProof out;
  AQ_ASSIGN_OR_RETURN(out.evidence, EvidenceFor(*store, known, claims));
  if (!flags.charter.empty()) {
    AQ_ASSIGN_OR_RETURN(const auto charter, ReadCharter(s, flags.charter));
    AQ_ASSIGN_OR_RETURN(out.judged, JudgeEvidence(out.evidence, charter, dir));
    return out;
  }
  if (known.charter() == nullptr)
    return NotFound(dir, " holds no charter; name one with --charter");
  AQ_ASSIGN_OR_RETURN(out.judged, JudgeEvidence(out.evidence, *known.charter(), dir));
  return out;
}

absl::StatusOr<RowProof> ProveByFile(Session& s, const CheckFlags& flags, const RowClaims& claims) {
  RowProof out;
  AQ_ASSIGN_OR_RETURN(const std::string text, s.ReadFile(flags.file, lineage::kEvidenceBytesMax));
  AQ_ASSIGN_OR_RETURN(out.evidence, EvidenceIn(text, flags.file));
  AQ_ASSIGN_OR_RETURN(const auto charter, ReadCharter(s, flags.charter));
  AQ_ASSIGN_OR_RETURN(out.judged, JudgeEvidence(out.evidence, charter, flags.file));
  const authority::Observe& record = out.judged.proven.record;
  if (claims.body != out.evidence.record && claims.digest != out.judged.proven.leaf &&
      (claims.log != record.log || claims.seq != record.seq)) {
    return InvalidArgument(flags.file,
                           " proves record ",
                           record.seq,
                           " of log ",
                           ToHex(record.log),
                           ", the row is another");
  }
  if (!claims.checkpoint || *claims.checkpoint == tlog::NoteOid(out.evidence.proof.head.note.text))
    return out;
  return FailedPrecondition(flags.file,
                            " proves the record under another head than the row names; make it "
                            "with `aqmesh lineage prove ",
                            record.seq,
                            " --checkpoint ",
                            ToHex(*claims.checkpoint),
                            "`");
}

absl::StatusOr<int> CheckRow(Session& s, const CheckFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::string text, s.ReadFile(flags.row, kRowBytesMax));
  const auto row = ParseRow(text);
  if (!row.ok()) return Annotate(row.status(), flags.row == "-" ? "stdin" : flags.row);
  const RowClaims claims = ClaimsOf(*row);
  AQ_ASSIGN_OR_RETURN(
      const RowProof proof,
      flags.file.empty() ? ProveByStore(s, flags, claims) : ProveByFile(s, flags, claims));
  const Judged& judged = proof.judged;
  AQ_RETURN_IF_ERROR(EnoughCosigners(judged, flags.cosigners));
  const tlog::SignedCheckpoint& head = proof.evidence.proof.head;
  ship::Row truth{judged.proven.record, judged.proven.leaf, proof.evidence.record, std::nullopt};
  if (claims.names_checkpoint)
    truth.checkpoint = ship::Checkpoint{tlog::NoteOid(head.note.text), head.checkpoint.size};
  const RowReport report = CompareRow(*row, truth, {"", {DropName, {}}});
  if (s.json) {
    s.Out(CheckJson(judged, head.checkpoint.size, &report));
    return report.altered.empty() ? 0 : 1;
  }
  if (!report.altered.empty())
    return DataLoss(
        "the row is not record ", truth.record.seq, " of the log: ", AlteredText(report));
  s.Out(Join(
      CheckText(judged, head.checkpoint.size),
      "columns          ",
      report.same,
      " are the record's\n",
      report.unproven.empty() ? "" : Join("not proven       ", Listed(report.unproven), "\n")));
  return 0;
}

absl::StatusOr<int> Check(Session& s, const CheckFlags& flags) {
  if (flags.row.empty() && flags.file.empty())
    return s.Usage("wants a FILE of `lineage prove`, or --row");
  if (!flags.file.empty() && flags.charter.empty()) return s.Usage("--charter is required");
  if (!flags.store.empty() && (flags.row.empty() || !flags.file.empty()))
    return s.Usage("--store goes with --row, and without a FILE");
  return flags.row.empty() ? CheckFile(s, flags) : CheckRow(s, flags);
}

}  // namespace

void AddEvidence(Tree& tree, CLI::App* lineage) {
  auto prove = std::make_shared<ProveFlags>();
  CLI::App* app = tree.Command(lineage,
                               "prove",
                               "Write a file that proves one record, or a fork, to somebody else",
                               "aqmesh lineage prove 9f3a -o record.evidence",
                               [prove](Session& s) { return Prove(s, *prove); });
  app->add_option("RECORD", prove->which, "Its number, or the first digits of its id");
  app->add_flag("--disclose", prove->disclose, "With what it commits to: who tried what");
  app->add_option("--checkpoint", prove->checkpoint, "Under this head, as a shipped row names it");
  app->add_option(
      "--fork", prove->fork, "A fork that `lineage forks` lists: first digits of its id");
  app->add_option(
      "--head", prove->head, "A head of a log from elsewhere, that contradicts what is known here");
  app->add_option("-o,--output", prove->out, "Where to; - for stdout")->capture_default_str();
  tree.Lineage(app);

  auto check = std::make_shared<CheckFlags>();
  app = tree.Command(lineage,
                     "check",
                     "Check such a file with nothing but the charter, or a row against the log",
                     "aqmesh lineage check record.evidence --charter home.charter\n"
                     "  psql -Atc \"SELECT to_jsonb(r) FROM aqmesh_records r WHERE seq = 17\" | "
                     "aqmesh lineage check --row -",
                     [check](Session& s) { return Check(s, *check); });
  app->add_option("FILE", check->file, "What `lineage prove` wrote; - for stdin");
  app->add_option(
      "--charter", check->charter, "The charter to trust; with a row, else the store's");
  app->add_option(
      "--row", check->row, "One row as a JSON object, shipped or exported; - for stdin");
  app->add_option("--store", check->store, "Prove the row by this store, not by this machine's");
  app->add_option("--cosigners", check->cosigners, "Refuse it below so many cosigners")
      ->capture_default_str();
  tree.Json(app);
  AddForks(tree, lineage);
}

}  // namespace aqmesh::cli
