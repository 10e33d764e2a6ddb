// The part of issue.h that is not grants and fragments: invitations, requests, restrictions,
// announcements.
#include <algorithm>
#include <utility>

#include "core/authority/attenuation.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "issuing/issue.h"
#include "issuing/place.h"

namespace aqmesh::issuing {

using namespace authority;  // NOLINT(google-build-using-namespace): this file speaks of nothing
                            // else

namespace {

constexpr std::string_view kRedeem = "aqmesh/1/redeem";

// spec: objects#2 request: h (32 zeros if none) || invite oid || kid of `key`
Bytes RedeemBody(const std::optional<Digest>& h, const Oid& invite, const Kid& identity) {
  return Concat({h.value_or(Digest{}), invite, identity});
}

}  // namespace

absl::StatusOr<Held<Invite>> MakeInvite(const Issuer& issuer, InviteTerms terms, uint64_t now) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(issuer, now));
  AQ_RETURN_IF_ERROR(NeedCap(place, kCapIssueGrant, "invitations"));
  if (terms.members.empty() || terms.members.size() > 4) {
    return InvalidArgument("an invitation names 1 to 4 members to join through, not ",
                           terms.members.size());
  }
  if ((terms.flags & ~kInviteFlagsAll) != 0) return InvalidArgument("unknown invitation flags");
  Invite v;
  AQ_ASSIGN_OR_RETURN(v.tags, SortedTags(std::move(terms.tags), false, kTagsMax));
  const std::vector<std::string>& own =
      place.grant == nullptr ? issuer.charter.body.tags : place.grant->tags;
  for (const std::string& tag : v.tags) {
    if (tag == "member" || TagsCover(own, tag)) continue;
    return PermissionDenied(
        "the inviter may not give tag ", tag, "; invite from a machine that may, or leave it out");
  }
  for (Member& m : terms.members) {
    AQ_ASSIGN_OR_RETURN(m.endpoints, CheckedEndpoints(m.endpoints, 4));
  }
  AQ_ASSIGN_OR_RETURN(const Window window, Cut(place, now, terms.ttl));
  v.scope = place.scope;
  v.not_before = window.not_before;
  v.ttl = window.ttl;
  v.charter = issuer.charter.oid();
  v.uses = terms.uses;
  v.suite = Suite::kEd25519;
  v.key = terms.one_time_key;
  v.flags = terms.flags;
  v.members = std::move(terms.members);
  AQ_ASSIGN_OR_RETURN(v.seq, issuer.signer.seqs().ReserveExpansion(issuer.signer.kid()));
  return TrySeal(v, issuer.signer.seed());
}

Signature RedeemProof(const crypto::Ed25519Seed& one_time,
                      const std::optional<Digest>& h,
                      const Oid& invite,
                      const Kid& identity) {
  const Kid kid = KidOf(Suite::kEd25519, crypto::Ed25519Public(one_time));
  return crypto::Ed25519Sign(one_time,
                             Pae(kRedeem, Suite::kEd25519, kid, RedeemBody(h, invite, identity)));
}

bool CheckRedeemProof(const Request& request, const Invite& invite, const Oid& invite_oid) {
  if (!request.proof.has_value() || request.invite != invite_oid) return false;
  const Bytes body = RedeemBody(request.h, invite_oid, KidOf(request.suite, request.key));
  const Bytes pae = Pae(kRedeem, invite.suite, KidOf(invite.suite, invite.key), body);
  return authority::VerifyBy(invite.suite, invite.key, pae, *request.proof);
}

absl::StatusOr<Held<Request>> MakeRequest(const crypto::Ed25519Seed& identity,
                                          const RequestTerms& terms,
                                          const Redeeming* redeeming,
                                          const LiveTerms* live) {
  AQ_RETURN_IF_ERROR(CheckName(terms.name, true));
  if (terms.now == 0) return InvalidArgument("the clock says 1970; set it, then try again");
  Request r;
  AQ_ASSIGN_OR_RETURN(r.tags, SortedTags(terms.tags, false, kTagsMax));
  if (live != nullptr) {
    if (live->rx_handle == 0) return InvalidArgument("a live request needs a handle");
    r.h = live->h;
    r.rx_handle = live->rx_handle;
    r.commit = live->commit;
  }
  r.scope = terms.scope;
  r.suite = Suite::kEd25519;
  r.key = crypto::Ed25519Public(identity);
  r.static_key = terms.static_key;
  r.time = terms.now;
  r.name = terms.name;
  r.next_key = terms.next_key;
  if (redeeming != nullptr) {
    r.invite = redeeming->invite;
    r.proof = RedeemProof(redeeming->one_time, r.h, redeeming->invite, KidOf(r.suite, r.key));
  }
  return TrySeal(r, identity);
}

Nonce16 CommitOf(const Nonce16& nonce) {
  return *Nonce16::From(crypto::H128({AsBytes("aqmesh/1/commit"), nonce}));
}

namespace {

// Numbers a statement of stream R, makes it durable, and only then signs it.
template <class T>
absl::StatusOr<Held<T>> SealRestriction(const Signer& signer, const T& body) {
  RestrictionHead next{.seq = body.seq, .ctx = T::kCtx};
  AQ_ASSIGN_OR_RETURN(next.body, TryEncodeBody(body));
  next.oid = OidOf(T::kCtx, signer.kid(), next.body);
  AQ_RETURN_IF_ERROR(signer.seqs().ReserveRestriction(signer.kid(), next));
  return Seal(body, signer.seed());
}

}  // namespace

absl::StatusOr<Held<Revoke>> MakeRevoke(const Signer& signer,
                                        const ScopeId& scope,
                                        const RevokeTerms& terms,
                                        uint64_t hlc) {
  AQ_ASSIGN_OR_RETURN(const RestrictionHead last, signer.seqs().LastRestriction(signer.kid()));
  if (hlc == 0) return InvalidArgument("the clock says 1970; set it, then try again");
  Revoke r;
  r.scope = scope;
  r.seq = last.seq + 1;
  if (last.seq > 0) r.prev = last.oid;
  r.hlc = hlc;
  r.type = terms.type;
  if (terms.type == RevokeType::kOid) {
    r.oid = terms.oid;
  } else {
    r.kid = terms.kid;
  }
  switch (terms.type) {
    case RevokeType::kFloor:
      if (terms.floor == 0)
        return InvalidArgument(
            "a floor of 0 revokes nothing; name the least generation still good");
      r.floor = terms.floor;
      break;
    case RevokeType::kIssuerFrom:
      if (terms.from == 0) return InvalidArgument("a cut begins at statement 1 or later");
      r.from = terms.from;
      break;
    case RevokeType::kOid:
    case RevokeType::kKey: break;
  }
  r.reason = terms.reason;
  return SealRestriction(signer, r);
}

Held<Revoke> SelfRevocation(const crypto::Ed25519Seed& identity,
                            const ScopeId& scope,
                            uint64_t hlc,
                            uint8_t reason) {
  Revoke r;
  r.scope = scope;
  r.seq = kTerminalSeq;
  r.hlc = hlc;
  r.type = RevokeType::kKey;
  r.kid = KidOf(Suite::kEd25519, crypto::Ed25519Public(identity));
  r.reason = reason;
  return Seal(r, identity);
}

absl::StatusOr<Held<Rotate>> MakeRotate(const Signer& new_key,
                                        const ScopeId& scope,
                                        const RotateTerms& terms,
                                        uint64_t hlc) {
  AQ_ASSIGN_OR_RETURN(const RestrictionHead last, new_key.seqs().LastRestriction(new_key.kid()));
  if (last.seq != 0)
    return FailedPrecondition("the new key has signed restrictions already; rotate to a fresh one");
  if (terms.step < 1 || terms.step > 4) {
    return InvalidArgument("a key is rotated at most 4 times under one grant; ask for a new grant");
  }
  if (hlc == 0) return InvalidArgument("the clock says 1970; set it, then try again");
  Rotate r;
  r.scope = scope;
  r.seq = 1;
  r.old = terms.old;
  r.suite = Suite::kEd25519;
  r.key = new_key.key();
  r.next_key = terms.next_key;
  r.hlc = hlc;
  r.step = terms.step;
  r.reason = terms.reason;
  return SealRestriction(new_key, r);
}

absl::StatusOr<Held<Approve>> MakeApprove(const Issuer& issuer,
                                          const ApproveTerms& terms,
                                          uint64_t now,
                                          uint64_t hlc) {
  AQ_ASSIGN_OR_RETURN(const Place place, PlaceOf(issuer, now));
  AQ_RETURN_IF_ERROR(NeedCap(place, kCapApprove, "approvals"));
  if (terms.ceiling == Rung::kNone || terms.until <= now) {
    return InvalidArgument("an approval needs a rung and a time to come");
  }
  Approve a;
  a.scope = place.scope;
  a.hlc = hlc;
  a.subject = terms.subject;
  a.item = terms.item;
  a.ceiling = terms.ceiling;
  a.until = std::min(terms.until, place.end);
  a.authority = place.authority;
  AQ_ASSIGN_OR_RETURN(a.seq, issuer.signer.seqs().ReserveExpansion(issuer.signer.kid()));
  return TrySeal(a, issuer.signer.seed());
}

absl::StatusOr<Held<authority::Keybind>> MakeKeybind(const Signer& signer,
                                                     const ScopeId& scope,
                                                     const KeybindTerms& terms,
                                                     uint64_t now) {
  authority::Keybind k;
  k.scope = scope;
  k.kind = terms.kind;
  k.suite = authority::Suite::kEd25519;
  k.key = Digest{terms.key.bytes};
  k.not_before = now;
  k.ttl = terms.ttl;
  AQ_ASSIGN_OR_RETURN(k.seq, signer.seqs().ReserveExpansion(signer.kid()));
  return TrySeal(k, signer.seed());
}

absl::StatusOr<Held<authority::Attest>> MakeAttest(const crypto::Ed25519Seed& identity,
                                                   const ScopeId& scope,
                                                   const AttestTerms& terms,
                                                   uint64_t now) {
  if (terms.kind > authority::AttestKind::kBehaved)
    return InvalidArgument("what is attested here is that a key was seen, or behaved");
  if (terms.ttl == 0 || terms.ttl > kDay) return InvalidArgument("an attestation lives 1 s to 1 d");
  authority::Attest a;
  a.scope = scope;
  a.subject = terms.subject;
  a.kind = terms.kind;
  a.not_before = now;
  a.ttl = terms.ttl;
  a.evidence = terms.evidence;
  return TrySeal(a, identity);
}

absl::StatusOr<Held<Announce>> MakeAnnounce(const crypto::Ed25519Seed& identity,
                                            AnnounceTerms terms,
                                            uint64_t now) {
  AQ_RETURN_IF_ERROR(CheckName(terms.name, true));
  for (const std::string& relay : terms.relays) AQ_RETURN_IF_ERROR(CheckName(relay, false));
  if (terms.relays.size() > 4)
    return InvalidArgument(terms.relays.size(), " relays, more than 4; keep the nearest");
  if (terms.ttl == 0 || terms.ttl > kDay)
    return InvalidArgument("an announcement lives 1 s to 1 d");
  if (now == 0) return InvalidArgument("the clock says 1970; set it, then try again");
  Announce a;
  a.scope = terms.scope;
  a.time = now;
  a.ttl = terms.ttl;
  a.static_key = terms.static_key;
  AQ_ASSIGN_OR_RETURN(a.endpoints, CheckedEndpoints(terms.endpoints, 8));
  a.relays = std::move(terms.relays);
  a.name = std::move(terms.name);
  return TrySeal(a, identity);
}

}  // namespace aqmesh::issuing
