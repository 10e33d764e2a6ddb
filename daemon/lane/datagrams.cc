#include "daemon/lane/datagrams.h"

namespace aqmesh::daemon {

namespace {

os::LocalSource ToOs(const wireguard::Source& s) {
  return s.known ? os::LocalSource{.address = s.address, .ifindex = s.ifindex} : os::LocalSource{};
}
wireguard::Source FromOs(const os::LocalSource& s) {
  return {.address = s.address, .ifindex = s.ifindex, .known = s.is_set()};
}

}  // namespace

StrayDatagram CopyOf(const wireguard::InDatagram& d) {
  return {.bytes = Bytes(d.bytes.begin(), d.bytes.end()), .from = d.from, .at = d.at, .tos = d.tos};
}

std::span<const wireguard::InDatagram> DatagramReader::Read(os::UdpPair& udp, os::Family family) {
  received_.clear();
  emptied_ = !udp.Receive(family, received_);
  came_.clear();
  for (const os::Datagram& d : received_)
    came_.push_back({.bytes = d.bytes, .from = d.remote, .at = FromOs(d.local), .tos = d.tos});
  return came_;
}

void DatagramSender::Send(os::UdpPair& udp,
                          std::span<const wireguard::OutDatagram> datagrams,
                          std::vector<wireguard::PeerId>& refused) {
  if (datagrams.empty()) return;
  outgoing_.clear();
  for (const wireguard::OutDatagram& d : datagrams) {
    outgoing_.push_back({.bytes = wireguard::Outbox::bytes(d),
                         .remote = d.to,
                         .local = ToOs(d.from),
                         .tos = d.tos,
                         .segment = d.segment});
  }
  const uint64_t before = udp.counters().source_refused;
  udp.Send(outgoing_);
  if (udp.counters().source_refused == before) return;
  // An address went with its interface. Whose packet it was is not known; asking the kernel anew
  // costs the other peers of this batch nothing.
  for (const wireguard::OutDatagram& d : datagrams) {
    if (d.from.known && d.peer != wireguard::kNoPeer) refused.push_back(d.peer);
  }
}

}  // namespace aqmesh::daemon
