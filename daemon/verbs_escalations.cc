// What waits for a person, and the answer.
#include <algorithm>

#include "core/base/status.h"
#include "daemon/node_loop.h"
#include "daemon/verbs.h"
#include "daemon/verbs_args.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

using authority::Cause;
using wire::JsonWriter;

std::string Verbs::NameOf(const Kid& kid) {
  for (const node::PeerView& p : loop_.control().Peers()) {
    if (p.kid == kid && !p.name.empty()) return p.name;
  }
  return "";
}

std::string Verbs::Escalations() {
  const node::Control& control = loop_.control();
  const uint64_t now = os::ReadNow().wall.seconds();
  JsonWriter w = Opened("escalations");
  w.Key("items").Array();
  for (const auto& [item, e] : control.escalations().all()) {
    w.Object().Field("item", ToHex(item)).Field("cause", authority::CauseName(e.cause));
    w.Field("subject", ToHex(e.subject)).Field("name", NameOf(e.subject));
    if (e.rung != authority::Rung::kNone) w.Field("rung", authority::RungName(e.rung));
    w.Field("reason", authority::ReasonName(e.reason)).Field("ladm_q16", e.ladm);
    w.Field("opened", e.opened).Field("ends", e.opened + node::Escalations::kLife).End();
  }
  for (const node::PeerView& p : control.Peers()) {
    if (p.join_words.empty()) continue;
    const auto item = authority::EscalationItem(control.mesh().scope(), p.kid, Cause::kJoin);
    w.Object().Field("item", ToHex(item)).Field("cause", authority::CauseName(Cause::kJoin));
    w.Field("subject", ToHex(p.kid)).Field("name", p.name).Field("words", p.join_words).End();
  }
  w.End().Key("answers").Array();
  for (const auto& [about, approve] : control.approvals()) {
    if (approve.body.until <= now) continue;
    w.Object().Field("subject", ToHex(about.first)).Field("name", NameOf(about.first));
    w.Field("about", about.second == authority::Answers::kFlows ? "flows" : "standing");
    w.Field("ceiling", authority::RungName(approve.body.ceiling));
    w.Field("until", approve.body.until).Field("oid", ToHex(approve.oid()));
    w.Field("signer", ToHex(approve.signer())).End();
  }
  w.End();
  return Done(w);
}

absl::StatusOr<std::string> Verbs::Approve(const Args& args) {
  AQ_ASSIGN_OR_RETURN(const std::string text, TextArg(args, "item"));
  AQ_ASSIGN_OR_RETURN(const uint8_t ceiling, NumberArg<uint8_t>(args, "ceiling", 6));
  AQ_ASSIGN_OR_RETURN(const uint64_t until, NumberArg<uint64_t>(args, "until", 0));
  const auto bytes = FromHex(text);
  const auto item = bytes ? authority::Nonce16::From(*bytes) : std::nullopt;
  if (!item || ceiling < 1 || ceiling > 6)
    return InvalidArgument("an answer names an item, 32 hex digits, and a rung");
  const auto rung = static_cast<authority::Rung>(ceiling);
  node::Control& control = loop_.control();
  for (const node::PeerView& p : control.Peers()) {
    if (p.join_words.empty() ||
        authority::EscalationItem(control.mesh().scope(), p.kid, Cause::kJoin) != *item)
      continue;
    const bool yes = rung == authority::Rung::kAdmit;
    AQ_RETURN_IF_ERROR(loop_.Turn(
        [&](Now now, node::Outbox& out) { return control.AnswerJoin(now, p.kid, yes, out); }));
    JsonWriter w = Opened("approve");
    w.Field("subject", ToHex(p.kid)).Field("name", p.name).Field("join", yes);
    return Done(w);
  }
  const auto open = control.escalations().all().find(*item);
  if (open == control.escalations().all().end())
    return NotFound("item ", text, ": nothing of that name waits here; aqmesh escalations list");
  if (open->second.cause != Cause::kTrust && open->second.cause != Cause::kCorroboration &&
      open->second.cause != Cause::kAction)
    return FailedPrecondition("item ",
                              text,
                              ": nobody's word lifts this (",
                              authority::CauseName(open->second.cause),
                              "); revoke it, or have its key replaced");
  const issuing::ApproveTerms terms{
      .subject = open->second.subject, .item = *item, .ceiling = rung, .until = until};
  AQ_ASSIGN_OR_RETURN(
      const node::Held<authority::Approve> said,
      loop_.Turn([&](Now now, node::Outbox& out) { return control.Approve(now, terms, out); }));
  JsonWriter w = Opened("approve");
  w.Field("subject", ToHex(terms.subject)).Field("name", NameOf(terms.subject));
  w.Field("ceiling", authority::RungName(rung)).Field("until", said.body.until);
  w.Field("oid", ToHex(said.oid()));
  return Done(w);
}

}  // namespace aqmesh::daemon
