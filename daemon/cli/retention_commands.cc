// lineage retain, prune, import: rules on how long records stay, what goes under them, and bringing
// sealed records back.
#include <algorithm>

#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/json_read.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "daemon/cli/log_owner.h"
#include "daemon/cli/retention.h"
#include "issuing/retention.h"
#include "lineage/heads.h"
#include "lineage/sealed/files.h"
#include "lineage/sealed/sealed_store.h"

namespace aqmesh::cli {

namespace {

// ---- retain

struct RetainFlags {
  std::vector<std::string> keep;
  bool sealed = false, this_log = false;
  std::string out;
  PassphraseFlags passphrase;
};

// "flow,drops=7d"; "all=90d".
absl::StatusOr<authority::KeepRule> ParseKeep(Session& s, const std::string& text, bool sealed) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0)
    return s.Usage(Join("--keep: wants KINDS=TIME such as flow,drops=7d, not `", text, "`"));
  authority::KeepRule rule;
  AQ_ASSIGN_OR_RETURN(const uint64_t span, SpanFlag(s, "--keep", text.substr(at + 1), 0));
  if (span == 0 || span > UINT32_MAX) return s.Usage("--keep: from 1s to 136 years");
  rule.keep = static_cast<uint32_t>(span);
  rule.exported = sealed ? 1 : 0;
  for (std::string_view left = std::string_view(text).substr(0, at); !left.empty();) {
    const std::string_view word = left.substr(0, left.find(','));
    left.remove_prefix(std::min(left.size(), word.size() + 1));
    const auto kind = lineage::KindNamed(word);
    if (word == "all") {
      rule.kinds = authority::kRecordKindsAll;
    } else if (kind) {
      rule.kinds |= 1u << (static_cast<uint32_t>(*kind) - 1);
    } else {
      return s.Usage(Join("--keep: no kind `", word, "`; all, or such as flow,drops,decided"));
    }
  }
  return rule;
}

absl::StatusOr<int> Retain(Session& s, const RetainFlags& flags) {
  issuing::RetentionTerms terms;
  for (const std::string& text : flags.keep) {
    AQ_ASSIGN_OR_RETURN(terms.rules.emplace_back(), ParseKeep(s, text, flags.sealed));
  }
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  if (flags.this_log) {
    AQ_ASSIGN_OR_RETURN(terms.log, state.KidOfKey(kLogKey));
  }
  AQ_ASSIGN_OR_RETURN(const auto pen, s.TakePen(state, true, flags.passphrase));
  AQ_ASSIGN_OR_RETURN(const auto rule,
                      issuing::MakeRetention(pen->issuer(), std::move(terms), s.now()));
  const SignedPtr fresh[] = {rule.envelope};
  AQ_RETURN_IF_ERROR(s.Keep(state, fresh));
  if (!flags.out.empty()) AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, ArmourAll(fresh)));
  s.Say(Join("Signed retention rule ",
             ShortId(rule.oid()),
             ". It is in force here; other machines import it. Undo: aqmesh revoke --root --oid ",
             ToHex(rule.oid())));
  return 0;
}

// ---- prune

struct PruneFlags {
  bool dry = false;
};

void PrintPrune(Session& s, const PreparedPrune& prepared, bool dry) {
  s.Out(s.json ? Join(PruneJson(prepared, dry), "\n") : PruneText(prepared, dry));
}

// Nobody else writes the store: what the daemon does in its turns happens here in one go.
absl::StatusOr<PreparedPrune> PruneHere(Session& s,
                                        const StateDir& state,
                                        lineage::RocksStore& store,
                                        const std::string& place) {
  AQ_ASSIGN_OR_RETURN(PreparedPrune prepared, PreparePrune(store, place, s.now(), Doing::kPrepare));
  if (prepared.plan.records() == 0) return prepared;
  AQ_ASSIGN_OR_RETURN(const Kid log, state.KidOfKey(kLogKey));
  AQ_ASSIGN_OR_RETURN(const Bytes last, store.Read(store.head()->seq));
  AQ_ASSIGN_OR_RETURN(lineage::Chain chain, lineage::Chain::Resume(log, last));
  lineage::Batch batch;
  batch.records.push_back(
      chain.Add(lineage::RetainedRecord(prepared.plan, prepared.rule), s.wall()));
  batch.puts.push_back(PruningMark(prepared));
  AQ_RETURN_IF_ERROR(store.Commit(batch));  // before anything goes
  AQ_RETURN_IF_ERROR(FinishPruning(store));
  return prepared;
}

absl::StatusOr<int> Prune(Session& s, const PruneFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const std::string place, state.SealedPath());
  if (flags.dry) {
    AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
    AQ_ASSIGN_OR_RETURN(const PreparedPrune looked,
                        PreparePrune(*store, place, s.now(), Doing::kLook));
    PrintPrune(s, looked, true);
    return 0;
  }
  if (!lineage::RocksStore::IsOpenElsewhere(state.store_path())) {
    AQ_ASSIGN_OR_RETURN(const auto store, state.OpenStore());
    AQ_ASSIGN_OR_RETURN(const PreparedPrune done, PruneHere(s, state, *store, place));
    PrintPrune(s, done, false);
    return 0;
  }
  AQ_ASSIGN_OR_RETURN(const LiveAnswer answer, s.Live()->Call({.verb = "prune"}));
  s.Out(s.json ? Join(answer.json, "\n") : TextIn(ReadObject(answer.json), "text"));
  return 0;
}

// ---- import

struct ImportFlags {
  std::string dir;
};

// Whose key signed the heads of these segments: this machine's own log, by its key; another
// member's, by what the segments cite under our charter.
absl::StatusOr<LogOwner> OwnerIn(const lineage::SealedStore& sealed, const KnownObjects& known) {
  if (known.charter() == nullptr) return FailedPrecondition("this machine is in no mesh yet");
  AQ_ASSIGN_OR_RETURN(const KnownObjects theirs, LoadObjects(sealed));
  std::vector<SignedPtr> objects = known.All();
  for (const SignedPtr& o : theirs.All()) objects.push_back(o);
  AQ_ASSIGN_OR_RETURN(const Bytes first, sealed.Read(sealed.first()));
  AQ_ASSIGN_OR_RETURN(const auto record, authority::ParseBody<authority::Observe>(first));
  const uint64_t at = lineage::MillisFromHlc(record.hlc) / 1'000;
  const std::vector<Member> members = MembersIn(objects, *known.charter(), at);
  return OwnerOf(sealed.log(), objects, members, issuing::ScopeOfCharter(*known.charter()));
}

absl::Status CheckHeads(const lineage::SealedStore& sealed, const Ed25519Key& log) {
  const tlog::NoteKey key = lineage::LogNoteKey(log);
  if (key.name != lineage::LogOrigin(sealed.log()))
    return Unauthenticated("the key of the log is not the one that its name says");
  for (const auto& segment : sealed.segments()) {
    AQ_ASSIGN_OR_RETURN(const tlog::SignedCheckpoint head, segment->ReadCheckpoint());
    if (head.checkpoint.origin != key.name)
      return Unauthenticated(segment->dir(), ": its head is of ", head.checkpoint.origin);
    AQ_RETURN_IF_ERROR(Annotate(tlog::VerifyNote(head.note, {&key, 1}).status(), segment->dir()));
  }
  return absl::OkStatus();
}

// Where the store has the same log, each record must have the hash that it has there.
absl::Status CheckAgainstOwn(const lineage::Store& own, const lineage::SealedStore& sealed) {
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> log, LogKidOf(own));
  if (log != sealed.log()) return absl::OkStatus();
  if (sealed.size() > own.size())
    return DataLoss("the segments have ",
                    sealed.size(),
                    " records, the log here ",
                    own.size(),
                    ": its tail is lost, or the disk was restored from a backup");
  for (uint64_t i = sealed.first() / tlog::kTileWidth; i < sealed.size() / tlog::kTileWidth; ++i) {
    const tlog::Tile tile{0, i, tlog::kTileWidth};
    AQ_ASSIGN_OR_RETURN(const Bytes theirs, sealed.ReadTile(tile));
    AQ_ASSIGN_OR_RETURN(const Bytes ours, own.ReadTile(tile));
    if (theirs != ours)
      return DataLoss("records from ", i * tlog::kTileWidth, " on are not those of the log here");
  }
  return absl::OkStatus();
}

absl::Status CopySegment(const lineage::Segment& from, const std::string& archive) {
  const std::string name = from.dir().substr(from.dir().rfind('/') + 1);
  const std::string to = Join(archive, "/", name), half = Join(archive, "/.unfinished-", name);
  if (lineage::IsDirectory(to)) return absl::OkStatus();
  AQ_RETURN_IF_ERROR(lineage::RemoveTree(half));
  AQ_RETURN_IF_ERROR(lineage::MakeDirectory(half));
  std::vector<std::string> files = {std::string(lineage::kManifestName)};
  for (const auto& file : from.manifest().files) files.push_back(file.path);
  for (const std::string& file : files) {
    for (size_t slash = file.find('/'); slash != std::string::npos;
         slash = file.find('/', slash + 1))
      AQ_RETURN_IF_ERROR(lineage::MakeDirectory(Join(half, "/", file.substr(0, slash))));
    AQ_ASSIGN_OR_RETURN(
        const Bytes content,
        lineage::ReadWhole(Join(from.dir(), "/", file), lineage::kSealedFileBytesMax));
    AQ_RETURN_IF_ERROR(lineage::WriteNew(Join(half, "/", file), content));
  }
  AQ_RETURN_IF_ERROR(lineage::SyncDirectory(half));
  AQ_RETURN_IF_ERROR(lineage::RenameTo(half, to));
  return lineage::SyncDirectory(archive);
}

absl::StatusOr<int> Import(Session& s, const ImportFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(*store));
  std::optional<Kid> kid;
  if (!s.log.empty()) {
    AQ_ASSIGN_OR_RETURN(const std::vector<Kid> logs, lineage::SealedLogs(flags.dir));
    for (const Kid& k : logs) {
      if (ToHex(k).starts_with(s.log)) kid = k;
    }
    if (!kid) return NotFound("no log ", s.log, " in ", flags.dir);
  }
  AQ_ASSIGN_OR_RETURN(const auto sealed, lineage::SealedStore::Open(flags.dir, kid));
  AQ_RETURN_IF_ERROR(sealed->VerifyAll([](const lineage::Segment&) {}));
  AQ_ASSIGN_OR_RETURN(const LogOwner owner, OwnerIn(*sealed, known));
  AQ_RETURN_IF_ERROR(CheckHeads(*sealed, owner.log));
  AQ_RETURN_IF_ERROR(Annotate(CheckAgainstOwn(*store, *sealed), flags.dir));
  const std::string archive = lineage::SealedDirOf(state.archive_path(), sealed->log());
  AQ_RETURN_IF_ERROR(lineage::MakeDirectory(state.archive_path()));
  AQ_RETURN_IF_ERROR(lineage::MakeDirectory(archive));
  AQ_ASSIGN_OR_RETURN(const auto lock, lineage::DirectoryLock::Take(archive));
  for (const auto& segment : sealed->segments()) AQ_RETURN_IF_ERROR(CopySegment(*segment, archive));
  // What was copied is read again: a copy that went wrong must not pass for the records.
  AQ_ASSIGN_OR_RETURN(const auto copied, lineage::SealedStore::Open(archive, sealed->log()));
  AQ_RETURN_IF_ERROR(copied->VerifyAll([](const lineage::Segment&) {}));
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.lineage-import/1").Field("log", ToHex(sealed->log()));
    w.Field("owner", owner.member.name)
        .Field("first", sealed->first())
        .Field("end", sealed->size());
    w.Field("segments", sealed->segments().size()).End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join("Records ",
             sealed->first(),
             " to ",
             sealed->size() - 1,
             " of ",
             owner.member.name,
             "'s log ",
             ToHex(sealed->log()),
             " hold, and can be asked for again\n"));
  return 0;
}

}  // namespace

void AddRetention(Tree& tree, CLI::App* lineage) {
  auto retain = std::make_shared<RetainFlags>();
  CLI::App* app = tree.Command(lineage,
                               "retain",
                               "Sign a rule on how long records stay (root key)",
                               "aqmesh lineage retain --keep flow,drops=7d --keep all=90d --sealed",
                               [retain](Session& s) { return Retain(s, *retain); });
  app->add_option("--keep", retain->keep, "KINDS=TIME; of a kind the first that names it")
      ->required()
      ->allow_extra_args(false);
  app->add_flag("--sealed", retain->sealed, "Only after a sealed copy of them was read again");
  app->add_flag("--this-log", retain->this_log, "For this machine's log alone, not for all");
  app->add_option("-o,--output", retain->out, "Also to this file, for other machines");
  AddPassphrase(app, retain->passphrase);

  auto prune = std::make_shared<PruneFlags>();
  app = tree.Command(lineage,
                     "prune",
                     "Let go of records that the retention rule does not keep",
                     "aqmesh lineage prune --dry-run",
                     [prune](Session& s) { return Prune(s, *prune); });
  app->add_flag("--dry-run", prune->dry, "Say what would go, and change nothing");
  tree.Json(app);

  auto import = std::make_shared<ImportFlags>();
  app = tree.Command(lineage,
                     "import",
                     "Make sealed records queryable again beside this machine's store",
                     "aqmesh lineage import /mnt/backup/sealed",
                     [import](Session& s) { return Import(s, *import); });
  app->add_option("DIR", import->dir, "What `lineage export --sealed` wrote")->required();
  tree.Json(app);
}

}  // namespace aqmesh::cli
