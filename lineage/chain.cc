#include "lineage/chain.h"

#include <algorithm>
#include <utility>

#include "core/authority/signed.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::lineage {
namespace {

RecordEntry EntryOf(const authority::Observe& record, Bytes body) {
  RecordEntry entry;
  entry.seq = record.seq;
  entry.hlc = record.hlc;
  entry.prev = record.prev;
  entry.subject = record.subject;
  entry.kind = record.kind;
  entry.rung = record.rung;
  entry.authority = record.authority;
  entry.leaf = Digest{crypto::MerkleLeaf(body)};
  entry.body = std::move(body);
  return entry;
}

absl::StatusOr<authority::Observe> ParseRecord(ByteView body) {
  if (body.size() > kRecordBytesMax) {
    return DataLoss("a record of ", body.size(), " bytes: the largest has ", kRecordBytesMax);
  }
  auto record = authority::ParseBody<authority::Observe>(body);
  if (!record.ok()) return DataLoss("a record does not parse: ", Text(record.status()));
  return record;
}

}  // namespace

uint64_t HybridClock::Tick(WallTime wall) {
  last_ = std::max(last_ + 1, HlcFromMillis(wall.millis()));
  return last_;
}

bool HybridClock::Take(uint64_t remote, WallTime wall) {
  // Signed statements are in date up to 120 s ahead; what is further ahead must not move us at all,
  // or one wrong clock would set the mesh's.
  if (MillisFromHlc(remote) > wall.millis() + kDragMillisMax) return false;
  last_ = std::max(last_, remote);
  return true;
}

absl::StatusOr<Chain> Chain::Resume(const Kid& log, ByteView last) {
  AQ_ASSIGN_OR_RETURN(const authority::Observe record, ParseRecord(last));
  if (record.log != log) {
    return FailedPrecondition("record ",
                              record.seq,
                              " belongs to the log of key ",
                              ToHex(record.log),
                              ", this node's log key is ",
                              ToHex(log),
                              ": give the node the state directory that goes with its keys");
  }
  Chain chain(log);
  chain.head_ = Head{record.seq, Digest{crypto::MerkleLeaf(last)}};
  chain.clock_ = HybridClock(record.hlc);
  return chain;
}

RecordEntry Chain::Add(authority::Observe record, WallTime wall) {
  record.log = log_;
  record.seq = next();
  record.prev.reset();
  if (head_) record.prev = head_->leaf;
  record.hlc = clock_.Tick(wall);
  AQ_CHECK(record.seq < kSeqEnd);
  RecordEntry entry = EntryOf(record, authority::EncodeBody(record));
  AQ_CHECK(entry.body.size() <= kRecordBytesMax);  // follows from the bounds of its lists
  head_ = entry.head();
  return entry;
}

absl::StatusOr<RecordEntry> ParseEntry(ByteView body) {
  AQ_ASSIGN_OR_RETURN(const authority::Observe record, ParseRecord(body));
  return EntryOf(record, Bytes(body.begin(), body.end()));
}

absl::Status ChainVerifier::Add(ByteView body) {
  auto parsed = ParseRecord(body);
  if (!parsed.ok()) return Annotate(parsed.status(), Join("record ", next_));
  const authority::Observe& record = *parsed;
  if (record.seq != next_) {
    return DataLoss("record ", next_, ": its place holds record ", record.seq);
  }
  if (head_ ? record.prev != head_->leaf : (record.seq == 0) != !record.prev) {
    return DataLoss("record ",
                    next_,
                    ": it names ",
                    record.prev ? ToHex(*record.prev) : "nothing",
                    " as the record before it, which is ",
                    head_ ? ToHex(head_->leaf) : "none");
  }
  if (log_ && record.log != *log_) {
    return DataLoss("record ",
                    next_,
                    ": it belongs to the log of key ",
                    ToHex(record.log),
                    ", not of ",
                    ToHex(*log_));
  }
  if (head_ && record.hlc <= hlc_) {
    return DataLoss("record ", next_, ": its time ", record.hlc, " is not after ", hlc_);
  }
  head_ = Head{record.seq, Digest{crypto::MerkleLeaf(body)}};
  log_ = record.log;
  hlc_ = record.hlc;
  ++next_;
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage
