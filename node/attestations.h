// Attestations: what others said of this machine, to be shown to those it meets; what it said of
// others; what peers showed here of themselves. And since when each member that may attest is
// known.
// Spec:   spec/admission.md §4 Corroboration; spec/objects.md §2 attest.
// State:  "attest/OID": LE16 length || Signed of the attestation, then of the grants behind its
//         signer, its own first; "attester/KID": BE64 seconds since, then such grants.
// Bounds: kOwnMax words of this machine, one a signer, of as many groups as can be; kVoicesMax of
//         each other subject, kSubjectsMax subjects; kSaidMax said here; kMembersMax members,
//         kMembersEachMax under one voter. Full, the next is left out until something lapses: what
//         is held gives way only to what ends kGain later. So no flood makes it grow, or write.
// Thread: the control engine's.
#ifndef AQMESH_NODE_ATTESTATIONS_H_
#define AQMESH_NODE_ATTESTATIONS_H_

#include <map>
#include <string>
#include <vector>

#include "node/corroboration.h"
#include "node/recorder.h"

namespace aqmesh::node {

// An attestation, and the grants by which its signer is believed: nobody has to be asked for them.
struct Word {
  authority::Held<authority::Attest> attest;
  std::vector<authority::SignedPtr> chain;
  uint64_t end() const { return attest.body.not_before + attest.body.ttl; }
  Kid top() const { return chain.empty() ? Kid{} : chain.back()->kid(); }
};

class Attestations {
 public:
  static constexpr size_t kOwnMax = 5, kSubjectsMax = 4'096, kSaidMax = 16'384;
  static constexpr size_t kMembersMax = 4'096, kMembersEachMax = 256;
  static constexpr uint64_t kGain = 3'600;  // seconds

  explicit Attestations(Recorder& recorder) : recorder_(recorder) {}

  // A state value of an earlier life; `us`: this machine.
  void Load(std::string_view name, ByteView value, const Kid& us);

  // ---- taking in; true: it was kept, and was not before
  bool TakeOwn(Word word, uint64_t now);
  bool TakeAbout(Word word, uint64_t now);
  // Said here, and when to say it anew.
  bool Say(Word word, uint64_t renew_at);
  // What lapsed goes, its grace over. Returns whom it was about, this machine apart.
  std::vector<Kid> Expire(uint64_t now);

  // ---- asking
  // Those to be shown first come first: of as many groups as can be, the same order each time.
  const std::vector<Word>& own() const { return own_; }
  std::span<const Word> About(const Kid& subject) const;
  struct Said {
    Word word;
    uint64_t renew_at = 0;
  };
  const Said* SaidOf(const Kid& subject) const;
  const std::map<Kid, std::vector<Word>>& about() const { return about_; }
  const std::map<Kid, Said>& said() const { return said_; }
  // What a peer may pull: said here or about this machine, and the grants behind.
  authority::SignedPtr Find(const Ref16& ref) const;
  bool Holds(const Ref16& ref) const { return refs_.contains(ref); }

  // ---- members that may attest
  struct Member {
    uint64_t since = 0;  // wall seconds of the first record here that names it
    uint64_t end = 0;    // of its own grant; then it may make room for another
    std::vector<authority::SignedPtr> chain;
  };
  // `since`: now, but for what an earlier life knew.
  void Meet(const Kid& kid, const std::vector<authority::SignedPtr>& chain, uint64_t since);
  const std::map<Kid, Member>& members() const { return members_; }

 private:
  bool MakeRoom(const Kid& top, uint64_t now);
  bool Put(std::vector<Word>& words, Word word, size_t max, bool spread, uint64_t now);
  void Keep(const Word& word);
  void Drop(const Word& word);
  void Order();

  Recorder& recorder_;
  std::vector<Word> own_;
  std::map<Kid, std::vector<Word>> about_;
  std::map<Kid, Said> said_;
  std::map<Ref16, authority::SignedPtr> refs_;  // of every attestation held
  std::map<Kid, Member> members_;
  std::map<Kid, size_t> under_;  // members by the voter above them
  bool loading_ = false;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_ATTESTATIONS_H_
