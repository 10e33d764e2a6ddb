#include "tests/lineage/workload.h"

#include "core/authority/signed.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/audit.h"
#include "lineage/content.h"
#include "lineage/history/replay.h"
#include "lineage/inputs.h"

namespace aqmesh::lineage {
namespace {

using authority::Observe;
using authority::RecordKind;

constexpr std::string_view kTurnName = "turn";
constexpr uint64_t kStart = 1'700'000'000;
constexpr std::array<uint64_t, Workload::kTurnsPerRound> kRecordsOfTurn = {2, 3, 1, 1, 2, 0, 1};
constexpr uint64_t kRedactedRound = 3;  // late enough that a subject's key has been stored
constexpr Shelf kShelves[] = {
    Shelf::kSigned, Shelf::kInputs, Shelf::kProof, Shelf::kNote, Shelf::kPolicy, Shelf::kContent};

template <class Fixed>
Fixed Numbered(uint64_t n) {
  Fixed f;
  f.bytes.fill(static_cast<uint8_t>(0x11 * (1 + n % 14)));
  StoreBe(f.bytes.data(), n);
  return f;
}
template <class Fixed>
Fixed Of(const Digest& digest) {
  return *Fixed::From(digest.view().first(Fixed::kSize));
}
Bytes BytesOf(std::string_view text) { return {text.begin(), text.end()}; }
Kid SubjectOf(uint64_t turn) { return Numbered<Kid>(turn / Workload::kTurnsPerRound % 3); }
Kid OwnLog() { return *LogOfOrigin(Workload::Signer().key().name); }
Rng RngOf(uint64_t turn) {
  Rng::Seed seed{};
  StoreBe(seed.data(), turn);
  return Rng(seed);
}
Observe About(RecordKind kind, uint64_t turn) {
  Observe r;
  r.kind = kind;
  r.scope = Numbered<ScopeId>(1);
  r.subject = SubjectOf(turn);
  return r;
}
// The steps of a join are of one round.
authority::ActionId ActionOf(uint64_t turn) {
  return Numbered<authority::ActionId>(turn / Workload::kTurnsPerRound);
}
std::string UndoName(uint64_t turn) { return Join("undo/", ToHex(ActionOf(turn))); }
Bytes SignedBytes(uint64_t turn) { return Bytes(300, static_cast<uint8_t>(turn)); }

}  // namespace

const tlog::NoteSigner& Workload::Signer() {
  static const tlog::NoteSigner signer = LogSigner(crypto::Ed25519Seed(Bytes(32, 5)));
  return signer;
}

uint64_t Workload::RecordsAfter(uint64_t turn) {
  uint64_t records = turn / kTurnsPerRound * kRecordsPerRound;
  for (uint64_t i = 0; i < turn % kTurnsPerRound; ++i) records += kRecordsOfTurn[i];
  return records;
}

absl::StatusOr<Workload> Workload::After(const Store& store) {
  AQ_ASSIGN_OR_RETURN(const auto stored, store.GetState(kTurnName));
  if (stored && stored->size() != 8) return DataLoss("the turn is of ", stored->size(), " bytes");
  const uint64_t turn = stored ? LoadBe<uint64_t>(stored->data()) : 0;
  if (turn > kTurns || store.size() != RecordsAfter(turn))
    return DataLoss("after turn ", turn, " there are ", store.size(), " records");
  Chain chain(OwnLog());
  if (store.head()) {
    AQ_ASSIGN_OR_RETURN(const Bytes last, store.Read(store.head()->seq));
    AQ_ASSIGN_OR_RETURN(chain, Chain::Resume(OwnLog(), last));
  }
  return Workload(store, std::move(chain), turn);
}

void Workload::Add(Batch& to, Observe record) {
  to.records.push_back(
      chain_.Add(std::move(record), WallTime::FromSeconds(kStart + chain_.next())));
}

Batch Workload::Next() {
  AQ_CHECK(!done());
  Batch batch;
  switch (turn_ % kTurnsPerRound) {
    case 0: LetIn(batch); break;
    case 1: Commit(batch); break;
    case 2: Carry(batch); break;
    case 3: Restrict(batch); break;
    case 4: Refuse(batch); break;
    case 5: DraftHead(batch); break;
    case 6: CiteHead(batch); break;
  }
  AQ_CHECK(batch.records.size() == kRecordsOfTurn[turn_ % kTurnsPerRound]);
  ++turn_;
  Bytes turn;
  AppendBe(turn, turn_);
  batch.puts.push_back({std::string(kTurnName), std::move(turn)});
  return batch;
}

void Workload::LetIn(Batch& to) {
  Inputs inputs;
  inputs.wall_millis = inputs.mono_nanos = 1 + turn_;
  inputs.oids = {Numbered<Oid>(turn_)};
  const Bytes encoded = EncodeInputs(inputs);
  Observe proposed = About(RecordKind::kProposed, turn_);
  proposed.authority = Numbered<Digest>(turn_);
  proposed.inputs = InputsId(encoded);
  proposed.gates = authority::Gates{6, 6, 6, 6, 6, 5};
  proposed.ladm = 49'152;
  proposed.slope = 65'600;
  proposed.rung = authority::Rung::kAdmit;
  proposed.action = 1;
  proposed.action_id = ActionOf(turn_);
  Add(to, proposed);
  Observe armed = About(RecordKind::kArmed, turn_);
  armed.action = 1;
  armed.action_id = ActionOf(turn_);
  armed.rung = authority::Rung::kAdmit;
  armed.evidence = to.records.back().leaf;
  Add(to, armed);
  to.objects = {{Shelf::kInputs, InputsId(encoded), encoded},
                {Shelf::kSigned, Numbered<Oid>(turn_), SignedBytes(turn_)}};
  to.puts = {{UndoName(turn_), Bytes(60, static_cast<uint8_t>(turn_))}};
}

void Workload::Commit(Batch& to) {
  for (const RecordKind kind :
       {RecordKind::kApplied, RecordKind::kVerified, RecordKind::kCommitted}) {
    Observe step = About(kind, turn_);
    step.action = 1;
    step.action_id = ActionOf(turn_);
    Add(to, step);
  }
  to.deletes = {UndoName(turn_)};
  to.puts = {{Join("in-force/", ToHex(SubjectOf(turn_))), Bytes(16, static_cast<uint8_t>(turn_))}};
}

void Workload::Carry(Batch& to) {
  Rng rng = RngOf(turn_);
  const ContentKey key = ContentKey::Make(rng);
  Attempts attempts;
  attempts.unlisted = turn_;
  Bytes value = {kAttemptsContent};
  Append(value, EncodeAttempts(attempts));
  const SealedContent sealed = SealContent(key, SubjectOf(turn_), value, rng);
  Observe flow = About(RecordKind::kFlow, turn_);
  flow.flow = authority::FlowSummary{.frames = 1 + turn_,
                                     .bytes = 1'000 * (1 + turn_),
                                     .first = 1,
                                     .last = ~uint64_t{0} - turn_,
                                     .tags = Numbered<Digest>(turn_),
                                     .presentations = {Numbered<Oid>(turn_)},
                                     .drops = 0};
  flow.commits = {sealed.commit};
  Add(to, flow);
  to.objects = {{Shelf::kContent, ContentName(sealed.commit), sealed.bytes}};
  to.puts = {{ContentKeyName(SubjectOf(turn_)), key.Encode()}};
}

void Workload::Restrict(Batch& to) {
  Observe seen = About(RecordKind::kRevokeSeen, turn_);
  seen.evidence = Numbered<Digest>(turn_);
  Add(to, seen);
  to.objects = {{Shelf::kSigned, Of<Oid>(*seen.evidence), SignedBytes(turn_)}};
  to.puts = {{Join("held/", turn_), Bytes(32, static_cast<uint8_t>(turn_))}};
}

void Workload::Refuse(Batch& to) {
  Observe refused = About(RecordKind::kDecided, turn_);
  refused.rung = authority::Rung::kRefuse;
  refused.reason = 2;
  Add(to, refused);
  Observe drops;
  drops.kind = RecordKind::kDrops;
  drops.drops = {{66, turn_}, {700, ~uint64_t{0}}};
  Add(to, drops);
  if (turn_ / kTurnsPerRound == kRedactedRound) {
    to.deletes = {ContentKeyName(SubjectOf(turn_))};
    to.shreds = true;
  }
}

void Workload::DraftHead(Batch& to) {
  HeadPen pen(Signer(), std::nullopt, Instant{});
  const auto draft = pen.Begin(store_->edge(), Instant{});
  AQ_CHECK(draft.ok());
  to.puts = {{"head", draft->state()}};
}

void Workload::CiteHead(Batch& to) {
  const tlog::Edge edge = store_->edge();
  const tlog::SignedCheckpoint head =
      tlog::SignCheckpoint({Signer().key().name, edge.size(), edge.Root()}, Signer());
  const Oid oid = tlog::NoteOid(head.note.text);
  Observe cites;
  cites.kind = RecordKind::kCheckpoint;
  cites.evidence = *Digest::From(oid);
  cites.intent_gen = edge.size();
  Add(to, cites);
  to.objects = {{Shelf::kNote, oid, BytesOf(head.note.Text())}};
}

absl::StatusOr<std::optional<Snapshot>> Workload::SnapshotDue() const {
  if (turn_ % (2 * kTurnsPerRound) != kTurnsPerRound - 1) return std::optional<Snapshot>();
  AQ_ASSIGN_OR_RETURN(const State state, StateOf(*store_, store_->size()));
  return std::optional<Snapshot>({store_->size(), state.Encode()});
}

// ---- looking ----

namespace {

void Put(std::string& out, ByteView bytes) {
  Bytes size;
  AppendBe(size, uint64_t{bytes.size()});
  out.append(AsText(size)).append(AsText(bytes));
}

// What a walk shows, in its order.
template <class Walk>
absl::StatusOr<std::string> Walked(Walk walk) {
  std::string out;
  AQ_RETURN_IF_ERROR(walk([&out](Seq seq, const Digest& leaf, ByteView body) {
    Bytes place;
    AppendBe(place, seq);
    Put(out, Concat({place, leaf}));
    Put(out, body);
    return true;
  }));
  return out;
}

absl::Status LookAtRecords(const Store& store, Seen& seen) {
  for (const Order order : {Order::kOldestFirst, Order::kNewestFirst}) {
    AQ_ASSIGN_OR_RETURN(std::string all, Walked([&](RecordVisitor visit) {
                          return store.WalkLog(0, kSeqEnd, order, visit);
                        }));
    seen.emplace_back("records", std::move(all));
  }
  for (uint64_t i = 0; i < 3; ++i) {
    AQ_ASSIGN_OR_RETURN(std::string some, Walked([&](RecordVisitor visit) {
                          return store.WalkSubject(
                              Numbered<Kid>(i), 0, kSeqEnd, Order::kNewestFirst, visit);
                        }));
    seen.emplace_back(Join("subject ", i), std::move(some));
  }
  AQ_ASSIGN_OR_RETURN(
      std::string flows, Walked([&](RecordVisitor visit) {
        return store.WalkWhere(
            {.kinds = Where::Kind(RecordKind::kFlow)}, 0, kSeqEnd, Order::kOldestFirst, visit);
      }));
  seen.emplace_back("flows", std::move(flows));
  AQ_ASSIGN_OR_RETURN(const Seq middle, store.SeqAt(HlcFromMillis((kStart + 31) * 1000)));
  seen.emplace_back("time", Join(middle));
  return absl::OkStatus();
}

absl::Status LookBeside(const Store& store, Seen& seen) {
  for (const Shelf shelf : kShelves) {
    std::string out;
    AQ_RETURN_IF_ERROR(store.ScanObjects(shelf, [&out](const Oid& oid, ByteView bytes) {
      Put(out, oid);
      Put(out, bytes);
      return true;
    }));
    seen.emplace_back(Join("shelf ", static_cast<unsigned>(shelf)), std::move(out));
  }
  std::string state;
  AQ_RETURN_IF_ERROR(store.ScanState("", [&state](std::string_view name, ByteView value) {
    Put(state, AsBytes(name));
    Put(state, value);
    return true;
  }));
  seen.emplace_back("state", std::move(state));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Seen> LookAtAll(const Store& store) {
  Seen seen;
  AQ_RETURN_IF_ERROR(LookAtRecords(store, seen));
  AQ_RETURN_IF_ERROR(LookBeside(store, seen));
  Bytes edge;
  store.edge().AppendTo(edge);
  seen.emplace_back("tree", AsText(edge));
  seen.emplace_back("head", store.head() ? ToHex(store.head()->leaf) : "none");
  AQ_RETURN_IF_ERROR(AuditLog(store, Workload::Signer().key(), {}).status());
  AQ_RETURN_IF_ERROR(AuditContents(store).status());
  // A snapshot is made of the log and may be missing; what it says may not be anything else.
  AQ_ASSIGN_OR_RETURN(const State folded, StateOf(store, kSeqEnd));
  seen.emplace_back("history", std::string(AsText(folded.Encode())));
  return seen;
}

std::string Differing(const Seen& a, const Seen& b) {
  std::string out;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= a.size() || i >= b.size() || a[i] != b[i])
      out += Join(out.empty() ? "" : ", ", i < a.size() ? a[i].first : b[i].first);
  }
  return out;
}

}  // namespace aqmesh::lineage
