// The ledger as bytes and back. Strict: what Encode would not write, Decode does not take.
#include <algorithm>

#include "core/base/status.h"
#include "trust/ledger.h"

namespace aqmesh::trust {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kFlagFolded = 1;
constexpr uint8_t kFlagOverdue = 2;
constexpr uint8_t kFlagPeer = 4;
constexpr uint8_t kFlagAuthority = 8;
constexpr uint8_t kFlagsAll = 15;

// Takes fields off the front; after one that is not there all that follow are zero, and ok() is
// false.
class Cursor {
 public:
  explicit Cursor(ByteView bytes) : left_(bytes) {}
  bool ok() const { return ok_; }
  bool done() const { return left_.empty(); }
  ByteView Take(size_t n) {
    if (n > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const ByteView taken = left_.first(n);
    left_ = left_.subspan(n);
    return taken;
  }
  template <class T>
  T Number() {
    const ByteView b = Take(sizeof(T));
    return b.empty() ? T{0} : LoadBe<T>(b.data());
  }
  template <class T>
  T Fixed() {
    return T::From(Take(T::kSize)).value_or(T{});
  }

 private:
  ByteView left_;
  bool ok_ = true;
};

}  // namespace

class Ledger::Codec {
 public:
  static void AppendRow(Bytes& out, const Kid& key, const Row& row) {
    Append(out, key);
    out.push_back(
        static_cast<uint8_t>((row.folded ? kFlagFolded : 0) | (row.overdue ? kFlagOverdue : 0) |
                             (row.peer ? kFlagPeer : 0) | (row.authority ? kFlagAuthority : 0)));
    Append(out, row.standing.Encode());
    AppendBe(out, row.a_authority);
    AppendBe(out, row.epoch);
    AppendBe(out, row.seen_for);
    AppendBe(out, row.seen_against);
    AppendFindings(out, row.once);
    AppendFindings(out, row.praise);
    AppendFindings(out, row.slander);
    AppendCharges(out, row.due);
    AppendCounted(out, row.once_before);
    AppendCounted(out, row.praise_before);
    AppendCounted(out, row.slander_before);
    AppendCharges(out, row.paid);
  }

  explicit Codec(ByteView bytes) : in_(bytes) {}

  absl::StatusOr<Ledger> Run(size_t keys_max) {
    Ledger out(keys_max);
    if (in_.Number<uint8_t>() != kVersion) return InvalidArgument("ledger: not version 1");
    epoch_ = out.epoch_ = in_.Number<uint64_t>();
    if (!in_.ok() || epoch_ > kEpochMax) return InvalidArgument("ledger: no epoch");
    while (!in_.done()) {
      if (out.rows_.size() >= keys_max) return InvalidArgument("ledger: above ", keys_max, " keys");
      const Kid key = in_.Fixed<Kid>();
      if (!out.rows_.empty() && key <= out.rows_.rbegin()->first)
        return InvalidArgument("ledger: kids not ascending at ", ToHex(key));
      const absl::Status read = ReadRow(out.rows_[key]);
      if (!read.ok()) return Annotate(read, Join("ledger: row ", ToHex(key)));
    }
    return out;
  }

 private:
  template <class Set>
  static void AppendFindings(Bytes& out, const Set& set) {
    out.push_back(static_cast<uint8_t>(set.all().size()));
    for (const Finding& f : set.all()) {
      out.push_back(f.key.against ? 1 : 0);
      Append(out, f.key.evidence);
      AppendBe(out, f.weight);
      Append(out, f.group);
    }
  }
  template <class Set>
  static void AppendCounted(Bytes& out, const Set& set) {
    out.push_back(static_cast<uint8_t>(set.all().size()));
    for (const Counted& c : set.all()) {
      out.push_back(c.key.against ? 1 : 0);
      Append(out, c.key.evidence);
      AppendBe(out, c.weight);
      AppendBe(out, c.epoch);
    }
  }
  static void AppendCharges(Bytes& out, const std::vector<Charge>& charges) {
    out.push_back(static_cast<uint8_t>(charges.size()));
    for (const Charge& c : charges) {
      Append(out, c.subject);
      AppendBe(out, c.amount);
      AppendBe(out, c.epoch);
    }
  }

  absl::Status ReadRow(Row& row) {
    const auto flags = in_.Number<uint8_t>();
    if (flags > kFlagsAll) return InvalidArgument("unknown flag");
    row.folded = (flags & kFlagFolded) != 0;
    row.overdue = (flags & kFlagOverdue) != 0;
    row.peer = (flags & kFlagPeer) != 0;
    row.authority = (flags & kFlagAuthority) != 0;
    if (!row.peer && !row.authority) return InvalidArgument("met in no role");
    AQ_ASSIGN_OR_RETURN(row.standing, Standing::Decode(in_.Take(Standing::kSize)));
    if (row.standing.last > epoch_) return InvalidArgument("standing: last after the open epoch");
    row.a_authority = in_.Number<uint32_t>();
    if (row.a_authority > kOne || (!row.authority && row.a_authority != 0) ||
        (!row.peer && row.standing.a != 0))
      return InvalidArgument("a prior that no role has");
    row.epoch = in_.Number<uint64_t>();
    if (row.epoch > epoch_) return InvalidArgument("open after the open epoch");
    row.seen_for = in_.Number<uint32_t>();
    row.seen_against = in_.Number<uint32_t>();
    if (std::max(row.seen_for, row.seen_against) > kBadMax)
      return InvalidArgument("what was seen: above ", kBadMax);
    AQ_RETURN_IF_ERROR(ReadFindings(row.once, "once", Sides::kBoth));
    AQ_RETURN_IF_ERROR(ReadFindings(row.praise, "praise", Sides::kFor));
    AQ_RETURN_IF_ERROR(ReadFindings(row.slander, "slander", Sides::kAgainst));
    AQ_RETURN_IF_ERROR(ReadCharges(row.due, "due"));
    AQ_RETURN_IF_ERROR(ReadCounted(row.once_before, "once before", Sides::kBoth));
    AQ_RETURN_IF_ERROR(ReadCounted(row.praise_before, "praise before", Sides::kFor));
    AQ_RETURN_IF_ERROR(ReadCounted(row.slander_before, "slander before", Sides::kAgainst));
    AQ_RETURN_IF_ERROR(ReadCharges(row.paid, "paid"));
    if (row.open() && row.epoch < row.standing.last)
      return InvalidArgument("open before its last fold");
    if (!row.open() && row.epoch != 0) return InvalidArgument("nothing open, in an epoch");
    return CheckDebts(row);
  }

  enum class Sides : uint8_t { kBoth, kFor, kAgainst };

  absl::Status ReadKey(FindingKey& key, Sides sides) {
    const auto against = in_.Number<uint8_t>();
    key.evidence = in_.Fixed<Digest>();
    if (against > 1 || (sides == Sides::kFor && against == 1) ||
        (sides == Sides::kAgainst && against == 0))
      return InvalidArgument("on the wrong side");
    if (key.evidence.is_zero()) return InvalidArgument("without evidence");
    key.against = against == 1;
    return absl::OkStatus();
  }

  template <class Set>
  absl::Status ReadFindings(Set& set, const char* name, Sides sides) {
    const size_t count = in_.Number<uint8_t>();
    if (count > Set::kMax) return InvalidArgument(name, ": above ", Set::kMax);
    std::optional<FindingKey> before;
    for (size_t i = 0; i < count; ++i) {
      Finding f;
      const absl::Status key = ReadKey(f.key, sides);
      if (!key.ok()) return Annotate(key, name);
      f.weight = in_.Number<uint32_t>();
      f.group = in_.Fixed<Kid>();
      if (f.weight == 0 || f.weight > kBadMax) return InvalidArgument(name, ": no weight");
      if (sides != Sides::kFor && !f.group.is_zero())
        return InvalidArgument(name, ": a group where none counts");
      if (before && f.key <= *before) return InvalidArgument(name, ": not ascending");
      before = f.key;
      set.Add(f);
    }
    return in_.ok() ? absl::OkStatus() : InvalidArgument(name, ": cut off");
  }

  template <class Set>
  absl::Status ReadCounted(Set& set, const char* name, Sides sides) {
    const size_t count = in_.Number<uint8_t>();
    if (count > Set::kMax) return InvalidArgument(name, ": above ", Set::kMax);
    std::optional<FindingKey> before;
    for (size_t i = 0; i < count; ++i) {
      FindingKey key;
      const absl::Status read = ReadKey(key, sides);
      if (!read.ok()) return Annotate(read, name);
      const auto weight = in_.Number<uint32_t>();
      const auto epoch = in_.Number<uint64_t>();
      if (weight == 0 || weight > kBadMax) return InvalidArgument(name, ": no weight");
      if (epoch > epoch_) return InvalidArgument(name, ": after the open epoch");
      if (before && key <= *before) return InvalidArgument(name, ": not ascending");
      before = key;
      set.Add({key, weight, {}}, epoch);
    }
    return in_.ok() ? absl::OkStatus() : InvalidArgument(name, ": cut off");
  }

  absl::Status ReadCharges(std::vector<Charge>& charges, const char* name) {
    const size_t count = in_.Number<uint8_t>();
    if (count > kChargesMax) return InvalidArgument(name, ": above ", kChargesMax);
    for (size_t i = 0; i < count; ++i) {
      Charge c;
      c.subject = in_.Fixed<Kid>();
      c.amount = in_.Number<uint32_t>();
      c.epoch = in_.Number<uint64_t>();
      if (c.amount == 0 || c.amount % kLeastCharge != 0 || c.amount > kLiablePerSubject)
        return InvalidArgument(name, ": no amount that anybody is charged");
      if (c.epoch > epoch_) return InvalidArgument(name, ": after the open epoch");
      charges.push_back(c);
    }
    return in_.ok() ? absl::OkStatus() : InvalidArgument(name, ": cut off");
  }

  // What the sums rest on: debts are of the open epoch and beyond what was paid, and that is
  // capped.
  absl::Status CheckDebts(const Row& row) const {
    uint64_t paid = 0;
    for (const Charge& c : row.paid) paid += c.amount;
    if (paid > kLiablePerIssuer) return InvalidArgument("paid: above ", kLiablePerIssuer);
    if (std::adjacent_find(row.paid.begin(), row.paid.end(), NotAscending) != row.paid.end())
      return InvalidArgument("paid: not ascending");
    for (size_t i = 0; i < row.due.size(); ++i) {
      const Charge& c = row.due[i];
      if (c.epoch != row.epoch) return InvalidArgument("due: of another epoch");
      if (i > 0 && c.subject <= row.due[i - 1].subject)
        return InvalidArgument("due: not ascending");
      if (c.amount <= row.PaidFor(&c.subject, row.epoch))
        return InvalidArgument("due: paid already");
    }
    if (row.overdue && row.due.size() != kChargesMax)
      return InvalidArgument("due: more than the most, but not the most");
    return absl::OkStatus();
  }
  static bool NotAscending(const Charge& l, const Charge& r) {
    return l.epoch != r.epoch ? l.epoch > r.epoch : l.subject >= r.subject;
  }

  Cursor in_;
  uint64_t epoch_ = 0;
};

Bytes Ledger::EncodeHead() const {
  Bytes out = {kVersion};
  AppendBe(out, epoch_);
  return out;
}

Bytes Ledger::Encode() const {
  Bytes out = EncodeHead();
  for (const auto& [key, row] : rows_) Codec::AppendRow(out, key, row);
  return out;
}

std::optional<Bytes> Ledger::EncodeRow(const Kid& key) const {
  const auto row = rows_.find(key);
  if (row == rows_.end()) return std::nullopt;
  Bytes out;
  Codec::AppendRow(out, key, row->second);
  return out;
}

absl::StatusOr<Ledger> Ledger::Decode(ByteView bytes, size_t keys_max) {
  return Codec(bytes).Run(keys_max);
}

}  // namespace aqmesh::trust
