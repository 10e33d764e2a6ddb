// The signed objects as values: what a body says, once it has been parsed. One struct an object.
// Spec:   spec/objects.md §2. Absence is the zero or the empty value, std::optional where all zero bytes
//         would be a value too. Whoever reads a field may rely on the rules of §1 and §2: only
//         Parse makes these from outside bytes, and it refuses whatever breaks one.
// Bounds: every list has the bound of its row; a whole object is at most kObjectBytesMax.
// Thread: values.
#ifndef AQMESH_CORE_AUTHORITY_OBJECTS_H_
#define AQMESH_CORE_AUTHORITY_OBJECTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/net.h"

namespace aqmesh::authority {

inline constexpr size_t kObjectBytesMax = 16'384;

// The context numbers of spec/objects.md §2; the label is inside what is signed.
enum class Ctx : uint8_t {
  kCharter = 1,
  kGrant = 2,
  kFragment = 3,
  kKeybind = 4,
  kRotate = 5,
  kAttest = 6,
  kRevoke = 7,
  kCosign = 9,
  kObserve = 10,
  kTreaty = 11,
  kPardon = 12,
  kPresentation = 13,
  kInvite = 14,
  kRequest = 15,
  kApprove = 16,
  kAnnounce = 17,
  kPolicy = 18,
  kRetention = 19,
};

// What each means: core/authority/suites.h.
enum class Suite : uint16_t {
  kEd25519 = 1,
  kRistretto = 2,
  kX25519Static = 16,
  kLargeTest = 65281  // in tests alone
};

// Ordered: the ladder is compared with < and joined with min.
enum class Rung : uint8_t {
  kNone = 0,
  kRefuse = 1,
  kDefer = 2,
  kEscalate = 3,
  kProbation = 4,
  kConstrain = 5,
  kAdmit = 6
};
inline constexpr std::string_view kRungNames[] = {  // by value
    "NONE",
    "REFUSE",
    "DEFER",
    "ESCALATE",
    "PROBATION",
    "CONSTRAIN",
    "ADMIT"};

enum class Class : uint8_t {
  kRoot = 1,
  kRegion = 2,
  kSegment = 3,
  kNode = 4,
  kRouter = 5,
  kRelay = 6,
  kWitness = 7,
  kPosture = 8,
  kSshCa = 9,
  kDns = 10,
  kAuditor = 11,
  kUser = 12,
  kWorkload = 13,
  kBootstrap = 14,
  kEnroller = 15,
  kPlain = 16,
};
inline constexpr std::string_view kClassNames[] = {  // by value
    "",
    "ROOT",
    "REGION",
    "SEGMENT",
    "NODE",
    "ROUTER",
    "RELAY",
    "WITNESS",
    "POSTURE",
    "SSH_CA",
    "DNS",
    "AUDITOR",
    "USER",
    "WORKLOAD",
    "BOOTSTRAP",
    "ENROLLER",
    "PLAIN"};

// Bits of Grant::caps.
enum Cap : uint32_t {
  kCapJoin = 1u << 0,
  kCapAccept = 1u << 1,
  kCapForward = 1u << 2,
  kCapAdvertise = 1u << 3,
  kCapRelay = 1u << 4,
  kCapAttest = 1u << 5,
  kCapIssueAcl = 1u << 6,
  kCapIssueGrant = 1u << 7,
  kCapSshSign = 1u << 8,
  kCapDnsSet = 1u << 9,
  kCapRevokeDesc = 1u << 10,
  kCapCosign = 1u << 11,
  kCapFederate = 1u << 12,
  kCapApprove = 1u << 13,
  kCapsAll = (1u << 14) - 1,
  kCapsIssue = kCapIssueAcl | kCapIssueGrant,
};
// Bits of Grant::obligations; bits 8-10 are a rate class.
enum Obligation : uint16_t {
  kMustLogFlow = 1u << 0,
  kMustLogHeaders = 1u << 1,
  kMustEscalateFirstUse = 1u << 2,
  kMustNoRelay = 1u << 3,
  kMustNoExport = 1u << 4,
  kMustPosture = 1u << 5,
  kObligationsAll = 0x073f,
};
constexpr uint8_t RateOf(uint16_t obligations) { return obligations >> 8 & 7; }
// Flags add up; of two rate classes the larger is tighter.
constexpr uint16_t JoinObligations(uint16_t a, uint16_t b) {
  const unsigned rate = RateOf(a) > RateOf(b) ? RateOf(a) : RateOf(b);
  return static_cast<uint16_t>(((a | b) & 0xffu) | rate << 8);
}
// Bits of Charter::flags and Invite::flags and Rule::directives.
enum CharterFlag : uint32_t {
  kSingleDomain = 1,
  kCorroborate = 2,
  kExclusive = 4,
  kIslandQuorum = 8,
  kCharterFlagsAll = 15
};
enum InviteFlag : uint8_t {
  kInviteEphemeral = 1,
  kInvitePreApproved = 2,
  kInviteEnroller = 4,
  kInviteFlagsAll = 7
};
enum Directive : uint16_t {
  kDoForward = 1,
  kDoLogFlow = 2,
  kDoLogHeaders = 4,
  kDoEscalate = 8,
  kDirectivesAll = 15
};

enum class Profile : uint8_t { kStandard = 1, kSmallMesh = 2 };

struct Voter {
  Suite suite{};
  Ed25519Key key;
  uint16_t weight = 0;
  std::string group;
  std::optional<Digest> next_key;
  bool operator==(const Voter&) const = default;
};
struct ClassRow {
  uint8_t id = 0;
  uint32_t may_issue = 0, caps = 0, max_ttl = 0;
  uint8_t max_depth = 0;
  uint32_t prior = 0;  // Q16
  uint8_t relative = 0, certificate = 0;
  bool operator==(const ClassRow&) const = default;
};
struct Param {
  uint16_t id = 0;
  uint64_t value = 0;
  bool operator==(const Param&) const = default;
};
// Inclusive ports; half-open minutes of the week for hours.
struct Range16 {
  uint16_t lo = 0, hi = 0;
  auto operator<=>(const Range16&) const = default;
};
struct Svc {
  Bytes protos;  // IP numbers ascending; 255 alone = any
  std::vector<Range16> ports;
  bool operator==(const Svc&) const = default;
};

struct Charter {
  static constexpr Ctx kCtx = Ctx::kCharter;
  std::optional<ScopeId> scope;
  uint32_t version = 0;
  std::optional<Oid> prev;
  std::optional<FixedBytes<16, struct SaltTag>> salt;
  std::string name;
  uint8_t level = 0;
  std::optional<ScopeId> parent;
  Profile profile{};
  uint32_t flags = 0;
  uint64_t created = 0;
  uint32_t grace = 0;
  std::vector<Voter> voters, witnesses;
  uint32_t q_reg = 0, q_sens = 0, q_wit = 0;
  std::vector<uint16_t> suites;
  std::vector<ClassRow> classes;
  std::vector<Param> params;
  std::optional<Prefix> pool4;  // absent: 100.64.0.0/10
  std::vector<Prefix> prefixes;
  std::vector<std::string> tags;  // wtag
  std::vector<Svc> probation;
  std::optional<ScopeId> replaces;
  bool operator==(const Charter&) const = default;
};

struct Routing {
  std::vector<ScopeId> carry;
  uint8_t max_relays = 0;
  std::optional<ScopeId> must_stay;
  bool operator==(const Routing&) const = default;
};

struct Grant {
  static constexpr Ctx kCtx = Ctx::kGrant;
  ScopeId scope;
  Suite suite{};
  Ed25519Key key;  // of suite 16: the device's WireGuard static
  Class cls{};
  uint8_t depth_left = 0;
  uint32_t generation = 0;
  uint64_t seq = 0, not_before = 0;
  uint32_t ttl = 0, caps = 0;
  uint16_t obligations = 0;
  Oid parent;
  uint32_t charter_version = 0;
  std::vector<Prefix> prefixes;
  std::vector<std::string> tags;  // wildcards only with an issue bit
  std::optional<Routing> routing;
  std::optional<Digest> next_key;
  std::string name;
  bool operator==(const Grant&) const = default;
};

// Who a rule is about.
struct Selector {
  enum class Kind : uint8_t { kAny = 0, kTag = 1, kKid = 2, kPrefix4 = 4, kPrefix6 = 6 };
  Kind kind = Kind::kAny;
  std::string tag;
  Kid kid;
  Prefix prefix;
  bool operator==(const Selector&) const = default;
};

struct Rule {
  Selector src, dst;
  Bytes protos;
  std::vector<Range16> ports;
  uint8_t one_way = 0;
  uint16_t directives = 0;  // field `do`
  uint8_t rate = 0;
  uint32_t drop_after = 0;
  std::vector<std::string> transform;
  uint64_t since = 0, until = 0;
  std::vector<Range16> hours;  // minutes of the week from Monday 00:00 UTC, hi exclusive
  uint8_t via = 0;             // 1 + index of the parent's rule
  bool operator==(const Rule&) const = default;
};

struct Fragment {
  static constexpr Ctx kCtx = Ctx::kFragment;
  ScopeId scope;
  uint64_t seq = 0, not_before = 0;
  uint32_t ttl = 0;
  Oid authority;  // the signer's grant, or the charter
  std::optional<Oid> parent;
  std::optional<Kid> delegate;
  uint32_t charter_version = 0;
  std::vector<Rule> rules;
  bool operator==(const Fragment&) const = default;
};

struct Keybind {
  static constexpr Ctx kCtx = Ctx::kKeybind;
  ScopeId scope;
  uint64_t seq = 0;
  uint8_t kind = 0;  // 1 WireGuard static, 2 log key, 3 SSH host key
  Suite suite{};
  Digest key;
  uint64_t not_before = 0;
  uint32_t ttl = 0;
  bool operator==(const Keybind&) const = default;
};

struct Rotate {
  static constexpr Ctx kCtx = Ctx::kRotate;
  ScopeId scope;
  uint64_t seq = 0;
  Kid old;
  Suite suite{};
  Ed25519Key key;
  std::optional<Digest> next_key;
  uint64_t hlc = 0;
  uint8_t step = 0, reason = 0;
  bool operator==(const Rotate&) const = default;
};

// What a third party says of a subject (spec: authority#C.3). It gives weight, never authority.
enum class AttestKind : uint8_t { kKeySeen = 1, kBehaved, kReach, kPosture, kHead };

struct Attest {
  static constexpr Ctx kCtx = Ctx::kAttest;
  ScopeId scope;
  Kid subject;
  AttestKind kind{};
  uint64_t not_before = 0;
  uint32_t ttl = 0;
  Digest evidence;               // leaf of a record in the signer's log
  std::optional<Prefix> prefix;  // iff kReach
  std::string posture;           // iff kPosture
  uint64_t epoch = 0;            // iff kHead, and so head
  std::optional<Digest> head;
  bool operator==(const Attest&) const = default;
};

enum class RevokeType : uint8_t { kFloor = 1, kOid = 2, kIssuerFrom = 3, kKey = 4 };
inline constexpr uint64_t kTerminalSeq = (uint64_t{1} << 63) - 1;

struct Revoke {
  static constexpr Ctx kCtx = Ctx::kRevoke;
  ScopeId scope;
  uint64_t seq = 0;
  std::optional<Oid> prev;
  uint64_t hlc = 0;
  RevokeType type{};
  std::optional<Kid> kid;  // the subject, unless type is kOid
  std::optional<Oid> oid;
  uint32_t floor = 0;
  uint64_t from = 0;
  uint8_t reason = 0;
  bool operator==(const Revoke&) const = default;
};

struct Cosign {
  static constexpr Ctx kCtx = Ctx::kCosign;
  ScopeId scope;
  uint8_t slot = 0;  // 1 E statement, 2 R statement, 3 charter, 4 invitation
  Kid id;            // 16 bytes whose meaning the slot gives
  uint64_t number = 0;
  Oid target;
  uint64_t time = 0;
  bool operator==(const Cosign&) const = default;
};

// One lineage record: the body is the leaf data of the log.
enum class RecordKind : uint8_t {
  kProposed = 1,
  kDecided,
  kWeighted,
  kAttested,
  kArmed,
  kApplied,
  kVerified,
  kCommitted,
  kRolledBack,
  kDiverged,
  kFlow,
  kRemoteAdmitted,
  kRevokeSeen,
  kCheckpoint,
  kClockStep,
  kLogRestart,
  kPardon,
  kDrops,
  kEscalated,
  kApproved,
  kRedacted,
  kRetained,
};
struct FlowSummary {
  uint64_t frames = 0, bytes = 0, first = 0, last = 0;
  Digest tags;
  std::vector<Oid> presentations;
  uint64_t drops = 0;
  bool operator==(const FlowSummary&) const = default;
};
struct DropCount {
  uint16_t reason = 0;
  uint64_t count = 0;
  bool operator==(const DropCount&) const = default;
};
using Gates =
    std::array<uint8_t, 6>;  // rungs of crypto, trust, corroboration, freshness, action, local
using ActionId = FixedBytes<16, struct ActionIdTag>;

struct Observe {
  static constexpr Ctx kCtx = Ctx::kObserve;
  RecordKind kind{};
  Kid log;
  uint64_t seq = 0;
  std::optional<Digest> prev;  // leaf hash of seq - 1
  uint64_t hlc = 0;
  std::optional<ScopeId> scope;
  std::optional<Kid> subject;
  std::optional<Digest> authority;  // AuthDigest
  std::optional<Oid> inputs;
  std::optional<Gates> gates;
  uint32_t ladm = 0, slope = 0, corr = 0;
  Rung rung = Rung::kNone;
  uint16_t action = 0;
  std::optional<ActionId> action_id;
  uint64_t intent_gen = 0, observed_gen = 0;
  std::optional<Digest> evidence;
  uint16_t reason = 0;
  std::vector<Digest> commits;
  std::optional<FlowSummary> flow;
  std::vector<DropCount> drops;
  bool operator==(const Observe&) const = default;
};

struct Presentation {
  static constexpr Ctx kCtx = Ctx::kPresentation;
  Digest h;
  uint8_t role = 0;  // 1 initiator, 2 responder
  uint32_t rx_handle = 0;
  uint32_t charter_version = 0;
  std::vector<Ref16> refs;  // leaf first
  std::optional<Oid> answers;
  uint64_t epoch = 0;
  std::optional<Ref16> restrict_root;  // field `restrict`: first half of the restriction root
  bool operator==(const Presentation&) const = default;
};

struct Member {
  Kid kid;
  X25519Key static_key;  // field `static`
  std::vector<Endpoint> endpoints;
  bool operator==(const Member&) const = default;
};
struct Invite {
  static constexpr Ctx kCtx = Ctx::kInvite;
  ScopeId scope;
  uint64_t seq = 0, not_before = 0;
  uint32_t ttl = 0;
  Oid charter;
  uint16_t uses = 0;  // 0 = no limit
  Suite suite{};
  Ed25519Key key;  // one-time
  uint8_t flags = 0;
  std::vector<std::string> tags;
  std::vector<Member> members;
  bool operator==(const Invite&) const = default;
};

// What one scope lets come in of another. One a side.
struct PrefixMap {
  Prefix theirs, ours;
  bool operator==(const PrefixMap&) const = default;
};
struct TagMap {
  std::string theirs, ours;
  bool operator==(const TagMap&) const = default;
};
struct Treaty {
  static constexpr Ctx kCtx = Ctx::kTreaty;
  ScopeId scope;
  uint64_t seq = 0, not_before = 0;
  uint32_t ttl = 0;
  ScopeId foreign;
  uint32_t foreign_version = 0;  // of their charter, at least
  uint32_t charter_version = 0;
  uint32_t classes = 0, caps = 0;
  Rung ceiling{};
  std::vector<PrefixMap> prefixes;
  std::vector<TagMap> tags;
  uint32_t max_age = 0;  // seconds, of their checkpoint
  std::vector<Kid> witnesses;
  uint32_t kinds = 0;  // of records that cross: bit kind - 1
  std::optional<ScopeId> must_stay;
  bool operator==(const Treaty&) const = default;
};

enum class Lifts : uint8_t { kCollapse = 1, kScar = 2 };
struct Pardon {
  static constexpr Ctx kCtx = Ctx::kPardon;
  ScopeId scope;
  uint64_t seq = 0, hlc = 0;
  Kid subject;
  Suite suite{};
  Ed25519Key key;  // the new one
  Lifts lifts{};
  std::optional<Digest> proof;
  uint8_t reason = 0;
  bool operator==(const Pardon&) const = default;
};

using Nonce16 = FixedBytes<16, struct Nonce16Tag>;

struct Request {
  static constexpr Ctx kCtx = Ctx::kRequest;
  std::optional<Digest> h;  // live only
  uint32_t rx_handle = 0;
  ScopeId scope;
  Suite suite{};
  Ed25519Key key;
  X25519Key static_key;  // field `static`
  uint64_t time = 0;
  std::string name;
  std::optional<Digest> next_key;
  std::optional<Oid> invite;
  std::optional<Signature> proof;
  std::optional<Nonce16> commit;
  std::vector<std::string> tags;
  bool operator==(const Request&) const = default;
};

struct Approve {
  static constexpr Ctx kCtx = Ctx::kApprove;
  ScopeId scope;
  uint64_t seq = 0, hlc = 0;
  Kid subject;
  Nonce16 item;
  Rung ceiling{};
  uint64_t until = 0;
  Oid authority;
  bool operator==(const Approve&) const = default;
};

struct Announce {
  static constexpr Ctx kCtx = Ctx::kAnnounce;
  ScopeId scope;
  uint64_t time = 0;
  uint32_t ttl = 0;
  X25519Key static_key;  // field `static`
  std::vector<Endpoint> endpoints;
  std::vector<std::string> relays;
  std::string name;
  bool operator==(const Announce&) const = default;
};

// How long a log keeps its records (spec: lineage#12.4).
struct KeepRule {
  uint32_t kinds = 0;    // bit kind - 1
  uint32_t keep = 0;     // seconds
  uint8_t exported = 0;  // field `export`: 1 = a sealed copy comes before
  bool operator==(const KeepRule&) const = default;
};
struct Retention {
  static constexpr Ctx kCtx = Ctx::kRetention;
  ScopeId scope;
  uint64_t seq = 0, not_before = 0;
  std::optional<Kid> log;       // absent: every log of the scope
  std::vector<KeepRule> rules;  // of a kind the first that names it; without one it stays
  bool operator==(const Retention&) const = default;
};
inline constexpr uint32_t kRecordKindsAll = (1u << 22) - 1;

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_OBJECTS_H_
