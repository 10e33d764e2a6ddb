// What the shipping tests are told in: a log with heads, and a record that has every field.
#ifndef AQMESH_TESTS_LINEAGE_SHIP_SHIPPED_H_
#define AQMESH_TESTS_LINEAGE_SHIP_SHIPPED_H_

#include <limits>

#include "lineage/heads.h"
#include "lineage/ship/schema.h"
#include "lineage/tlog/checkpoint.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage::ship {

inline constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

// A machine's log: records, and now and then a head over them with the record that cites it.
class ShippedLog {
 public:
  explicit ShippedLog(uint8_t seed = 5)
      : signer_(LogSigner(crypto::Ed25519Seed(Bytes(32, seed)))),
        kid_(*LogOfOrigin(signer_.key().name)),
        scribe_(Chain(kid_)) {}

  const Kid& kid() const { return kid_; }
  MemStore& store() { return store_; }
  void Grow(size_t records) { ASSERT_TRUE(store_.Commit(scribe_.NextBatch(records)).ok()); }
  void Add(authority::Observe record) {
    ASSERT_TRUE(store_.Commit({.records = {scribe_.Add(std::move(record))}}).ok());
  }
  // A head of what is there. `root`: another than the log has.
  Checkpoint Sign(std::optional<Digest> root = std::nullopt) {
    const tlog::SignedCheckpoint head = tlog::SignCheckpoint(
        {signer_.key().name, store_.size(), root ? *root : store_.edge().Root()}, signer_);
    const std::string text = head.note.Text();
    const Checkpoint out{tlog::NoteOid(head.note.text), store_.size()};
    authority::Observe cites;
    cites.kind = authority::RecordKind::kCheckpoint;
    cites.evidence = *Digest::From(out.oid);
    cites.intent_gen = out.size;
    Batch batch;
    batch.objects.push_back({Shelf::kNote, out.oid, Bytes(text.begin(), text.end())});
    batch.records.push_back(scribe_.Add(cites));
    EXPECT_TRUE(store_.Commit(batch).ok());
    return out;
  }

 private:
  tlog::NoteSigner signer_;
  Kid kid_;
  MemStore store_;
  Scribe scribe_;
};

// Every field there is; counts as large as a peer may make them.
inline authority::Observe Everything() {
  authority::Observe r = Decided(7, authority::Rung::kRefuse);
  r.action_id = Filled<authority::ActionId>(0x60);
  r.intent_gen = kMost;
  r.observed_gen = 8;
  r.evidence = Filled<Digest>(0x61);
  r.reason = 66;
  r.commits = {Filled<Digest>(0x62), Filled<Digest>(0x63)};
  r.flow = authority::FlowSummary{.frames = 9,
                                  .bytes = 10,
                                  .first = 11,
                                  .last = kMost,
                                  .tags = Filled<Digest>(0x64),
                                  .presentations = {Filled<Oid>(0x65)},
                                  .drops = 12};
  r.drops = {{66, 40}, {700, kMost}};
  return r;
}
inline Row RowOf(authority::Observe record, std::optional<Checkpoint> checkpoint = std::nullopt) {
  record.log = LogKid();
  record.seq = 3;
  record.prev = Filled<Digest>(0x01);
  record.hlc = HlcFromMillis(1'795'251'600'123) + 1;
  return {std::move(record), Filled<Digest>(0xab), Bytes{1, 2, 0xff}, checkpoint};
}
inline Words PlainWords() {
  return {"atlas",
          {[](uint16_t code) { return code == 2 ? std::string_view("handle") : ""; },
           [](const Kid& kid) { return kid == Filled<Kid>(7) ? "draco" : ""; }}};
}

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_TESTS_LINEAGE_SHIP_SHIPPED_H_
