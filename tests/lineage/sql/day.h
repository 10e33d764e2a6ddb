// A day in the mesh of spec/objects.md §8, as atlas's log has it: who came, who was refused and
// why, what was installed, carried, revoked and rolled back. The same bytes each time.
#ifndef AQMESH_TESTS_LINEAGE_SQL_DAY_H_
#define AQMESH_TESTS_LINEAGE_SQL_DAY_H_

#include "core/authority/decision.h"
#include "lineage/heads.h"
#include "lineage/inputs.h"
#include "lineage/sql/auth_digest.h"
#include "lineage/store.h"
#include "tests/issuing/vectors.h"

namespace aqmesh::lineage::sql {

inline constexpr uint64_t kNine = 1'795'251'600;  // 2026-11-21T09:00:00Z

template <class Fixed>
Fixed All(uint8_t byte) {
  Fixed f;
  f.bytes.fill(byte);
  return f;
}

class Day {
 public:
  using Kind = authority::RecordKind;
  using Rung = authority::Rung;
  using Reason = authority::Reason;

  Day() {
    Keep(mesh_.charter);
    Keep(mesh_.enroller);
    Keep(mesh_.atlas_node);
    Keep(mesh_.members);
    borealis_ = Member("borealis", 3, 11);
    cygnus_ = Member("cygnus", 6, 12);
    draco_ = Member("draco", 7, 13);
    Morning();
    Noon();
  }

  const Batch& batch() const { return batch_; }
  const Kid& borealis() const { return borealis_; }
  const Kid& draco() const { return draco_; }
  Kid atlas() const { return mesh_.atlas.kid(); }

 private:
  using Seed = crypto::Ed25519Seed;

  template <class T>
  void Keep(const authority::Held<T>& object) {
    Keep(*object.envelope);
  }
  void Keep(const authority::Signed& object) {
    batch_.objects.push_back({Shelf::kSigned, object.oid(), object.bytes()});
  }

  // A NODE grant as atlas's, with another key.
  Kid Member(std::string name, uint8_t seed, uint64_t seq) {
    authority::Grant grant = mesh_.atlas_node.body;
    grant.key = crypto::Ed25519Public(Seed(Bytes(32, seed)));
    grant.name = std::move(name);
    grant.seq = seq;
    grant.prefixes = {Prefix::Host(*IpAddress::Parse(Join("100.79.3.", seed)))};
    grant.not_before = kNine - 86'400;
    const authority::Signed object = authority::SignObject(grant, mesh_.root_seed);
    Keep(object);
    grants_[authority::KidOf(grant.suite, grant.key)] = object.oid();
    return authority::KidOf(grant.suite, grant.key);
  }

  void At(int hour, int minute, int second = 0, int millis = 0) {
    now_ = WallTime{static_cast<int64_t>(
        (kNine + static_cast<uint64_t>((hour - 9) * 3'600 + minute * 60 + second)) * 1'000'000'000 +
        static_cast<uint64_t>(millis) * 1'000'000)};
  }
  void Later(int millis) { now_.nanos += int64_t{millis} * 1'000'000; }
  Digest Add(const authority::Observe& record) {
    batch_.records.push_back(chain_.Add(record, now_));
    return batch_.records.back().leaf;
  }

  Oid PutInputs(const Kid& subject, uint64_t age) {
    Inputs in;
    in.oids = {mesh_.charter.oid(), grants_[subject], mesh_.members.oid()};
    in.policy = All<Digest>(0x77);
    in.slopes = {{.kid = subject, .a = 49'152}};
    in.age = age;
    in.wall_millis = now_.millis();
    in.mono_nanos = static_cast<uint64_t>(now_.nanos - int64_t{1'795'000'000} * 1'000'000'000);
    in.action = 3;
    const Bytes bytes = EncodeInputs(in);
    const Oid id = InputsId(bytes);
    batch_.objects.push_back({Shelf::kInputs, id, bytes});
    return id;
  }

  // Judged by the presentation with this first byte; `gate` is the one that holds it at `rung`.
  void Decide(Kind kind, const Kid& who, uint8_t presentation, Rung rung, size_t gate, Reason why) {
    authority::Observe o;
    o.kind = kind;
    o.scope = mesh_.atlas_node.body.scope;
    o.subject = who;
    o.authority = AuthDigestOf(All<Oid>(presentation));
    o.inputs = PutInputs(who, 4);
    o.gates = authority::Gates{6, 6, 6, 6, 6, 6};
    (*o.gates)[gate] = static_cast<uint8_t>(rung);
    o.ladm = 49'152;
    o.slope = 65'600;
    o.corr = 1'000;
    o.rung = rung;
    o.action = 3;
    o.reason = static_cast<uint16_t>(why);
    Add(o);
  }

  void Stage(
      Kind kind, const Kid& who, uint8_t action, Rung rung, uint64_t seen, uint16_t what = 3) {
    authority::Observe o;
    o.kind = kind;
    o.subject = who;
    o.rung = rung;
    o.action = what;
    o.action_id = All<authority::ActionId>(action);
    o.intent_gen = 1;
    o.observed_gen = seen;
    Add(o);
  }
  void Install(const Kid& who, uint8_t action, Rung rung, uint16_t what = 3) {
    Stage(Kind::kArmed, who, action, rung, 0, what);
    Later(3);
    Stage(Kind::kApplied, who, action, rung, 0, what);
    Stage(Kind::kVerified, who, action, rung, 1, what);
    Later(9);
    Stage(Kind::kCommitted, who, action, rung, 1, what);
  }

  void Flow(const Kid& who, uint8_t presentation, uint64_t frames, uint64_t bytes, uint64_t lost) {
    authority::Observe o;
    o.kind = Kind::kFlow;
    o.scope = mesh_.atlas_node.body.scope;
    o.subject = who;
    o.flow = authority::FlowSummary{.frames = frames,
                                    .bytes = bytes,
                                    .first = 1,
                                    .last = frames + lost,
                                    .tags = All<Digest>(presentation),
                                    .presentations = {All<Oid>(presentation)},
                                    .drops = lost};
    Add(o);
  }

  void Drops(std::vector<authority::DropCount> drops) {
    authority::Observe o;
    o.kind = Kind::kDrops;
    o.drops = std::move(drops);
    Add(o);
  }

  // A head of what is there, signed by the log, cosigned by borealis and by somebody unknown.
  void SignHead() {
    tlog::Edge edge;
    for (const RecordEntry& entry : batch_.records) edge.Append(entry.leaf);
    const tlog::NoteSigner log = LogSigner(Seed(Bytes(32, 5)));
    tlog::SignedCheckpoint head =
        tlog::SignCheckpoint({log.key().name, batch_.records.size(), edge.Root()}, log);
    for (const uint8_t seed : {uint8_t{3}, uint8_t{40}}) {
      const tlog::NoteSigner cosigner = CosignerSigner(Seed(Bytes(32, seed)));
      head.note.lines.push_back(cosigner.Sign(head.note.text, now_.seconds() + 2));
    }
    const Oid oid = tlog::NoteOid(head.note.text);
    const std::string text = head.note.Text();
    batch_.objects.push_back({Shelf::kNote, oid, Bytes(text.begin(), text.end())});
    authority::Observe o;
    o.kind = Kind::kCheckpoint;
    o.evidence = *Digest::From(oid);
    o.intent_gen = batch_.records.size();
    Add(o);
  }

  void Morning() {
    At(9, 0);
    Install(atlas(), 0xa0, Rung::kNone, 4);  // the interface and its routes
    At(9, 0, 10);
    Decide(Kind::kProposed, borealis_, 0xb1, Rung::kAdmit, 0, Reason::kNone);
    Install(borealis_, 0xa1, Rung::kAdmit);
    At(9, 0, 20);
    Flow(borealis_, 0xb1, 120, 96'000, 0);
    At(9, 5);
    Decide(Kind::kDecided, cygnus_, 0xc1, Rung::kRefuse, 0, Reason::kExpired);
    At(9, 6, 30);
    Decide(Kind::kDecided, cygnus_, 0xc1, Rung::kRefuse, 0, Reason::kExpired);
    At(9, 10);
    Decide(Kind::kProposed, draco_, 0xd1, Rung::kConstrain, 3, Reason::kStale);
    Install(draco_, 0xa2, Rung::kConstrain);
    At(9, 20);
    Flow(draco_, 0xd1, 40, 31'000, 3);
    At(9, 30);
    authority::Observe approved;
    approved.kind = Kind::kApproved;
    approved.scope = mesh_.atlas_node.body.scope;
    approved.subject = cygnus_;
    approved.evidence = *Digest::From(grants_[cygnus_]);
    approved.reason = static_cast<uint16_t>(Reason::kJoinGranted);
    Add(approved);
    At(9, 31);
    Decide(Kind::kProposed, cygnus_, 0xc2, Rung::kAdmit, 0, Reason::kNone);
    Install(cygnus_, 0xa3, Rung::kAdmit);
    At(10, 0);
    Drops({{66, 40}, {67, 2}});
    At(10, 15);
    SignHead();
  }

  void Noon() {
    At(11, 0);
    authority::Revoke revoke;
    revoke.scope = mesh_.atlas_node.body.scope;
    revoke.seq = 1;
    revoke.hlc = HlcFromMillis(now_.millis());
    revoke.type = authority::RevokeType::kFloor;
    revoke.kid = draco_;
    revoke.floor = 2;
    revoke.reason = 1;
    const authority::Signed object = authority::SignObject(revoke, mesh_.atlas_seed);
    Keep(object);
    authority::Observe seen;
    seen.kind = Kind::kRevokeSeen;
    seen.scope = revoke.scope;
    seen.subject = draco_;
    seen.evidence = *Digest::From(object.oid());
    seen.rung = Rung::kRefuse;
    seen.reason = static_cast<uint16_t>(Reason::kRevoked);
    seen.action = 8;
    Add(seen);
    Decide(Kind::kDecided, draco_, 0xd1, Rung::kRefuse, 0, Reason::kRevoked);
    Stage(Kind::kRolledBack, draco_, 0xa2, Rung::kNone, 0);
    At(11, 0, 5);
    Decide(Kind::kDecided, draco_, 0xd2, Rung::kRefuse, 0, Reason::kRevoked);
    At(11, 2, 5);
    Decide(Kind::kDecided, draco_, 0xd3, Rung::kRefuse, 0, Reason::kRevoked);
    At(11, 30);  // a restart: the tables died with the process
    Stage(Kind::kRolledBack, borealis_, 0xa1, Rung::kNone, 0);
    At(11, 30, 1);
    Decide(Kind::kProposed, borealis_, 0xb2, Rung::kAdmit, 0, Reason::kNone);
    Install(borealis_, 0xa4, Rung::kAdmit);
    At(11, 40);
    Flow(borealis_, 0xb2, 52'000, 71'000'000, 12);
    At(11, 50);
    Stage(Kind::kArmed, atlas(), 0xa5, Rung::kNone, 0, 4);
    At(11, 50, 30);
    Stage(Kind::kDiverged, atlas(), 0xa5, Rung::kNone, 0, 4);
  }

  issuing::vectors::World mesh_;
  Batch batch_;
  Chain chain_{*LogOfOrigin(LogSigner(Seed(Bytes(32, 5))).key().name)};
  WallTime now_;
  std::map<Kid, Oid> grants_;
  Kid borealis_, cygnus_, draco_;
};

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_TESTS_LINEAGE_SQL_DAY_H_
