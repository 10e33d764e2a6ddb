#include "daemon/cli/evidence_check.h"

#include <algorithm>

#include "core/authority/chain.h"
#include "core/authority/charter.h"
#include "daemon/cli/lineage_source.h"
#include "lineage/heads.h"
#include "lineage/inputs.h"

namespace aqmesh::cli {

namespace {

using authority::Grant;
using authority::Keybind;

uint64_t SecondsOf(const authority::Observe& record) {
  return lineage::MillisFromHlc(record.hlc) / 1'000;
}

// Collects what a checker needs, each thing once.
class Citations {
 public:
  void Add(lineage::Shelf shelf, ByteView bytes) {
    lineage::Cited c{shelf, Bytes(bytes.begin(), bytes.end())};
    if (std::ranges::find(cited_, c) == cited_.end()) cited_.push_back(std::move(c));
  }
  // A grant, and what it hangs on.
  void AddChain(const KnownObjects& known, const Held<Grant>* grant) {
    for (size_t depth = 0; grant != nullptr && depth < authority::kChainMax; ++depth) {
      Add(lineage::Shelf::kSigned, grant->envelope->bytes());
      grant = known.GrantNamed(grant->body.parent);
    }
  }
  absl::StatusOr<std::vector<lineage::Cited>> Take() {
    if (cited_.size() > lineage::kCitedMax)
      return ResourceExhausted(
          "the record cites ", cited_.size(), " things, more than a file holds");
    return std::move(cited_);
  }

 private:
  std::vector<lineage::Cited> cited_;
};

// The objects that the decision was made from, and whatever the record names as its evidence.
absl::Status CiteRecord(const lineage::Store& store,
                        const authority::Observe& record,
                        Citations& out) {
  const auto cite = [&](lineage::Shelf shelf, const Oid& oid) -> absl::Status {
    AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(shelf, oid));
    if (bytes) out.Add(shelf, *bytes);
    return absl::OkStatus();
  };
  // What a peer cited is kept beside the inputs, what this machine cites among the signed objects.
  const auto cite_object = [&](const Oid& oid) -> absl::Status {
    for (const auto shelf : {lineage::Shelf::kInputs, lineage::Shelf::kSigned}) {
      AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(shelf, oid));
      if (!bytes) continue;
      out.Add(lineage::Shelf::kSigned, *bytes);
      break;
    }
    return absl::OkStatus();
  };
  if (record.inputs) {
    AQ_ASSIGN_OR_RETURN(const auto bytes, store.GetObject(lineage::Shelf::kInputs, *record.inputs));
    if (bytes) {
      out.Add(lineage::Shelf::kInputs, *bytes);
      AQ_ASSIGN_OR_RETURN(const lineage::Inputs inputs, lineage::ParseInputs(*bytes));
      for (const Oid& oid : inputs.oids) AQ_RETURN_IF_ERROR(cite_object(oid));
      AQ_RETURN_IF_ERROR(cite(lineage::Shelf::kPolicy, Oid{inputs.policy.bytes}));
    }
  }
  if (record.evidence) {
    const Oid oid{record.evidence->bytes};
    for (const auto shelf :
         {lineage::Shelf::kSigned, lineage::Shelf::kProof, lineage::Shelf::kNote})
      AQ_RETURN_IF_ERROR(cite(shelf, oid));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Disclose(const lineage::Store& store,
                      const authority::Observe& record,
                      Citations& cited) {
  AQ_ASSIGN_OR_RETURN(const lineage::Content content, lineage::ReadContent(store, record));
  switch (content.state) {
    case lineage::Content::State::kNone:
      return FailedPrecondition(
          "record ", record.seq, " commits to nothing that could be disclosed");
    case lineage::Content::State::kClosed:
      return FailedPrecondition("what record ",
                                record.seq,
                                " commits to is closed: the key that opened it was thrown away, or "
                                "is not here");
    case lineage::Content::State::kAbsent:
      return FailedPrecondition("what record ", record.seq, " commits to is not kept here");
    case lineage::Content::State::kOpen: break;
  }
  for (const Bytes& opening : content.openings) cited.Add(lineage::Shelf::kContent, opening);
  return absl::OkStatus();
}

absl::StatusOr<lineage::Evidence> MakeEvidence(const lineage::Store& store,
                                               const KnownObjects& known,
                                               const authority::Observe& record,
                                               tlog::SignedCheckpoint head,
                                               Disclosure disclosure) {
  Keybind bound;
  const SignedPtr* keybind = KeybindOf(known, record.log, bound);
  if (keybind == nullptr)
    return NotFound("the store holds no binding of the log key ", ToHex(record.log));
  Citations cited;
  // Grants hang on the charter that they were signed under, and each names the one before it.
  for (const auto& c : known.charters) cited.Add(lineage::Shelf::kSigned, c.envelope->bytes());
  cited.Add(lineage::Shelf::kSigned, (*keybind)->bytes());
  const auto add_member = [&](const Kid& kid, uint64_t at) {
    cited.AddChain(known, known.GrantOf(kid, authority::Class::kNode, at));
  };
  add_member((*keybind)->kid(), SecondsOf(record));
  for (const tlog::NoteLine& line : head.note.lines) {
    if (const auto kid = lineage::CosignerOfName(line.name)) add_member(*kid, SecondsOf(record));
  }
  AQ_RETURN_IF_ERROR(CiteRecord(store, record, cited));
  if (disclosure == Disclosure::kAll) AQ_RETURN_IF_ERROR(Disclose(store, record, cited));
  lineage::Evidence evidence;
  AQ_ASSIGN_OR_RETURN(evidence.record, store.Read(record.seq));
  AQ_ASSIGN_OR_RETURN(evidence.cited, cited.Take());
  AQ_ASSIGN_OR_RETURN(tlog::Prover prover, store.ProverAt(head.checkpoint.size));
  evidence.proof.index = record.seq;
  AQ_ASSIGN_OR_RETURN(evidence.proof.hashes, prover.Inclusion(record.seq));
  evidence.proof.head = std::move(head);
  return evidence;
}

absl::StatusOr<Judged> JudgeEvidence(const lineage::Evidence& evidence,
                                     const Held<authority::Charter>& charter,
                                     std::string_view place) {
  Judged out;
  std::vector<SignedPtr> objects;
  for (const lineage::Cited& c : evidence.cited) {
    if (c.shelf != lineage::Shelf::kSigned) continue;
    auto object = authority::Signed::Parse(c.bytes);
    if (!object.ok()) return Annotate(object.status(), Join(place, ": a cited object"));
    objects.push_back(std::make_shared<const authority::Signed>(*std::move(object)));
    if (objects.back()->ctx() == authority::Ctx::kGrant) {
      if (auto g = authority::ParseBody<Grant>(objects.back()->body()); g.ok())
        out.known.grants.push_back({objects.back(), *std::move(g)});
    }
  }
  AQ_ASSIGN_OR_RETURN(const authority::Observe record,
                      authority::ParseBody<authority::Observe>(evidence.record));
  out.members = MembersIn(objects, charter, SecondsOf(record));
  AQ_ASSIGN_OR_RETURN(const LogOwner owner,
                      OwnerOf(record.log, objects, out.members, issuing::ScopeOfCharter(charter)));
  out.owner = owner.member;
  std::vector<tlog::NoteKey> cosigners;
  for (const Member& m : out.members) cosigners.push_back(lineage::CosignerNoteKey(m.key));
  AQ_ASSIGN_OR_RETURN(out.proven, lineage::CheckEvidence(evidence, owner.log, cosigners));
  return out;
}

absl::StatusOr<Held<authority::Charter>> ReadCharter(Session& s, const std::string& path) {
  AQ_ASSIGN_OR_RETURN(auto charter, s.ReadOne<authority::Charter>(path));
  AQ_ASSIGN_OR_RETURN(const std::vector<SignedPtr> objects, s.ReadObjects(path));
  for (const SignedPtr& o : objects) {  // `authority export charter` writes every version
    if (o->ctx() != authority::Ctx::kCharter) continue;
    auto body = authority::ParseBody<authority::Charter>(o->body());
    if (body.ok() && body->version > charter.body.version) charter = {o, *std::move(body)};
  }
  if (charter.body.version == 1)
    AQ_RETURN_IF_ERROR(Annotate(authority::VerifyCharter(charter, nullptr, {}, nullptr), path));
  return charter;
}

}  // namespace aqmesh::cli
