// Authenticates a chain: from a leaf grant up to a charter held here, every edge, every ancestor,
// every signature, and the fragments that the presenter relies on. The one maker of Verified.
// Spec:   spec/objects.md §4 steps 11-13; spec/admission.md §3: cheap checks first, then signatures nearest the
//         charter first and the presenter's last, stop at the first failure.
// Bounds: kChainMax grants, kFragmentsMax fragments of kFragmentDepthMax levels, AuthInput::signatures_max
//         checks of a signature (those cached are free).
// Thread: pure but for the signature cache and the store's order of use. Errors: a refusal is a
// Verified
//         below kAdmit with its reason; a stranger (issuer unknown) is nullopt and costs no
//         signature.
// Cost:   ~5 us without, 39 us each signature with.
#ifndef AQMESH_CORE_AUTHORITY_CHAIN_H_
#define AQMESH_CORE_AUTHORITY_CHAIN_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/authority/decision.h"
#include "core/authority/objects_held.h"
#include "core/authority/restrictions.h"
#include "core/base/time.h"

namespace aqmesh::authority {

inline constexpr size_t kChainMax = 4, kFragmentsMax = 8, kFragmentDepthMax = 4, kSignaturesMax = 6;
inline constexpr uint64_t kClockSlackSeconds = 120;

// spec/objects.md §1: in date iff not_before <= now + 120 and now < not_before + ttl.
bool NotYet(uint64_t not_before, uint64_t now);
bool Lapsed(uint64_t not_before, uint64_t ttl, uint64_t now);

// One scope as this node holds it. charters: verified (VerifyCharter), oldest first, the newest in
// force.
struct ScopeHeld {
  std::span<const Held<Charter>> charters;
  ScopeId scope;
  const Restrictions* restrictions = nullptr;
  const Expansions* expansions = nullptr;
  uint32_t charter_floor = 1;
  const Charter& charter() const { return charters.back().body; }
};

struct AuthInput {
  std::span<const ScopeHeld> scopes;
  // What was presented: presentation, or nullptr for a bare chain. Its h, role and answers are the
  // caller's to compare. items: the other objects that came along; without a presentation items[0]
  // is the leaf.
  const Held<Presentation>* presentation = nullptr;
  std::span<const SignedPtr> items;
  const ObjectStore* store = nullptr;  // may be nullptr
  SignatureCache* cache = nullptr;     // may be nullptr
  WallTime now;
  size_t signatures_max = kSignaturesMax;
  // How many may still be spent once the cheap checks have refused: enough to answer the presenter,
  // or 0.
  size_t signatures_if_bad = 0;
  // Whose word may be believed is asked, not who may join: items[0] may be a grant that issues.
  bool any_leaf = false;
};

// The rules that a chain's fragments put in force. A packet passes iff for one entry of `rules` it
// matches every level: the cited fragment's rule first, then the one that it narrows, up to the
// root fragment's.
struct EffectiveRules {
  std::vector<std::shared_ptr<const Held<Fragment>>> fragments;  // what the pointers point into
  std::vector<std::vector<const Rule*>> rules;
  std::vector<std::string> left_out;  // cited, but lapsed, not yet valid or revoked: why
};

// A grant that gives more than its signer's own grant does: a proof against the signer that anybody
// can check.
struct Overreach {
  Oid grant;
  Kid signer;                 // the first key of its lineage
  std::optional<Kid> issuer;  // who granted it what it holds; none: a voter
};

// What went on, whatever came of it.
struct AuthReport {
  std::string why;             // empty, or the sentence behind Verified::reason
  std::vector<Ref16> missing;  // with kObjectsMissing or kCharterUnknown: what to pull
  size_t signature_checks = 0;
  bool signatures_held = false;        // every one that the chain rests on was found right
  std::optional<Overreach> overreach;  // proven only if signatures_held
  // The presentation's signature held: the presenter may be answered.
  bool presenter_verified = false;
  EffectiveRules rules;  // filled when the rung is kAdmit or kEscalate
  std::vector<Held<Rotate>>
      rotates;  // that came along and were verified, commitment too; for Restrictions::Add
  std::vector<std::pair<SignedPtr, uint64_t>>
      statements;                 // verified E statements and their seq, for Expansions
  std::vector<std::string> made;  // the checks made, in order, one sentence each
  // What was looked at beside AuthInput::items, so that the same can be judged again from it alone:
  // objects of the store, and where it only remembers, what it answered.
  std::vector<SignedPtr> found;
  std::vector<std::pair<Kid, Kid>> granted_before;  // (issuer, subject), by an earlier chain
  std::optional<Ed25519Key> issuer_before;          // who signed the topmost grant at hand
  uint64_t held = 0, restricted = 0;  // how much was held then; the holder of the scope fills it
};

std::optional<Verified> Authenticate(const AuthInput& input, AuthReport& report);

// A live or written request to join, under an invitation whose signer is known here: the one form
// that is let in without a grant, to ESCALATE (spec/authority.md A.9). Checks scope, times, suites,
// both signatures and the redeem proof; uses and who may redeem are the caller's. nullopt: a
// stranger (inviter unknown); no signature was checked. The chain names the subject and has no
// grants.
struct RequestInput {
  const Held<Request>& request;
  const Held<Invite>& invite;
  const Charter& charter;  // in force in the scope
  ScopeId scope;
  std::optional<Ed25519Key>
      inviter;  // key of the invitation's signer, if this node knows it as an issuer
  WallTime now;
};
std::optional<Verified> AuthenticateRequest(const RequestInput& input, AuthReport& report);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CHAIN_H_
