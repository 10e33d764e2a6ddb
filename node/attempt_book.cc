#include "node/attempt_book.h"

#include <algorithm>

namespace aqmesh::node {

using admission::Direction;

void AttemptBook::Note(const admission::Judgement& ruled,
                       const admission::Flow& flow,
                       const admission::Policies& policies,
                       WallTime now) {
  Key key{.flow = flow.bytes, .opened_here = ruled.opened == Direction::kSend};
  key.flow[34] = key.flow[35] = 0;  // BE16 source port, or the echo identifier
  const bool allowed = ruled.path != admission::kNoPath;
  if (allowed) {
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
  }
  const uint64_t millis = std::max<uint64_t>(now.millis(), 1);
  Tally& t = it->second;
  if (t.count++ == 0) t.first_millis = millis;
  t.last_millis = std::max(millis, t.first_millis);
}

lineage::Attempts AttemptBook::Take() {
  lineage::Attempts out;
  out.unlisted = std::exchange(unlisted_, 0);
  for (const auto& [key, tally] : std::exchange(rows_, {})) {
    const admission::PacketInfo opener = admission::OpenerOf(admission::Flow{key.flow});
    lineage::Attempt a{.src = opener.src,
                       .dst = opener.dst,
                       .proto = opener.classified ? opener.proto : admission::kProtoAny,
                       .port = opener.dport,
                       .opened_here = key.opened_here,
                       .reason = key.reason,
                       .rule = {},
                       .count = tally.count,
                       .first_millis = tally.first_millis,
                       .last_millis = tally.last_millis};
    if (key.reason == 0) a.rule = {key.fragment, key.rule};
    out.rows.push_back(std::move(a));
  }
  std::ranges::sort(out.rows, {}, [](const lineage::Attempt& a) {
    return std::tuple(a.first_millis, a.src, a.dst, a.proto, a.port, a.opened_here, a.reason);
  });
  return out;
}

}  // namespace aqmesh::node
