// objects: what lies on the shelves. authorities: who may do what, a row a voter and a row a grant.
#include "core/authority/codec_describe.h"
#include "core/authority/decision.h"
#include "core/authority/render.h"
#include "core/base/status.h"
#include "lineage/sql/object_feed.h"

namespace aqmesh::lineage::sql {
namespace {

using authority::Ctx;

// "join,accept": the names of the bits that are set.
std::string BitNames(uint64_t bits, std::span<const std::string_view> names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if ((bits >> i & 1) != 0) out += Join(out.empty() ? "" : ",", names[i]);
  }
  return out;
}

std::string Listed(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += Join(out.empty() ? "" : ",", word);
  return out;
}

// ---- objects ----

struct Thing {
  ObjectRow of = {};
  std::optional<authority::Signed> object = {};  // if it is one
};

class ThingFeed final : public Feed<Thing> {
 public:
  ThingFeed(const World& world, const Bounds& bounds)
      : objects_(world,
                 bounds,
                 {Shelf::kSigned,
                  Shelf::kInputs,
                  Shelf::kProof,
                  Shelf::kNote,
                  Shelf::kPolicy,
                  Shelf::kContent}) {}
  absl::Status Fill(std::vector<Thing>& rows) override {
    std::vector<ObjectRow> some;
    AQ_RETURN_IF_ERROR(objects_.Fill(some));
    for (ObjectRow& o : some) {
      Thing thing{.of = std::move(o)};
      // What peers cited lies beside the inputs of the decisions about them.
      if (thing.of.shelf == Shelf::kSigned || thing.of.shelf == Shelf::kInputs) {
        auto parsed = authority::Signed::Parse(thing.of.bytes);
        if (parsed.ok()) thing.object = *std::move(parsed);
      }
      rows.push_back(std::move(thing));
    }
    return absl::OkStatus();
  }

 private:
  ObjectFeed objects_;
};

constexpr ColumnOf<Thing> kObjects[] = {
    {"machine TEXT",
     Key::kMachine,
     [](const Thing& t, const World&, Cell& c) { c.Text(t.of.log->name); }},
    {"shelf TEXT",
     Key::kShelf,
     [](const Thing& t, const World&, Cell& c) { c.Text(ShelfName(t.of.shelf)); }},
    {"oid TEXT", Key::kOid, [](const Thing& t, const World&, Cell& c) { c.Hex(t.of.oid); }},
    {"type TEXT",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) {
       t.object ? c.Text(authority::CtxName(t.object->ctx())) : c.Null();
     }},
    {"type_code INTEGER",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) {
       t.object ? c.Number(static_cast<uint64_t>(t.object->ctx())) : c.Null();
     }},
    {"signer TEXT",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) { t.object ? c.Hex(t.object->kid()) : c.Null(); }},
    {"signer_name TEXT",
     Key::kNone,
     [](const Thing& t, const World& w, Cell& c) {
       t.object ? c.TextIf(w.NameOf(t.object->kid())) : c.Null();
     }},
    {"suite INTEGER",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) {
       t.object ? c.Number(static_cast<uint64_t>(t.object->suite())) : c.Null();
     }},
    {"size INTEGER",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) { c.Number(t.of.bytes.size()); }},
    {"json TEXT",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) {
       t.object ? c.Text(authority::RenderJson(*t.object)) : c.Null();
     }},
    {"raw BLOB HIDDEN",
     Key::kNone,
     [](const Thing& t, const World&, Cell& c) { c.Blob(t.of.bytes); }},
};

// ---- authorities ----

// A grant, or a voter of a charter as if it were one.
struct Holder {
  const Log* log = nullptr;
  Oid oid = {};
  Kid signer = {};
  Kid kid = {};
  bool voter = false;
  authority::Grant grant = {};  // of a voter: scope, key, class, charter_version, not_before alone
  std::string mesh = {};        // of a voter
};

class HolderFeed final : public Feed<Holder> {
 public:
  HolderFeed(const World& world, const Bounds& bounds)
      : objects_(world, bounds, {Shelf::kSigned, Shelf::kInputs}) {}
  absl::Status Fill(std::vector<Holder>& rows) override {
    while (rows.empty()) {
      std::vector<ObjectRow> some;
      AQ_RETURN_IF_ERROR(objects_.Fill(some));
      if (some.empty()) return absl::OkStatus();
      for (const ObjectRow& o : some) {
        AQ_ASSIGN_OR_RETURN(const bool again, IsAlsoSigned(o));
        if (!again) Add(o, rows);
      }
    }
    return absl::OkStatus();
  }

 private:
  // Whether the other shelf has it too, and has shown it.
  static absl::StatusOr<bool> IsAlsoSigned(const ObjectRow& o) {
    if (o.shelf == Shelf::kSigned) return false;
    AQ_ASSIGN_OR_RETURN(const auto there, o.log->store->GetObject(Shelf::kSigned, o.oid));
    return there.has_value();
  }
  static void Add(const ObjectRow& o, std::vector<Holder>& rows) {
    const auto object = authority::Signed::Parse(o.bytes);
    if (!object.ok()) return;
    if (object->ctx() == Ctx::kGrant) {
      auto grant = authority::ParseBody<authority::Grant>(object->body());
      if (!grant.ok()) return;
      const Kid kid = authority::KidOf(grant->suite, grant->key);
      rows.push_back({o.log, o.oid, object->kid(), kid, false, *std::move(grant), ""});
    } else if (object->ctx() == Ctx::kCharter) {
      const auto charter = authority::ParseBody<authority::Charter>(object->body());
      if (charter.ok()) AddVoters(o, *object, *charter, rows);
    }
  }
  static void AddVoters(const ObjectRow& o,
                        const authority::Signed& object,
                        const authority::Charter& charter,
                        std::vector<Holder>& rows) {
    for (const authority::Voter& v : charter.voters) {
      Holder row{.log = o.log, .oid = o.oid, .signer = object.kid(), .voter = true};
      row.kid = authority::KidOf(v.suite, v.key);
      row.grant.scope = charter.scope.value_or(authority::ScopeOf(object.body()));
      row.grant.suite = v.suite;
      row.grant.key = v.key;
      row.grant.cls = authority::Class::kRoot;
      row.grant.charter_version = charter.version;
      row.grant.not_before = charter.created;
      row.mesh = charter.name;
      rows.push_back(std::move(row));
    }
  }

  ObjectFeed objects_;
};

template <auto Field>
void OfGrant(const Holder& h, const World&, Cell& cell) {
  h.voter ? cell.Null() : cell.Number(h.grant.*Field);
}
uint64_t EndOf(const authority::Grant& g) { return g.not_before + g.ttl; }

constexpr ColumnOf<Holder> kAuthorities[] = {
    {"machine TEXT",
     Key::kMachine,
     [](const Holder& h, const World&, Cell& c) { c.Text(h.log->name); }},
    {"oid TEXT", Key::kOid, [](const Holder& h, const World&, Cell& c) { c.Hex(h.oid); }},
    {"type TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.Text(h.voter ? "voter" : "grant"); }},
    {"kid TEXT", Key::kNone, [](const Holder& h, const World&, Cell& c) { c.Hex(h.kid); }},
    {"name TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.TextIf(h.voter ? h.mesh : h.grant.name); }},
    {"class TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.Text(authority::ClassName(h.grant.cls)); }},
    {"signer TEXT", Key::kNone, [](const Holder& h, const World&, Cell& c) { c.Hex(h.signer); }},
    {"signer_name TEXT",
     Key::kNone,
     [](const Holder& h, const World& w, Cell& c) { c.TextIf(w.NameOf(h.signer)); }},
    {"parent TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { h.voter ? c.Null() : c.Hex(h.grant.parent); }},
    {"scope TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.Hex(h.grant.scope); }},
    {"generation INTEGER", Key::kNone, OfGrant<&authority::Grant::generation>},
    {"issue_seq INTEGER", Key::kNone, OfGrant<&authority::Grant::seq>},
    {"charter_version INTEGER",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.Number(h.grant.charter_version); }},
    {"not_before TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.Seconds(h.grant.not_before); }},
    {"not_after TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) {
       h.voter ? c.Null() : c.Seconds(EndOf(h.grant));
     }},
    {"ttl_s INTEGER", Key::kNone, OfGrant<&authority::Grant::ttl>},
    {"depth_left INTEGER", Key::kNone, OfGrant<&authority::Grant::depth_left>},
    {"caps TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) {
       c.TextIf(BitNames(h.grant.caps, authority::kCapNames));
     }},
    {"obligations TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) {
       c.TextIf(BitNames(h.grant.obligations, authority::kObligationNames));
     }},
    {"prefixes TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) {
       std::vector<std::string> words;
       for (const Prefix& p : h.grant.prefixes) words.push_back(p.ToString());
       c.TextIf(Listed(words));
     }},
    {"tags TEXT",
     Key::kNone,
     [](const Holder& h, const World&, Cell& c) { c.TextIf(Listed(h.grant.tags)); }},
    {"key TEXT", Key::kNone, [](const Holder& h, const World&, Cell& c) { c.Hex(h.grant.key); }},
};

}  // namespace

std::unique_ptr<Table> ObjectsTable() {
  return std::make_unique<TableOf<Thing>>(
      TableOf<Thing>::Words{
          "objects",
          "What records cite: signed objects with their fields as JSON, inputs, proofs, notes",
          Sorted::kNo},
      kObjects,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Thing>> {
        return std::make_unique<ThingFeed>(world, bounds);
      });
}

std::unique_ptr<Table> AuthoritiesTable() {
  return std::make_unique<TableOf<Holder>>(
      TableOf<Holder>::Words{"authorities",
                             "Who may do what: a row a grant, and a row a voter of each charter",
                             Sorted::kNo},
      kAuthorities,
      [](const World& world, const Bounds& bounds) -> std::unique_ptr<Feed<Holder>> {
        return std::make_unique<HolderFeed>(world, bounds);
      });
}

}  // namespace aqmesh::lineage::sql
