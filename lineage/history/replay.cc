#include "lineage/history/replay.h"

#include <algorithm>
#include <limits>

#include "core/authority/signed.h"
#include "core/base/status.h"

namespace aqmesh::lineage {

namespace {

// A snapshot is at most an eighth of the log that it saves from being read, at 300 bytes a record.
constexpr uint64_t kStateBytesPerRecord = 40;

// The state of a snapshot of at most `newest` records that this log leads to.
absl::StatusOr<std::optional<State>> Anchor(const Store& log, uint64_t newest) {
  for (;;) {
    AQ_ASSIGN_OR_RETURN(const std::optional<Snapshot> kept, log.SnapshotAt(newest));
    if (!kept) return std::optional<State>();
    auto state = State::Parse(kept->state);
    if (state.ok() && state->records() == kept->records && state->head()) {
      std::optional<Digest> leaf;
      const Seq last = kept->records - 1;
      if (last < log.first()) {  // the hashes of what was pruned stay
        const auto width = static_cast<unsigned>(last % tlog::kTileWidth) + 1;
        AQ_ASSIGN_OR_RETURN(const Bytes tile, log.ReadTile({0, last / tlog::kTileWidth, width}));
        leaf = Digest::From(ByteView(tile).last(Digest::kSize));
      }
      AQ_RETURN_IF_ERROR(
          log.WalkLog(last, last + 1, Order::kOldestFirst, [&leaf](Seq, const Digest& l, ByteView) {
            leaf = l;
            return false;
          }));
      if (leaf == state->head()->leaf) return std::optional<State>(*std::move(state));
    }
    // Another version's, or another log's: the one before may serve.
    if (kept->records == 0) return std::optional<State>();
    newest = kept->records - 1;
  }
}

}  // namespace

absl::StatusOr<uint64_t> RecordsUntil(const Store& log, uint64_t hlc) {
  if (hlc == std::numeric_limits<uint64_t>::max()) return log.size();
  return log.SeqAt(hlc + 1);
}

absl::Status Advance(const Store& log, uint64_t records, State& state) {
  records = std::min(records, log.size());
  if (state.records() < std::min(records, log.first()))
    return FailedPrecondition("the state is not known before record ",
                              log.first(),
                              ": ",
                              GoneText(log.gone()),
                              "; `aqmesh lineage import` brings back what was sealed");
  absl::Status broken;
  while (state.records() < records && broken.ok()) {
    // A group at a time: a store may not be changed while it is walked.
    const uint64_t end = std::min(records, state.records() + kGroupRecordsMax);
    AQ_RETURN_IF_ERROR(log.WalkLog(
        state.records(), end, Order::kOldestFirst, [&](Seq seq, const Digest& leaf, ByteView b) {
          const auto record = authority::ParseBody<authority::Observe>(b);
          if (!record.ok()) {
            broken = DataLoss("record ", seq, " does not parse: ", Text(record.status()));
            return false;
          }
          state.Apply(*record, leaf);
          return true;
        }));
  }
  return broken;
}

absl::StatusOr<State> StateOf(const Store& log, uint64_t records, uint64_t newest) {
  records = std::min(records, log.size());
  AQ_ASSIGN_OR_RETURN(std::optional<State> anchor, Anchor(log, std::min(records, newest)));
  State state = anchor ? *std::move(anchor) : State();
  AQ_RETURN_IF_ERROR(Advance(log, records, state));
  return state;
}

absl::StatusOr<State> StateAt(const Store& log, uint64_t hlc) {
  AQ_ASSIGN_OR_RETURN(const uint64_t records, RecordsUntil(log, hlc));
  AQ_ASSIGN_OR_RETURN(State state, StateOf(log, records));
  // Of a log that has lost its beginning, an instant before what is left would get the state there.
  if (log.first() > 0 && records <= log.first() && state.hlc() > hlc)
    return FailedPrecondition("the state then is not known any more: ",
                              GoneText(log.gone()),
                              "; `aqmesh lineage import` brings back what was sealed");
  return state;
}

void Snapshots::Took(uint64_t records, size_t bytes) {
  due_ = records + std::clamp<uint64_t>(bytes / kStateBytesPerRecord, kEveryMin, kEveryMax);
}

absl::Status Snapshots::Open() {
  AQ_ASSIGN_OR_RETURN(const std::optional<State> anchor, Anchor(store_, store_.size()));
  if (anchor) Took(anchor->records(), anchor->Encode().size());
  return absl::OkStatus();
}

absl::StatusOr<bool> Snapshots::TakeNext() {
  if (store_.size() + kEveryMax < due_) due_ = kEveryMin;  // another log began
  if (store_.size() < due_) return false;
  AQ_ASSIGN_OR_RETURN(const State state, StateOf(store_, due_));
  Snapshot snapshot{due_, state.Encode()};
  AQ_RETURN_IF_ERROR(store_.PutSnapshot(snapshot));
  Took(snapshot.records, snapshot.state.size());
  return true;
}

}  // namespace aqmesh::lineage
