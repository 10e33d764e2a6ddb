// A log that is signed as it grows: records that cite inputs, objects and a policy, and heads.
#ifndef AQMESH_TESTS_LINEAGE_SEALED_LEDGER_H_
#define AQMESH_TESTS_LINEAGE_SEALED_LEDGER_H_

#include <fstream>

#include "core/crypto/hash.h"
#include "lineage/heads.h"
#include "lineage/inputs.h"
#include "lineage/sealed/seal.h"
#include "lineage/sealed/sealed_store.h"
#include "tests/lineage/story.h"

namespace aqmesh::lineage {

class Ledger {
 public:
  static crypto::Ed25519Seed Seed() { return crypto::Ed25519Seed(Bytes(32, 5)); }
  static Kid LogOf() {
    return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(Seed()));
  }
  static tlog::NoteKey Key() { return LogNoteKey(crypto::Ed25519Public(Seed())); }

  explicit Ledger(Store& store) : store_(store), chain_(LogOf()) {}

  // Records, one a second; every eighth is a decision that cites what it was made from.
  void Write(size_t records) {
    while (records > 0) {
      Batch batch;
      for (; records > 0 && batch.records.size() < 1'000; --records) {
        authority::Observe r = Decided(static_cast<uint8_t>(1 + chain_.next() % 5));
        r.inputs.reset();
        if (chain_.next() % 8 == 0) Cite(r, batch);
        if (chain_.next() % 50 == 49) {  // a restriction was seen
          r = {};
          r.kind = authority::RecordKind::kRevokeSeen;
          r.evidence = Filled<Digest>(static_cast<uint8_t>(chain_.next() / 50));
        }
        batch.records.push_back(chain_.Add(r, Time()));
      }
      const absl::Status s = store_.Commit(batch);
      ASSERT_TRUE(s.ok()) << s;
    }
  }
  void Add(authority::Observe record) {
    Batch batch;
    batch.records.push_back(chain_.Add(std::move(record), Time()));
    ASSERT_TRUE(store_.Commit(batch).ok());
  }
  // A head over all that there is, and its CHECKPOINT record.
  void Sign() {
    const tlog::NoteSigner signer = LogSigner(Seed());
    const tlog::Edge edge = store_.edge();
    const auto head = tlog::SignCheckpoint({LogOrigin(LogOf()), edge.size(), edge.Root()}, signer);
    const std::string text = head.note.Text();
    const Oid oid = tlog::NoteOid(head.note.text);
    authority::Observe r;
    r.kind = authority::RecordKind::kCheckpoint;
    r.evidence = Digest{oid.bytes};
    r.intent_gen = edge.size();
    Batch batch;
    batch.objects.push_back({Shelf::kNote, oid, Bytes(text.begin(), text.end())});
    batch.records.push_back(chain_.Add(r, Time()));
    ASSERT_TRUE(store_.Commit(batch).ok());
  }
  uint64_t size() const { return chain_.next(); }
  uint64_t now() const { return kStartSeconds + chain_.next(); }

 private:
  WallTime Time() const { return WallTime::FromSeconds(now()); }
  void Cite(authority::Observe& r, Batch& batch) {
    const Bytes policy = {'p', static_cast<uint8_t>(chain_.next() % 3)};
    Inputs in;
    in.policy = Digest{crypto::H256({policy})};
    in.wall_millis = now() * 1'000;
    in.mono_nanos = 1 + chain_.next();
    const Bytes bytes = EncodeInputs(in);
    r.inputs = InputsId(bytes);
    batch.objects.push_back({Shelf::kInputs, *r.inputs, bytes});
    batch.objects.push_back({Shelf::kPolicy, Oid{in.policy.bytes}, policy});
  }

  Store& store_;
  Chain chain_;
};

// Everything that a walk shows, as one text.
inline std::vector<std::string> Shown(const Store& store,
                                      Seq first = 0,
                                      Seq end = kSeqEnd,
                                      Order order = Order::kOldestFirst) {
  std::vector<std::string> out;
  const absl::Status s =
      store.WalkLog(first, end, order, [&](Seq seq, const Digest& leaf, ByteView body) {
        out.push_back(Join(seq, " ", ToHex(leaf), " ", body.size()));
        return true;
      });
  EXPECT_TRUE(s.ok()) << s;
  return out;
}

inline void FlipBit(const std::string& path, size_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(bit / 8));
  file.put(static_cast<char>(byte ^ (1 << bit % 8)));
}

}  // namespace aqmesh::lineage

#endif  // AQMESH_TESTS_LINEAGE_SEALED_LEDGER_H_
