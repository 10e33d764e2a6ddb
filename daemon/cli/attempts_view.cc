#include "daemon/cli/attempts_view.h"

#include "core/base/status.h"

namespace aqmesh::cli {

using lineage::Attempt;
using lineage::Content;

namespace {

std::string_view StateText(Content::State state) {
  switch (state) {
    case Content::State::kNone: return "none";
    case Content::State::kOpen: return "open";
    case Content::State::kClosed: return "closed";
    case Content::State::kAbsent: return "absent";
  }
  return "";
}

std::string TimeOf(uint64_t millis) { return lineage::TimeText(lineage::HlcFromMillis(millis)); }

}  // namespace

std::string FlowText(const Attempt& a) {
  const std::string to = a.dst.ToString();
  const std::string port = a.port == 0     ? to
                           : a.dst.is_v6() ? Join("[", to, "]:", a.port)
                                           : Join(to, ":", a.port);
  const std::string from = a.src_port == 0 ? a.src.ToString()
                           : a.src.is_v6() ? Join("[", a.src.ToString(), "]:", a.src_port)
                                           : Join(a.src.ToString(), ":", a.src_port);
  return Join(lineage::ProtocolName(a.proto), " ", from, " -> ", port);
}

std::string AttemptLines(const Content& content,
                         const lineage::Attempts& attempts,
                         const lineage::Names& names) {
  constexpr std::string_view kTried = "tried         ";
  switch (content.state) {
    case Content::State::kNone: return "";
    case Content::State::kClosed:
      return Join(kTried, "closed: the key that opened it was thrown away, or is not here\n");
    case Content::State::kAbsent: return Join(kTried, "not kept here\n");
    case Content::State::kOpen: break;
  }
  std::string out;
  for (const Attempt& a : attempts.rows) {
    out += Join(kTried, FlowText(a), "  ", a.count, a.count == 1 ? " flow  " : " flows  ");
    out += a.rule ? Join("by rule ",
                         a.rule->index + 1,
                         " of ",
                         ToHex(ByteView(a.rule->fragment.bytes).first(4)))
                  : Join("refused: ", lineage::ReasonName(a.reason, names));
    if (a.logged) out += "  logged";
    out += a.opened_here ? "  opened here\n" : "\n";
  }
  if (attempts.unlisted != 0)
    out += Join(kTried, "and ", attempts.unlisted, " flows more, which are not listed\n");
  return out;
}

void PutAttempt(const Attempt& a, const lineage::Names& names, wire::JsonWriter& w) {
  w.Field("proto", lineage::ProtocolName(a.proto)).Field("src", a.src.ToString());
  w.Field("dst", a.dst.ToString());
  if (a.port != 0) w.Field("port", a.port);
  w.Field("opened_by", a.opened_here ? "machine" : "subject").Field("allowed", a.allowed());
  if (a.reason != 0) w.Field("reason", lineage::ReasonName(a.reason, names));
  if (a.rule) w.Field("fragment", ToHex(a.rule->fragment)).Field("rule", a.rule->index + 1);
  w.Field("count", a.count).Field("first", TimeOf(a.first_millis));
  w.Field("last", TimeOf(a.last_millis));
  if (!a.logged) return;
  w.Field("logged", true);
  if (a.src_port != 0) w.Field("src_port", a.src_port);
  if (!a.headers.empty()) w.Field("headers", ToHex(a.headers));
}

void PutAttempts(const Content& content,
                 const lineage::Attempts& attempts,
                 const lineage::Names& names,
                 wire::JsonWriter& w) {
  w.Object().Field("state", StateText(content.state)).Key("rows").Array();
  for (const Attempt& a : attempts.rows) {
    w.Object();
    PutAttempt(a, names, w);
    w.End();
  }
  w.End().Field("unlisted", attempts.unlisted).End();
}

}  // namespace aqmesh::cli
