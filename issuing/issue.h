// Builds the signed objects with the right defaults: charter, grants, fragments, invitations,
// requests, revocations, announcements. What a gate would refuse for its own terms is refused here
// first, in words.
// Spec:   spec/objects.md §2; authority A.3 (attenuation), A.9 (invitation, join, renewal, deposit).
// Bounds: those of the rows in spec/objects.md; every ttl is cut to the issuer's end.
// Thread: functions without state; numbers come from the signer's SeqSource, reserved before
// signing.
// Errors: InvalidArgument (a name, tag or address out of grammar), PermissionDenied (beyond the issuer's
//         authority), FailedPrecondition (the issuer's grant is out of date), or the SeqSource's
//         own. On an error nothing is signed; a number of stream E may have been consumed.
#ifndef AQMESH_ISSUING_ISSUE_H_
#define AQMESH_ISSUING_ISSUE_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/authority/signed.h"
#include "core/base/rng.h"
#include "issuing/signer.h"

namespace aqmesh::issuing {

template <class T>
using Held = authority::Held<T>;

inline constexpr uint32_t kDay = 86'400;
inline constexpr uint32_t kNodeTtl = 30 * kDay;
inline constexpr uint32_t kLongTtl = 3'650 * kDay;  // ENROLLER of a small mesh, default fragment
inline constexpr uint32_t kAuthorityTtl = 400 * kDay;
inline constexpr uint32_t kNodeCaps =
    authority::kCapJoin | authority::kCapAccept | authority::kCapForward | authority::kCapAttest;
inline constexpr uint32_t kEnrollerCaps =
    kNodeCaps | authority::kCapIssueGrant | authority::kCapRevokeDesc | authority::kCapApprove;
inline constexpr uint8_t kEnrollerDepth = 3;

// 48 bits of milliseconds, 16 of count.
constexpr uint64_t Hlc(uint64_t millis, uint16_t count = 0) { return millis << 16 | count; }

ScopeId ScopeOfCharter(const Held<authority::Charter>& charter);  // of any version

// ---- A mesh is born

struct GenesisOptions {
  std::string name{};                     // lab; also the voter's group
  std::optional<Digest> next_key{};       // of the paper key; absent: the root cannot be rotated
  uint64_t now = 0;                       // seconds
  std::vector<std::string> tags = {"*"};  // grantable
  std::optional<Prefix> pool4{};          // absent: 100.64.0.0/10
  std::vector<Prefix> prefixes{};         // grantable subnets
  authority::Profile profile = authority::Profile::kSmallMesh;
  std::vector<authority::Param> params{};  // that differ from the profile's, an id once
};
using Salt = FixedBytes<16, struct authority::SaltTag>;
// Version 1, level segment, single_domain, one voter: the root.
absl::StatusOr<authority::Charter> GenesisBody(const GenesisOptions& options,
                                               const Ed25519Key& root,
                                               const Salt& salt);
// The same, under a salt drawn from rng, and signed.
absl::StatusOr<Held<authority::Charter>> Genesis(const GenesisOptions& options,
                                                 const crypto::Ed25519Seed& root,
                                                 Rng& rng);

// Who issues: a voter under the charter (grant null), or the subject of a grant. Borrowed for the
// call.
struct Issuer {
  const Signer& signer;
  const Held<authority::Charter>& charter;        // newest held
  const Held<authority::Grant>* grant = nullptr;  // the issuer's own authority
  bool rotated = false;  // the signer is a key that the grant's subject rotated to
};

// ---- Grants

using Taken = std::function<bool(const IpAddress&)>;  // is the address in a known in-date grant?
                                                      // Empty: none is

struct NodeTerms {
  Ed25519Key key{};    // the subject's
  std::string name{};  // lab or empty
  std::optional<Digest> next_key{};
  std::vector<std::string> tags = {"member"};
  uint32_t generation = 1;
  uint32_t ttl = kNodeTtl;
};
// NODE: derived IPv6, first free IPv4 candidate (none left: IPv6 alone), the issuer's obligations.
absl::StatusOr<Held<authority::Grant>> NodeGrant(const Issuer& issuer,
                                                 const NodeTerms& terms,
                                                 const Taken& taken,
                                                 uint64_t now);

struct EnrollerTerms {
  Ed25519Key key{};
  std::string name{};
  std::optional<std::vector<std::string>> tags{};  // absent: the issuer's own; a voter's: member
  uint32_t generation = 1;
  uint32_t ttl = kLongTtl;
  uint16_t obligations = 0;  // beside the issuer's
};
// ENROLLER: depth 3 under a voter, else one less than the issuer's; refused to an issuer of
// depth 1.
absl::StatusOr<Held<authority::Grant>> EnrollerGrant(const Issuer& issuer,
                                                     const EnrollerTerms& terms,
                                                     uint64_t now);

struct JoinGrants {
  Held<authority::Grant> node;
  std::optional<Held<authority::Grant>> enroller;
};
struct FirstMachine {
  Ed25519Key key{};
  std::string name{};
  std::optional<Digest> next_key{};
  bool enroll = true;
  std::vector<std::string> tags = {"member"};  // of its NODE grant
  std::vector<std::string> enroller_tags = {
      "member"};  // what it may grant; "*" with an unlocked fleet in mind
  uint32_t enroller_ttl = kLongTtl;
};
// By the root: ENROLLER (seq first), then NODE.
absl::StatusOr<JoinGrants> RootGrants(const Issuer& root,
                                      const FirstMachine& machine,
                                      uint64_t now);

struct SponsorOptions {
  const authority::Invite* invite = nullptr;  // the invitation redeemed; null: signed by hand
  bool enroll = true;                         // with an invitation its flag decides too
  std::vector<std::string> tags{};  // without an invitation; empty: the request's, else member
  std::optional<std::vector<std::string>> enroller_tags{};  // absent: the sponsor's own
  uint32_t ttl = kNodeTtl;
};
// What a joiner gets: NODE, and ENROLLER if the sponsor's depth exceeds 1. The request's signature,
// its redeem proof and the invitation's window and uses are the caller's to have checked; here:
// scope, tags.
absl::StatusOr<JoinGrants> SponsorGrants(const Issuer& sponsor,
                                         const Held<authority::Request>& request,
                                         const SponsorOptions& options,
                                         const Taken& taken,
                                         uint64_t now);

// NODE with the key, tags, addresses, name and generation of `old`, for a request without h and
// invitation. That nobody in old's chain revoked the subject is the caller's to have checked.
absl::StatusOr<Held<authority::Grant>> Renewal(const Issuer& enroller,
                                               const Held<authority::Request>& request,
                                               const Held<authority::Grant>& old,
                                               uint64_t now);

// Any other grant. `wanted` holds class, key, caps, tags, prefixes, depth, generation, ttl...;
// scope, seq, not_before, parent and charter_version are filled in, lists are sorted, the ttl is
// cut, and obligations and routing of the issuer are added. caps, ttl and generation 0: the class's
// own caps and ttl, 1.
absl::StatusOr<Held<authority::Grant>> MakeGrant(const Issuer& issuer,
                                                 authority::Grant wanted,
                                                 uint64_t now);

// ---- Fragments

struct FragmentTerms {
  std::vector<authority::Rule> rules{};
  uint32_t ttl = kLongTtl;
  const Held<authority::Fragment>* parent = nullptr;  // narrowed by it; rules then carry via
  std::optional<Kid> delegate{};
  std::function<bool(const Kid&)>
      granted{};  // did the issuer grant that node? Empty: none; a voter's is not asked
};
absl::StatusOr<Held<authority::Fragment>> MakeFragment(const Issuer& issuer,
                                                       const FragmentTerms& terms,
                                                       uint64_t now);
// tag:member -> tag:member any.
absl::StatusOr<Held<authority::Fragment>> DefaultFragment(const Issuer& root,
                                                          uint64_t now,
                                                          uint32_t ttl = kLongTtl);

// ---- Invitation and request

struct InviteTerms {
  Ed25519Key one_time_key{};
  uint32_t ttl = 3'600;
  uint16_t uses = 1;  // 0: no limit
  uint8_t flags = authority::kInviteEnroller;
  std::vector<std::string> tags = {"member"};
  std::vector<authority::Member> members{};  // 1..4
};
absl::StatusOr<Held<authority::Invite>> MakeInvite(const Issuer& issuer,
                                                   InviteTerms terms,
                                                   uint64_t now);

// Proof that the one-time key consents to this identity key: signed PAE of "aqmesh/1/redeem".
Signature RedeemProof(const crypto::Ed25519Seed& one_time,
                      const std::optional<Digest>& h,
                      const Oid& invite,
                      const Kid& identity);
[[nodiscard]] bool CheckRedeemProof(const authority::Request& request,
                                    const authority::Invite& invite,
                                    const Oid& invite_oid);

struct RequestTerms {
  ScopeId scope{};
  X25519Key static_key{};
  uint64_t now = 0;
  std::string name{};
  std::optional<Digest> next_key{};
  std::vector<std::string> tags{};
};
struct Redeeming {  // the invitation, and the seed that came in its line
  Oid invite;
  const crypto::Ed25519Seed& one_time;
};
// Live, inside a handshake: bound to its h; commit = H128("aqmesh/1/commit" || nonce).
struct LiveTerms {
  Digest h{};
  uint32_t rx_handle = 0;
  std::optional<authority::Nonce16> commit{};
};
absl::StatusOr<Held<authority::Request>> MakeRequest(const crypto::Ed25519Seed& identity,
                                                     const RequestTerms& terms,
                                                     const Redeeming* redeeming,
                                                     const LiveTerms* live);
authority::Nonce16 CommitOf(const authority::Nonce16& nonce);

// ---- Restrictions

struct RevokeTerms {
  authority::RevokeType type{};
  Kid kid{};           // the subject, unless kOid
  Oid oid{};           // kOid
  uint32_t floor = 0;  // kFloor: the least generation still good
  uint64_t from = 0;   // kIssuerFrom: stream E from this seq
  uint8_t reason = 0;
};
// Next in the signer's stream R: dense, linked by prev. Whether the signer may is the receivers' to
// judge.
absl::StatusOr<Held<authority::Revoke>> MakeRevoke(const Signer& signer,
                                                   const ScopeId& scope,
                                                   const RevokeTerms& terms,
                                                   uint64_t hlc);
// KEY on oneself under the terminal seq, for custodians: takes no number.
Held<authority::Revoke> SelfRevocation(const crypto::Ed25519Seed& identity,
                                       const ScopeId& scope,
                                       uint64_t hlc,
                                       uint8_t reason = 0);

// By the new key, whose digest the old one's grant or voter row pre-committed; opens the new key's
// stream R.
struct RotateTerms {
  Kid old{};
  std::optional<Digest> next_key{};
  uint8_t step = 1;  // 1..4 since the grant
  uint8_t reason = 0;
};
absl::StatusOr<Held<authority::Rotate>> MakeRotate(const Signer& new_key,
                                                   const ScopeId& scope,
                                                   const RotateTerms& terms,
                                                   uint64_t hlc);

// ---- The rest

// Binds a key of kind 2 (a log's) or 3 to the signer. Takes a number of its stream E.
struct KeybindTerms {
  uint8_t kind = 2;
  Ed25519Key key{};
  uint32_t ttl = 400 * 86'400;
};
absl::StatusOr<Held<authority::Keybind>> MakeKeybind(const Signer& signer,
                                                     const ScopeId& scope,
                                                     const KeybindTerms& terms,
                                                     uint64_t now);

struct ApproveTerms {
  Kid subject{};
  authority::Nonce16 item{};
  authority::Rung ceiling = authority::Rung::kAdmit;  // kRefuse: denied
  uint64_t until = 0;
};
absl::StatusOr<Held<authority::Approve>> MakeApprove(const Issuer& issuer,
                                                     const ApproveTerms& terms,
                                                     uint64_t now,
                                                     uint64_t hlc);

// What this machine saw of another, for that one to show to others. KEY_SEEN or BEHAVED.
struct AttestTerms {
  Kid subject{};
  authority::AttestKind kind = authority::AttestKind::kKeySeen;
  Digest evidence{};  // leaf of a record in the signer's log
  uint32_t ttl = kDay;
};
absl::StatusOr<Held<authority::Attest>> MakeAttest(const crypto::Ed25519Seed& identity,
                                                   const ScopeId& scope,
                                                   const AttestTerms& terms,
                                                   uint64_t now);

struct AnnounceTerms {
  ScopeId scope{};
  X25519Key static_key{};
  std::vector<Endpoint> endpoints{};  // 1..8, best first; doubled ones are dropped
  std::vector<std::string> relays{};
  std::string name{};
  uint32_t ttl = 3'600;
};
absl::StatusOr<Held<authority::Announce>> MakeAnnounce(const crypto::Ed25519Seed& identity,
                                                       AnnounceTerms terms,
                                                       uint64_t now);

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_ISSUE_H_
