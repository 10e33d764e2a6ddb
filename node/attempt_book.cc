#include "node/attempt_book.h"

#include <algorithm>

namespace aqmesh::node {

using admission::Direction;

namespace {

// As much as says what the packet was, and nothing of what it carried.
size_t HeaderBytes(ByteView packet) {
  admission::PacketInfo info;
  if (packet.empty()) return 0;
  const bool v6 = packet[0] >> 4 == 6;
  size_t size = v6 ? 40 : size_t{packet[0] & 15u} * 4;
  if (admission::Classify(packet, info) == admission::Drop::kNone && info.classified) {
    switch (info.proto) {
      case admission::kProtoTcp:
        if (packet.size() > size + 12) size += size_t{packet[size + 12]} / 16 * 4;
        break;
      case admission::kProtoIcmp:
      case admission::kProtoIcmp6: size += 8; break;
      default:
        if (admission::HasPorts(info.proto)) size += 8;
    }
  }
  return std::min(size, lineage::kAttemptHeadersMax);
}

}  // namespace

void AttemptBook::Note(const admission::Judgement& ruled,
                       const admission::Flow& flow,
                       ByteView packet,
                       const admission::Policies& policies,
                       WallTime now) {
  Key key{.flow = flow.bytes, .opened_here = ruled.opened == Direction::kSend};
  const uint16_t duties =
      ruled.terms != nullptr ? ruled.terms->directives : policies.For(ruled.opened).duties();
  key.logged = duties & (authority::kDoLogFlow | authority::kDoLogHeaders);
  logged_ |= key.logged;
  if (!key.logged) key.flow[34] = key.flow[35] = 0;  // BE16 source port, or the echo identifier
  if (ruled.pass()) {
    const admission::RuleRef rule = policies.For(ruled.opened).rule(ruled.path);
    key.fragment = rule.fragment;
    key.rule = rule.rule;
  } else {
    key.reason = static_cast<uint16_t>(ruled.reason);
  }
  auto it = rows_.find(key);
  if (it == rows_.end()) {
    if (rows_.size() == lineage::kAttemptRowsMax) {
      ++unlisted_;
      return;
    }
    it = rows_.emplace(key, Tally{}).first;
    if (duties & authority::kDoLogHeaders) {
      const ByteView headers = packet.first(std::min(packet.size(), HeaderBytes(packet)));
      it->second.headers.assign(headers.begin(), headers.end());
    }
  }
  const uint64_t millis = std::max<uint64_t>(now.millis(), 1);
  Tally& t = it->second;
  if (t.count++ == 0) t.first_millis = millis;
  t.last_millis = std::max(millis, t.first_millis);
}

lineage::Attempts AttemptBook::Take() {
  lineage::Attempts out;
  out.unlisted = std::exchange(unlisted_, 0);
  logged_ = false;
  for (auto& [key, tally] : std::exchange(rows_, {})) {
    const admission::PacketInfo opener = admission::OpenerOf(admission::Flow{key.flow});
    lineage::Attempt a{.src = opener.src,
                       .dst = opener.dst,
                       .proto = opener.classified ? opener.proto : admission::kProtoAny,
                       .port = opener.dport,
                       .src_port = LoadBe<uint16_t>(&key.flow[34]),
                       .opened_here = key.opened_here,
                       .reason = key.reason,
                       .rule = {},
                       .count = tally.count,
                       .first_millis = tally.first_millis,
                       .last_millis = tally.last_millis,
                       .logged = key.logged,
                       .headers = std::move(tally.headers)};
    if (key.reason == 0) a.rule = {key.fragment, key.rule};
    out.rows.push_back(std::move(a));
  }
  std::ranges::sort(out.rows, {}, [](const lineage::Attempt& a) {
    return std::tuple(
        a.first_millis, a.src, a.dst, a.proto, a.port, a.src_port, a.opened_here, a.reason);
  });
  return out;
}

}  // namespace aqmesh::node
