#include "lineage/audit.h"

#include <algorithm>
#include <vector>

#include "core/authority/signed.h"
#include "core/base/status.h"
#include "lineage/content.h"

namespace aqmesh::lineage {

namespace {

constexpr size_t kHeadsLookedAt = 4;       // behind a record: cosignatures may be late
constexpr Seq kRecordsLookedAt = 1 << 18;  // a head is due after 1,024

struct SizeAndRoot {
  uint64_t size = 0;
  Digest root;
};

// The heads of this log on the shelf, by size, their signatures checked and counted.
absl::StatusOr<std::vector<SizeAndRoot>> HeadsOf(const Store& store,
                                                 std::span<const tlog::NoteKey> keys,
                                                 AuditReport& report) {
  std::vector<SizeAndRoot> heads;
  absl::Status wrong;
  AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kNote, [&](const Oid& oid, ByteView bytes) {
    const auto note = tlog::ParseCheckpoint(AsText(bytes));
    if (!note.ok() || tlog::NoteOid(note->note.text) != oid) {
      wrong = DataLoss("note ", ToHex(oid), " is not what it was stored as");
      return false;
    }
    const tlog::Checkpoint& head = note->checkpoint;
    if (head.origin != keys[0].name) return true;  // another log's
    const auto signers = tlog::VerifyNote(note->note, keys);
    if (!signers.ok() || signers->front().key != 0) {
      wrong = Unauthenticated(
          "the head of ",
          head.size,
          " records: ",
          signers.ok() ? "the log's own signature is missing" : Text(signers.status()));
      return false;
    }
    report.cosignatures += signers->size() - 1;
    for (const tlog::Signer& s : std::span(*signers).subspan(1)) {
      AuditReport::Cosigned& c = report.by_cosigner[s.key - 1];
      ++c.heads;
      if (head.size >= c.size) c.size = head.size, c.time = s.time;
    }
    if (!report.newest || report.newest->checkpoint.size < head.size) report.newest = *note;
    heads.push_back({head.size, head.root});
    return true;
  }));
  AQ_RETURN_IF_ERROR(wrong);
  std::ranges::sort(heads, {}, &SizeAndRoot::size);
  return heads;
}

// What was opened says what it is about.
absl::StatusOr<Content> Readable(Content content) {
  AQ_RETURN_IF_ERROR(AttemptsIn(content).status());
  return content;
}

absl::Status CheckRoot(const SizeAndRoot& head, const Digest& root) {
  if (root == head.root) return absl::OkStatus();
  return DataLoss("the head of ",
                  head.size,
                  " records was signed over the root ",
                  ToHex(head.root),
                  ", the records give ",
                  ToHex(root));
}

// The hashes that stayed of what was pruned: a path of each 256 goes by all of them.
absl::Status CheckGone(const Store& store, tlog::Prover& prover) {
  if (!store.gone().under) return absl::OkStatus();
  for (Seq at = 0; at < store.first(); at += tlog::kTileWidth)
    AQ_RETURN_IF_ERROR(Annotate(prover.Inclusion(at).status(), Join("the hash of record ", at)));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AuditReport> AuditLog(const Store& store,
                                     const tlog::NoteKey& log,
                                     std::span<const tlog::NoteKey> cosigners) {
  AuditReport report;
  report.by_cosigner.resize(cosigners.size());
  // Before the heads: a live log goes on meanwhile, and signs what we do not read any more.
  const std::optional<Head> end = store.head();
  const tlog::Edge edge = store.edge();
  std::vector<tlog::NoteKey> keys{log};
  keys.insert(keys.end(), cosigners.begin(), cosigners.end());
  AQ_ASSIGN_OR_RETURN(const std::vector<SizeAndRoot> heads, HeadsOf(store, keys, report));
  report.gone = store.gone();
  ChainVerifier chain(report.gone.end);
  AQ_ASSIGN_OR_RETURN(tlog::Prover prover, store.ProverAt(edge.size()));
  tlog::Edge tree;
  if (report.gone.end > 0) {
    AQ_ASSIGN_OR_RETURN(tree, prover.EdgeAt(report.gone.end));
  }
  size_t next = 0;
  absl::Status wrong;
  const auto check_head = [&](const Digest& root) {
    wrong = CheckRoot(heads[next], root);
    if (wrong.ok()) report.covered = heads[next++].size;
    if (wrong.ok()) ++report.heads;
    return wrong.ok();
  };
  const auto check_heads = [&] {
    while (next < heads.size() && heads[next].size <= tree.size()) {
      if (!check_head(tree.Root())) return false;
    }
    return true;
  };
  AQ_RETURN_IF_ERROR(CheckGone(store, prover));
  for (; next < heads.size() && heads[next].size < tree.size();) {
    if (!report.gone.under) {  // segments without those before: what was there is not known
      ++next;
      continue;
    }
    AQ_ASSIGN_OR_RETURN(const tlog::Edge then, prover.EdgeAt(heads[next].size));
    if (!check_head(then.Root())) return wrong;
  }
  AQ_RETURN_IF_ERROR(store.WalkLog(report.gone.end,
                                   end ? end->seq + 1 : 0,
                                   Order::kOldestFirst,
                                   [&](Seq, const Digest& leaf, ByteView body) {
                                     wrong = chain.Add(body);
                                     if (!wrong.ok()) return false;
                                     tree.Append(leaf);
                                     return check_heads();
                                   }));
  AQ_RETURN_IF_ERROR(wrong);
  if (chain.head() != end)
    return DataLoss("the log ends at another record than the store says it does");
  if (tree.size() == edge.size() && tree != edge)
    return DataLoss("the stored tree is not that of the records: its root is ",
                    ToHex(edge.Root()),
                    ", theirs is ",
                    ToHex(tree.Root()));
  // Sealed segments lie under a head that is longer than they are.
  if (tree.size() < edge.size()) {
    AQ_ASSIGN_OR_RETURN(const tlog::Edge there, prover.EdgeAt(tree.size()));
    if (there != tree) return DataLoss("the tiles are not those of the records");
    for (; next < heads.size() && heads[next].size <= edge.size(); ++next) {
      if (heads[next].size == edge.size()) AQ_RETURN_IF_ERROR(CheckRoot(heads[next], edge.Root()));
      ++report.heads;
    }
    report.covered = tree.size();
  }
  if (next < heads.size() && std::max(store.size(), edge.size()) < heads.back().size) {
    return DataLoss("a head of ",
                    heads.back().size,
                    " records was signed, the log has ",
                    store.size(),
                    ": its tail is lost, or the disk was restored from a backup");
  }
  report.records = tree.size() - report.gone.end;
  report.end = end;
  return report;
}

absl::StatusOr<ContentReport> AuditContents(const Store& store) {
  constexpr uint64_t kStep = 16'384;
  ContentReport report;
  const Where flows{.kinds = Where::Kind(authority::RecordKind::kFlow)};
  for (Seq at = 0; at < store.size(); at += kStep) {
    std::vector<authority::Observe> committed;
    AQ_RETURN_IF_ERROR(store.WalkWhere(
        flows, at, at + kStep, Order::kOldestFirst, [&](Seq, const Digest&, ByteView body) {
          auto record = authority::ParseBody<authority::Observe>(body);
          if (record.ok() && !record->commits.empty()) committed.push_back(*std::move(record));
          return true;
        }));
    for (const authority::Observe& record : committed) {
      absl::StatusOr<Content> content = ReadContent(store, record);
      if (content.ok()) content = Readable(*std::move(content));
      if (!content.ok()) return Annotate(content.status(), Join("record ", record.seq));
      report.open += content->state == Content::State::kOpen;
      report.closed += content->state == Content::State::kClosed;
      report.absent += content->state == Content::State::kAbsent;
    }
  }
  return report;
}

absl::StatusOr<tlog::SignedCheckpoint> HeadOver(const Store& store,
                                                Seq seq,
                                                std::string_view origin) {
  std::vector<Oid> cited;
  AQ_RETURN_IF_ERROR(
      store.WalkLog(seq + 1,
                    seq + 1 + kRecordsLookedAt,
                    Order::kOldestFirst,
                    [&](Seq, const Digest&, ByteView body) {
                      const auto record = authority::ParseBody<authority::Observe>(body);
                      if (record.ok() && record->kind == authority::RecordKind::kCheckpoint &&
                          record->evidence && record->intent_gen > seq)
                        cited.push_back(Oid{record->evidence->bytes});
                      return cited.size() < kHeadsLookedAt;
                    }));
  std::optional<tlog::SignedCheckpoint> best;
  for (const Oid& oid : cited) {
    AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(Shelf::kNote, oid));
    if (!bytes) return DataLoss("note ", ToHex(oid), " is cited and not in the store");
    AQ_ASSIGN_OR_RETURN(auto note, tlog::ParseCheckpoint(AsText(*bytes)));
    if (note.checkpoint.origin != origin || note.checkpoint.size <= seq) continue;
    if (!best || note.note.lines.size() > best->note.lines.size()) best = std::move(note);
  }
  // Sealed segments lie under heads that their own records do not tell of yet.
  if (!best && store.edge().size() > store.size()) {
    AQ_RETURN_IF_ERROR(store.ScanObjects(Shelf::kNote, [&](const Oid&, ByteView bytes) {
      auto note = tlog::ParseCheckpoint(AsText(bytes));
      const bool covers = note.ok() && note->checkpoint.origin == origin &&
                          note->checkpoint.size > seq &&
                          note->checkpoint.size == store.edge().size();
      if (covers) best = *std::move(note);
      return !covers;
    }));
  }
  if (!best) {
    return NotFound("no signed head covers record ",
                    seq,
                    " yet: heads are signed each minute, once two peers have answered after a "
                    "start; `aqmesh status` shows the newest");
  }
  return *std::move(best);
}

}  // namespace aqmesh::lineage
