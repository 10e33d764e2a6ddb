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
using enum Mark;

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
// `*n` is Ascending(n), `+n` is InOrder(n); "at least one" is the mark kMust.
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
inline constexpr std::string_view kAttestKindNames[] = {
    "KEY_SEEN", "BEHAVED", "REACH", "POSTURE", "HEAD"};
inline constexpr std::string_view kRevokeTypeNames[] = {"FLOOR", "OID", "ISSUER_FROM", "KEY"};
inline constexpr std::string_view kSlotNames[] = {
    "E statement", "R statement", "charter", "invitation"};
inline constexpr std::string_view kRoleNames[] = {"initiator", "responder"};
inline constexpr std::string_view kLiftsNames[] = {"collapse", "scar"};
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
inline constexpr NumberForm kMonth{.hi = 30 * 86'400, .as = NumberForm::As::kSeconds};
inline constexpr NumberForm kHlc{.as = NumberForm::As::kHlc};
inline constexpr NumberForm kSeq{.hi = kTerminalSeq};
inline constexpr NumberForm kFlag{.hi = 1};
inline constexpr NumberForm kClass{.lo = 2, .hi = 16, .names = Names(kClassNames).subspan(2)};
inline constexpr NumberForm kRung{.hi = 6, .names = Names(kRungNames).subspan(1)};
inline constexpr NumberForm kDepth{.hi = 4};
inline constexpr BitsForm kClasses{.all = 0xfffe};
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
  v.Number(1, "suite", kMust, o.suite, forms::kAny);
  v.Form(2, "key", kMust, o.key, FormOf(o.key));
  v.Number(3, "weight", kMust, o.weight, forms::kAny);
  v.Form(4, "group", kMust, o.group, forms::kLab);
  v.Form(5, "next_key", kMay, o.next_key, FormOf(o.next_key));
}

template <class V>
void Describe(V& v, typename V::template Ref<ClassRow> o) {
  v.Number(1, "id", kMust, o.id, forms::kClass);
  v.Bits(2, "may_issue", kMay, o.may_issue, forms::kClasses);
  v.Bits(3, "caps", kMay, o.caps, forms::kCaps);
  v.Number(4, "max_ttl", kMust, o.max_ttl, forms::kSeconds);
  v.Number(5, "max_depth", kMay, o.max_depth, forms::kDepth);
  v.Number(6, "prior", kMust, o.prior, NumberForm{.hi = 65'536, .as = NumberForm::As::kQ16});
  v.Number(7, "relative", kMay, o.relative, forms::kFlag);
  v.Number(8, "certificate", kMay, o.certificate, forms::kFlag);
}

template <class V>
void Describe(V& v, typename V::template Ref<Param> o) {
  v.Number(1, "id", kMust, o.id, NumberForm{.hi = 25});
  v.Number(2, "value", kMay, o.value, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Svc> o) {
  v.Form(1, "protos", kMust, o.protos, forms::kProtos);
  v.Form(2, "ports", kMay, o.ports, forms::kPorts);
}

template <class V>
void Describe(V& v, typename V::template Ref<Charter> o) {
  v.Form(1, "scope", kMay, o.scope, FormOf(o.scope));
  v.Number(2, "version", kMust, o.version, forms::kAny);
  v.Form(3, "prev", kMay, o.prev, FormOf(o.prev));
  v.Form(4, "salt", kMay, o.salt, FormOf(o.salt));
  v.Form(5, "name", kMust, o.name, forms::kLab);
  v.Number(6, "level", kMust, o.level, NumberForm{.hi = 3, .names = kLevelNames});
  v.Form(7, "parent", kMay, o.parent, FormOf(o.parent));
  v.Number(8, "profile", kMust, o.profile, NumberForm{.hi = 2, .names = kProfileNames});
  v.Bits(9, "flags", kMay, o.flags, BitsForm{kCharterFlagsAll, kCharterFlagNames});
  v.Number(10, "created", kMust, o.created, forms::kTime);
  v.Number(11, "grace", kMay, o.grace, forms::kSeconds);
  v.Messages(12, "voters", Ascending(64, kMust), o.voters);
  v.Messages(13, "witnesses", Ascending(64), o.witnesses);
  v.Number(14, "q_reg", kMust, o.q_reg, forms::kAny);
  v.Number(15, "q_sens", kMust, o.q_sens, forms::kAny);
  v.Number(16, "q_wit", kMay, o.q_wit, forms::kAny);
  v.Form(17, "suites", kMust, o.suites, SuitesForm{});
  v.Messages(18, "classes", Ascending(32), o.classes);
  v.Messages(19, "params", Ascending(64), o.params);
  v.Form(20, "pool4", kMay, o.pool4, forms::kPfx);
  v.List(21, "prefixes", Ascending(32), o.prefixes, forms::kPfx);
  v.List(22, "tags", Ascending(32), o.tags, forms::kWtag);
  v.Messages(23, "probation", InOrder(16), o.probation);
  v.Form(24, "replaces", kMay, o.replaces, FormOf(o.replaces));
}

template <class V>
void Describe(V& v, typename V::template Ref<Routing> o) {
  v.List(1, "carry", Ascending(8), o.carry, FormOf(o.carry));
  v.Number(2, "max_relays", kMay, o.max_relays, NumberForm{.hi = 3});
  v.Form(3, "must_stay", kMay, o.must_stay, FormOf(o.must_stay));
}

template <class V>
void Describe(V& v, typename V::template Ref<Grant> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "suite", kMust, o.suite, forms::kAny);
  v.Form(3, "key", kMust, o.key, FormOf(o.key));
  v.Number(4, "class", kMust, o.cls, forms::kClass);
  v.Number(5, "depth_left", kMay, o.depth_left, forms::kDepth);
  v.Number(6, "generation", kMust, o.generation, forms::kAny);
  v.Number(7, "seq", kMust, o.seq, forms::kSeq);
  v.Number(8, "not_before", kMust, o.not_before, forms::kTime);
  v.Number(9, "ttl", kMust, o.ttl, forms::kSeconds);
  v.Bits(10, "caps", kMay, o.caps, forms::kCaps);
  v.Bits(11, "obligations", kMay, o.obligations, BitsForm{kObligationsAll, kObligationNames});
  v.Form(12, "parent", kMust, o.parent, FormOf(o.parent));
  v.Number(13, "charter_version", kMust, o.charter_version, forms::kAny);
  v.List(14, "prefixes", Ascending(8), o.prefixes, forms::kPfx);
  v.List(15, "tags", Ascending(8), o.tags, forms::kWtag);
  v.Message(16, "routing", kMay, o.routing);
  v.Form(17, "next_key", kMay, o.next_key, FormOf(o.next_key));
  v.Form(18, "name", kMay, o.name, forms::kLab);
}

template <class V>
void Describe(V& v, typename V::template Ref<Rule> o) {
  v.Form(1, "src", kMust, o.src, forms::kSel);
  v.Form(2, "dst", kMust, o.dst, forms::kSel);
  v.Form(3, "protos", kMust, o.protos, forms::kProtos);
  v.Form(4, "ports", kMay, o.ports, forms::kPorts);
  v.Number(5, "one_way", kMay, o.one_way, forms::kFlag);
  v.Bits(6, "do", kMay, o.directives, BitsForm{kDirectivesAll, kDirectiveNames});
  v.Number(7, "rate", kMay, o.rate, NumberForm{.hi = 7});
  v.Number(8, "drop_after", kMay, o.drop_after, forms::kAny);
  v.List(9, "transform", InOrder(2), o.transform, forms::kLab);
  v.Number(10, "since", kMay, o.since, forms::kTime);
  v.Number(11, "until", kMay, o.until, forms::kTime);
  v.Form(12, "hours", kMay, o.hours, HoursForm{});
  v.Number(13, "via", kMay, o.via, NumberForm{.hi = 64});
}

template <class V>
void Describe(V& v, typename V::template Ref<Fragment> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "not_before", kMust, o.not_before, forms::kTime);
  v.Number(4, "ttl", kMust, o.ttl, forms::kSeconds);
  v.Form(5, "authority", kMust, o.authority, FormOf(o.authority));
  v.Form(6, "parent", kMay, o.parent, FormOf(o.parent));
  v.Form(7, "delegate", kMay, o.delegate, FormOf(o.delegate));
  v.Number(8, "charter_version", kMust, o.charter_version, forms::kAny);
  v.Messages(9, "rules", InOrder(64, kMust), o.rules);
}

template <class V>
void Describe(V& v, typename V::template Ref<Keybind> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "kind", kMust, o.kind, NumberForm{.hi = 3, .names = kKeyKindNames});
  v.Number(4, "suite", kMust, o.suite, forms::kAny);
  v.Form(5, "key", kMust, o.key, FormOf(o.key));
  v.Number(6, "not_before", kMust, o.not_before, forms::kTime);
  v.Number(7, "ttl", kMust, o.ttl, forms::kSeconds);
}

template <class V>
void Describe(V& v, typename V::template Ref<Rotate> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, NumberForm{.hi = 1});
  v.Form(3, "old", kMust, o.old, FormOf(o.old));
  v.Number(4, "suite", kMust, o.suite, forms::kAny);
  v.Form(5, "key", kMust, o.key, FormOf(o.key));
  v.Form(6, "next_key", kMay, o.next_key, FormOf(o.next_key));
  v.Number(7, "hlc", kMust, o.hlc, forms::kHlc);
  v.Number(8, "step", kMust, o.step, NumberForm{.hi = 4});
  v.Number(9, "reason", kMay, o.reason, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Attest> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Form(2, "subject", kMust, o.subject, FormOf(o.subject));
  v.Number(3, "kind", kMust, o.kind, NumberForm{.hi = 5, .names = kAttestKindNames});
  v.Number(4, "not_before", kMust, o.not_before, forms::kTime);
  v.Number(5, "ttl", kMust, o.ttl, forms::kDay);
  v.Form(6, "evidence", kMust, o.evidence, FormOf(o.evidence));
  v.Form(7, "prefix", kMay, o.prefix, forms::kPfx);
  v.Form(8, "posture", kMay, o.posture, forms::kLab);
  v.Number(9, "epoch", kMay, o.epoch, forms::kAny);
  v.Form(10, "head", kMay, o.head, FormOf(o.head));
}

template <class V>
void Describe(V& v, typename V::template Ref<Revoke> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Form(3, "prev", kMay, o.prev, FormOf(o.prev));
  v.Number(4, "hlc", kMust, o.hlc, forms::kHlc);
  v.Number(5, "type", kMust, o.type, NumberForm{.hi = 4, .names = kRevokeTypeNames});
  v.Form(6, "kid", kMay, o.kid, FormOf(o.kid));
  v.Form(7, "oid", kMay, o.oid, FormOf(o.oid));
  v.Number(8, "floor", kMay, o.floor, forms::kAny);
  v.Number(9, "from", kMay, o.from, forms::kAny);
  v.Number(10, "reason", kMay, o.reason, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Cosign> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "slot", kMust, o.slot, NumberForm{.hi = 4, .names = kSlotNames});
  v.Form(3, "id", kMust, o.id, FormOf(o.id));
  v.Number(4, "number", kMust, o.number, forms::kAny);
  v.Form(5, "target", kMust, o.target, FormOf(o.target));
  v.Number(6, "time", kMust, o.time, forms::kTime);
}

template <class V>
void Describe(V& v, typename V::template Ref<FlowSummary> o) {
  v.Number(1, "frames", kMay, o.frames, forms::kAny);
  v.Number(2, "bytes", kMay, o.bytes, forms::kAny);
  v.Number(3, "first", kMay, o.first, forms::kAny);
  v.Number(4, "last", kMay, o.last, forms::kAny);
  v.Form(5, "tags", kMust, o.tags, FormOf(o.tags));
  v.List(6, "presentations", InOrder(16), o.presentations, FormOf(o.presentations));
  v.Number(7, "drops", kMay, o.drops, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<DropCount> o) {
  v.Number(1, "reason", kMust, o.reason, forms::kAny);
  v.Number(2, "count", kMust, o.count, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Observe> o) {
  v.Number(1, "kind", kMust, o.kind, NumberForm{.hi = 22, .names = kRecordKindNames});
  v.Form(2, "log", kMust, o.log, FormOf(o.log));
  v.Number(3, "seq", kMay, o.seq, forms::kSeq);
  v.Form(4, "prev", kMay, o.prev, FormOf(o.prev));
  v.Number(5, "hlc", kMust, o.hlc, forms::kHlc);
  v.Form(6, "scope", kMay, o.scope, FormOf(o.scope));
  v.Form(7, "subject", kMay, o.subject, FormOf(o.subject));
  v.Form(8, "authority", kMay, o.authority, FormOf(o.authority));
  v.Form(9, "inputs", kMay, o.inputs, FormOf(o.inputs));
  v.Form(10, "gates", kMay, o.gates, GatesForm{});
  v.Number(11, "ladm", kMay, o.ladm, NumberForm{.hi = 65'536, .as = NumberForm::As::kQ16});
  v.Number(12, "slope", kMay, o.slope, NumberForm{.hi = 131'072});
  v.Number(13, "corr", kMay, o.corr, forms::kAny);
  v.Number(14, "rung", kMay, o.rung, forms::kRung);
  v.Number(15, "action", kMay, o.action, forms::kAny);
  v.Form(16, "action_id", kMay, o.action_id, FormOf(o.action_id));
  v.Number(17, "intent_gen", kMay, o.intent_gen, forms::kAny);
  v.Number(18, "observed_gen", kMay, o.observed_gen, forms::kAny);
  v.Form(19, "evidence", kMay, o.evidence, FormOf(o.evidence));
  v.Number(20, "reason", kMay, o.reason, forms::kAny);
  v.List(21, "commits", InOrder(8), o.commits, FormOf(o.commits));
  v.Message(22, "flow", kMay, o.flow);
  v.Messages(23, "drops", Ascending(64), o.drops);
}

template <class V>
void Describe(V& v, typename V::template Ref<PrefixMap> o) {
  v.Form(1, "theirs", kMust, o.theirs, forms::kPfx);
  v.Form(2, "ours", kMust, o.ours, forms::kPfx);
}

template <class V>
void Describe(V& v, typename V::template Ref<TagMap> o) {
  v.Form(1, "theirs", kMust, o.theirs, forms::kTag);
  v.Form(2, "ours", kMust, o.ours, forms::kTag);
}

template <class V>
void Describe(V& v, typename V::template Ref<Treaty> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "not_before", kMust, o.not_before, forms::kTime);
  v.Number(4, "ttl", kMust, o.ttl, forms::kMonth);
  v.Form(5, "foreign", kMust, o.foreign, FormOf(o.foreign));
  v.Number(6, "foreign_version", kMust, o.foreign_version, forms::kAny);
  v.Number(7, "charter_version", kMust, o.charter_version, forms::kAny);
  v.Bits(8, "classes", kMust, o.classes, forms::kClasses);
  v.Bits(9, "caps", kMay, o.caps, forms::kCaps);
  v.Number(10, "ceiling", kMust, o.ceiling, forms::kRung);
  v.Messages(11, "prefixes", Ascending(16), o.prefixes);
  v.Messages(12, "tags", Ascending(32), o.tags);
  v.Number(13, "max_age", kMust, o.max_age, forms::kSeconds);
  v.List(14, "witnesses", Ascending(8), o.witnesses, FormOf(o.witnesses));
  v.Bits(15, "kinds", kMay, o.kinds, BitsForm{kRecordKindsAll, kRecordKindNames});
  v.Form(16, "must_stay", kMay, o.must_stay, FormOf(o.must_stay));
}

template <class V>
void Describe(V& v, typename V::template Ref<Pardon> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "hlc", kMust, o.hlc, forms::kHlc);
  v.Form(4, "subject", kMust, o.subject, FormOf(o.subject));
  v.Number(5, "suite", kMust, o.suite, forms::kAny);
  v.Form(6, "key", kMust, o.key, FormOf(o.key));
  v.Number(7, "lifts", kMust, o.lifts, NumberForm{.hi = 2, .names = kLiftsNames});
  v.Form(8, "proof", kMay, o.proof, FormOf(o.proof));
  v.Number(9, "reason", kMay, o.reason, forms::kAny);
}

template <class V>
void Describe(V& v, typename V::template Ref<Presentation> o) {
  v.Form(1, "h", kMust, o.h, FormOf(o.h));
  v.Number(2, "role", kMust, o.role, NumberForm{.hi = 2, .names = kRoleNames});
  v.Number(3, "rx_handle", kMust, o.rx_handle, forms::kAny);
  v.Number(4, "charter_version", kMust, o.charter_version, forms::kAny);
  v.Form(5, "refs", kMust, o.refs, RefsForm{});
  v.Form(6, "answers", kMay, o.answers, FormOf(o.answers));
  v.Number(7, "epoch", kMay, o.epoch, forms::kAny);
  v.Form(8, "restrict", kMay, o.restrict_root, FormOf(o.restrict_root));
}

template <class V>
void Describe(V& v, typename V::template Ref<Member> o) {
  v.Form(1, "kid", kMust, o.kid, FormOf(o.kid));
  v.Form(2, "static", kMust, o.static_key, FormOf(o.static_key));
  v.List(3, "endpoints", InOrder(4), o.endpoints, forms::kEp);
}

template <class V>
void Describe(V& v, typename V::template Ref<Invite> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "not_before", kMust, o.not_before, forms::kTime);
  v.Number(4, "ttl", kMust, o.ttl, forms::kSeconds);
  v.Form(5, "charter", kMust, o.charter, FormOf(o.charter));
  v.Number(6, "uses", kMay, o.uses, forms::kAny);
  v.Number(7, "suite", kMust, o.suite, forms::kAny);
  v.Form(8, "key", kMust, o.key, FormOf(o.key));
  v.Bits(9, "flags", kMay, o.flags, BitsForm{kInviteFlagsAll, kInviteFlagNames});
  v.List(10, "tags", Ascending(8), o.tags, forms::kTag);
  v.Messages(11, "members", InOrder(4, kMust), o.members);
}

template <class V>
void Describe(V& v, typename V::template Ref<Request> o) {
  v.Form(1, "h", kMay, o.h, FormOf(o.h));
  v.Number(2, "rx_handle", kMay, o.rx_handle, forms::kAny);
  v.Form(3, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(4, "suite", kMust, o.suite, forms::kAny);
  v.Form(5, "key", kMust, o.key, FormOf(o.key));
  v.Form(6, "static", kMust, o.static_key, FormOf(o.static_key));
  v.Number(7, "time", kMust, o.time, forms::kTime);
  v.Form(8, "name", kMay, o.name, forms::kLab);
  v.Form(9, "next_key", kMay, o.next_key, FormOf(o.next_key));
  v.Form(10, "invite", kMay, o.invite, FormOf(o.invite));
  v.Form(11, "proof", kMay, o.proof, FormOf(o.proof));
  v.Form(12, "commit", kMay, o.commit, FormOf(o.commit));
  v.List(13, "tags", Ascending(8), o.tags, forms::kTag);
}

template <class V>
void Describe(V& v, typename V::template Ref<Approve> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "hlc", kMust, o.hlc, forms::kHlc);
  v.Form(4, "subject", kMust, o.subject, FormOf(o.subject));
  v.Form(5, "item", kMust, o.item, FormOf(o.item));
  v.Number(6, "ceiling", kMust, o.ceiling, forms::kRung);
  v.Number(7, "until", kMust, o.until, forms::kTime);
  v.Form(8, "authority", kMust, o.authority, FormOf(o.authority));
}

template <class V>
void Describe(V& v, typename V::template Ref<Announce> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "time", kMust, o.time, forms::kTime);
  v.Number(3, "ttl", kMust, o.ttl, forms::kDay);
  v.Form(4, "static", kMust, o.static_key, FormOf(o.static_key));
  v.List(5, "endpoints", InOrder(8), o.endpoints, forms::kEp);
  v.List(6, "relays", InOrder(4), o.relays, forms::kLab);
  v.Form(7, "name", kMay, o.name, forms::kLab);
}

template <class V>
void Describe(V& v, typename V::template Ref<KeepRule> o) {
  v.Bits(1, "kinds", kMust, o.kinds, BitsForm{kRecordKindsAll, kRecordKindNames});
  v.Number(2, "keep", kMust, o.keep, forms::kSeconds);
  v.Number(3, "export", kMay, o.exported, forms::kFlag);
}

template <class V>
void Describe(V& v, typename V::template Ref<Retention> o) {
  v.Form(1, "scope", kMust, o.scope, FormOf(o.scope));
  v.Number(2, "seq", kMust, o.seq, forms::kSeq);
  v.Number(3, "not_before", kMust, o.not_before, forms::kTime);
  v.Form(4, "log", kMay, o.log, FormOf(o.log));
  v.Messages(5, "rules", InOrder(16, kMust), o.rules);
}

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CODEC_DESCRIBE_H_
