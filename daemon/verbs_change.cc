// The verbs that change something: invite, answer, revoke, redact, import.
#include <algorithm>

#include "core/authority/armour.h"
#include "daemon/node_loop.h"
#include "daemon/retainer.h"
#include "daemon/verbs.h"
#include "daemon/verbs_args.h"

namespace aqmesh::daemon {

using wire::JsonWriter;

absl::StatusOr<std::string> Verbs::Invite(const Args& args) {
  issuing::InviteTerms terms;
  AQ_ASSIGN_OR_RETURN(terms.ttl, NumberArg<uint32_t>(args, "ttl_s", terms.ttl));
  AQ_ASSIGN_OR_RETURN(terms.uses, NumberArg<uint16_t>(args, "uses", terms.uses));
  terms.flags = 0;
  if (FlagArg(args, "enroller", true)) terms.flags |= authority::kInviteEnroller;
  if (FlagArg(args, "ephemeral", false)) terms.flags |= authority::kInviteEphemeral;
  AQ_ASSIGN_OR_RETURN(std::vector<std::string> tags, ListArg(args, "tags"));
  if (!tags.empty()) terms.tags = std::move(tags);
  const crypto::Ed25519Seed one_time = crypto::NewEd25519(loop_.rng());
  terms.one_time_key = crypto::Ed25519Public(one_time);
  const uint16_t uses = terms.uses;
  AQ_ASSIGN_OR_RETURN(const node::Held<authority::Invite> invite,
                      loop_.Turn([&](Now now, node::Outbox& out) {
                        return loop_.control().Invite(now, std::move(terms), out);
                      }));
  JsonWriter w = Opened("invite");
  w.Field("line", std::string_view(issuing::LineOf(invite, one_time)));
  w.Field("expires", invite.body.not_before + invite.body.ttl).Field("uses", uses);
  return Done(w);
}

absl::StatusOr<std::string> Verbs::AnswerJoin(const Args& args) {
  AQ_ASSIGN_OR_RETURN(const std::string text, TextArg(args, "kid"));
  const auto bytes = FromHex(text);
  const auto kid = bytes ? Kid::From(*bytes) : std::nullopt;
  if (!kid) return InvalidArgument("kid ", text, ": 32 hex digits, as the event `ask` gave them");
  const bool yes = FlagArg(args, "yes", false);
  AQ_RETURN_IF_ERROR(loop_.Turn(
      [&](Now now, node::Outbox& out) { return loop_.control().AnswerJoin(now, *kid, yes, out); }));
  JsonWriter w = Opened("answer");
  return Done(w);
}

bool Verbs::IsCommitted(const Kid& kid) {
  const std::vector<node::PeerView> peers = loop_.control().Peers();
  return std::any_of(peers.begin(), peers.end(), [&](const node::PeerView& p) {
    return p.kid == kid && p.committed;
  });
}

// Our word binds those whose chain comes from us. Where it does not reach, the self-revocation that
// the machine left here does, if it left one: that ends its key for good. True: it came to that.
absl::StatusOr<bool> Verbs::RevokeOrRelease(const issuing::RevokeTerms& terms,
                                            bool ours,
                                            std::string_view target) {
  const bool whole_key = terms.type == authority::RevokeType::kKey;
  const bool own = terms.kid == loop_.control().mesh().kid();
  const bool was = IsCommitted(terms.kid);
  if (!whole_key || own) {
    AQ_RETURN_IF_ERROR(loop_.Turn(
        [&](Now now, node::Outbox& out) { return loop_.control().Revoke(now, terms, out); }));
    if (own || (was ? !IsCommitted(terms.kid) : ours)) return false;
  }
  const absl::Status released = loop_.Turn([&](Now now, node::Outbox& out) {
    return loop_.control().ReleaseDeposit(now, terms.kid, out);
  });
  if (released.ok()) return true;
  if (!absl::IsNotFound(released) || (!whole_key && !was)) {
    return absl::IsNotFound(released) ? absl::StatusOr<bool>(false) : released;
  }
  return PermissionDenied(
      "`",
      target,
      "` stays in force: its authority does not come from this machine, nor did it leave its "
      "self-revocation here; revoke it where it was enrolled, or by the root: aqmesh revoke "
      "--root");
}

absl::StatusOr<std::string> Verbs::Revoke(const Args& args) {
  AQ_ASSIGN_OR_RETURN(const std::string target, TextArg(args, "target"));
  const std::string type = TextArgOr(args, "type", "key");
  AQ_ASSIGN_OR_RETURN(const uint8_t reason, NumberArg<uint8_t>(args, "reason", 0));
  issuing::RevokeTerms terms{.reason = reason};
  if (type != "key" && type != "floor") return InvalidArgument("type ", type, ": key or floor");
  // A machine that was never met here can still be named by its whole key.
  const auto bytes = target.size() == 2 * Kid::kSize ? FromHex(target) : std::nullopt;
  if (const auto kid = bytes ? Kid::From(*bytes) : std::nullopt) {
    terms.kid = *kid;
  } else {
    AQ_ASSIGN_OR_RETURN(const node::PeerView peer, FindPeer(target));
    terms.kid = peer.kid;
  }
  terms.type = type == "key" ? authority::RevokeType::kKey : authority::RevokeType::kFloor;
  const Kid own = loop_.control().mesh().kid();
  bool ours = false;
  uint32_t newest = 1;
  AQ_ASSIGN_OR_RETURN(const cli::KnownObjects known, cli::LoadObjects(*loop_.setup().store));
  for (const auto& g : known.grants) {
    if (authority::KidOf(g.body.suite, g.body.key) != terms.kid) continue;
    newest = std::max(newest, g.body.generation);
    ours = ours || g.signer() == own;
  }
  if (terms.type == authority::RevokeType::kFloor) terms.floor = newest + 1;
  const std::vector<node::PeerView> peers = loop_.control().Peers();
  const auto told =
      std::count_if(peers.begin(), peers.end(), [&](const node::PeerView& p) { return IsLive(p); });
  AQ_ASSIGN_OR_RETURN(const bool released, RevokeOrRelease(terms, ours, target));
  AQ_ASSIGN_OR_RETURN(const issuing::RestrictionHead head,
                      loop_.setup().seqs->LastRestriction(own));
  JsonWriter w = Opened("revoke");
  w.Field("target", std::string_view(target)).Field("kid", std::string_view(ToHex(terms.kid)));
  w.Field("released", released);
  if (!released) w.Field("oid", std::string_view(ToHex(head.oid))).Field("seq", head.seq);
  w.Field("told", static_cast<int64_t>(told)).Field("peers", peers.size());
  return Done(w);
}

absl::StatusOr<std::string> Verbs::Redact(const Args& args) {
  AQ_ASSIGN_OR_RETURN(const std::string text, TextArg(args, "kid"));
  const auto bytes = FromHex(text);
  const auto kid = bytes ? Kid::From(*bytes) : std::nullopt;
  if (!kid) return InvalidArgument("kid ", text, ": 32 hex digits");
  AQ_RETURN_IF_ERROR(loop_.Turn(
      [&](Now now, node::Outbox& out) { return loop_.control().Redact(now, *kid, out); }));
  JsonWriter w = Opened("redact");
  w.Field("kid", std::string_view(ToHex(*kid)));
  return Done(w);
}

void Verbs::StartPrune(SessionId session) {
  loop_.retainer().Prune([this, session](const absl::StatusOr<cli::PreparedPrune>& result) {
    if (!result.ok()) return server_->Reply(session, Refusal(result.status()));
    // For people beside what programs read.
    std::string json = cli::PruneJson(*result, false), text;
    wire::AppendJsonString(text, cli::PruneText(*result, false));
    json.pop_back();
    Say(session, Join(json, ",\"text\":", text, "}"), false);
  });
}

absl::StatusOr<std::string> Verbs::Import(const cli::LiveRequest& request) {
  AQ_ASSIGN_OR_RETURN(const std::vector<authority::Signed> objects,
                      authority::ParseArmour(request.payload));
  size_t imported = 0, skipped = 0;
  absl::Status first_refusal;
  for (const authority::Signed& object : objects) {
    const absl::Status taken = loop_.Turn([&](Now now, node::Outbox& out) {
      return loop_.control().Import(now, object.bytes(), out);
    });
    taken.ok() ? ++imported : ++skipped;
    if (!taken.ok() && first_refusal.ok()) first_refusal = taken;
  }
  if (imported == 0) return first_refusal;
  JsonWriter w = Opened("import");
  w.Field("imported", imported).Field("skipped", skipped);
  return Done(w);
}

}  // namespace aqmesh::daemon
