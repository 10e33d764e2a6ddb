// prove and check: a record, or a fork, that leaves the machine to be believed elsewhere.
#include <algorithm>
#include <charconv>

#include "core/authority/armour.h"
#include "core/authority/chain.h"
#include "core/authority/charter.h"
#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/fork_commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/lineage_source.h"
#include "daemon/cli/log_owner.h"
#include "daemon/cli/text.h"
#include "lineage/audit.h"
#include "lineage/evidence.h"
#include "lineage/fork_proof.h"
#include "lineage/inputs.h"

namespace aqmesh::cli {

namespace {

using authority::Grant;
using authority::Keybind;

uint64_t SecondsOf(const authority::Observe& record) {
  return lineage::MillisFromHlc(record.hlc) / 1'000;
}

// ---- prove ----

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

struct ProveFlags {
  std::string which, fork, head, out = "-";
};

absl::StatusOr<int> Prove(Session& s, const ProveFlags& flags) {
  if (flags.which.empty() + flags.fork.empty() + flags.head.empty() != 2)
    return s.Usage("prove takes one of RECORD, --fork and --head");
  if (!flags.fork.empty()) return ProveFork(s, flags.fork, flags.out);
  if (!flags.head.empty()) return ProveHead(s, flags.head, flags.out);
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(*store));
  AQ_ASSIGN_OR_RETURN(const lineage::FoundRecord found, FindRecord(*store, flags.which));
  const authority::Observe& record = found.record;
  AQ_ASSIGN_OR_RETURN(const tlog::SignedCheckpoint head,
                      lineage::HeadOver(*store, record.seq, lineage::LogOrigin(record.log)));
  Keybind bound;
  const SignedPtr* keybind = KeybindOf(known, record.log, bound);
  if (keybind == nullptr)
    return NotFound("the store holds no binding of the log key ", ToHex(record.log));
  Citations cited;
  if (known.charter()) cited.Add(lineage::Shelf::kSigned, known.charter()->envelope->bytes());
  cited.Add(lineage::Shelf::kSigned, (*keybind)->bytes());
  const auto add_member = [&](const Kid& kid, uint64_t at) {
    cited.AddChain(known, known.GrantOf(kid, authority::Class::kNode, at));
  };
  add_member((*keybind)->kid(), SecondsOf(record));
  for (const tlog::NoteLine& line : head.note.lines) {
    if (const auto kid = lineage::CosignerOfName(line.name)) add_member(*kid, SecondsOf(record));
  }
  AQ_RETURN_IF_ERROR(CiteRecord(*store, record, cited));
  lineage::Evidence evidence;
  AQ_ASSIGN_OR_RETURN(evidence.record, store->Read(record.seq));
  AQ_ASSIGN_OR_RETURN(evidence.cited, cited.Take());
  AQ_ASSIGN_OR_RETURN(tlog::Prover prover, store->ProverAt(head.checkpoint.size));
  evidence.proof.index = record.seq;
  AQ_ASSIGN_OR_RETURN(evidence.proof.hashes, prover.Inclusion(record.seq));
  evidence.proof.head = head;
  AQ_RETURN_IF_ERROR(s.WriteFile(flags.out, evidence.Text()));
  s.Say(Join("Record ",
             record.seq,
             " under the head of ",
             head.checkpoint.size,
             " records with ",
             head.note.lines.size() - 1,
             " cosignatures; check it with `aqmesh lineage check FILE --charter CHARTER`."));
  return 0;
}

// ---- check ----

struct CheckFlags {
  std::string file, charter;
  size_t cosigners = 0;
};

std::string CheckText(const lineage::Proven& proven,
                      const lineage::Evidence& evidence,
                      const LogOwner& owner,
                      std::span<const Member> members,
                      const lineage::Names& names) {
  std::string cosigned;
  for (const tlog::Signer& c : proven.cosigned)
    cosigned += Join(cosigned.empty() ? "" : ", ", members[c.key].name);
  return Join("Holds.\n",
              lineage::RenderPage(proven.record, proven.leaf, names),
              "\nof the log of    ",
              owner.member.name,
              "\nin its head of   ",
              evidence.proof.head.checkpoint.size,
              " records\ncosigned by      ",
              cosigned.empty() ? "nobody" : cosigned,
              "\n");
}

std::string CheckJson(const lineage::Proven& proven,
                      const lineage::Evidence& evidence,
                      const LogOwner& owner,
                      std::span<const Member> members,
                      const lineage::Names& names) {
  wire::JsonWriter w;
  w.Object().Field("schema", "aqmesh.check/1").Field("ok", true).Field("owner", owner.member.name);
  w.Field("size", evidence.proof.head.checkpoint.size).Key("cosigned").Array();
  for (const tlog::Signer& c : proven.cosigned) {
    w.Object().Field("name", members[c.key].name).Field("kid", ToHex(members[c.key].kid));
    w.Field("time", c.time).End();
  }
  w.End().End();
  std::string out = w.Take();
  out.pop_back();  // the record has its own renderer
  return Join(out, ",\"record\":", lineage::RenderJson(proven.record, proven.leaf, names), "}\n");
}

// Nothing but the file and the charter is believed.
absl::StatusOr<int> Check(Session& s, const CheckFlags& flags) {
  AQ_ASSIGN_OR_RETURN(const std::string text, s.ReadFile(flags.file, lineage::kEvidenceBytesMax));
  if (text.starts_with(lineage::kForkHeader)) {
    if (flags.cosigners != 0)
      return s.Usage("--cosigners is about records; this file is of a fork");
    return CheckFork(s, text, flags.file, flags.charter);
  }
  auto parsed = lineage::ParseEvidence(text);
  if (!parsed.ok()) return Annotate(parsed.status(), flags.file);
  const lineage::Evidence& evidence = *parsed;
  AQ_ASSIGN_OR_RETURN(const auto charter, s.ReadOne<authority::Charter>(flags.charter));
  if (charter.body.version == 1) {
    AQ_RETURN_IF_ERROR(
        Annotate(authority::VerifyCharter(charter, nullptr, {}, nullptr), flags.charter));
  }
  std::vector<SignedPtr> objects;
  KnownObjects known;  // for names
  for (const lineage::Cited& c : evidence.cited) {
    if (c.shelf != lineage::Shelf::kSigned) continue;
    auto object = authority::Signed::Parse(c.bytes);
    if (!object.ok()) return Annotate(object.status(), Join(flags.file, ": a cited object"));
    objects.push_back(std::make_shared<const authority::Signed>(*std::move(object)));
    if (objects.back()->ctx() == authority::Ctx::kGrant) {
      if (auto g = authority::ParseBody<Grant>(objects.back()->body()); g.ok())
        known.grants.push_back({objects.back(), *std::move(g)});
    }
  }
  AQ_ASSIGN_OR_RETURN(const lineage::RecordEntry entry, lineage::ParseEntry(evidence.record));
  const std::vector<Member> members =
      MembersIn(objects, charter, lineage::MillisFromHlc(entry.hlc) / 1'000);
  AQ_ASSIGN_OR_RETURN(const authority::Observe record,
                      authority::ParseBody<authority::Observe>(evidence.record));
  AQ_ASSIGN_OR_RETURN(const LogOwner owner,
                      OwnerOf(record.log, objects, members, issuing::ScopeOfCharter(charter)));
  std::vector<tlog::NoteKey> cosigners;
  for (const Member& m : members) cosigners.push_back(lineage::CosignerNoteKey(m.key));
  AQ_ASSIGN_OR_RETURN(const lineage::Proven proven,
                      lineage::CheckEvidence(evidence, owner.log, cosigners));
  if (proven.cosigned.size() < flags.cosigners) {
    return Unauthenticated("the head is cosigned by ",
                           proven.cosigned.size(),
                           " members that the file proves, --cosigners wants ",
                           flags.cosigners);
  }
  const lineage::Names names = NamesOf(known);
  s.Out(s.json ? CheckJson(proven, evidence, owner, members, names)
               : CheckText(proven, evidence, owner, members, names));
  return 0;
}

}  // namespace

void AddEvidence(Tree& tree, CLI::App* lineage) {
  auto prove = std::make_shared<ProveFlags>();
  CLI::App* app = tree.Command(lineage,
                               "prove",
                               "Write a file that proves one record, or a fork, to somebody else",
                               "aqmesh lineage prove 9f3a -o record.evidence",
                               [prove](Session& s) { return Prove(s, *prove); });
  app->add_option("RECORD", prove->which, "Its number, or the first digits of its id");
  app->add_option(
      "--fork", prove->fork, "A fork that `lineage forks` lists: first digits of its id");
  app->add_option(
      "--head", prove->head, "A head of a log from elsewhere, that contradicts what is known here");
  app->add_option("-o,--output", prove->out, "Where to; - for stdout")->capture_default_str();
  tree.Lineage(app);

  auto check = std::make_shared<CheckFlags>();
  app = tree.Command(lineage,
                     "check",
                     "Check such a file with nothing but the charter",
                     "aqmesh lineage check record.evidence --charter home.charter",
                     [check](Session& s) { return Check(s, *check); });
  app->add_option("FILE", check->file, "What `lineage prove` wrote; - for stdin")->required();
  app->add_option("--charter", check->charter, "The charter to trust")->required();
  app->add_option("--cosigners", check->cosigners, "Refuse it below so many cosigners")
      ->capture_default_str();
  tree.Json(app);
  AddForks(tree, lineage);
}

}  // namespace aqmesh::cli
