#include "core/authority/render.h"

#include <ctime>

#include "core/authority/codec.h"
#include "core/authority/codec_describe.h"
#include "core/base/status.h"
#include "core/wire/json.h"

namespace aqmesh::authority {

namespace {

using wire::JsonWriter;

std::string BitNames(uint64_t bits, Names names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if ((bits >> i & 1) == 0) continue;
    if (!out.empty()) out += ",";
    out += names[i];
  }
  return out;
}

// 2023-11-14 22:13:20Z; plain seconds where the calendar ends.
std::string TimeText(uint64_t seconds) {
  constexpr uint64_t kYear9999 = 253'402'300'799;
  if (seconds > kYear9999) return Join(seconds);
  const auto t = static_cast<time_t>(seconds);
  struct tm utc{};
  gmtime_r(&t, &utc);
  char text[32];
  return std::string(text, strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &utc));
}

std::string SpanText(uint64_t seconds) {
  struct Unit {
    uint64_t size;
    std::string_view name;
  };
  static constexpr Unit kUnits[] = {{86'400, "d"}, {3'600, "h"}, {60, "min"}};
  for (const Unit& u : kUnits) {
    if (seconds % u.size == 0) return Join(seconds / u.size, " ", u.name);
  }
  return Join(seconds, " s");
}

std::string NumberText(uint64_t v, const NumberForm& form) {
  if (!form.names.empty() && v >= form.lo && v - form.lo < form.names.size()) {
    return Join(form.names[v - form.lo], " (", v, ")");
  }
  switch (form.as) {
    case NumberForm::As::kTime: return TimeText(v);
    case NumberForm::As::kSeconds: return SpanText(v);
    case NumberForm::As::kHlc:
      return Join(TimeText((v >> 16) / 1'000), " +", (v >> 16) % 1'000, " ms, count ", v & 0xffff);
    case NumberForm::As::kQ16: return Join(v, " (", v * 100 / 65'536, " %)");
    case NumberForm::As::kNumber: break;
  }
  return Join(v);
}

// Visitor: the fields that are there, as members of the object that is open.
class JsonFields {
 public:
  template <class T>
  using Ref = const T&;
  // `envelope_of`: the object's name at the top level, where the envelope's names are taken.
  JsonFields(JsonWriter& json, std::string_view envelope_of)
      : json_(json), envelope_of_(envelope_of) {}

  template <class T>
  void Number(uint32_t, std::string_view name, Mark, const T& v, const NumberForm&) {
    if (static_cast<uint64_t>(v) != 0) json_.Field(NameOf(name), static_cast<uint64_t>(v));
  }
  template <class T>
  void Bits(uint32_t, std::string_view name, Mark, const T& v, const BitsForm&) {
    if (v != 0) json_.Field(NameOf(name), uint64_t{v});
  }
  template <class T, class F>
  void Form(uint32_t, std::string_view name, Mark, const T& v, const F&) {
    if constexpr (std::is_same_v<T, std::optional<typename F::Value>>) {
      if (v) Put<F>(NameOf(name), *v);
    } else {
      if (!F::Put(v).empty()) Put<F>(NameOf(name), v);
    }
  }
  template <class T, class F>
  void List(uint32_t, std::string_view name, ListMark, const std::vector<T>& v, const F&) {
    if (v.empty()) return;
    json_.Key(NameOf(name)).Array();
    for (const T& each : v) json_.Value(F::Show(each)[0]);
    json_.End();
  }
  template <class T>
  void Message(uint32_t, std::string_view name, Mark, const std::optional<T>& v) {
    if (!v) return;
    json_.Key(NameOf(name));
    Nested(*v);
  }
  template <class T>
  void Messages(uint32_t, std::string_view name, ListMark, const std::vector<T>& v) {
    if (v.empty()) return;
    json_.Key(NameOf(name)).Array();
    for (const T& each : v) Nested(each);
    json_.End();
  }

 private:
  std::string NameOf(std::string_view name) const {
    const bool taken = name == "ctx" || name == "oid" || name == "kid" || name == "suite";
    return taken && !envelope_of_.empty() ? Join(envelope_of_, "_", name) : std::string(name);
  }
  template <class F>
  void Put(const std::string& name, const typename F::Value& v) {
    json_.Key(name);
    const Words words = F::Show(v);
    if (F::kShape == Shape::kText) {
      json_.Value(words[0]);
      return;
    }
    json_.Array();
    for (const std::string& w : words) {
      if (F::kShape == Shape::kNumbers) {
        json_.Value(std::stoull(w));
      } else {
        json_.Value(w);
      }
    }
    json_.End();
  }
  template <class T>
  void Nested(const T& v) {
    json_.Object();
    JsonFields inner(json_, "");
    Describe(inner, v);
    json_.End();
  }

  JsonWriter& json_;
  std::string_view envelope_of_;
};

// Visitor: the fields that are there, one line each.
class Lines {
 public:
  template <class T>
  using Ref = const T&;
  Lines(std::string& out, size_t indent) : out_(out), indent_(indent) {}

  template <class T>
  void Number(uint32_t, std::string_view name, Mark, const T& v, const NumberForm& form) {
    if (static_cast<uint64_t>(v) != 0) Line(name, NumberText(static_cast<uint64_t>(v), form));
  }
  template <class T>
  void Bits(uint32_t, std::string_view name, Mark, const T& v, const BitsForm& form) {
    if (v == 0) return;
    Line(name,
         form.names.empty() ? Join("0x", std::string(absl::StrCat(absl::Hex(v))))
                            : BitNames(v, form.names));
  }
  template <class T, class F>
  void Form(uint32_t, std::string_view name, Mark, const T& v, const F&) {
    if constexpr (std::is_same_v<T, std::optional<typename F::Value>>) {
      if (v) Line(name, Joined(F::Show(*v)));
    } else {
      if (!F::Put(v).empty()) Line(name, Joined(F::Show(v)));
    }
  }
  template <class T, class F>
  void List(uint32_t, std::string_view name, ListMark, const std::vector<T>& v, const F&) {
    if (v.empty()) return;
    Words words;
    for (const T& each : v) words.push_back(F::Show(each)[0]);
    Line(name, Joined(words));
  }
  template <class T>
  void Message(uint32_t, std::string_view name, Mark, const std::optional<T>& v) {
    if (!v) return;
    Line(name, "");
    Lines inner(out_, indent_ + 2);
    Describe(inner, *v);
  }
  template <class T>
  void Messages(uint32_t, std::string_view name, ListMark, const std::vector<T>& v) {
    for (size_t i = 0; i < v.size(); ++i) {
      Line(Join(name, " ", i + 1), "");
      Lines inner(out_, indent_ + 2);
      Describe(inner, v[i]);
    }
  }
  void Line(std::string_view label, std::string_view text) {
    constexpr size_t kColumn = 20;
    std::string line(indent_, ' ');
    line += label;
    line += ':';
    if (!text.empty()) line.append(line.size() < kColumn ? kColumn - line.size() : 1, ' ');
    out_ += line;
    out_ += text;
    out_ += '\n';
  }

 private:
  static std::string Joined(const Words& words) {
    std::string out;
    for (const std::string& w : words) out += (out.empty() ? "" : ", ") + w;
    return out;
  }

  std::string& out_;
  size_t indent_;
};

// Hands the body, parsed as its ctx says, to `use`; false for a kind that is only carried.
template <class Use>
bool WithBody(const Signed& s, Use use) {
  switch (s.ctx()) {
    case Ctx::kCharter: use(ParseBody<Charter>(s.body())); return true;
    case Ctx::kGrant: use(ParseBody<Grant>(s.body())); return true;
    case Ctx::kFragment: use(ParseBody<Fragment>(s.body())); return true;
    case Ctx::kKeybind: use(ParseBody<Keybind>(s.body())); return true;
    case Ctx::kRotate: use(ParseBody<Rotate>(s.body())); return true;
    case Ctx::kRevoke: use(ParseBody<Revoke>(s.body())); return true;
    case Ctx::kCosign: use(ParseBody<Cosign>(s.body())); return true;
    case Ctx::kObserve: use(ParseBody<Observe>(s.body())); return true;
    case Ctx::kTreaty: use(ParseBody<Treaty>(s.body())); return true;
    case Ctx::kPardon: use(ParseBody<Pardon>(s.body())); return true;
    case Ctx::kPresentation: use(ParseBody<Presentation>(s.body())); return true;
    case Ctx::kInvite: use(ParseBody<Invite>(s.body())); return true;
    case Ctx::kRequest: use(ParseBody<Request>(s.body())); return true;
    case Ctx::kApprove: use(ParseBody<Approve>(s.body())); return true;
    case Ctx::kAnnounce: use(ParseBody<Announce>(s.body())); return true;
    case Ctx::kRetention: use(ParseBody<Retention>(s.body())); return true;
    case Ctx::kAttest: use(ParseBody<Attest>(s.body())); return true;
    case Ctx::kPolicy: return false;
  }
  return false;
}

}  // namespace

std::string Render(const Signed& object) {
  std::string out = Join(CtxName(object.ctx()), " ", ToHex(object.oid()), "\n");
  Lines lines(out, 4);
  lines.Line("signed by",
             Join(ToHex(object.kid()), "  suite ", static_cast<uint16_t>(object.suite())));
  lines.Line("size", Join(object.bytes().size(), " bytes"));
  const bool known = WithBody(object, [&lines](const auto& body) {
    if (body.ok()) {
      Describe(lines, *body);
    } else {
      lines.Line("refused", Text(body.status()));
    }
  });
  if (!known) lines.Line("body", ToHex(object.body()));
  return out;
}

std::string RenderJson(const Signed& object) {
  JsonWriter json;
  json.Object().Field("schema", "aqmesh.inspect/1").Field("ctx", CtxName(object.ctx()));
  json.Field("oid", ToHex(object.oid())).Field("kid", ToHex(object.kid()));
  json.Field("suite", static_cast<uint16_t>(object.suite())).Field("size", object.bytes().size());
  JsonFields fields(json, CtxName(object.ctx()));
  const bool known = WithBody(object, [&json, &fields](const auto& body) {
    if (body.ok()) return Describe(fields, *body);
    json.Field("error", Text(body.status()));
    if (const auto byte = wire::RefusedByte(body.status())) json.Field("byte", *byte);
  });
  if (!known) json.Field("body", ToHex(object.body()));
  json.End();
  return json.Take();
}

}  // namespace aqmesh::authority
