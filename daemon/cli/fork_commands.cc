#include "daemon/cli/fork_commands.h"

#include <algorithm>
#include <map>

#include "core/authority/chain.h"
#include "core/authority/charter.h"
#include "core/wire/json.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"
#include "lineage/fork_proof.h"
#include "lineage/heads.h"
#include "lineage/held_forks.h"

namespace aqmesh::cli {

namespace {

using authority::Ctx;
using authority::Grant;
using lineage::ForkKind;
using lineage::ForkProof;
using lineage::HeldFork;

// Everything in the store that may say whose a key is; what a fork needs of it is taken out.
class KeyPapers {
 public:
  static absl::StatusOr<KeyPapers> Load(const lineage::Store& store) {
    KeyPapers papers;
    for (const auto shelf : {lineage::Shelf::kSigned, lineage::Shelf::kInputs}) {
      AQ_RETURN_IF_ERROR(store.ScanObjects(shelf, [&](const Oid& oid, ByteView bytes) {
        auto object = authority::Signed::Parse(bytes);
        if (!object.ok()) return true;  // inputs
        const Ctx ctx = object->ctx();
        if (ctx == Ctx::kGrant || ctx == Ctx::kKeybind || ctx == Ctx::kRotate)
          papers.all_[oid] = std::make_shared<const authority::Signed>(*std::move(object));
        return true;
      }));
    }
    return papers;
  }

  // By the grants to a key and what they hang on, and the rotations that led to it.
  void CiteKey(const Kid& kid, ForkProof& into) const {
    for (const auto& [oid, object] : all_) {
      if (object->ctx() == Ctx::kGrant) {
        const auto g = authority::ParseBody<Grant>(object->body());
        if (g.ok() && authority::KidOf(g->suite, g->key) == kid) CiteChain(object, into);
      } else if (object->ctx() == Ctx::kRotate && object->kid() == kid && Cite(object, into)) {
        const auto r = authority::ParseBody<authority::Rotate>(object->body());
        if (r.ok()) CiteKey(r->old, into);
      }
    }
  }
  // By its keybind, and whoever signed that.
  void CiteLog(const Kid& log, ForkProof& into) const {
    for (const auto& [oid, object] : all_) {
      if (object->ctx() != Ctx::kKeybind) continue;
      const auto k = authority::ParseBody<authority::Keybind>(object->body());
      if (!k.ok() || k->kind != 2 || authority::KidOf(k->suite, k->key) != log) continue;
      if (Cite(object, into)) CiteKey(object->kid(), into);
      return;
    }
  }
  std::string NameOf(const Kid& kid) const {
    for (const auto& [oid, object] : all_) {
      if (object->ctx() != Ctx::kGrant) continue;
      const auto g = authority::ParseBody<Grant>(object->body());
      if (g.ok() && !g->name.empty() && authority::KidOf(g->suite, g->key) == kid) return g->name;
    }
    return "";
  }

 private:
  // False: it is there already, or nothing more fits.
  static bool Cite(const SignedPtr& object, ForkProof& into) {
    if (into.cited.size() == lineage::kForkCitedMax ||
        std::ranges::find(into.cited, object->bytes()) != into.cited.end())
      return false;
    into.cited.push_back(object->bytes());
    return true;
  }
  void CiteChain(SignedPtr grant, ForkProof& into) const {
    for (size_t depth = 0; depth < authority::kChainMax && Cite(grant, into); ++depth) {
      for (const auto& [oid, object] : all_) {
        if (object->ctx() == Ctx::kRotate && object->kid() == grant->kid()) Cite(object, into);
      }
      const auto g = authority::ParseBody<Grant>(grant->body());
      const auto parent = g.ok() ? all_.find(g->parent) : all_.end();
      if (parent == all_.end()) return;
      grant = parent->second;
    }
  }

  std::map<Oid, SignedPtr> all_;
};

bool IsOfHeads(const ForkProof& proof) {
  return proof.kind == ForkKind::kHeads || proof.kind == ForkKind::kHistory;
}

// With all that a checker needs, and no file that would convict nobody.
absl::StatusOr<ForkProof> Complete(const KeyPapers& papers,
                                   const Held<authority::Charter>& charter,
                                   HeldFork fork) {
  ForkProof& proof = fork.proof;
  if (!IsOfHeads(proof)) {
    papers.CiteKey(fork.signer, proof);
  } else {
    papers.CiteLog(fork.signer, proof);
    for (const Bytes& note : proof.two) {
      const auto head = tlog::ParseCheckpoint(AsText(note));
      if (!head.ok()) continue;
      for (const tlog::NoteLine& line : head->note.lines) {
        if (const auto kid = lineage::CosignerOfName(line.name)) papers.CiteKey(*kid, proof);
      }
    }
  }
  AQ_RETURN_IF_ERROR(lineage::CheckForkProof(proof, charter).status());
  return std::move(proof);
}

absl::StatusOr<int> WriteProof(Session& s,
                               const lineage::Store& store,
                               HeldFork fork,
                               const std::string& out) {
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(store));
  if (known.charter() == nullptr) return FailedPrecondition("this machine has no charter yet");
  AQ_ASSIGN_OR_RETURN(const KeyPapers papers, KeyPapers::Load(store));
  auto proof = Complete(papers, *known.charter(), std::move(fork));
  if (!proof.ok()) return Annotate(proof.status(), "what this store holds convicts nobody");
  AQ_RETURN_IF_ERROR(s.WriteFile(out, proof->Text()));
  const auto convicted = lineage::CheckForkProof(*proof, *known.charter());
  s.Say(Join(convicted->name.empty() ? ToHex(convicted->signer) : convicted->name,
             " signed ",
             convicted->what,
             ". Check it anywhere with `aqmesh lineage check FILE --charter CHARTER`."));
  return 0;
}

absl::StatusOr<int> ListForks(Session& s) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(const auto forks, lineage::HeldForks(*store));
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadObjects(*store));
  AQ_ASSIGN_OR_RETURN(const KeyPapers papers, KeyPapers::Load(*store));
  wire::JsonWriter w;
  w.Object().Field("schema", "aqmesh.forks/1").Key("forks").Array();
  std::string text;
  for (const HeldFork& fork : forks) {
    absl::StatusOr<lineage::Convicted> convicted = Unauthenticated("there is no charter here");
    if (known.charter() != nullptr) {
      const auto whole = Complete(papers, *known.charter(), fork);
      convicted = whole.ok() ? lineage::CheckForkProof(*whole, *known.charter()) : whole.status();
    }
    const Kid who = convicted.ok() ? convicted->signer : fork.signer;
    const std::string name = papers.NameOf(who);
    w.Object().Field("id", ToHex(fork.id)).Field("kind", lineage::ForkKindName(fork.proof.kind));
    w.Field("signer", ToHex(who)).Field("name", name).Field("proven", convicted.ok());
    w.Field(convicted.ok() ? "what" : "why",
            convicted.ok() ? convicted->what : Text(convicted.status()));
    w.End();
    text += Join(ShortId(fork.id),
                 "  ",
                 lineage::ForkKindName(fork.proof.kind),
                 "  ",
                 name.empty() ? ToHex(who) : name,
                 convicted.ok() ? " signed " : ", not proven here: ",
                 convicted.ok() ? convicted->what : Text(convicted.status()),
                 "\n");
  }
  w.End().End();
  if (text.empty()) text = "No key is known here that signed twice.\n";
  s.Out(s.json ? Join(w.Take(), "\n") : text);
  return 0;
}

}  // namespace

absl::StatusOr<int> ProveFork(Session& s, const std::string& which, const std::string& out) {
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  AQ_ASSIGN_OR_RETURN(auto forks, lineage::HeldForks(*store));
  std::erase_if(forks, [&](const HeldFork& f) { return !ToHex(f.id).starts_with(which); });
  if (forks.empty())
    return NotFound("no fork whose id starts with ", which, "; `aqmesh lineage forks` lists them");
  if (forks.size() > 1)
    return InvalidArgument("more than one fork's id starts with ", which, "; give more digits");
  return WriteProof(s, *store, std::move(forks.front()), out);
}

absl::StatusOr<int> ProveHead(Session& s, const std::string& head, const std::string& out) {
  AQ_ASSIGN_OR_RETURN(const std::string text, s.ReadFile(head, tlog::kNoteBytesMax));
  const auto theirs = tlog::ParseCheckpoint(text);
  if (!theirs.ok()) return Annotate(theirs.status(), head);
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  auto fork = lineage::ForkWith(*store, *theirs);
  if (!fork.ok()) return Annotate(fork.status(), head);
  return WriteProof(s, *store, *std::move(fork), out);
}

absl::StatusOr<int> CheckFork(Session& s,
                              std::string_view text,
                              const std::string& file,
                              const std::string& charter_file) {
  const auto proof = lineage::ParseForkProof(text);
  if (!proof.ok()) return Annotate(proof.status(), file);
  AQ_ASSIGN_OR_RETURN(const auto charter, s.ReadOne<authority::Charter>(charter_file));
  if (charter.body.version == 1) {
    AQ_RETURN_IF_ERROR(
        Annotate(authority::VerifyCharter(charter, nullptr, {}, nullptr), charter_file));
  }
  const auto convicted = lineage::CheckForkProof(*proof, charter);
  if (!convicted.ok()) return Annotate(convicted.status(), Join(file, " convicts nobody"));
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.check-fork/1").Field("ok", true);
    w.Field("id", ToHex(proof->Id())).Field("kind", lineage::ForkKindName(proof->kind));
    w.Field("signer", ToHex(convicted->signer)).Field("name", convicted->name);
    w.Field("what", convicted->what).Key("cosigned_both").Array();
    for (const std::string& name : convicted->cosigners) w.Value(name);
    w.End().End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  std::string both;
  for (const std::string& name : convicted->cosigners) both += Join(both.empty() ? "" : ", ", name);
  s.Out(Join("Holds.\n",
             convicted->name.empty() ? "a voter of the charter" : convicted->name,
             " signed ",
             convicted->what,
             "\nsigner           ",
             ToHex(convicted->signer),
             "\nproof            ",
             ToHex(proof->Id()),
             both.empty() ? "" : "\ncosigned both    ",
             both,
             "\n"));
  return 0;
}

void AddForks(Tree& tree, CLI::App* lineage) {
  CLI::App* app = tree.Command(lineage,
                               "forks",
                               "List the keys that signed twice where they may once, with proof",
                               "aqmesh lineage forks",
                               [](Session& s) { return ListForks(s); });
  tree.Json(app);
}

}  // namespace aqmesh::cli
