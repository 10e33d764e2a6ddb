// The one description of every object: number, name, mark, bounds and form of each field, in the
// order of the wire. Parsing, encoding, sorting and rendering are visitors of it.
// Spec:   spec/objects.md §2; the rules that join several fields are in codec_rules.cc.
// A visitor V has: `template <class T> using Ref` (T& or const T&) and, each with (number, name,
// ...),
//   Number(mark, integer or enum, NumberForm) · Bits(mark, integer, BitsForm) ·
//   Form(mark, value or optional, form) · List(ListMark, vector, form) ·
//   Message(mark, optional<message>) · Messages(ListMark, vector<message>).
#ifndef AQMESH_CORE_AUTHORITY_CODEC_DESCRIBE_H_
#define AQMESH_CORE_AUTHORITY_CODEC_DESCRIBE_H_

#include <limits>

#include "core/authority/codec_forms.h"

namespace aqmesh::authority {

enum class Mark : uint8_t { kMust, kMay };
inline constexpr Mark must = Mark::kMust, may = Mark::kMay;

using Names = std::span<const std::string_view>;  // names[i] is for value first + i, or for bit i

// Bounds of a number that is present, and how people read it.
struct NumberForm {
  enum class As : uint8_t { kNumber, kTime, kSeconds, kHlc, kQ16 };
  uint64_t lo = 1;
  uint64_t hi = std::numeric_limits<uint64_t>::max();  // the field's width bounds it too
  As as = As::kNumber;
  Names names = {};  // names[0] is for lo
};
struct BitsForm {
  uint64_t all = 0;  // the known bits
  Names names = {};  // names[0] is for bit 0
};
// `*n` is Ascending(n), `+n` is InOrder(n); "at least one" is the mark must.
struct ListMark {
  size_t max = 0;
  bool ascending = false;
  Mark mark = Mark::kMay;
};
constexpr ListMark Ascending(size_t max, Mark mark = Mark::kMay) { return {max, true, mark}; }
constexpr ListMark InOrder(size_t max, Mark mark = Mark::kMay) { return {max, false, mark}; }

inline constexpr std::string_view kCapNames[] = {"join",
                                                 "accept",
                                                 "forward",
                                                 "advertise",
                                                 "relay",
                                                 "attest",
                                                 "issue_acl",
                                                 "issue_grant",
                                                 "ssh_sign",
                                                 "dns_set",
                                                 "revoke_desc",
                                                 "cosign",
                                                 "federate",
                                                 "approve"};
inline constexpr std::string_view kObligationNames[] = {"log_flow",
                                                        "log_headers",
                                                        "escalate_first_use",
                                                        "no_relay",
                                                        "no_export",
                                                        "need_posture",
                                                        "",
                                                        "",
                                                        "rate+1",
                                                        "rate+2",
                                                        "rate+4"};
inline constexpr std::string_view kDirectiveNames[] = {
    "forward", "log_flow", "log_headers", "escalate"};
inline constexpr std::string_view kCharterFlagNames[] = {
    "single_domain", "corroborate", "exclusive", "island_quorum"};
inline constexpr std::string_view kInviteFlagNames[] = {"ephemeral", "pre-approved", "enroller"};
inline constexpr std::string_view kLevelNames[] = {"segment", "region", "federation"};
inline constexpr std::string_view kProfileNames[] = {"standard", "small-mesh"};
inline constexpr std::string_view kKeyKindNames[] = {"WireGuard static", "log key", "SSH host key"};
inline constexpr std::string_view kRevokeTypeNames[] = {"FLOOR", "OID", "ISSUER_FROM", "KEY"};
inline constexpr std::string_view kSlotNames[] = {
    "E statement", "R statement", "charter", "invitation"};
inline constexpr std::string_view kRoleNames[] = {"initiator", "responder"};
inline constexpr std::string_view kRecordKindNames[] = {
    "PROPOSED",    "DECIDED",    "WEIGHTED",    "ATTESTED",    "ARMED",  "APPLIED",
    "VERIFIED",    "COMMITTED",  "ROLLED_BACK", "DIVERGED",    "FLOW",   "REMOTE_ADMITTED",
    "REVOKE_SEEN", "CHECKPOINT", "CLOCK_STEP",  "LOG_RESTART", "PARDON", "DROPS",
    "ESCALATED",   "APPROVED",   "REDACTED",    "RETAINED"};

namespace forms {
inline constexpr NumberForm kAny{};
inline constexpr NumberForm kTime{.as = NumberForm::As::kTime};
inline constexpr NumberForm kSeconds{.as = NumberForm::As::kSeconds};
inline constexpr NumberForm kDay{.hi = 86'400, .as = NumberForm::As::kSeconds};
inline constexpr NumberForm kHlc{.as = NumberForm::As::kHlc};
inline constexpr NumberForm kSeq{.hi = kTerminalSeq};
inline constexpr NumberForm kFlag{.hi = 1};
inline constexpr NumberForm kClass{.lo = 2, .hi = 16, .names = Names(kClassNames).subspan(2)};
inline constexpr NumberForm kRung{.hi = 6, .names = Names(kRungNames).subspan(1)};
inline constexpr NumberForm kDepth{.hi = 4};
inline constexpr BitsForm kCaps{kCapsAll, kCapNames};
inline constexpr LabForm kLab{};
inline constexpr TagForm kTag{};
inline constexpr WtagForm kWtag{};
inline constexpr PrefixForm kPfx{};
inline constexpr EndpointForm kEp{};
inline constexpr SelectorForm kSel{};
inline constexpr ProtosForm kProtos{};
inline constexpr PortsForm kPorts{};
}  // namespace forms

// One field of N bytes: its form follows from its type.
template <class T>
FixedForm<T> FormOf(const T&) {
  return {};
}
template <class T>
FixedForm<T> FormOf(const std::optional<T>&) {
  return {};
}
template <class T>
FixedForm<T> FormOf(const std::vector<T>&) {
  return {};
}

template <class V>
void Describe(V& v, typename V::template Ref<Voter> o) {
  v.Number(1, "suite", must, o.suite, forms::kAny);
  v.Form(2, "key", must, o.key, FormOf(o.key));
  v.Number(3, "weight", must, o.weight, forms::kAny);
  v.Form(4, "group", must, o.group, forms::kLab);
  v.Form(5, "next_key", may, o.next_key, FormOf(o.next_key));
}

template <class V>
void Describe(V& v, typename V::template Ref<ClassRow> o) {
  v.Number(1, "id", must, o.id, forms::kClass);
  v.Bits(2, "may_issue", may, o.may_issue, BitsForm{.all = 0xfffe});
  v.Bits(3, "caps", may, o.caps, forms::kCaps);
  v.Number(4, "max_ttl", must, o.max_ttl, forms::kSeconds);
  v.Number(5, "max_depth", may, o.max_depth, forms::kDepth);
  v.Number(6, "prior", must, o.prior, NumberForm{.hi = 65'536, .as = NumberForm::As::kQ16});
  v.Number(7, "relative", may, o.relative, forms::kFlag);
  v.Number(8, "certificate", may, o.certificate, forms::kFlag);
}

template <class V>
void Describe(V& v, typename V::template Ref<Param> o) {
  v.Number(1, "id", must, o.id, NumberForm{.hi = 23});
  v.Number(2, "value", may, o.value, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Svc> o) {
  v.Form(1, "protos", must, o.protos, forms::kProtos);
  v.Form(2, "ports", may, o.ports, forms::kPorts);
}

template <class V>
void Describe(V& v, typename V::template Ref<Charter> o) {
  v.Form(1, "scope", may, o.scope, FormOf(o.scope));
  v.Number(2, "version", must, o.version, forms::kAny);
  v.Form(3, "prev", may, o.prev, FormOf(o.prev));
  v.Form(4, "salt", may, o.salt, FormOf(o.salt));
  v.Form(5, "name", must, o.name, forms::kLab);
  v.Number(6, "level", must, o.level, NumberForm{.hi = 3, .names = kLevelNames});
  v.Form(7, "parent", may, o.parent, FormOf(o.parent));
  v.Number(8, "profile", must, o.profile, NumberForm{.hi = 2, .names = kProfileNames});
  v.Bits(9, "flags", may, o.flags, BitsForm{kCharterFlagsAll, kCharterFlagNames});
  v.Number(10, "created", must, o.created, forms::kTime);
  v.Number(11, "grace", may, o.grace, forms::kSeconds);
  v.Messages(12, "voters", Ascending(64, must), o.voters);
  v.Messages(13, "witnesses", Ascending(64), o.witnesses);
  v.Number(14, "q_reg", must, o.q_reg, forms::kAny);
  v.Number(15, "q_sens", must, o.q_sens, forms::kAny);
  v.Number(16, "q_wit", may, o.q_wit, forms::kAny);
  v.Form(17, "suites", must, o.suites, SuitesForm{});
  v.Messages(18, "classes", Ascending(32), o.classes);
  v.Messages(19, "params", Ascending(64), o.params);
  v.Form(20, "pool4", may, o.pool4, forms::kPfx);
  v.List(21, "prefixes", Ascending(32), o.prefixes, forms::kPfx);
  v.List(22, "tags", Ascending(32), o.tags, forms::kWtag);
  v.Messages(23, "probation", InOrder(16), o.probation);
  v.Form(24, "replaces", may, o.replaces, FormOf(o.replaces));
}

template <class V>
void Describe(V& v, typename V::template Ref<Routing> o) {
  v.List(1, "carry", Ascending(8), o.carry, FormOf(o.carry));
  v.Number(2, "max_relays", may, o.max_relays, NumberForm{.hi = 3});
  v.Form(3, "must_stay", may, o.must_stay, FormOf(o.must_stay));
}

template <class V>
void Describe(V& v, typename V::template Ref<Grant> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "suite", must, o.suite, forms::kAny);
  v.Form(3, "key", must, o.key, FormOf(o.key));
  v.Number(4, "class", must, o.cls, forms::kClass);
  v.Number(5, "depth_left", may, o.depth_left, forms::kDepth);
  v.Number(6, "generation", must, o.generation, forms::kAny);
  v.Number(7, "seq", must, o.seq, forms::kSeq);
  v.Number(8, "not_before", must, o.not_before, forms::kTime);
  v.Number(9, "ttl", must, o.ttl, forms::kSeconds);
  v.Bits(10, "caps", may, o.caps, forms::kCaps);
  v.Bits(11, "obligations", may, o.obligations, BitsForm{kObligationsAll, kObligationNames});
  v.Form(12, "parent", must, o.parent, FormOf(o.parent));
  v.Number(13, "charter_version", must, o.charter_version, forms::kAny);
  v.List(14, "prefixes", Ascending(8), o.prefixes, forms::kPfx);
  v.List(15, "tags", Ascending(8), o.tags, forms::kWtag);
  v.Message(16, "routing", may, o.routing);
  v.Form(17, "next_key", may, o.next_key, FormOf(o.next_key));
  v.Form(18, "name", may, o.name, forms::kLab);
}

template <class V>
void Describe(V& v, typename V::template Ref<Rule> o) {
  v.Form(1, "src", must, o.src, forms::kSel);
  v.Form(2, "dst", must, o.dst, forms::kSel);
  v.Form(3, "protos", must, o.protos, forms::kProtos);
  v.Form(4, "ports", may, o.ports, forms::kPorts);
  v.Number(5, "one_way", may, o.one_way, forms::kFlag);
  v.Bits(6, "do", may, o.directives, BitsForm{kDirectivesAll, kDirectiveNames});
  v.Number(7, "rate", may, o.rate, NumberForm{.hi = 7});
  v.Number(8, "drop_after", may, o.drop_after, forms::kAny);
  v.List(9, "transform", InOrder(2), o.transform, forms::kLab);
  v.Number(10, "since", may, o.since, forms::kTime);
  v.Number(11, "until", may, o.until, forms::kTime);
  v.Form(12, "hours", may, o.hours, HoursForm{});
  v.Number(13, "via", may, o.via, NumberForm{.hi = 64});
}

template <class V>
void Describe(V& v, typename V::template Ref<Fragment> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "seq", must, o.seq, forms::kSeq);
  v.Number(3, "not_before", must, o.not_before, forms::kTime);
  v.Number(4, "ttl", must, o.ttl, forms::kSeconds);
  v.Form(5, "authority", must, o.authority, FormOf(o.authority));
  v.Form(6, "parent", may, o.parent, FormOf(o.parent));
  v.Form(7, "delegate", may, o.delegate, FormOf(o.delegate));
  v.Number(8, "charter_version", must, o.charter_version, forms::kAny);
  v.Messages(9, "rules", InOrder(64, must), o.rules);
}

template <class V>
void Describe(V& v, typename V::template Ref<Keybind> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "seq", must, o.seq, forms::kSeq);
  v.Number(3, "kind", must, o.kind, NumberForm{.hi = 3, .names = kKeyKindNames});
  v.Number(4, "suite", must, o.suite, forms::kAny);
  v.Form(5, "key", must, o.key, FormOf(o.key));
  v.Number(6, "not_before", must, o.not_before, forms::kTime);
  v.Number(7, "ttl", must, o.ttl, forms::kSeconds);
}

template <class V>
void Describe(V& v, typename V::template Ref<Rotate> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "seq", must, o.seq, NumberForm{.hi = 1});
  v.Form(3, "old", must, o.old, FormOf(o.old));
  v.Number(4, "suite", must, o.suite, forms::kAny);
  v.Form(5, "key", must, o.key, FormOf(o.key));
  v.Form(6, "next_key", may, o.next_key, FormOf(o.next_key));
  v.Number(7, "hlc", must, o.hlc, forms::kHlc);
  v.Number(8, "step", must, o.step, NumberForm{.hi = 4});
  v.Number(9, "reason", may, o.reason, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Revoke> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "seq", must, o.seq, forms::kSeq);
  v.Form(3, "prev", may, o.prev, FormOf(o.prev));
  v.Number(4, "hlc", must, o.hlc, forms::kHlc);
  v.Number(5, "type", must, o.type, NumberForm{.hi = 4, .names = kRevokeTypeNames});
  v.Form(6, "kid", may, o.kid, FormOf(o.kid));
  v.Form(7, "oid", may, o.oid, FormOf(o.oid));
  v.Number(8, "floor", may, o.floor, forms::kAny);
  v.Number(9, "from", may, o.from, forms::kAny);
  v.Number(10, "reason", may, o.reason, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Cosign> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "slot", must, o.slot, NumberForm{.hi = 4, .names = kSlotNames});
  v.Form(3, "id", must, o.id, FormOf(o.id));
  v.Number(4, "number", must, o.number, forms::kAny);
  v.Form(5, "target", must, o.target, FormOf(o.target));
  v.Number(6, "time", must, o.time, forms::kTime);
}

template <class V>
void Describe(V& v, typename V::template Ref<FlowSummary> o) {
  v.Number(1, "frames", must, o.frames, forms::kAny);
  v.Number(2, "bytes", must, o.bytes, forms::kAny);
  v.Number(3, "first", may, o.first, forms::kAny);
  v.Number(4, "last", may, o.last, forms::kAny);
  v.Form(5, "tags", must, o.tags, FormOf(o.tags));
  v.List(6, "presentations", InOrder(16), o.presentations, FormOf(o.presentations));
  v.Number(7, "drops", may, o.drops, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<DropCount> o) {
  v.Number(1, "reason", must, o.reason, forms::kAny);
  v.Number(2, "count", must, o.count, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Observe> o) {
  v.Number(1, "kind", must, o.kind, NumberForm{.hi = 22, .names = kRecordKindNames});
  v.Form(2, "log", must, o.log, FormOf(o.log));
  v.Number(3, "seq", may, o.seq, forms::kSeq);
  v.Form(4, "prev", may, o.prev, FormOf(o.prev));
  v.Number(5, "hlc", must, o.hlc, forms::kHlc);
  v.Form(6, "scope", may, o.scope, FormOf(o.scope));
  v.Form(7, "subject", may, o.subject, FormOf(o.subject));
  v.Form(8, "authority", may, o.authority, FormOf(o.authority));
  v.Form(9, "inputs", may, o.inputs, FormOf(o.inputs));
  v.Form(10, "gates", may, o.gates, GatesForm{});
  v.Number(11, "ladm", may, o.ladm, NumberForm{.hi = 65'536, .as = NumberForm::As::kQ16});
  v.Number(12, "slope", may, o.slope, NumberForm{.hi = 131'072});
  v.Number(13, "corr", may, o.corr, forms::kAny);
  v.Number(14, "rung", may, o.rung, forms::kRung);
  v.Number(15, "action", may, o.action, forms::kAny);
  v.Form(16, "action_id", may, o.action_id, FormOf(o.action_id));
  v.Number(17, "intent_gen", may, o.intent_gen, forms::kAny);
  v.Number(18, "observed_gen", may, o.observed_gen, forms::kAny);
  v.Form(19, "evidence", may, o.evidence, FormOf(o.evidence));
  v.Number(20, "reason", may, o.reason, forms::kAny);
  v.List(21, "commits", InOrder(8), o.commits, FormOf(o.commits));
  v.Message(22, "flow", may, o.flow);
  v.Messages(23, "drops", Ascending(64), o.drops);
}

template <class V>
void Describe(V& v, typename V::template Ref<Presentation> o) {
  v.Form(1, "h", must, o.h, FormOf(o.h));
  v.Number(2, "role", must, o.role, NumberForm{.hi = 2, .names = kRoleNames});
  v.Number(3, "rx_handle", must, o.rx_handle, forms::kAny);
  v.Number(4, "charter_version", must, o.charter_version, forms::kAny);
  v.Form(5, "refs", must, o.refs, RefsForm{});
  v.Form(6, "answers", may, o.answers, FormOf(o.answers));
  v.Number(7, "epoch", may, o.epoch, forms::kAny);
  v.Form(8, "restrict", may, o.restrict_root, FormOf(o.restrict_root));
}

template <class V>
void Describe(V& v, typename V::template Ref<Member> o) {
  v.Form(1, "kid", must, o.kid, FormOf(o.kid));
  v.Form(2, "static", must, o.static_key, FormOf(o.static_key));
  v.List(3, "endpoints", InOrder(4), o.endpoints, forms::kEp);
}

template <class V>
void Describe(V& v, typename V::template Ref<Invite> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "seq", must, o.seq, forms::kSeq);
  v.Number(3, "not_before", must, o.not_before, forms::kTime);
  v.Number(4, "ttl", must, o.ttl, forms::kSeconds);
  v.Form(5, "charter", must, o.charter, FormOf(o.charter));
  v.Number(6, "uses", may, o.uses, forms::kAny);
  v.Number(7, "suite", must, o.suite, forms::kAny);
  v.Form(8, "key", must, o.key, FormOf(o.key));
  v.Bits(9, "flags", may, o.flags, BitsForm{kInviteFlagsAll, kInviteFlagNames});
  v.List(10, "tags", Ascending(8), o.tags, forms::kTag);
  v.Messages(11, "members", InOrder(4, must), o.members);
}

template <class V>
void Describe(V& v, typename V::template Ref<Request> o) {
  v.Form(1, "h", may, o.h, FormOf(o.h));
  v.Number(2, "rx_handle", may, o.rx_handle, forms::kAny);
  v.Form(3, "scope", must, o.scope, FormOf(o.scope));
  v.Number(4, "suite", must, o.suite, forms::kAny);
  v.Form(5, "key", must, o.key, FormOf(o.key));
  v.Form(6, "static", must, o.static_key, FormOf(o.static_key));
  v.Number(7, "time", must, o.time, forms::kTime);
  v.Form(8, "name", may, o.name, forms::kLab);
  v.Form(9, "next_key", may, o.next_key, FormOf(o.next_key));
  v.Form(10, "invite", may, o.invite, FormOf(o.invite));
  v.Form(11, "proof", may, o.proof, FormOf(o.proof));
  v.Form(12, "commit", may, o.commit, FormOf(o.commit));
  v.List(13, "tags", Ascending(8), o.tags, forms::kTag);
}

template <class V>
void Describe(V& v, typename V::template Ref<Approve> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "seq", must, o.seq, forms::kSeq);
  v.Number(3, "hlc", must, o.hlc, forms::kHlc);
  v.Form(4, "subject", must, o.subject, FormOf(o.subject));
  v.Form(5, "item", must, o.item, FormOf(o.item));
  v.Number(6, "ceiling", must, o.ceiling, forms::kRung);
  v.Number(7, "until", must, o.until, forms::kTime);
  v.Form(8, "authority", must, o.authority, FormOf(o.authority));
}

template <class V>
void Describe(V& v, typename V::template Ref<Announce> o) {
  v.Form(1, "scope", must, o.scope, FormOf(o.scope));
  v.Number(2, "time", must, o.time, forms::kTime);
  v.Number(3, "ttl", must, o.ttl, forms::kDay);
  v.Form(4, "static", must, o.static_key, FormOf(o.static_key));
  v.List(5, "endpoints", InOrder(8), o.endpoints, forms::kEp);
  v.List(6, "relays", InOrder(4), o.relays, forms::kLab);
  v.Form(7, "name", may, o.name, forms::kLab);
}

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CODEC_DESCRIBE_H_
