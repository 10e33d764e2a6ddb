// What third parties said, of this machine and of others, and what it comes to.
#include "core/authority/codec_describe.h"
#include "daemon/node_loop.h"
#include "daemon/verbs.h"
#include "daemon/verbs_args.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

using wire::JsonWriter;

namespace {

std::string_view KindName(authority::AttestKind kind) {
  return authority::kAttestKindNames[static_cast<size_t>(kind) - 1];
}

}  // namespace

void Verbs::PutCorroboration(JsonWriter& w, const Kid& kid) {
  const auto view = loop_.control().CorroborationOf(kid, os::ReadNow());
  if (!view) return;
  w.Key("corroboration").Object().Field("votes", view->sum.votes).Field("groups", view->sum.groups);
  w.Field("attesters", view->sum.attesters).Field("eligible", view->sum.eligible);
  w.Key("needed").Object().Field("votes", view->needed.admit);
  w.Field("groups", view->needed.groups).Field("attesters", view->needed.attesters);
  w.Field("constrain_votes", view->needed.constrain).End();
  w.Key("voices").Array();
  for (const node::Voice& v : view->voices) {
    const authority::Attest& a = v.attest.body;
    w.Object().Field("kid", ToHex(v.attest.signer())).Field("name", NameOf(v.attest.signer()));
    w.Field("kind", KindName(a.kind)).Field("group", v.group).Field("ladm_q16", v.ladm);
    w.Field("votes", v.votes()).Field("since", a.not_before).Field("ends", a.not_before + a.ttl);
    if (v.why != nullptr) w.Field("why", std::string_view(v.why));
    w.End();
  }
  w.End().End();
}

std::string Verbs::Attestations() {
  node::Control& control = loop_.control();
  JsonWriter w = Opened("attest");
  w.Key("words").Array();
  const auto name = [&](const Kid& kid) {
    return kid == control.mesh().kid() ? OwnName() : NameOf(kid);
  };
  const auto put = [&](std::string_view held, const node::Word& word) {
    const authority::Attest& a = word.attest.body;
    const Kid by = word.attest.signer();
    w.Object().Field("held", held).Field("by", ToHex(by)).Field("by_name", name(by));
    w.Field("about", ToHex(a.subject)).Field("about_name", name(a.subject));
    w.Field("kind", KindName(a.kind));
    if (control.mesh().has_charter())
      w.Field("group", node::GroupOf(control.mesh().charter().body, word.top()));
    w.Field("since", a.not_before).Field("ends", word.end());
    w.Field("oid", ToHex(word.attest.oid())).Field("evidence", ToHex(a.evidence)).End();
  };
  const node::Attestations& all = control.attestations();
  for (const node::Word& word : all.own()) put("own", word);
  for (const auto& [subject, said] : all.said()) put("said", said.word);
  for (const auto& [subject, words] : all.about()) {
    for (const node::Word& word : words) put("shown", word);
  }
  w.End();
  return Done(w);
}

}  // namespace aqmesh::daemon
