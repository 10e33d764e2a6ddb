#include "transport/os/udp.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace aqmesh::os {

namespace {

constexpr int kSolUdp = 17;
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;
constexpr size_t kReceiveMessages = 4;
constexpr size_t kReceiveBytes = 65536;  // one more than any datagram or GRO run
constexpr size_t kSendMessages = 64;     // system-call batch
constexpr size_t kSegmentsOld = 64;      // what every kernel with UDP_SEGMENT takes
constexpr size_t kRunBytesMax = 65507;   // a UDP payload over IPv4; IPv6 carries 20 more
constexpr int kPortCollisionsMax = 100;
constexpr size_t kControlBytes = 128;  // pktinfo 40, segment 24, tos 24: with room

union SockAddr {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

socklen_t ToSockAddr(const Endpoint& e, SockAddr& out) {
  std::memset(&out, 0, sizeof out);
  if (!e.address.is_v6()) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(e.port);
    std::memcpy(&out.v4.sin_addr, e.address.bytes().data(), 4);
    return sizeof out.v4;
  }
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(e.port);
  out.v6.sin6_scope_id = e.scope_id;
  std::memcpy(&out.v6.sin6_addr, e.address.bytes().data(), 16);
  return sizeof out.v6;
}

IpAddress AddressOf(const void* bytes, size_t size) {
  return *IpAddress::From(
      ByteView(static_cast<const uint8_t*>(bytes), size));  // 4 or 16 by the callers
}

bool FromSockAddr(const SockAddr& a, Endpoint& out) {
  if (a.any.sa_family == AF_INET) {
    out.address = AddressOf(&a.v4.sin_addr, 4);
    out.port = ntohs(a.v4.sin_port);
    out.scope_id = 0;
    return true;
  }
  if (a.any.sa_family != AF_INET6) return false;
  out.address = AddressOf(&a.v6.sin6_addr, 16);
  out.port = ntohs(a.v6.sin6_port);
  out.scope_id = IN6_IS_ADDR_LINKLOCAL(&a.v6.sin6_addr) ? a.v6.sin6_scope_id : 0;
  return true;
}

template <typename T>
T ControlValue(const cmsghdr* c) {
  T v{};
  std::memcpy(&v, CMSG_DATA(c), sizeof v);
  return v;
}

// What the ancillary data of one received message says.
struct Ancillary {
  LocalSource local;
  uint8_t tos = 0;
  size_t segment = 0;  // 0: a single datagram
};

Ancillary ReadAncillary(msghdr& m) {
  Ancillary out;
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      const auto info = ControlValue<in_pktinfo>(c);
      out.local = {.address = AddressOf(&info.ipi_spec_dst, 4),
                   .ifindex = static_cast<uint32_t>(info.ipi_ifindex)};
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto info = ControlValue<in6_pktinfo>(c);
      out.local = {.address = AddressOf(&info.ipi6_addr, 16), .ifindex = info.ipi6_ifindex};
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      out.tos = ControlValue<uint8_t>(c);  // one byte on the way in
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      out.tos = static_cast<uint8_t>(ControlValue<int>(c));
    } else if (c->cmsg_level == kSolUdp && c->cmsg_type == kUdpGro) {
      const int size = ControlValue<int>(c);
      out.segment = size > 0 ? static_cast<size_t>(size) : 0;
    }
  }
  return out;
}

template <typename T>
void PutControl(
    msghdr& m, std::array<uint8_t, kControlBytes>& buffer, int level, int type, const T& value) {
  static_assert(sizeof(T) <= 24);
  auto* c = reinterpret_cast<cmsghdr*>(buffer.data() + m.msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof(T));
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  m.msg_controllen += CMSG_SPACE(sizeof(T));
  m.msg_control = buffer.data();
}

void PutSource(msghdr& m,
               std::array<uint8_t, kControlBytes>& buffer,
               Family f,
               const LocalSource& source) {
  if (!source.is_set() || source.address.is_v6() != (f == Family::kV6)) return;
  if (f == Family::kV4) {
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(source.ifindex);
    std::memcpy(&info.ipi_spec_dst, source.address.bytes().data(), 4);
    PutControl(m, buffer, IPPROTO_IP, IP_PKTINFO, info);
    return;
  }
  in6_pktinfo info{};
  info.ipi6_ifindex = source.ifindex;
  std::memcpy(&info.ipi6_addr, source.address.bytes().data(), 16);
  PutControl(m, buffer, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

bool SetOption(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void SizeBuffers(int fd, size_t bytes) {
  const int wanted = static_cast<int>(std::min<size_t>(bytes, 64u << 20));
  // FORCE passes the system's limit but needs CAP_NET_ADMIN; the plain form takes what the limit
  // allows.
  if (!SetOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted))
    SetOption(fd, SOL_SOCKET, SO_RCVBUF, wanted);
  if (!SetOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, wanted))
    SetOption(fd, SOL_SOCKET, SO_SNDBUF, wanted);
}

// A bound socket of one family, or the errno value.
int OpenFamily(Family f, uint16_t port, const UdpPair::Options& options, Fd& out) {
  const bool v6 = f == Family::kV6;
  Fd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  const int s = fd.get();
  if (v6 && !SetOption(s, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return errno;
  if (!SetOption(s, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1))
    return errno;
  if (!SetOption(s, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, 1))
    return errno;
  // No DF on IPv4, as the kernel's WireGuard: a narrow path fragments the outer packet and loses
  // nothing.
  if (!v6 && !SetOption(s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)) return errno;
  SizeBuffers(s, options.buffer_bytes);
  if (options.mark != 0 && !SetOption(s, SOL_SOCKET, SO_MARK, static_cast<int>(options.mark)))
    return errno;
  if (options.shared && !SetOption(s, SOL_SOCKET, SO_REUSEPORT, 1)) return errno;
  SockAddr a;
  Endpoint any;
  if (v6) any.address = *IpAddress::From(Bytes(16, 0));
  any.port = port;
  const socklen_t n = ToSockAddr(any, a);
  if (::bind(s, &a.any, n) < 0) return errno;
  out = std::move(fd);
  return 0;
}

uint16_t BoundPort(int fd) {
  SockAddr a;
  socklen_t n = sizeof a;
  Endpoint e;
  if (::getsockname(fd, &a.any, &n) < 0 || !FromSockAddr(a, e)) return 0;
  return e.port;
}

// Asks the kernel by a message to ourselves. Where the loopback is down, the answer is the careful
// one.
size_t ProbeSegmentsMax() {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  SockAddr a;
  const socklen_t size = ToSockAddr({.address = *IpAddress::Parse("127.0.0.1"), .port = 0}, a);
  socklen_t n = sizeof a;
  const int segment = 1;
  const std::array<uint8_t, UdpPair::kSegmentsMax> bytes{};
  const bool taken = fd.valid() && ::bind(fd.get(), &a.any, size) == 0 &&
                     ::getsockname(fd.get(), &a.any, &n) == 0 &&
                     SetOption(fd.get(), kSolUdp, kUdpSegment, segment) &&
                     ::sendto(fd.get(), bytes.data(), bytes.size(), 0, &a.any, n) ==
                         ssize_t{UdpPair::kSegmentsMax};
  return taken ? UdpPair::kSegmentsMax : kSegmentsOld;
}

void PutTos(msghdr& m, std::array<uint8_t, kControlBytes>& buffer, Family f, uint8_t tos) {
  if (tos == 0) return;
  const bool v6 = f == Family::kV6;
  PutControl(m, buffer, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, int{tos});
}

bool FamilyMissing(int err) {
  return err == EAFNOSUPPORT || err == EADDRNOTAVAIL || err == EPROTONOSUPPORT;
}

bool IsRun(const OutDatagram& d) { return d.segment != 0 && d.bytes.size() > d.segment; }
size_t CountOf(const OutDatagram& d) {
  return IsRun(d) ? (d.bytes.size() + d.segment - 1) / d.segment : 1;
}
uint64_t CountOf(std::span<const OutDatagram> batch) {
  uint64_t n = 0;
  for (const OutDatagram& d : batch) n += CountOf(d);
  return n;
}

bool SameRun(const OutDatagram& a, const OutDatagram& b) {
  return a.remote == b.remote && a.local == b.local && a.tos == b.tos;
}

}  // namespace

struct UdpPair::Scratch {
  // Receive: kReceiveMessages of one buffer each. Send: up to 64 messages sharing the vectors.
  std::array<mmsghdr, kSendMessages> messages;
  std::array<iovec, kSendMessages * kSegmentsOld> parts;
  std::array<SockAddr, kSendMessages> addresses;
  alignas(cmsghdr) std::array<std::array<uint8_t, kControlBytes>, kSendMessages> control;
  std::array<size_t, kSendMessages> run_length;  // datagrams in each message
};

UdpPair::UdpPair(size_t segments_max) : scratch_(std::make_unique<Scratch>()) {
  static const size_t probed = ProbeSegmentsMax();
  segments_max_ = std::min(segments_max, probed);
}
UdpPair::~UdpPair() = default;

absl::StatusOr<std::unique_ptr<UdpPair>> UdpPair::Open(const Options& options) {
  std::unique_ptr<UdpPair> pair(new UdpPair(options.segments_max));
  int err4 = 0;
  int err6 = 0;
  for (int attempt = 0; attempt < kPortCollisionsMax; ++attempt) {
    uint16_t port = options.port;
    err4 = OpenFamily(Family::kV4, port, options, pair->v4_.fd);
    if (err4 != 0 && !FamilyMissing(err4)) break;
    if (err4 == 0) port = BoundPort(pair->v4_.fd.get());
    err6 = OpenFamily(Family::kV6, port, options, pair->v6_.fd);
    // The port the kernel picked for v4 may be taken in v6: pick again.
    if (err6 != EADDRINUSE || options.port != 0) break;
    pair->v4_.fd.Close();
  }
  const int err = err4 != 0 && !FamilyMissing(err4)   ? err4
                  : err6 != 0 && !FamilyMissing(err6) ? err6
                                                      : 0;
  if (err != 0 || (!pair->v4_.fd.valid() && !pair->v6_.fd.valid())) {
    return ErrnoStatus(err != 0 ? err : err4,
                       Join("UDP port ", options.port, ": binding"),
                       err == EADDRINUSE
                           ? "another program has it: choose another port (or 0 for any)"
                       : err == EPERM ? "a firewall mark needs CAP_NET_ADMIN"
                                      : "check that IPv4 or IPv6 is enabled");
  }
  pair->port_ = BoundPort(pair->v4_.fd.valid() ? pair->v4_.fd.get() : pair->v6_.fd.get());
  constexpr size_t kArena = kReceiveMessages * kReceiveBytes;
  pair->receive_arena_ = options.touch ? std::make_unique<uint8_t[]>(kArena)
                                       : std::make_unique_for_overwrite<uint8_t[]>(kArena);
  for (Side* side : {&pair->v4_, &pair->v6_}) {
    if (!side->fd.valid()) continue;
    int value = 0;
    socklen_t n = sizeof value;
    side->gso = options.gso && ::getsockopt(side->fd.get(), kSolUdp, kUdpSegment, &value, &n) == 0;
    // getsockopt of UDP_GRO came later (5.12) than GRO itself and stands for a version that works.
    n = sizeof value;
    side->gro = options.gro && ::getsockopt(side->fd.get(), kSolUdp, kUdpGro, &value, &n) == 0 &&
                SetOption(side->fd.get(), kSolUdp, kUdpGro, 1);
  }
  return pair;
}

absl::Status UdpPair::Share() {
  for (const Side* side : {&v4_, &v6_}) {
    if (side->fd.valid() && !SetOption(side->fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))
      return ErrnoStatus(errno, Join("UDP port ", port_, ": sharing it between threads"));
  }
  return absl::OkStatus();
}

absl::Status UdpPair::SetMark(uint32_t mark) {
  for (const Side* side : {&v4_, &v6_}) {
    if (side->fd.valid() &&
        !SetOption(side->fd.get(), SOL_SOCKET, SO_MARK, static_cast<int>(mark))) {
      return ErrnoStatus(
          errno, Join("UDP port ", port_, ": setting the firewall mark"), "needs CAP_NET_ADMIN");
    }
  }
  return absl::OkStatus();
}

bool UdpPair::Receive(Family f, std::vector<Datagram>& out) {
  const int fd = side(f).fd.get();
  if (fd < 0) return false;
  Scratch& s = *scratch_;
  for (size_t i = 0; i < kReceiveMessages; ++i) {
    s.parts[i] = {.iov_base = receive_arena_.get() + i * kReceiveBytes, .iov_len = kReceiveBytes};
    s.messages[i] = {};
    msghdr& m = s.messages[i].msg_hdr;
    m.msg_name = &s.addresses[i];
    m.msg_namelen = sizeof(SockAddr);
    m.msg_iov = &s.parts[i];
    m.msg_iovlen = 1;
    m.msg_control = s.control[i].data();
    m.msg_controllen = s.control[i].size();
  }
  const int n = ::recvmmsg(fd, s.messages.data(), kReceiveMessages, MSG_DONTWAIT, nullptr);
  // Pending ICMP errors (ECONNREFUSED ...) come out here once and are not ours to act on.
  if (n < 0) return errno != EAGAIN && errno != EBADF;
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    msghdr& m = s.messages[i].msg_hdr;
    Datagram d;
    if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !FromSockAddr(s.addresses[i], d.remote)) {
      ++counters_.truncated;
      continue;
    }
    const Ancillary a = ReadAncillary(m);
    d.local = a.local;
    d.tos = a.tos;
    MutableBytes rest(receive_arena_.get() + i * kReceiveBytes, s.messages[i].msg_len);
    const size_t stride = a.segment != 0 ? a.segment : rest.size();
    while (!rest.empty()) {
      d.bytes = rest.first(std::min(stride, rest.size()));
      out.push_back(d);
      rest = rest.subspan(d.bytes.size());
    }
  }
  return static_cast<size_t>(n) == kReceiveMessages;
}

std::span<const OutDatagram> UdpPair::Part(std::span<const OutDatagram> batch) {
  const auto too_long = [this](const OutDatagram& d) { return CountOf(d) > segments_max_; };
  if (std::ranges::none_of(batch, too_long)) return batch;
  parted_.clear();
  for (const OutDatagram& d : batch) {
    const size_t most = IsRun(d) ? segments_max_ * d.segment : std::max<size_t>(d.bytes.size(), 1);
    OutDatagram part = d;
    for (ByteView rest = d.bytes;; rest = rest.subspan(part.bytes.size())) {
      part.bytes = rest.first(std::min(most, rest.size()));
      parted_.push_back(part);
      if (part.bytes.size() == rest.size()) break;
    }
  }
  return parted_;
}

void UdpPair::Send(std::span<const OutDatagram> batch) {
  if (segments_max_ < UdpPair::kSegmentsMax) batch = Part(batch);
  // Stretches of one family: order matters within a peer, and a peer has one family at a time.
  while (!batch.empty()) {
    const bool v6 = batch.front().remote.address.is_v6();
    const auto end = std::find_if(batch.begin(), batch.end(), [v6](const OutDatagram& d) {
      return d.remote.address.is_v6() != v6;
    });
    const size_t count = static_cast<size_t>(end - batch.begin());
    SendFamily(v6 ? Family::kV6 : Family::kV4, batch.first(count));
    batch = batch.subspan(count);
  }
}

// Fills the scratch with up to kSendMessages messages; how many. `consumed` counts datagrams and
// runs.
size_t UdpPair::PackRuns(Family f, std::span<const OutDatagram> batch, size_t& consumed) {
  Scratch& s = *scratch_;
  const bool gso = side(f).gso;
  size_t messages = 0;
  size_t parts = 0;
  consumed = 0;
  // A message takes as many parts as it has segments, at the most.
  while (consumed < batch.size() && messages < kSendMessages &&
         parts + segments_max_ <= s.parts.size()) {
    const OutDatagram& first = batch[consumed];
    if (IsRun(first) && !gso) break;  // the caller sends its datagrams alone
    const size_t stride = IsRun(first) ? first.segment : first.bytes.size();
    size_t run = 0;
    size_t bytes = 0;
    size_t pieces = 0;  // neighbours in memory are one to the kernel
    const size_t run_max = gso && stride != 0 && !IsRun(first) ? segments_max_ : 1;
    while (run < run_max && consumed + run < batch.size()) {
      const OutDatagram& d = batch[consumed + run];
      if (run > 0 && (d.bytes.size() > stride || bytes + d.bytes.size() > kRunBytesMax ||
                      d.bytes.empty() || IsRun(d) || !SameRun(first, d)))
        break;
      iovec* const last = pieces > 0 ? &s.parts[parts + pieces - 1] : nullptr;
      if (last != nullptr &&
          static_cast<uint8_t*>(last->iov_base) + last->iov_len == d.bytes.data()) {
        last->iov_len += d.bytes.size();
      } else {
        s.parts[parts + pieces++] = {.iov_base = const_cast<uint8_t*>(d.bytes.data()),
                                     .iov_len = d.bytes.size()};
      }
      bytes += d.bytes.size();
      ++run;
      if (d.bytes.size() < stride) break;  // a shorter segment ends a run
    }
    s.messages[messages] = {};
    msghdr& m = s.messages[messages].msg_hdr;
    m.msg_name = &s.addresses[messages];
    m.msg_namelen = ToSockAddr(first.remote, s.addresses[messages]);
    m.msg_iov = &s.parts[parts];
    m.msg_iovlen = pieces;
    auto& control = s.control[messages];
    PutSource(m, control, f, first.local);
    PutTos(m, control, f, first.tos);
    if (bytes > stride) PutControl(m, control, kSolUdp, kUdpSegment, static_cast<uint16_t>(stride));
    s.run_length[messages] = run;
    parts += pieces;
    consumed += run;
    ++messages;
  }
  return messages;
}

void UdpPair::SendFamily(Family f, std::span<const OutDatagram> batch) {
  if (!side(f).fd.valid()) {
    counters_.send_refused += CountOf(batch);
    return;
  }
  Scratch& s = *scratch_;
  while (!batch.empty()) {
    size_t consumed = 0;
    const size_t messages = PackRuns(f, batch, consumed);
    if (messages == 0) {
      SendOneByOne(f, batch.first(1));
      batch = batch.subspan(1);
      continue;
    }
    const int sent = ::sendmmsg(
        side(f).fd.get(), s.messages.data(), static_cast<unsigned>(messages), MSG_DONTWAIT);
    const int err = sent < 0 ? errno : 0;
    if (sent > 0) {
      for (size_t i = 0; i < static_cast<size_t>(sent); ++i) batch = batch.subspan(s.run_length[i]);
      continue;  // what follows failed or did not fit: the next turn finds out why
    }
    if (err == EINTR) continue;
    if (err == EAGAIN || err == ENOBUFS) {
      counters_.send_refused += CountOf(batch);
      return;
    }
    // The first message was refused: as a run (EIO: the device cannot checksum, for good; EINVAL:
    // segments above this path's MTU), for its source address, or for itself. One by one tells.
    const size_t run = s.run_length[0];
    if (err == EIO && CountOf(batch.first(run)) > 1) {
      side(f).gso = false;
      ++counters_.gso_turned_off;
      continue;
    }
    SendOneByOne(f, batch.first(run));
    batch = batch.subspan(run);
  }
}

void UdpPair::SendOneByOne(Family f, std::span<const OutDatagram> run) {
  for (const OutDatagram& d : run) {
    OutDatagram one = d;
    one.segment = 0;
    const size_t stride = IsRun(d) ? d.segment : d.bytes.size();
    for (size_t i = 0; i < CountOf(d); ++i) {
      one.bytes = d.bytes.subspan(i * stride, std::min(stride, d.bytes.size() - i * stride));
      SendOne(f, one);
    }
  }
}

// And where its source address is refused (it may have gone with its interface), from any.
void UdpPair::SendOne(Family f, const OutDatagram& d) {
  SockAddr a;
  iovec part{.iov_base = const_cast<uint8_t*>(d.bytes.data()), .iov_len = d.bytes.size()};
  msghdr m{};
  m.msg_name = &a;
  m.msg_namelen = ToSockAddr(d.remote, a);
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  PutSource(m, scratch_->control[0], f, d.local);
  PutTos(m, scratch_->control[0], f, d.tos);
  if (::sendmsg(side(f).fd.get(), &m, MSG_DONTWAIT) >= 0) return;
  m.msg_control = nullptr;
  m.msg_controllen = 0;
  PutTos(m, scratch_->control[0], f, d.tos);
  if (!d.local.is_set() || ::sendmsg(side(f).fd.get(), &m, MSG_DONTWAIT) < 0) {
    ++counters_.send_refused;
  } else {
    ++counters_.source_refused;
  }
}

}  // namespace aqmesh::os
