// The functions that questions have beside SQLite's own.
#include <sqlite3.h>

#include "core/base/status.h"
#include "lineage/sql/auth_digest.h"
#include "lineage/sql/module.h"

namespace aqmesh::lineage::sql {
namespace {

// What a function is registered with.
struct Help {
  Shared* shared;
  std::function<absl::StatusOr<uint64_t>(std::string_view)> when;
};

const Help& HelpOf(sqlite3_context* context) {
  return *static_cast<Help*>(sqlite3_user_data(context));
}

// The argument as text; nullopt for NULL, which every function answers with NULL.
std::optional<std::string> TextArgument(sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(values[0]));
  return std::string(text, static_cast<size_t>(sqlite3_value_bytes(values[0])));
}

// id8(id): its first eight digits.
void Id8(sqlite3_context* context, int, sqlite3_value** values) {
  const auto text = TextArgument(values);
  if (text) Cell(context).Text(std::string_view(*text).substr(0, 8));
}

// name(kid): whose key that is, or NULL.
void NameOfKid(sqlite3_context* context, int, sqlite3_value** values) {
  const auto text = TextArgument(values);
  const auto bytes = text ? FromHex(*text) : std::nullopt;
  const auto kid = bytes ? Kid::From(*bytes) : std::nullopt;
  if (kid) Cell(context).TextIf(HelpOf(context).shared->world.directory.NameOf(*kid));
}

// kid(name): the key of who is called that; NULL for nobody.
void KidOfName(sqlite3_context* context, int, sqlite3_value** values) {
  const auto name = TextArgument(values);
  if (!name) return;
  const std::vector<Kid> kids = HelpOf(context).shared->world.directory.KidsNamed(*name);
  if (kids.size() > 1) {
    return Cell(context).Fail(
        InvalidArgument("kid('",
                        *name,
                        "'): more than one key has that name; ask with subject_name = '",
                        *name,
                        "'"));
  }
  if (!kids.empty()) Cell(context).Hex(kids.front());
}

// at('2026-11-21T14:00Z'), ago('2h'): a time as the tables write it.
void At(sqlite3_context* context, int, sqlite3_value** values) {
  const auto text = TextArgument(values);
  if (!text) return;
  const Help& help = HelpOf(context);
  if (!help.when) return Cell(context).Fail(Unimplemented("at() and ago() need a clock here"));
  const auto seconds = help.when(*text);
  seconds.ok() ? Cell(context).Seconds(*seconds) : Cell(context).Fail(seconds.status());
}

// auth_digest(oid): the `authority` of decisions that were made under that presentation.
void AuthDigest(sqlite3_context* context, int, sqlite3_value** values) {
  const auto text = TextArgument(values);
  const auto bytes = text ? FromHex(*text) : std::nullopt;
  const auto oid = bytes ? Oid::From(*bytes) : std::nullopt;
  if (oid) Cell(context).Hex(AuthDigestOf(*oid));
}

}  // namespace

absl::Status AddFunctions(sqlite3* db, Shared& shared, const Options& options) {
  struct Row {
    const char* name;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  };
  constexpr Row kFunctions[] = {{"id8", Id8},
                                {"name", NameOfKid},
                                {"kid", KidOfName},
                                {"at", At},
                                {"ago", At},
                                {"auth_digest", AuthDigest}};
  for (const Row& row : kFunctions) {
    const int rc = sqlite3_create_function_v2(db,
                                              row.name,
                                              1,
                                              SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                              new Help{&shared, options.when},
                                              row.function,
                                              nullptr,
                                              nullptr,
                                              [](void* p) { delete static_cast<Help*>(p); });
    if (rc != SQLITE_OK) return Internal("registering ", row.name, "(): ", sqlite3_errmsg(db));
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::lineage::sql
