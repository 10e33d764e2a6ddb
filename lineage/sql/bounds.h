// Bounds: what a question says of its rows that a store can use, read out of SQLite's constraints.
// A bound is never narrower than the constraint that it is made of; SQLite looks at each row again.
// Spec:   spec/lineage.md §6.1 (what is answered from which index).
// Bounds: kTermsMax constraints a scan; the others are SQLite's alone.
// Thread: pure. Errors: none: a value that no row can have gives Bounds::nothing, one that cannot
// be
//         used gives no bound.
#ifndef AQMESH_LINEAGE_SQL_BOUNDS_H_
#define AQMESH_LINEAGE_SQL_BOUNDS_H_

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lineage/record.h"
#include "lineage/sql/directory.h"

struct sqlite3_value;

namespace aqmesh::lineage::sql {

inline constexpr size_t kTermsMax = 16;

// What a column is to an index.
enum class Key : uint8_t {
  kNone,
  kMachine,
  kSeq,
  kMillis,
  kTime,  // ISO text, which sorts as time does
  kSubject,
  kSubjectName,
  kPeer,
  kAuthority,
  kKind,
  kKindCode,
  kOutcome,
  kOutcomeCode,
  kId,
  kOid,
  kShelf,
  kEnd
};
enum class Op : uint8_t { kEqual, kIn, kLess, kLessEqual, kGreater, kGreaterEqual, kPrefix, kEnd };

// One constraint, and how EXPLAIN QUERY PLAN names it: "subject", "time>=", "kind in", "id like".
struct Term {
  Key key = Key::kNone;
  Op op = Op::kEqual;
  bool operator==(const Term&) const = default;
};
std::string TermText(const Term& term);
// What of its table a scan with these terms reads; "+" between terms, "+newest first" at the end.
std::string PlanText(const std::vector<Term>& terms, bool newest_first);
struct Plan {
  std::vector<Term> terms;
  bool newest_first = false;
};
Plan ParsePlan(std::string_view text);  // what PlanText gave; AQ_CHECKs that it is

bool Usable(Key key, Op op);
bool IsText(Key key);  // compared as text, so only under SQLite's own order of bytes
bool TakesLists(Key key);

struct Bounds {
  bool nothing = false;  // no row can match
  std::optional<std::string> machine = {};
  uint64_t seq_first = 0, seq_end = kSeqEnd;
  uint64_t millis_first = 0, millis_end = std::numeric_limits<uint64_t>::max();
  std::optional<Kid> subject = {};
  std::optional<Kid> peer = {};  // the subject, or of a record about nobody the log
  Where where = {};
  std::optional<Oid> oid = {};
  std::optional<std::string> shelf = {};
  bool newest_first = false;

  void Take(const Term& term, sqlite3_value* value, const Directory& directory);

 private:
  void TakeNumber(const Term& term, sqlite3_value* value, uint64_t& first, uint64_t& end);
  void TakeTime(Op op, sqlite3_value* value);
  void TakeHex(const Term& term, sqlite3_value* value, Bytes& prefix);
  template <class Id>
  void TakeId(sqlite3_value* value, std::optional<Id>& into);
  void TakeMask(const Term& term, sqlite3_value* value);
  void TakeWord(sqlite3_value* value, std::optional<std::string>& into);
  void TakeName(const std::optional<std::string>& name, const Directory& directory);
};

// The times whose ISO text starts with `text`, in milliseconds, and whether more may follow it;
// nullopt if `text` is no such beginning.
struct TimeSpan {
  uint64_t first = 0, end = 0;
  bool whole = false;  // all of a time's text
  bool zulu = false;   // cut short, with a Z: sorts behind the times that it names
};
std::optional<TimeSpan> TimesThatStart(std::string_view text);

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_BOUNDS_H_
