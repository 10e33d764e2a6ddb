#include "transport/wireguard/shard.h"

#include <algorithm>

#include "core/base/check.h"

namespace aqmesh::wireguard {

Shard::Shard(uint32_t number, size_t governed_headroom)
    : number_(number), forwarder_(0, governed_headroom) {
  AQ_CHECK(number != 0);
}

void Shard::Count(Drop why) {
  if (why != Drop::kNone) ++drops_[static_cast<size_t>(why)];
}

void Shard::Apply(Now now, const ShardOrders& orders, Outbox& out) {
  AQ_CHECK(orders.number == applied_ + 1);
  applied_ = orders.number;
  up_ = orders.up;
  forwarder_.SetMtu(orders.mtu);
  auto except = orders.except.begin();
  for (size_t i = 0; i < orders.orders.size(); ++i) {
    bool mine = true;
    for (; except != orders.except.end() && except->index == i; ++except)
      mine &= except->shard != number_;
    if (mine) forwarder_.Apply(now, orders.orders[i], out);
  }
  forwarder_.SealPending(out);
}

void Shard::OnTunPackets(Now now, std::span<const TunPacket> packets, Outbox& out) {
  for (const TunPacket& packet : packets)
    Count(up_ ? forwarder_.Send(now, packet, out) : Drop::kDown);
  forwarder_.SealPending(out);
}

void Shard::OnDatagrams(Now now,
                        std::span<const InDatagram> in,
                        Outbox& out,
                        std::vector<const InDatagram*>& others) {
  for (size_t i = 0; i < in.size();) {
    if (!IsData(in[i].bytes)) {
      others.push_back(&in[i++]);
      continue;
    }
    size_t run = 1;
    while (i + run < in.size() && IsData(in[i + run].bytes)) ++run;
    worth_.clear();
    if (up_) {
      forwarder_.Receive(now, in.subspan(i, run), out, worth_);
    } else {
      worth_.assign(run, Drop::kDown);
    }
    for (const Drop why : worth_) Count(why);
    i += run;
  }
  forwarder_.SealPending(out);
}

Instant Shard::ReportDue(Instant now) const {
  if (!forwarder_.has_facts()) return kNever;
  const auto wait = forwarder_.has_urgent_facts() ? kReportUrgent : kReportSoon;
  return std::max(now, After(reported_, wait));
}

ShardReport Shard::TakeReport(Instant now) {
  reported_ = now;
  ShardReport report{.shard = number_, .applied = applied_, .facts = {}};
  forwarder_.TakeFacts(report.facts);
  return report;
}

}  // namespace aqmesh::wireguard
