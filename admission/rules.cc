#include "admission/rules.h"

#include <algorithm>
#include <limits>

#include "core/authority/transforms.h"

namespace aqmesh::admission {

using authority::Fragment;
using authority::Held;
using authority::Reason;
using authority::Rule;
using authority::Selector;

namespace {

constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kClockSlack = 120;  // spec: objects#1, in date

uint64_t SaturatingAdd(uint64_t a, uint64_t b) { return a > kForever - b ? kForever : a + b; }

// 1970-01-01 was a Thursday: three days after a Monday.
uint64_t MinuteOfWeek(uint64_t second) { return (second / 60 + 3 * 24 * 60) % (7 * 24 * 60); }
uint64_t WeekStart(uint64_t second) {
  return second - std::min(second, MinuteOfWeek(second) * 60 + second % 60);
}

bool SelectorHolds(const Selector& s, const Party& party) {
  switch (s.kind) {
    case Selector::Kind::kAny:
    case Selector::Kind::kPrefix4:
    case Selector::Kind::kPrefix6: return true;
    case Selector::Kind::kTag:
      return std::any_of(party.tags.begin(), party.tags.end(), [&s](const std::string& t) {
        return TagMatches(s.tag, t);
      });
    case Selector::Kind::kKid:
      return std::find(party.kids.begin(), party.kids.end(), s.kid) != party.kids.end();
  }
  return false;
}

}  // namespace

Party PartyOf(const Kid& kid, const authority::Grant& leaf) {
  Party out{.kids = {kid}, .tags = leaf.tags, .addresses = {}};
  const bool plain = leaf.cls == authority::Class::kPlain;
  for (const Prefix& p : leaf.prefixes) {
    if (plain || p.length == p.address.bits()) out.addresses.push_back(p);
  }
  return out;
}

bool TagMatches(std::string_view pattern, std::string_view tag) {
  if (pattern.empty() || tag.empty()) return false;
  if (pattern == "*") return true;
  if (!pattern.ends_with(".*")) return pattern == tag;
  const std::string_view root = pattern.substr(0, pattern.size() - 2);
  // By whole labels: "web.*" is no "webhook".
  return !root.empty() && tag.starts_with(root) &&
         (tag.size() == root.size() || tag[root.size()] == '.');
}

// Turns strings into pools of prefixes and ranges, once.
class Compiler {
 public:
  Compiler(const Policy::Inputs& in, Policy& out) : in_(in), out_(out) {}

  void Run() {
    out_.compiled_at_ = in_.now.seconds();
    out_.steady_until_ = kForever;
    out_.duties_ = in_.duties;
    for (size_t f = 0; f < in_.cited.size() && f < kNoPath; ++f) {
      out_.fragments_.push_back(in_.cited[f].oid());
      if (!Narrowed(in_.cited[f])) AddFragment(f);
    }
    for (size_t i = 0; i < in_.local.denials.size() && i < kDenialsMax; ++i) AddDenial(i);
    out_.own_ = {false, Prefixes(in_.dst.addresses)};
    if (in_.profile) {
      out_.profiled_ = true;
      for (const authority::Svc& s : *in_.profile)
        out_.profile_.push_back(ServiceOf(s.protos, s.ports));
    }
    Sort();
  }

 private:
  bool Narrowed(const Held<Fragment>& f) const {
    return std::any_of(in_.cited.begin(), in_.cited.end(), [&f](const Held<Fragment>& c) {
      return c.body.parent == f.oid();
    });
  }
  const Held<Fragment>* Find(const Oid& oid) const {
    const auto it = std::find_if(in_.cited.begin(),
                                 in_.cited.end(),
                                 [&oid](const Held<Fragment>& c) { return c.oid() == oid; });
    return it == in_.cited.end() ? nullptr : &*it;
  }

  void AddFragment(size_t index) {
    const auto& rules = in_.cited[index].body.rules;
    for (size_t r = 0; r < rules.size() && r < 64 && out_.paths_.size() < Policy::kPathsMax; ++r) {
      AddPath(index, static_cast<uint8_t>(r));
    }
  }

  // One rule and the rules above it that it names, each a level of its own.
  void AddPath(size_t index, uint8_t rule_index) {
    Policy::Path path;
    path.levels.first = Size(out_.levels_);
    path.fragment = static_cast<uint16_t>(index);
    path.rule = rule_index;
    path.terms.directives = authority::kDoForward;
    const Held<Fragment>* fragment = &in_.cited[index];
    size_t rule = rule_index;
    path.flaw = Miss::kNoParent;  // until the root is reached
    for (size_t level = 0;
         level < Policy::kLevelsMax && fragment && rule < fragment->body.rules.size();
         ++level) {
      const Rule& r = fragment->body.rules[rule];
      AddLevel(r, fragment->body);
      ++path.levels.count;
      JoinTerms(r, path.terms);
      if (!fragment->body.parent) {
        path.flaw = Miss::kNone;
        break;
      }
      if (r.via == 0) break;
      rule = size_t{r.via} - 1;
      fragment = Find(*fragment->body.parent);
    }
    // A packet that should have been transformed first must not go through as it is.
    if (path.flaw == Miss::kNone && unknown_transform_) path.flaw = Miss::kTransform;
    unknown_transform_ = false;
    path.terms.directives |= in_.duties;
    out_.paths_.push_back(path);
  }

  // Obligations grow down a chain, so each level's count; forwarding is a permission, so all must
  // give it.
  void JoinTerms(const Rule& r, Terms& t) {
    const uint16_t forward = t.directives & r.directives & authority::kDoForward;
    t.directives =
        static_cast<uint16_t>(((t.directives | r.directives) & ~authority::kDoForward) | forward);
    t.rate = std::max(t.rate, r.rate);
    t.one_way = t.one_way || r.one_way != 0;
    if (r.drop_after != 0)
      t.drop_after = t.drop_after == 0 ? r.drop_after : std::min(t.drop_after, r.drop_after);
    // Upwards, so that of two marks the one nearer to the root is the last to be made.
    for (const std::string& name : r.transform) {
      const auto transform = authority::TransformNamed(name);
      if (!transform) {
        unknown_transform_ = true;
        continue;
      }
      using Kind = authority::Transform::Kind;
      switch (transform->kind) {
        case Kind::kDscp: t.marks.dscp = static_cast<uint8_t>(transform->value); break;
        case Kind::kMss:
          t.marks.mss =
              t.marks.mss == 0 ? transform->value : std::min(t.marks.mss, transform->value);
          break;
        case Kind::kRate: t.rate = std::max(t.rate, static_cast<uint8_t>(transform->value)); break;
      }
    }
  }

  void AddLevel(const Rule& r, const Fragment& f) {
    Policy::Level level;
    level.src = SideOf(r.src, in_.src);
    level.dst = SideOf(r.dst, in_.dst);
    level.service = ServiceOf(r.protos, r.ports);
    const uint64_t from = f.not_before > kClockSlack ? f.not_before - kClockSlack : 0;
    level.since = std::max(r.since, from);
    level.until = std::min(r.until == 0 ? kForever : r.until, SaturatingAdd(f.not_before, f.ttl));
    level.hours = Ranges(r.hours);
    NoteEdge(level.since);
    NoteEdge(level.until);
    NoteHours(r.hours);
    out_.levels_.push_back(level);
  }

  void AddDenial(size_t i) {
    const ExtraDenial& d = in_.local.denials[i];
    if (!SelectorHolds(d.src, in_.src) || !SelectorHolds(d.dst, in_.dst)) return;
    Policy::Denial out;
    out.src = DenialSide(d.src);
    out.dst = DenialSide(d.dst);
    out.service = ServiceOf(d.protos, d.ports);
    if (d.protos.empty()) out.service.any = true;
    out.index = static_cast<uint32_t>(i);
    out_.denials_.push_back(out);
  }

  void NoteEdge(uint64_t second) {
    if (second > out_.compiled_at_) out_.steady_until_ = std::min(out_.steady_until_, second);
  }
  void NoteHours(const std::vector<authority::Range16>& hours) {
    const uint64_t week = WeekStart(out_.compiled_at_);
    for (const authority::Range16& h : hours) {
      for (const uint64_t start : {week, week + 7 * 86'400}) {
        NoteEdge(start + uint64_t{h.lo} * 60);
        NoteEdge(start + uint64_t{h.hi} * 60);
      }
    }
  }

  Policy::Side SideOf(const Selector& s, const Party& party) {
    if (s.kind == Selector::Kind::kAny) return {true, {}};
    if (s.kind == Selector::Kind::kPrefix4 || s.kind == Selector::Kind::kPrefix6)
      return {false, Prefixes({&s.prefix, 1})};
    return SelectorHolds(s, party) ? Policy::Side{false, Prefixes(party.addresses)}
                                   : Policy::Side{};
  }
  Policy::Side DenialSide(const Selector& s) {
    if (s.kind == Selector::Kind::kPrefix4 || s.kind == Selector::Kind::kPrefix6)
      return {false, Prefixes({&s.prefix, 1})};
    return {true, {}};
  }
  Policy::Service ServiceOf(const Bytes& protos, const std::vector<authority::Range16>& ports) {
    Policy::Service s;
    for (const uint8_t p : protos) s.protos[p / 64] |= uint64_t{1} << (p % 64);
    s.any = protos.size() == 1 && protos[0] == kProtoAny;
    s.ports = Ranges(ports);
    return s;
  }
  Policy::Pool Prefixes(std::span<const Prefix> list) {
    const Policy::Pool pool{Size(out_.prefixes_), static_cast<uint32_t>(list.size())};
    out_.prefixes_.insert(out_.prefixes_.end(), list.begin(), list.end());
    return pool;
  }
  Policy::Pool Ranges(const std::vector<authority::Range16>& list) {
    const Policy::Pool pool{Size(out_.ranges_), static_cast<uint32_t>(list.size())};
    out_.ranges_.insert(out_.ranges_.end(), list.begin(), list.end());
    return pool;
  }

  // Rules whose selectors name somebody else go last, where no packet looks at them.
  void Sort() {
    const auto alive = [this](const Policy::Path& p) {
      if (p.flaw != Miss::kNone) return false;
      for (uint32_t i = 0; i < p.levels.count; ++i) {
        const Policy::Level& l = out_.levels_[p.levels.first + i];
        if (!(l.src.any || l.src.prefixes.count) || !(l.dst.any || l.dst.prefixes.count))
          return false;
      }
      return true;
    };
    const auto middle = std::stable_partition(out_.paths_.begin(), out_.paths_.end(), alive);
    out_.live_ = static_cast<size_t>(middle - out_.paths_.begin());
  }

  template <class T>
  static uint32_t Size(const std::vector<T>& v) {
    return static_cast<uint32_t>(v.size());
  }

  const Policy::Inputs& in_;
  Policy& out_;
  bool unknown_transform_ = false;
};

Policy Policy::Compile(const Inputs& in) {
  Policy out;
  Compiler(in, out).Run();
  return out;
}

bool Policy::In(const Side& side, const IpAddress& a) const {
  if (side.any) return true;
  const auto list = std::span(prefixes_).subspan(side.prefixes.first, side.prefixes.count);
  return std::any_of(list.begin(), list.end(), [&a](const Prefix& p) { return p.Contains(a); });
}

Miss Policy::Serves(const Service& s, const PacketInfo& p) const {
  if (s.any) return Miss::kNone;
  if (!p.classified) return Miss::kUnclassified;
  if ((s.protos[p.proto / 64] >> (p.proto % 64) & 1) == 0) return Miss::kProtocol;
  if (!HasPorts(p.proto)) return Miss::kNone;
  // No ports listed = none allowed: the grammar always lists them for these protocols.
  const auto list = std::span(ranges_).subspan(s.ports.first, s.ports.count);
  const bool in = std::any_of(list.begin(), list.end(), [&p](const authority::Range16& r) {
    return r.lo <= p.dport && p.dport <= r.hi;
  });
  return in ? Miss::kNone : Miss::kPort;
}

Miss Policy::Check(const Level& level, const PacketInfo& p, uint64_t second) const {
  if (!In(level.src, p.src)) return Miss::kSource;
  if (!In(level.dst, p.dst)) return Miss::kDestination;
  if (const Miss m = Serves(level.service, p); m != Miss::kNone) return m;
  if (second < level.since || second >= level.until) return Miss::kWindow;
  if (level.hours.count == 0) return Miss::kNone;
  const uint64_t minute = MinuteOfWeek(second);
  const auto hours = std::span(ranges_).subspan(level.hours.first, level.hours.count);
  const bool open = std::any_of(hours.begin(), hours.end(), [minute](const authority::Range16& h) {
    return h.lo <= minute && minute < h.hi;
  });
  return open ? Miss::kNone : Miss::kHours;
}

Miss Policy::WithinProfile(const PacketInfo& p) const {
  if (!profiled_) return Miss::kNone;
  if (!In(own_, p.dst)) return Miss::kThisReceiver;
  const bool served = std::any_of(profile_.begin(), profile_.end(), [&](const Service& s) {
    return Serves(s, p) == Miss::kNone;
  });
  return served ? Miss::kNone : Miss::kProfile;
}

// Beyond the receiver itself a packet goes only by a rule that says so at every level.
Miss Policy::WithinReach(const Path& path, const PacketInfo& p) const {
  const bool beyond = path.terms.directives & authority::kDoForward;
  return beyond || In(own_, p.dst) ? Miss::kNone : Miss::kNotForwarded;
}

std::optional<size_t> Policy::DeniedBy(const PacketInfo& p) const {
  for (const Denial& d : denials_) {
    if (!In(d.src, p.src) || !In(d.dst, p.dst)) continue;
    const bool no_ports_named = d.service.ports.count == 0;
    const Miss m = Serves(d.service, p);
    // What cannot be told apart from the denied is denied.
    if (m == Miss::kNone || m == Miss::kUnclassified || (m == Miss::kPort && no_ports_named))
      return d.index;
  }
  return std::nullopt;
}

Policy::Finding Policy::Examine(uint16_t path, const PacketInfo& packet, WallTime now) const {
  const Path& p = paths_[path];
  for (uint32_t i = 0; i < p.levels.count; ++i) {
    const Miss m = Check(levels_[p.levels.first + i], packet, now.seconds());
    if (m != Miss::kNone) return {m, static_cast<uint8_t>(i)};
  }
  if (p.flaw != Miss::kNone)
    return {p.flaw, static_cast<uint8_t>(p.levels.count == 0 ? 0 : p.levels.count - 1)};
  if (const Miss m = WithinProfile(packet); m != Miss::kNone) return {m, 0};
  return {WithinReach(p, packet), 0};
}

Ruling Policy::Evaluate(const PacketInfo& packet, WallTime now) const {
  if (DeniedBy(packet)) return {Reason::kLocalPolicy, kNoPath};
  const auto live = static_cast<uint16_t>(live_);  // at most kPathsMax
  for (uint16_t i = 0; i < live; ++i) {
    if (Examine(i, packet, now).miss == Miss::kNone) return {Reason::kNone, i};
  }
  return {Reason::kNoRule, kNoPath};
}

}  // namespace aqmesh::admission
