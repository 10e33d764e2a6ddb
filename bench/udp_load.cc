// Small packets for the tunnels that bench/e2e.sh measures, and their counting.
//   aqmesh-udp-load send ADDRESS PORT INTERFACE SECONDS [RATE]
//   aqmesh-udp-load sink PORT INTERFACE SKIP WINDOW
// Sends UDP datagrams that make IPv4 packets of 64 bytes: as many as go, or RATE a second in bursts
// of half a millisecond. The sink takes what arrives and throws it away. What a tunnel carried is
// counted at the sink's INTERFACE, because a program that reads datagrams is slower than some
// tunnels, and from its bytes, because the kernel counts a super-packet of many datagrams as one.
// The window is WINDOW seconds that begin SKIP seconds after the first datagram; it ends while the
// sender still sends, so that full queues are not counted as speed. `carried` is all there was.
// Prints one JSON object. The sink leaves when half a second was silent.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr size_t kHeaders = 20 + 8;
constexpr size_t kPayload = 64 - kHeaders;
constexpr size_t kBatch = 64;
constexpr int kSocketBuffer = 32 << 20;
constexpr double kBurst = 0.0005;    // seconds between two bursts of a paced sender
constexpr double kForgiven = 0.002;  // so far behind, it goes on from here instead of catching up
constexpr double kSilence = 0.5;     // the sink's end
constexpr double kPatience = 10;     // the sink's wait for the first datagram

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "aqmesh-udp-load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

double Seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void SleepUntil(double when) {
  const auto whole = static_cast<time_t>(when);
  const timespec t{whole, static_cast<long>((when - static_cast<double>(whole)) * 1e9)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

// One file of /sys/class/net/INTERFACE, kept open: each read asks the kernel anew.
class Counter {
 public:
  Counter(const std::string& interface, const char* name)
      : fd_(::open(("/sys/class/net/" + interface + "/" + name).c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) Die(interface.c_str());
  }
  ~Counter() { ::close(fd_); }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  uint64_t Read() const {
    char text[32] = {};
    if (::pread(fd_, text, sizeof text - 1, 0) <= 0) Die("interface counter");
    return std::strtoull(text, nullptr, 10);
  }

 private:
  int fd_;
};

// The datagrams that the interface handed to the stack. Each of its buffers has one set of headers,
// however many datagrams it carries.
class Arrivals {
 public:
  explicit Arrivals(const std::string& interface)
      : bytes_(interface, "statistics/rx_bytes"),
        buffers_(interface, "statistics/rx_packets"),
        headers_(kHeaders + (Counter(interface, "type").Read() == 1 ? 14 : 0)) {}  // 1: Ethernet

  uint64_t Datagrams() const { return (bytes_.Read() - headers_ * buffers_.Read()) / kPayload; }

 private:
  Counter bytes_;
  Counter buffers_;
  uint64_t headers_;
};

// kBatch messages of one payload each, for sendmmsg and recvmmsg.
struct Batch {
  Batch() {
    for (size_t i = 0; i < kBatch; ++i) {
      pieces[i] = {payload[i].data(), kPayload};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
  std::array<std::array<uint8_t, kPayload>, kBatch> payload{};
  std::array<iovec, kBatch> pieces{};
  std::array<mmsghdr, kBatch> messages{};
};

int Socket(int option) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  if (::setsockopt(fd, SOL_SOCKET, option, &kSocketBuffer, sizeof kSocketBuffer) != 0)
    Die("socket buffer");
  return fd;
}

sockaddr_in Address(const char* address, const char* port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  if (::inet_pton(AF_INET, address, &a.sin_addr) != 1) {
    errno = EINVAL;
    Die(address);
  }
  return a;
}

uint64_t SendSome(int fd, Batch& batch, uint64_t want) {
  const auto n = static_cast<unsigned>(std::min<uint64_t>(want, kBatch));
  const int sent = ::sendmmsg(fd, batch.messages.data(), n, 0);
  if (sent >= 0) return static_cast<uint64_t>(sent);
  // A full queue, or what an earlier datagram brought back: a flood goes on.
  if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) Die("send");
  return 0;
}

uint64_t Flood(int fd, Batch& batch, double end) {
  uint64_t sent = 0;
  while (Seconds() < end) sent += SendSome(fd, batch, kBatch);
  return sent;
}

uint64_t Pace(int fd, Batch& batch, double end, double rate) {
  ::prctl(PR_SET_TIMERSLACK, 1);
  uint64_t sent = 0;
  double paid = Seconds();  // all that was due before this moment has been sent
  for (double now = paid; now < end; now = Seconds()) {
    paid = std::max(paid, now - kForgiven);
    auto due = static_cast<uint64_t>((now - paid) * rate);
    paid += static_cast<double>(due) / rate;
    while (due > 0) {
      const uint64_t n = SendSome(fd, batch, due);
      if (n == 0) break;
      sent += n, due -= n;
    }
    SleepUntil(std::max(now + kBurst, paid + 1 / rate));
  }
  return sent;
}

int Send(
    const char* address, const char* port, const char* interface, double seconds, double rate) {
  const int fd = Socket(SO_SNDBUFFORCE);
  const sockaddr_in to = Address(address, port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) Die(address);
  Batch batch;
  const Counter taken(interface, "statistics/tx_packets"),
      refused(interface, "statistics/tx_dropped");
  const uint64_t taken_before = taken.Read(), refused_before = refused.Read();
  const double start = Seconds(), end = start + seconds;
  const uint64_t sent = rate > 0 ? Pace(fd, batch, end, rate) : Flood(fd, batch, end);
  const double took = Seconds() - start;
  std::printf("{\"sent\":%" PRIu64 ",\"seconds\":%.6f,\"taken\":%" PRIu64 ",\"refused\":%" PRIu64
              "}\n",
              sent,
              took,
              taken.Read() - taken_before,
              refused.Read() - refused_before);
  return 0;
}

// Drains the socket; true if anything was there.
bool Drain(int fd, Batch& batch, uint64_t& received) {
  const int n = ::recvmmsg(fd, batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (n <= 0) return false;
  received += static_cast<uint64_t>(n);
  return true;
}

int Sink(const char* port, const char* interface, double skip, double window) {
  const int fd = Socket(SO_RCVBUFFORCE);
  const sockaddr_in at = Address("0.0.0.0", port);
  const Arrivals arrivals(interface);
  const uint64_t before = arrivals.Datagrams();
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) Die("bind");
  Batch batch;
  uint64_t received = 0, opened = 0, carried = 0;
  double first = 0, last = Seconds() + kPatience, opened_at = 0, closed_at = 0;
  for (double now = Seconds(); now < last + kSilence; now = Seconds()) {
    if (Drain(fd, batch, received)) {
      last = now;
      if (first == 0) first = now;
    } else {
      pollfd p{fd, POLLIN, 0};
      ::poll(&p, 1, 5);
    }
    if (first == 0) continue;
    if (opened_at == 0 && now >= first + skip) opened = arrivals.Datagrams(), opened_at = Seconds();
    if (opened_at != 0 && closed_at == 0 && now >= opened_at + window)
      carried = arrivals.Datagrams() - opened, closed_at = Seconds();
  }
  if (closed_at == 0) {
    std::fprintf(stderr, "aqmesh-udp-load: too little arrived: %" PRIu64 " datagrams\n", received);
    return 1;
  }
  std::printf("{\"received\":%" PRIu64 ",\"carried\":%" PRIu64 ",\"window_pps\":%.1f}\n",
              received,
              arrivals.Datagrams() - before,
              static_cast<double>(carried) / (closed_at - opened_at));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "send" && (argc == 6 || argc == 7))
    return Send(argv[2], argv[3], argv[4], std::atof(argv[5]), argc == 7 ? std::atof(argv[6]) : 0);
  if (what == "sink" && argc == 6)
    return Sink(argv[2], argv[3], std::atof(argv[4]), std::atof(argv[5]));
  std::fprintf(stderr,
               "aqmesh-udp-load send ADDRESS PORT INTERFACE SECONDS [RATE]\n"
               "aqmesh-udp-load sink PORT INTERFACE SKIP WINDOW\n");
  return 2;
}
