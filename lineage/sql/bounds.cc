#include "lineage/sql/bounds.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::lineage::sql {
namespace {

struct KeyRow {
  std::string_view name;
  enum class Ops : uint8_t { kNone, kEqual, kEqualOrList, kRange, kEqualOrPrefix } ops;
  bool text = true;
};
using enum KeyRow::Ops;

// By Key.
constexpr KeyRow kKeys[] = {{"", kNone},
                            {"machine", kEqual},
                            {"seq", kRange, false},
                            {"ms", kRange, false},
                            {"time", kRange},
                            {"subject", kEqual},
                            {"subject_name", kEqual},
                            {"peer", kEqual},
                            {"authority", kEqualOrPrefix},
                            {"kind", kEqualOrList},
                            {"kind_code", kEqualOrList, false},
                            {"outcome", kEqualOrList},
                            {"outcome_code", kEqualOrList, false},
                            {"id", kEqualOrPrefix},
                            {"oid", kEqual},
                            {"shelf", kEqual}};
static_assert(std::size(kKeys) == static_cast<size_t>(Key::kEnd));

// By Op.
constexpr std::string_view kOps[] = {"", " in", "<", "<=", ">", ">=", " like"};
static_assert(std::size(kOps) == static_cast<size_t>(Op::kEnd));

constexpr std::string_view kNewestFirst = "newest first";

const KeyRow& RowOf(Key key) { return kKeys[static_cast<size_t>(key)]; }

std::optional<std::string_view> TextOf(sqlite3_value* value) {
  if (sqlite3_value_type(value) != SQLITE_TEXT) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return std::string_view(text, static_cast<size_t>(sqlite3_value_bytes(value)));
}

// The same of a number, which a column of text is compared with as text.
std::optional<std::string> WordOf(sqlite3_value* value) {
  const int type = sqlite3_value_type(value);
  if (type != SQLITE_TEXT && type != SQLITE_INTEGER && type != SQLITE_FLOAT) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(sqlite3_value_text(value)));
}

// Hex as our columns print it; nullopt for anything else, which they then never equal.
std::optional<Bytes> ColumnHex(std::string_view text) {
  auto bytes = FromHex(text);
  if (!bytes || ToHex(*bytes) != text) return std::nullopt;
  return bytes;
}

// The bytes that every match of a LIKE or GLOB pattern "9f3a%" starts with.
Bytes PatternStart(std::string_view pattern) {
  size_t digits = 0;
  while (digits < pattern.size() && FromHex(Join("0", pattern.substr(digits, 1)))) ++digits;
  return *FromHex(pattern.substr(0, digits / 2 * 2));
}

// The whole numbers next to `d`; of those below zero -1 stands for all.
int64_t Below(double d) {
  if (d < 0) return -1;
  return d >= 9.2e18 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(std::floor(d));
}
int64_t Above(double d) {
  if (d < 0) return d > -1 ? 0 : -1;
  return d >= 9.2e18 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(std::ceil(d));
}

template <class T>
std::optional<T> Digits(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

uint64_t MillisOf(std::chrono::sys_days day) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(day.time_since_epoch()).count());
}

// "2026", "2026-11", "2026-11-21": first and end of it.
std::optional<TimeSpan> DaysOf(std::string_view text) {
  namespace chrono = std::chrono;
  const auto year = Digits<unsigned>(text.substr(0, 4));
  if (!year || *year < 1970) return std::nullopt;
  const chrono::year y(static_cast<int>(*year));
  if (text.size() == 4)
    return TimeSpan{MillisOf(y / chrono::January / 1), MillisOf((y + chrono::years(1)) / 1 / 1)};
  const auto month = Digits<unsigned>(text.substr(5, 2));
  if (!month || text[4] != '-' || *month < 1 || *month > 12) return std::nullopt;
  const auto first = y / chrono::month(*month);
  if (text.size() == 7)
    return TimeSpan{MillisOf(first / 1), MillisOf((first + chrono::months(1)) / 1)};
  const auto day = Digits<unsigned>(text.substr(8, 2));
  if (!day || text[7] != '-' || !(first / chrono::day(*day)).ok()) return std::nullopt;
  const uint64_t at = MillisOf(first / chrono::day(*day));
  return TimeSpan{at, at + 86'400'000};
}

}  // namespace

bool Usable(Key key, Op op) {
  switch (RowOf(key).ops) {
    case kNone: return false;
    case kEqual: return op == Op::kEqual;
    case kEqualOrList: return op == Op::kEqual || op == Op::kIn;
    case kRange: return op == Op::kEqual || (op >= Op::kLess && op <= Op::kGreaterEqual);
    case kEqualOrPrefix: return op == Op::kEqual || op == Op::kPrefix;
  }
  return false;
}

bool IsText(Key key) { return RowOf(key).text; }
bool TakesLists(Key key) { return RowOf(key).ops == kEqualOrList; }

std::string TermText(const Term& term) {
  return Join(RowOf(term.key).name, kOps[static_cast<size_t>(term.op)]);
}

std::string PlanText(const std::vector<Term>& terms, bool newest_first) {
  std::string text;
  for (const Term& term : terms) text += Join(text.empty() ? "" : "+", TermText(term));
  if (newest_first) text += Join(text.empty() ? "" : "+", kNewestFirst);
  return text;
}

Plan ParsePlan(std::string_view text) {
  Plan plan;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find('+'));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word == kNewestFirst) {
      plan.newest_first = true;
      continue;
    }
    const size_t before = plan.terms.size();
    for (size_t k = 1; k < std::size(kKeys); ++k) {
      for (size_t o = 0; o < std::size(kOps); ++o) {
        const Term term{static_cast<Key>(k), static_cast<Op>(o)};
        if (Usable(term.key, term.op) && TermText(term) == word) plan.terms.push_back(term);
      }
    }
    AQ_CHECK(plan.terms.size() == before + 1);
  }
  return plan;
}

std::optional<TimeSpan> TimesThatStart(std::string_view text) {
  TimeSpan span;
  constexpr std::string_view kForm = "0000-00-00T00:00:00.000";
  span.whole = text.size() == kForm.size() + 1 && text.back() == 'Z';
  span.zulu = !span.whole && text.ends_with('Z');
  if (text.ends_with('Z')) text.remove_suffix(1);
  constexpr std::array<size_t, 7> kLengths = {4, 7, 10, 13, 16, 19, 23};
  if (std::ranges::find(kLengths, text.size()) == kLengths.end()) return std::nullopt;
  const auto days = DaysOf(text.substr(0, 10));
  if (!days) return std::nullopt;
  span.first = days->first;
  span.end = days->end;
  struct Part {
    size_t at, digits;
    char before;
    uint64_t count, millis;
  };
  constexpr Part kParts[] = {{11, 2, 'T', 24, 3'600'000},
                             {14, 2, ':', 60, 60'000},
                             {17, 2, ':', 60, 1'000},
                             {20, 3, '.', 1'000, 1}};
  for (const Part& part : kParts) {
    if (text.size() <= part.at) break;
    const auto number = Digits<unsigned>(text.substr(part.at, part.digits));
    if (text[part.at - 1] != part.before || !number || *number >= part.count) return std::nullopt;
    span.first += *number * part.millis;
    span.end = span.first + part.millis;
  }
  return span;
}

void Bounds::TakeNumber(const Term& term, sqlite3_value* value, uint64_t& first, uint64_t& end) {
  int64_t low = 0, high = 0;
  switch (sqlite3_value_numeric_type(value)) {
    case SQLITE_INTEGER: low = high = sqlite3_value_int64(value); break;
    case SQLITE_FLOAT:
      low = Below(sqlite3_value_double(value));
      high = Above(sqlite3_value_double(value));
      break;
    case SQLITE_NULL: nothing = true; return;  // equal to nothing, and not to NULL either
    default: return;                           // text and bytes sort behind every number
  }
  const bool at_least =
      term.op == Op::kEqual || term.op == Op::kGreater || term.op == Op::kGreaterEqual;
  const bool at_most = term.op == Op::kEqual || term.op == Op::kLess || term.op == Op::kLessEqual;
  // No seq and no time is below zero.
  nothing = nothing || (at_most && high < 0);
  if (at_least && low >= 0)
    first = std::max(first, static_cast<uint64_t>(low) + (term.op == Op::kGreater ? 1 : 0));
  if (at_most && high >= 0)
    end = std::min(end, static_cast<uint64_t>(high) + (term.op == Op::kLess ? 0 : 1));
}

void Bounds::TakeTime(Op op, sqlite3_value* value) {
  if (sqlite3_value_type(value) == SQLITE_NULL) nothing = true;
  const auto text = TextOf(value);
  const auto span = text ? TimesThatStart(*text) : std::nullopt;
  if (!span) return;
  const bool equal = op == Op::kEqual;
  if (equal && !span->whole) nothing = true;  // no time's text is as short as this
  if (equal || op == Op::kGreater || op == Op::kGreaterEqual)
    millis_first = std::max(millis_first, span->first);
  // What is cut short sorts before the times that start with it, and behind them with a Z.
  if (equal || op == Op::kLess || op == Op::kLessEqual)
    millis_end = std::min(millis_end, span->whole || span->zulu ? span->end : span->first);
}

void Bounds::TakeHex(const Term& term, sqlite3_value* value, Bytes& prefix) {
  const auto text = TextOf(value);
  if (!text) {
    // Nothing but text equals text; a pattern that is a number is read as its digits by SQLite.
    nothing = nothing || term.op == Op::kEqual || sqlite3_value_type(value) == SQLITE_NULL;
    return;
  }
  if (term.op == Op::kPrefix) {
    const Bytes start = PatternStart(*text);
    if (start.size() > 32) nothing = true;
    if (start.size() > prefix.size() && start.size() <= 32) prefix = start;
    return;
  }
  const auto bytes = ColumnHex(*text);
  if (bytes && bytes->size() == 32) {
    prefix = *bytes;
  } else {
    nothing = true;
  }
}

template <class Id>
void Bounds::TakeId(sqlite3_value* value, std::optional<Id>& into) {
  const auto text = TextOf(value);
  const auto bytes = text ? ColumnHex(*text) : std::nullopt;
  const auto id = bytes ? Id::From(*bytes) : std::nullopt;
  if (!id || (into && *into != *id)) nothing = true;
  into = id;
}

void Bounds::TakeMask(const Term& term, sqlite3_value* value) {
  const bool kinds = term.key == Key::kKind || term.key == Key::kKindCode;
  uint32_t mask = 0;
  const auto add = [&](sqlite3_value* one) {
    int64_t code = -1;
    if (IsText(term.key)) {
      const auto text = TextOf(one);
      if (!text) return;
      if (kinds) {
        if (const auto kind = KindNamed(*text)) code = static_cast<int64_t>(*kind);
      } else if (const auto rung = RungNamed(*text)) {
        code = static_cast<int64_t>(*rung);
      }
    } else if (sqlite3_value_numeric_type(one) == SQLITE_INTEGER) {
      code = sqlite3_value_int64(one);
    } else if (sqlite3_value_numeric_type(one) == SQLITE_FLOAT) {
      code = Below(sqlite3_value_double(one));
    }
    if (code > 0 && code < 32) mask |= 1u << code;
  };
  if (term.op == Op::kIn) {
    sqlite3_value* one = nullptr;
    for (int rc = sqlite3_vtab_in_first(value, &one); rc == SQLITE_OK && one != nullptr;
         rc = sqlite3_vtab_in_next(value, &one)) {
      add(one);
    }
  } else {
    add(value);
  }
  if (kinds) {
    where.kinds &= mask;
    nothing = nothing || where.kinds == 0;
  } else {
    where.rungs = static_cast<uint8_t>(where.rungs & mask);
    nothing = nothing || where.rungs == 0;
  }
}

void Bounds::TakeName(const std::optional<std::string>& name, const Directory& directory) {
  const std::vector<Kid> kids = name ? directory.KidsNamed(*name) : std::vector<Kid>();
  if (kids.size() > 1) return;  // keys of one name are told apart by their rows
  if (kids.empty() || (subject && *subject != kids.front())) {
    nothing = true;
  } else {
    subject = kids.front();
  }
}

void Bounds::TakeWord(sqlite3_value* value, std::optional<std::string>& into) {
  const auto word = WordOf(value);
  if (!word || (into && *into != *word)) nothing = true;
  if (word) into = *word;
}

void Bounds::Take(const Term& term, sqlite3_value* value, const Directory& directory) {
  switch (term.key) {
    case Key::kMachine: return TakeWord(value, machine);
    case Key::kSeq: return TakeNumber(term, value, seq_first, seq_end);
    case Key::kMillis: return TakeNumber(term, value, millis_first, millis_end);
    case Key::kTime: return TakeTime(term.op, value);
    case Key::kSubject: return TakeId(value, subject);
    case Key::kSubjectName: return TakeName(WordOf(value), directory);
    case Key::kPeer: return TakeId(value, peer);
    case Key::kAuthority: return TakeHex(term, value, where.authority_prefix);
    case Key::kKind:
    case Key::kKindCode:
    case Key::kOutcome:
    case Key::kOutcomeCode: return TakeMask(term, value);
    case Key::kId: return TakeHex(term, value, where.id_prefix);
    case Key::kOid: return TakeId(value, oid);
    case Key::kShelf: return TakeWord(value, shelf);
    case Key::kNone:
    case Key::kEnd: return;
  }
}

}  // namespace aqmesh::lineage::sql
