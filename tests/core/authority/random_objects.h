// Random objects that obey their rules, made by one more visitor of the description.
// AQMESH_SEED (a number) chooses the stream; without it the seed is 1.
#ifndef AQMESH_TESTS_CORE_AUTHORITY_RANDOM_OBJECTS_H_
#define AQMESH_TESTS_CORE_AUTHORITY_RANDOM_OBJECTS_H_

#include <cstdio>
#include <cstdlib>

#include "core/authority/codec.h"
#include "core/authority/codec_describe.h"
#include "core/base/rng.h"
#include "core/base/status.h"
#include "tests/core/authority/vectors.h"

namespace aqmesh::authority {

inline Rng SeededRng() {
  const char* text = std::getenv("AQMESH_SEED");
  const uint64_t number = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  std::printf("AQMESH_SEED=%llu\n", static_cast<unsigned long long>(number));
  Rng::Seed seed{};
  StoreLe(seed.data(), number);
  return Rng(seed);
}

class RandomFields {
 public:
  template <class T>
  using Ref = T&;
  explicit RandomFields(Rng& rng) : rng_(rng) {}

  template <class T>
  void Number(uint32_t, std::string_view, Mark mark, T& v, const NumberForm& form) {
    if (!Present(mark)) return;
    const uint64_t width = ~uint64_t{0} >> (64 - 8 * sizeof(T));
    const uint64_t span = std::min({form.hi, width, ~uint64_t{0} - 1}) - form.lo + 1;
    v = static_cast<T>(form.lo +
                       rng_.Below(rng_.Below(2) == 0 ? std::min<uint64_t>(span, 200) : span));
  }
  template <class T>
  void Bits(uint32_t, std::string_view, Mark mark, T& v, const BitsForm& form) {
    if (Present(mark)) v = static_cast<T>(rng_.U64() & form.all);
  }
  template <class T, class F>
  void Form(uint32_t, std::string_view, Mark mark, T& v, const F& form) {
    if (!Present(mark)) return;
    if constexpr (std::is_same_v<T, std::optional<typename F::Value>>) {
      v = Make(form);
    } else {
      v = Make(form);
    }
  }
  template <class T, class F>
  void List(uint32_t, std::string_view, ListMark mark, std::vector<T>& v, const F& form) {
    for (uint64_t n = Count(mark); n > 0; --n) v.push_back(Make(form));
  }
  template <class T>
  void Message(uint32_t, std::string_view, Mark mark, std::optional<T>& v) {
    if (Present(mark)) Describe(*this, v.emplace());
  }
  template <class T>
  void Messages(uint32_t, std::string_view, ListMark mark, std::vector<T>& v) {
    for (uint64_t n = Count(mark); n > 0; --n) Describe(*this, v.emplace_back());
  }

 private:
  bool Present(Mark mark) { return mark == Mark::kMust || rng_.Below(2) == 0; }
  uint64_t Count(ListMark mark) {
    return mark.mark == Mark::kMust ? 1 + rng_.Below(std::min<size_t>(mark.max, 3))
                                    : rng_.Below(std::min<size_t>(mark.max, 3) + 1);
  }
  std::string Make(const LabForm&) {
    std::string s;
    for (uint64_t n = 6 + rng_.Below(6); n > 0; --n)
      s += "abcdefghijklmnopqrstuvwxyz0123456789"[rng_.Below(36)];
    return s;
  }
  std::string Make(const TagForm&) {
    std::string s = Make(LabForm{});
    for (uint64_t n = rng_.Below(4); n > 0; --n) s += "." + Make(LabForm{});
    return s;
  }
  std::string Make(const WtagForm&) { return Make(TagForm{}) + (rng_.Below(3) == 0 ? ".*" : ""); }
  IpAddress Address() {
    uint8_t b[16];
    rng_.Fill(b);
    b[0] = static_cast<uint8_t>(b[0] | 1);  // never ::ffff:0:0/96
    return *IpAddress::From(ByteView(b, rng_.Below(2) == 0 ? 4 : 16));
  }
  Prefix Make(const PrefixForm&) {
    const IpAddress a = Address();
    return *Prefix::Make(a, static_cast<unsigned>(a.bits() - rng_.Below(6)));
  }
  Endpoint Make(const EndpointForm&) {
    return {Address(), static_cast<uint16_t>(1 + rng_.Below(65'535)), 0};
  }
  Selector Make(const SelectorForm&) {
    Selector s;
    switch (rng_.Below(4)) {
      case 0: return s;
      case 1: return vectors::TagSelector(Make(TagForm{}));
      case 2: return vectors::NodeSelector(Kid{rng_.Array<16>()});
    }
    s.prefix = Make(PrefixForm{});
    s.kind = s.prefix.address.is_v6() ? Selector::Kind::kPrefix6 : Selector::Kind::kPrefix4;
    return s;
  }
  Bytes Make(const ProtosForm&) {
    if (rng_.Below(3) == 0) return {255};
    Bytes out;
    for (const uint8_t p : Bytes{1, 6, 17, 47, 58, 132}) {
      if (rng_.Below(2) == 0) out.push_back(p);
    }
    return out.empty() ? Bytes{6} : out;
  }
  std::vector<Range16> Make(const PortsForm&) {
    std::vector<Range16> out;
    uint32_t at = static_cast<uint32_t>(rng_.Below(100));
    for (uint64_t n = 1 + rng_.Below(8); n > 0; --n) {
      const auto length = static_cast<uint32_t>(1 + rng_.Below(500));
      out.push_back({static_cast<uint16_t>(at), static_cast<uint16_t>(at + length)});
      at += length + 2 + static_cast<uint32_t>(rng_.Below(300));
    }
    return out;
  }
  std::vector<uint16_t> Make(const SuitesForm&) {
    return rng_.Below(2) == 0 ? std::vector<uint16_t>{1} : std::vector<uint16_t>{1, 65281};
  }
  std::vector<Ref16> Make(const RefsForm&) {
    std::vector<Ref16> out;
    for (uint64_t n = 1 + rng_.Below(12); n > 0; --n) out.push_back(Ref16{rng_.Array<16>()});
    return out;
  }
  Gates Make(const GatesForm&) {
    Gates g;
    for (uint8_t& rung : g) rung = static_cast<uint8_t>(1 + rng_.Below(6));
    return g;
  }
  template <class Fixed>
  Fixed Make(const FixedForm<Fixed>&) {
    return Fixed{rng_.Array<Fixed::kSize>()};
  }

  Rng& rng_;
};

// Bends what was drawn field by field to the rules that join fields.
inline void Mend(Voter& v) { v.suite = Suite::kEd25519; }
template <class Service>
void MendPorts(Service& s) {
  if (!HasPorts(s.protos)) s.ports.clear();
  if (HasPorts(s.protos) && s.ports.empty()) s.ports = {{22, 22}};
}
template <class T>
void Keep(std::optional<T>& v, bool there) {
  if (!there) v.reset();
  if (there && !v) v.emplace();
}
inline void Mend(Charter& c) {
  Keep(c.scope, c.version != 1);
  Keep(c.prev, c.version != 1);
  Keep(c.salt, c.version == 1);
  const auto quorum = [](std::vector<Voter>& voters) {
    uint32_t weight = 0;
    for (Voter& v : voters) {
      Mend(v);
      weight += v.weight;
    }
    return weight == 0 ? 0 : 2 * weight / 3 + 1;
  };
  c.q_reg = c.q_sens = quorum(c.voters);
  c.q_wit = quorum(c.witnesses);
  for (size_t i = 0; i < c.classes.size(); ++i) c.classes[i].id = static_cast<uint8_t>(2 + i);
  for (size_t i = 0; i < c.params.size(); ++i) c.params[i].id = static_cast<uint16_t>(1 + i);
  if (c.pool4) c.pool4 = Prefix::Parse("10.0.0.0/8");
  for (Svc& s : c.probation) MendPorts(s);
}
inline void Mend(Grant& g) {
  g.suite = g.cls == Class::kPlain ? Suite::kX25519Static : Suite::kEd25519;
  if (g.routing && *g.routing == Routing{}) g.routing.reset();
  if ((g.caps & kCapsIssue) == 0) {
    g.depth_left = 0;
    g.routing.reset();
    for (std::string& tag : g.tags) tag = tag.substr(0, 12);
    for (std::string& tag : g.tags) {
      while (tag.ends_with('.') || tag.ends_with('*')) tag.pop_back();
    }
  }
}
inline void Mend(Fragment& f) {
  for (Rule& r : f.rules) {
    MendPorts(r);
    r.hours.resize(std::min<size_t>(r.hours.size(), 2));
    if (r.until <= r.since) r.until = 0;
    r.via = f.parent ? 1 : 0;
  }
}
inline void Mend(Keybind& k) { k.suite = k.kind == 1 ? Suite::kX25519Static : Suite::kEd25519; }
inline void Mend(Rotate& r) { r.suite = Suite::kEd25519; }
inline void Mend(Revoke& r) {
  Keep(r.prev, r.seq != 1 && r.seq != kTerminalSeq);
  Keep(r.kid, r.type != RevokeType::kOid);
  Keep(r.oid, r.type == RevokeType::kOid);
  r.floor = r.type == RevokeType::kFloor ? 7 : 0;
  r.from = r.type == RevokeType::kIssuerFrom ? 9 : 0;
}
inline void Mend(Attest& a) {
  if (a.evidence.is_zero()) a.evidence.bytes[0] = 1;
  Keep(a.prefix, a.kind == AttestKind::kReach);
  a.posture = a.kind == AttestKind::kPosture ? "disk-sealed" : "";
  a.epoch = a.kind == AttestKind::kHead ? 9 : 0;
  Keep(a.head, a.kind == AttestKind::kHead);
}
inline void Mend(Cosign& c) {
  c.number = 1 + c.number % 1'000;
  if (c.slot == 3) c.id = Kid{c.scope.bytes};
}
inline void Mend(Observe& o) {
  Keep(o.prev, o.seq != 0);
  if (o.kind != RecordKind::kFlow) o.flow.reset();
  if (o.kind == RecordKind::kFlow && !o.flow)
    o.flow.emplace(FlowSummary{.frames = 1, .bytes = 2, .tags = Digest{}, .presentations = {}});
  if (o.flow && (o.flow->frames == 0) != (o.flow->bytes == 0)) o.flow->frames = o.flow->bytes = 7;
  if (o.flow && o.flow->frames == 0 && o.commits.empty()) o.commits.emplace_back();
  if (o.kind != RecordKind::kDrops) o.drops.clear();
  if (o.kind == RecordKind::kDrops && o.drops.empty()) o.drops = {{1, 2}};
}
inline void Mend(Treaty& t) {
  for (size_t i = 0; i < t.prefixes.size(); ++i)
    t.prefixes[i] = {*Prefix::Parse(Join("10.", i, ".0.0/16")),
                     *Prefix::Parse(Join("10.", 200 + i, ".0.0/16"))};
}
inline void Mend(Pardon& p) { p.suite = Suite::kEd25519; }
inline void Mend(Presentation& p) { Keep(p.answers, p.role == 2); }
inline void Mend(Invite& i) {
  i.suite = Suite::kEd25519;
  i.tags.resize(std::min<size_t>(i.tags.size(), 1));
}
inline void Mend(Request& r) {
  r.suite = Suite::kEd25519;
  r.tags.clear();
  r.rx_handle = r.h ? 5 : 0;
  Keep(r.proof, r.invite.has_value());
  if (!r.h) r.commit.reset();
}
inline void Mend(Approve&) {}
inline void Mend(Announce&) {}
inline void Mend(Retention&) {}

template <class T>
T RandomObject(Rng& rng) {
  T object{};
  RandomFields fields(rng);
  Describe(fields, object);
  Mend(object);
  SortLists(object);
  return object;
}

}  // namespace aqmesh::authority

#endif  // AQMESH_TESTS_CORE_AUTHORITY_RANDOM_OBJECTS_H_
