// CheckForkProof: whose key it is, and what could not have been signed twice in honesty.
#include <algorithm>
#include <memory>

#include "core/authority/charter.h"
#include "core/authority/standalone.h"
#include "core/base/status.h"
#include "lineage/fork_proof.h"
#include "lineage/heads.h"

namespace aqmesh::lineage {

namespace {

using authority::Ctx;
using authority::Grant;
using authority::Keybind;
using authority::Rotate;
using authority::Signed;
using authority::SignedPtr;
template <class T>
using Held = authority::Held<T>;

constexpr int kRotationsMax = 16;  // Restrictions::kLineageMax

// Whose a key is, by the charter and what the file cites.
class Witnessed {
 public:
  struct Owner {
    Ed25519Key key;
    std::string name;
    std::optional<Digest> next_key;  // that its holder committed to
  };

  Witnessed(const Held<authority::Charter>& charter, std::vector<SignedPtr> objects)
      : charter_(charter), objects_(std::move(objects)) {}

  const ScopeId& scope() const { return scope_; }
  const std::vector<SignedPtr>& objects() const { return objects_; }

  std::optional<Owner> OwnerOf(const Kid& kid, int rotations = kRotationsMax) const {
    for (const authority::Voter& v : charter_.body.voters) {
      if (authority::KidOf(v.suite, v.key) == kid) return Owner{v.key, "", v.next_key};
    }
    for (const SignedPtr& o : objects_) {
      if (auto owner = ByGrant(o, kid)) return owner;
    }
    for (const SignedPtr& o : objects_) {
      if (o->ctx() != Ctx::kRotate || o->kid() != kid || rotations == 0) continue;
      const auto r = authority::ParseBody<Rotate>(o->body());
      if (!r.ok() || r->scope != scope_ || authority::KidOf(r->suite, r->key) != kid) continue;
      const auto before = OwnerOf(r->old, rotations - 1);
      if (!before || before->next_key != authority::NextKeyOf(r->suite, r->key) ||
          !authority::VerifySignature(*o, r->key))
        continue;
      return Owner{r->key, before->name, r->next_key};
    }
    return std::nullopt;
  }

 private:
  // As of the grant's own beginning: whose key it was does not lapse.
  std::optional<Owner> ByGrant(const SignedPtr& o, const Kid& kid) const {
    if (o->ctx() != Ctx::kGrant) return std::nullopt;
    const auto g = authority::ParseBody<Grant>(o->body());
    if (!g.ok() || authority::SignatureSize(g->suite) == 0 ||
        authority::KidOf(g->suite, g->key) != kid)
      return std::nullopt;
    std::vector<SignedPtr> rest;
    std::ranges::copy_if(
        objects_, std::back_inserter(rest), [&](const SignedPtr& other) { return other != o; });
    const auto report = authority::VerifyStandalone(
        o->bytes(), charter_, rest, WallTime::FromSeconds(g->not_before));
    if (!report.status.ok()) return std::nullopt;
    return Owner{g->key, g->name, g->next_key};
  }

  const Held<authority::Charter>& charter_;
  const ScopeId scope_ = authority::ScopeIdOf(charter_);
  std::vector<SignedPtr> objects_;
};

absl::StatusOr<std::array<SignedPtr, 2>> TwoSigned(const ForkProof& proof) {
  std::array<SignedPtr, 2> out;
  for (size_t i = 0; i < 2; ++i) {
    AQ_ASSIGN_OR_RETURN(Signed object, Signed::Parse(proof.two[i]));
    out[i] = std::make_shared<const Signed>(std::move(object));
  }
  return out;
}

template <class T>
absl::StatusOr<StreamPlace> PlaceIn(const Signed& s, char stream) {
  AQ_ASSIGN_OR_RETURN(const Held<T> held, authority::ParseObject<T>(s));
  return StreamPlace{held.body.scope, stream, held.body.seq};
}

std::string Called(const Signed& s) {
  return Join(authority::CtxName(s.ctx()), " ", ToHex(s.oid()).substr(0, 8));
}

// That one key of the mesh signed both, and who that is.
absl::StatusOr<Convicted> BySigner(const Witnessed& known,
                                   const std::array<SignedPtr, 2>& two,
                                   std::string what) {
  const auto owner = known.OwnerOf(two[0]->kid());
  if (!owner) {
    return Unauthenticated(
        "neither the charter nor what the file cites says whose key ", ToHex(two[0]->kid()), " is");
  }
  for (const SignedPtr& s : two) {
    if (!authority::VerifySignature(*s, owner->key))
      return Unauthenticated("the signature of ", Called(*s), " is wrong");
  }
  return Convicted{two[0]->kid(), owner->name, std::move(what)};
}

absl::Status NotTwo(const std::array<SignedPtr, 2>& two) {
  if (two[0]->kid() != two[1]->kid()) {
    return Unauthenticated(
        "two keys signed them: ", ToHex(two[0]->kid()), " and ", ToHex(two[1]->kid()));
  }
  if (two[0]->oid() == two[1]->oid())
    return Unauthenticated("it is one statement twice: ", Called(*two[0]));
  return absl::OkStatus();
}

absl::StatusOr<Convicted> CheckStatements(const Witnessed& known,
                                          const std::array<SignedPtr, 2>& two) {
  AQ_RETURN_IF_ERROR(NotTwo(two));
  AQ_ASSIGN_OR_RETURN(const StreamPlace first, PlaceOf(*two[0]));
  AQ_ASSIGN_OR_RETURN(const StreamPlace second, PlaceOf(*two[1]));
  if (first.scope != known.scope() || second.scope != known.scope())
    return Unauthenticated("they are not of this charter's mesh");
  if (first != second) {
    return Unauthenticated("their numbers differ: ",
                           first.seq,
                           " of stream ",
                           std::string(1, first.stream),
                           " and ",
                           second.seq,
                           " of stream ",
                           std::string(1, second.stream));
  }
  if (first.stream == 'R' && first.seq == authority::kTerminalSeq)
    return Unauthenticated("a key may be ended by more than one last statement");
  return BySigner(known,
                  two,
                  Join("two statements under number ",
                       first.seq,
                       " of its stream ",
                       std::string(1, first.stream),
                       ": ",
                       Called(*two[0]),
                       " and ",
                       Called(*two[1])));
}

absl::StatusOr<Convicted> CheckVotes(const Witnessed& known, const std::array<SignedPtr, 2>& two) {
  AQ_RETURN_IF_ERROR(NotTwo(two));
  AQ_ASSIGN_OR_RETURN(const auto a, authority::ParseObject<authority::Cosign>(*two[0]));
  AQ_ASSIGN_OR_RETURN(const auto b, authority::ParseObject<authority::Cosign>(*two[1]));
  if (a.body.scope != known.scope() || b.body.scope != known.scope())
    return Unauthenticated("they are not of this charter's mesh");
  if (a.body.slot != b.body.slot || a.body.id != b.body.id || a.body.number != b.body.number)
    return Unauthenticated("they are votes in two slots, one each");
  if (a.body.target == b.body.target)
    return Unauthenticated("both votes are for ", ToHex(a.body.target));
  return BySigner(known,
                  two,
                  Join("two votes in slot ",
                       a.body.slot,
                       ", number ",
                       a.body.number,
                       ": for ",
                       ToHex(a.body.target).substr(0, 8),
                       " and for ",
                       ToHex(b.body.target).substr(0, 8)));
}

struct LogOwner {
  tlog::NoteKey log;
  Kid kid;
  std::string name;
};
absl::StatusOr<LogOwner> LogOwnerOf(const Witnessed& known, const std::string& origin) {
  const auto log = LogOfOrigin(origin);
  if (!log) return Unauthenticated("the origin ", origin, " is no log of a mesh");
  for (const SignedPtr& o : known.objects()) {
    if (o->ctx() != Ctx::kKeybind) continue;
    const auto k = authority::ParseBody<Keybind>(o->body());
    if (!k.ok() || k->kind != 2 || k->suite != authority::Suite::kEd25519 ||
        k->scope != known.scope() || authority::KidOf(k->suite, k->key) != *log)
      continue;
    const auto owner = known.OwnerOf(o->kid());
    if (!owner || !authority::VerifySignature(*o, owner->key)) continue;
    return LogOwner{LogNoteKey(Ed25519Key{k->key.bytes}), o->kid(), owner->name};
  }
  return Unauthenticated("no cited keybind of a member says whose log ", origin, " is");
}

std::vector<std::string> CosignersOfBoth(const Witnessed& known,
                                         const std::array<tlog::SignedCheckpoint, 2>& heads) {
  std::vector<std::string> out;
  for (const tlog::NoteLine& line : heads[0].note.lines) {
    const auto kid = CosignerOfName(line.name);
    const auto owner = kid ? known.OwnerOf(*kid) : std::nullopt;
    if (!owner) continue;
    const tlog::NoteKey key = CosignerNoteKey(owner->key);
    const auto signs = [&key](const tlog::SignedCheckpoint& head) {
      return std::ranges::any_of(head.note.lines, [&](const tlog::NoteLine& l) {
        return l.name == key.name && tlog::VerifyLine(key, head.note.text, l).ok();
      });
    };
    std::string name = owner->name.empty() ? ToHex(*kid) : owner->name;
    if (signs(heads[0]) && signs(heads[1]) && std::ranges::find(out, name) == out.end())
      out.push_back(std::move(name));
  }
  return out;
}

absl::Status CheckHistory(const ForkProof& proof,
                          const tlog::Checkpoint& shorter,
                          const tlog::Checkpoint& longer) {
  if (shorter.size >= longer.size) {
    return Unauthenticated(
        "the first head is of ", shorter.size, " records, the second of ", longer.size);
  }
  if (proof.root == shorter.root)
    return Unauthenticated("the longer head begins as the shorter one says");
  return Annotate(
      tlog::VerifyConsistency(shorter.size, proof.root, longer.size, longer.root, proof.hashes),
      "what the longer head begins with");
}

absl::StatusOr<Convicted> CheckHeads(const ForkProof& proof, const Witnessed& known) {
  std::array<tlog::SignedCheckpoint, 2> heads;
  for (size_t i = 0; i < 2; ++i) {
    AQ_ASSIGN_OR_RETURN(heads[i], tlog::ParseCheckpoint(AsText(proof.two[i])));
  }
  const tlog::Checkpoint &a = heads[0].checkpoint, &b = heads[1].checkpoint;
  if (a.origin != b.origin)
    return Unauthenticated("they are heads of two logs: ", a.origin, " and ", b.origin);
  std::string what;
  if (proof.kind == ForkKind::kHeads) {
    if (a.size != b.size)
      return Unauthenticated("they are heads of ", a.size, " and of ", b.size, " records");
    if (a.root == b.root) return Unauthenticated("both heads say the same of ", a.size, " records");
    what = Join("two heads of ", a.size, " records: roots ");
  } else {
    AQ_RETURN_IF_ERROR(CheckHistory(proof, a, b));
    what = Join("a head of ",
                b.size,
                " records that does not lead from its head of ",
                a.size,
                ": roots of that many ");
  }
  const Digest& other = proof.kind == ForkKind::kHeads ? b.root : proof.root;
  what += Join(ToHex(a.root).substr(0, 8), " and ", ToHex(other).substr(0, 8));
  AQ_ASSIGN_OR_RETURN(const LogOwner owner, LogOwnerOf(known, a.origin));
  for (const tlog::SignedCheckpoint& head : heads) {
    const auto signers = tlog::VerifyNote(head.note, {&owner.log, 1});
    if (!signers.ok())
      return Annotate(signers.status(), Join("the head of ", head.checkpoint.size, " records"));
  }
  Convicted out{owner.kid, owner.name, std::move(what)};
  if (proof.kind == ForkKind::kHeads) out.cosigners = CosignersOfBoth(known, heads);
  return out;
}

}  // namespace

absl::StatusOr<StreamPlace> PlaceOf(const Signed& statement) {
  switch (statement.ctx()) {
    case Ctx::kGrant: return PlaceIn<Grant>(statement, 'E');
    case Ctx::kFragment: return PlaceIn<authority::Fragment>(statement, 'E');
    case Ctx::kKeybind: return PlaceIn<Keybind>(statement, 'E');
    case Ctx::kInvite: return PlaceIn<authority::Invite>(statement, 'E');
    case Ctx::kApprove: return PlaceIn<authority::Approve>(statement, 'E');
    case Ctx::kRevoke: return PlaceIn<authority::Revoke>(statement, 'R');
    case Ctx::kRotate: return PlaceIn<Rotate>(statement, 'R');
    default: return InvalidArgument("a ", authority::CtxName(statement.ctx()), " has no number");
  }
}

absl::StatusOr<Convicted> CheckForkProof(const ForkProof& proof,
                                         const Held<authority::Charter>& charter) {
  std::vector<SignedPtr> objects;
  for (const Bytes& bytes : proof.cited) {
    auto object = Signed::Parse(bytes);
    if (!object.ok()) return Annotate(object.status(), "a cited object");
    objects.push_back(std::make_shared<const Signed>(*std::move(object)));
  }
  const bool heads = proof.kind == ForkKind::kHeads || proof.kind == ForkKind::kHistory;
  if (heads) return CheckHeads(proof, Witnessed(charter, std::move(objects)));
  AQ_ASSIGN_OR_RETURN(const auto two, TwoSigned(proof));
  // A rotation says whose key it is, also where it is itself what was said twice.
  for (const SignedPtr& s : two) {
    if (s->ctx() == Ctx::kRotate) objects.push_back(s);
  }
  const Witnessed known(charter, std::move(objects));
  return proof.kind == ForkKind::kVotes ? CheckVotes(known, two) : CheckStatements(known, two);
}

}  // namespace aqmesh::lineage
