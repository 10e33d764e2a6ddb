#include "core/authority/codec.h"

#include <algorithm>

#include "core/authority/codec_describe.h"
#include "core/authority/codec_rules.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/wire/reader.h"
#include "core/wire/writer.h"

namespace aqmesh::authority {

namespace {

using wire::Reader;
using wire::WireType;

template <class T>
constexpr uint64_t WidthMax() {
  return std::numeric_limits<uint64_t>::max() >> (64 - 8 * sizeof(T));
}

// Visitor: bytes to object. Everything after the first refusal is skipped.
class Decoder {
 public:
  template <class T>
  using Ref = T&;

  Decoder(ByteView bytes, size_t base, RuleBook& rules)
      : bytes_(bytes), reader_(bytes), base_(base), rules_(rules) {}

  template <class T>
  void Number(uint32_t number, std::string_view name, Mark mark, T& out, const NumberForm& form) {
    uint64_t value = 0;
    if (!Enter(number, name, mark, WireType::kVarint) || !Take(number, reader_.Number(), value))
      return;
    const uint64_t hi = std::min(form.hi, WidthMax<T>());
    if (value > WidthMax<T>()) return Refuse(number, "number wider than its field", 1);
    if (value < form.lo || value > hi)
      return Refuse(number, Join(value, " is not in ", form.lo, "..", hi), 2);
    out = static_cast<T>(value);
  }

  template <class T>
  void Bits(uint32_t number, std::string_view name, Mark mark, T& out, const BitsForm& form) {
    uint64_t value = 0;
    if (!Enter(number, name, mark, WireType::kVarint) || !Take(number, reader_.Number(), value))
      return;
    if (value > WidthMax<T>()) return Refuse(number, "number wider than its field", 1);
    if (const uint64_t unknown = value & ~form.all; unknown != 0) {
      const uint64_t lowest = unknown & (~unknown + 1);
      return Refuse(
          number,
          Join("unknown bit 0x", std::string(absl::StrCat(absl::Hex(lowest, absl::kZeroPad4)))),
          2);
    }
    out = static_cast<T>(value);
  }

  template <class T, class F>
  void Form(uint32_t number, std::string_view name, Mark mark, T& out, const F&) {
    ByteView raw;
    if (!Enter(number, name, mark, WireType::kBytes) || !Take(number, reader_.String(), raw))
      return;
    typename F::Value value{};
    if (Broken broken = F::Get(raw, value)) return Refuse(number, broken, 2);
    out = std::move(value);
  }

  template <class T, class F>
  void List(uint32_t number, std::string_view name, ListMark mark, std::vector<T>& out, const F&) {
    EachOf(number, name, mark, [this, number, &out](ByteView raw) {
      T value{};
      if (Broken broken = F::Get(raw, value)) return Refuse(number, broken, 2);
      out.push_back(std::move(value));
    });
  }

  template <class T>
  void Message(uint32_t number, std::string_view name, Mark mark, std::optional<T>& out) {
    ByteView raw;
    if (!Enter(number, name, mark, WireType::kBytes) || !Take(number, reader_.String(), raw))
      return;
    Nested(number, name, raw, out.emplace());
  }

  template <class T>
  void Messages(uint32_t number, std::string_view name, ListMark mark, std::vector<T>& out) {
    EachOf(number, name, mark, [this, number, name, &out](ByteView raw) {
      Nested(number, name, raw, out.emplace_back());
    });
  }

  // spec: objects#1 rule 4: no trailing bytes.
  void Finish() {
    if (rules_.refused() || reader_.done()) return;
    start_ = reader_.at();
    const auto tag = reader_.PeekTag();
    if (const auto* fault = std::get_if<Reader::Fault>(&tag))
      return rules_.Refuse(0, base_ + fault->byte, fault->rule, 1);
    Stray(std::get<wire::Tag>(tag).number);
  }

 private:
  // Names the field and stands behind its tag if it is there.
  bool Enter(uint32_t number, std::string_view name, Mark mark, WireType type) {
    if (rules_.refused()) return false;
    start_ = reader_.at();
    rules_.Named(number, name, base_ + start_);
    if (AtField(number, type)) return true;
    if (!rules_.refused() && mark == Mark::kMust) Refuse(number, "required, but absent", 2);
    return false;
  }

  bool AtField(uint32_t number, WireType type) {
    if (rules_.refused() || reader_.done()) return false;
    start_ = reader_.at();
    if (peeked_at_ != start_) {
      const auto peeked = reader_.PeekTag();
      if (const auto* fault = std::get_if<Reader::Fault>(&peeked)) {
        rules_.Refuse(0, base_ + fault->byte, fault->rule, 1);
        return false;
      }
      peeked_ = std::get<wire::Tag>(peeked);
      peeked_at_ = start_;
    }
    const wire::Tag tag = peeked_;
    if (tag.number > number) return false;
    if (tag.number < number) {
      Stray(tag.number);
      return false;
    }
    if (tag.type != type) {
      Refuse(number,
             type == WireType::kVarint ? "bytes where a number belongs"
                                       : "a number where bytes belong",
             1);
      return false;
    }
    reader_.SkipTag();
    return true;
  }

  // A tag below the field that comes next: seen already, or nobody's.
  void Stray(uint32_t number) {
    Refuse(
        number, rules_.Knows(number) ? "doubled, or out of ascending order" : "unknown field", 1);
  }

  template <class T>
  bool Take(uint32_t number, Reader::Result<T> read, T& out) {
    if (const auto* fault = std::get_if<Reader::Fault>(&read)) {
      rules_.Refuse(number, base_ + fault->byte, fault->rule, 1);
      return false;
    }
    out = std::get<T>(read);
    return true;
  }

  // spec: objects#1 rule 1: adjacent, one tag each; mark `*n`: strictly ascending as byte strings.
  template <class OnEach>
  void EachOf(uint32_t number, std::string_view name, ListMark mark, OnEach on_each) {
    if (!Enter(number, name, mark.mark, WireType::kBytes)) return;
    ByteView last;
    size_t count = 0;
    do {
      ByteView raw;
      if (!Take(number, reader_.String(), raw)) return;
      if (++count > mark.max) return Refuse(number, Join("more than ", mark.max, " values"), 2);
      if (mark.ascending && count > 1 &&
          !std::lexicographical_compare(last.begin(), last.end(), raw.begin(), raw.end())) {
        return Refuse(number, "values do not strictly ascend", 1);
      }
      on_each(raw);
      last = raw;
    } while (AtField(number, WireType::kBytes));
  }

  template <class T>
  void Nested(uint32_t number, std::string_view name, ByteView raw, T& out) {
    const Place here{rules_.up(), number, name};
    RuleBook rules(rules_.thing(), &here, rules_.envelope(), rules_.out());
    Decoder inner(raw, base_ + static_cast<size_t>(raw.data() - bytes_.data()), rules);
    Describe(inner, out);
    inner.Finish();
    if (!rules.refused()) CheckRules(rules, out);
  }

  void Refuse(uint32_t number, std::string rule, unsigned section) {
    rules_.Refuse(number, base_ + start_, std::move(rule), section);
  }

  ByteView bytes_;
  Reader reader_;
  size_t base_;       // of this message inside the body
  size_t start_ = 0;  // of the field being read
  wire::Tag peeked_;  // at peeked_at_: a tag waits for its field while others are absent
  size_t peeked_at_ = std::numeric_limits<size_t>::max();
  RuleBook& rules_;
};

// Visitor: object to bytes, as it stands; whether it obeys the rules is the Decoder's to say.
class Encoder {
 public:
  template <class T>
  using Ref = const T&;

  template <class T>
  void Number(uint32_t number, std::string_view, Mark, const T& v, const NumberForm&) {
    writer_.Number(number, static_cast<uint64_t>(v));
  }
  template <class T>
  void Bits(uint32_t number, std::string_view, Mark, const T& v, const BitsForm&) {
    writer_.Number(number, v);
  }
  template <class T, class F>
  void Form(uint32_t number, std::string_view, Mark, const T& v, const F&) {
    if constexpr (std::is_same_v<T, std::optional<typename F::Value>>) {
      if (v) writer_.String(number, F::Put(*v));
    } else {
      writer_.String(number, F::Put(v));
    }
  }
  template <class T, class F>
  void List(uint32_t number, std::string_view, ListMark, const std::vector<T>& v, const F&) {
    for (const T& each : v) writer_.String(number, F::Put(each));
  }
  template <class T>
  void Message(uint32_t number, std::string_view, Mark, const std::optional<T>& v) {
    if (v) writer_.String(number, Encoded(*v));
  }
  template <class T>
  void Messages(uint32_t number, std::string_view, ListMark, const std::vector<T>& v) {
    for (const T& each : v) writer_.String(number, Encoded(each));
  }

  template <class T>
  static Bytes Encoded(const T& object) {
    Encoder e;
    Describe(e, object);
    return e.writer_.Take();
  }

 private:
  wire::Writer writer_;
};

// Visitor: puts every `*n` list into the order of its encodings.
class Sorter {
 public:
  template <class T>
  using Ref = T&;

  template <class T>
  void Number(uint32_t, std::string_view, Mark, T&, const NumberForm&) {}
  template <class T>
  void Bits(uint32_t, std::string_view, Mark, T&, const BitsForm&) {}
  template <class T, class F>
  void Form(uint32_t, std::string_view, Mark, T&, const F&) {}
  template <class T, class F>
  void List(uint32_t, std::string_view, ListMark mark, std::vector<T>& v, const F&) {
    if (mark.ascending) SortBy(v, [](const T& each) { return Concat({F::Put(each)}); });
  }
  template <class T>
  void Message(uint32_t, std::string_view, Mark, std::optional<T>& v) {
    if (v) Describe(*this, *v);
  }
  template <class T>
  void Messages(uint32_t, std::string_view, ListMark mark, std::vector<T>& v) {
    for (T& each : v) Describe(*this, each);
    if (mark.ascending) SortBy(v, [](const T& each) { return Encoder::Encoded(each); });
  }

 private:
  template <class T, class Key>
  static void SortBy(std::vector<T>& v, Key key) {
    std::stable_sort(v.begin(), v.end(), [key](const T& a, const T& b) { return key(a) < key(b); });
  }
};

// Whose bytes they are: our own Encoder's need not be held against it again.
enum class From : uint8_t { kAnyone, kEncoder };

template <class T>
absl::StatusOr<T> ParseIn(ByteView body, const Signed* envelope, From from = From::kAnyone) {
  std::optional<wire::Refusal> refusal;
  RuleBook rules(CtxName(T::kCtx), nullptr, envelope, &refusal);
  if (body.empty() || body.size() > kBodyBytesMax) {
    rules.Refuse(0, 0, Join("body of ", body.size(), " bytes, not 1..", kBodyBytesMax), 1);
    return refusal->ToStatus();
  }
  T object{};
  Decoder decoder(body, 0, rules);
  Describe(decoder, object);
  decoder.Finish();
  if (!refusal) CheckRules(rules, object);
  if (!refusal && from == From::kAnyone) {
    // spec: objects#1 rule 4: one encoding per value, byte for byte.
    const Bytes again = Encoder::Encoded(object);
    const auto at = std::mismatch(body.begin(), body.end(), again.begin(), again.end());
    if (at.first != body.end() || at.second != again.end()) {
      rules.Refuse(0,
                   static_cast<size_t>(at.first - body.begin()),
                   "encodes differently when written again",
                   1);
    }
  }
  if (refusal) return refusal->ToStatus();
  return object;
}

absl::Status TooLarge(Ctx ctx, size_t size, size_t limit) {
  return wire::Refusal{
      std::string(CtxName(ctx)), "", limit, Join(size, " bytes signed, at most ", limit), 2}
      .ToStatus();
}

}  // namespace

template <class T>
absl::StatusOr<T> ParseBody(ByteView body) {
  return ParseIn<T>(body, nullptr);
}

template <class T>
absl::StatusOr<Bytes> TryEncodeBody(const T& object) {
  Bytes body = Encoder::Encoded(object);
  AQ_ASSIGN_OR_RETURN(const T again, ParseIn<T>(body, nullptr, From::kEncoder));
  if (!(again == object)) {
    return InvalidArgument(
        CtxName(T::kCtx),
        ": a value has no encoding (an endpoint's zone, an empty routing); drop it");
  }
  size_t limit = SignedBytesMax(T::kCtx, Suite::kEd25519);
  if constexpr (std::is_same_v<T, Grant>) {
    if ((object.caps & kCapsIssue) == 0) limit = kLeafGrantBytesMax;
  }
  const size_t size = SignedSize(body.size(), Suite::kEd25519);
  if (size > limit) return TooLarge(T::kCtx, size, limit);
  return body;
}

template <class T>
Bytes EncodeBody(const T& object) {
  absl::StatusOr<Bytes> body = TryEncodeBody(object);
  if (!body.ok()) CheckFailed(Text(body.status()).c_str(), __FILE__, __LINE__);
  return *std::move(body);
}

template <class T>
void SortLists(T& object) {
  Sorter sorter;
  Describe(sorter, object);
}

template <class T>
absl::StatusOr<Held<T>> ParseObject(Signed envelope) {
  if (envelope.ctx() != T::kCtx) {
    return InvalidArgument("envelope: field 1 ctx at byte 0: a ",
                           CtxName(envelope.ctx()),
                           ", not a ",
                           CtxName(T::kCtx),
                           " (spec/objects.md §2)");
  }
  const size_t limit = SignedBytesMax(T::kCtx, envelope.suite());
  if (envelope.bytes().size() > limit) return TooLarge(T::kCtx, envelope.bytes().size(), limit);
  AQ_ASSIGN_OR_RETURN(T body, ParseIn<T>(envelope.body(), &envelope));
  return Held<T>{std::make_shared<const Signed>(std::move(envelope)), std::move(body)};
}

template <class T>
absl::StatusOr<Held<T>> ParseObject(ByteView bytes) {
  AQ_ASSIGN_OR_RETURN(Signed envelope, Signed::Parse(bytes));
  return ParseObject<T>(std::move(envelope));
}

#define AQ_INSTANTIATE(T)                                    \
  template absl::StatusOr<T> ParseBody<T>(ByteView);         \
  template absl::StatusOr<Bytes> TryEncodeBody<T>(const T&); \
  template Bytes EncodeBody<T>(const T&);                    \
  template void SortLists<T>(T&);                            \
  template absl::StatusOr<Held<T>> ParseObject<T>(ByteView); \
  template absl::StatusOr<Held<T>> ParseObject<T>(Signed)

AQ_INSTANTIATE(Charter);
AQ_INSTANTIATE(Grant);
AQ_INSTANTIATE(Fragment);
AQ_INSTANTIATE(Keybind);
AQ_INSTANTIATE(Rotate);
AQ_INSTANTIATE(Attest);
AQ_INSTANTIATE(Revoke);
AQ_INSTANTIATE(Cosign);
AQ_INSTANTIATE(Observe);
AQ_INSTANTIATE(Treaty);
AQ_INSTANTIATE(Pardon);
AQ_INSTANTIATE(Presentation);
AQ_INSTANTIATE(Invite);
AQ_INSTANTIATE(Request);
AQ_INSTANTIATE(Approve);
AQ_INSTANTIATE(Announce);
AQ_INSTANTIATE(Retention);
#undef AQ_INSTANTIATE

}  // namespace aqmesh::authority
