// WireGuard initiations from many peers, for the responders that bench/e2e.sh measures.
//   aqmesh-handshake-load keys COUNT                    their public keys, one a line
//   aqmesh-handshake-load run COUNT KEY ADDRESS PORT SECONDS
// The initiations are made beforehand, so that the clock sees the responder's work and little of
// ours; at most kInFlight wait for their answer at a time. Peer i speaks from 198.18.0.0 + 1 + i,
// which must be local: responders bound what one source may cost them, and ask for cookies, which
// it brings. The first answer of each peer is verified, later ones are known by their index. The
// clock starts after kWarmPasses initiations of each peer. The keys are the same at each run.
// Prints one JSON object.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "transport/wireguard/cookie.h"
#include "transport/wireguard/noise.h"

namespace aqmesh::bench {
namespace {

using wireguard::Initiation;

constexpr uint32_t kPasses = 12;  // initiations of each peer
constexpr uint32_t kWarmPasses = 2;
constexpr size_t kInFlight =
    48;  // less than the 128 at which wireguard-go takes itself for flooded
constexpr std::chrono::milliseconds kLost{300};
constexpr uint32_t kFirstSource = 0xc6120001;  // 198.18.0.1

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "aqmesh-handshake-load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

Instant Clock() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return Instant(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

WallTime Wall() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

std::vector<wireguard::Identity> Identities(uint32_t count) {
  Rng rng(Rng::Seed{1});
  std::vector<wireguard::Identity> out;
  for (uint32_t i = 0; i < count; ++i)
    out.push_back(wireguard::MakeIdentity(crypto::NewX25519(rng)));
  return out;
}

struct Peer {
  wireguard::Identity us;
  wireguard::CookieKeeper keeper;
  wireguard::InitiatorState first;
};

class Load {
 public:
  Load(uint32_t count, const X25519Key& responder, const sockaddr_in& to) : to_(to) {
    for (wireguard::Identity& us : Identities(count))
      peers_.push_back(
          {std::move(us), wireguard::CookieKeeper(wireguard::kPlainLabels, responder), {}});
    Prepare(responder);
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int room = 8 << 20;
    if (fd_ < 0 || ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
      Die("socket");
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(5001);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) Die("bind");
  }
  ~Load() { ::close(fd_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  int Run(std::chrono::duration<double> length) {
    const size_t warm = kWarmPasses * peers_.size();
    Instant start = kNever, now = Clock();
    size_t before = 0;
    while (next_ < messages_.size() && (start == kNever || now - start < length)) {
      while (waiting_.size() < kInFlight && next_ < messages_.size()) Begin(now);
      Await();
      now = Clock();
      Forget(now);
      if (start == kNever && next_ >= warm) start = now, before = answered_;
    }
    const size_t answered = answered_ - before;
    if (verified_ < peers_.size() * 9 / 10 || answered == 0) {
      std::fprintf(stderr,
                   "aqmesh-handshake-load: %zu of %zu peers were answered\n",
                   verified_,
                   peers_.size());
      return 1;
    }
    const double took = std::chrono::duration<double>(now - start).count();
    std::printf("{\"per_second\":%.1f,\"seconds\":%.3f,\"all\":%zu,\"lost\":%zu,\"cookies\":%zu}\n",
                static_cast<double>(answered) / took,
                took,
                answered_,
                lost_,
                cookies_);
    return 0;
  }

 private:
  struct Waiting {
    uint32_t index;
    Instant sent;
  };

  void Prepare(const X25519Key& responder) {
    Rng rng(Rng::Seed{2});
    wireguard::Tai64nClock stamps;
    std::vector<wireguard::StaticStatic> shared;
    for (const Peer& p : peers_) shared.push_back(wireguard::Precompute(p.us, responder));
    for (uint32_t pass = 0; pass < kPasses; ++pass) {
      for (size_t i = 0; i < peers_.size(); ++i) {
        const auto index = static_cast<uint32_t>(messages_.size());
        auto created = wireguard::CreateInitiation(
            peers_[i].us, responder, shared[i], crypto::NewX25519(rng), stamps.Next(Wall()), index);
        AQ_CHECK(created.has_value());
        messages_.push_back(wireguard::Serialize(created->message));
        if (pass == 0) peers_[i].first = std::move(created->state);
      }
    }
  }

  Peer& Of(uint32_t index) { return peers_[index % peers_.size()]; }

  void Begin(Instant now) {
    Send(next_, now);
    waiting_.push_back({next_, now});
    ++next_;
  }

  void Send(uint32_t index, Instant now) {
    auto& message = messages_[index];
    wireguard::CookieKeeper& keeper = Of(index).keeper;
    const ByteView all(message);
    const auto mac1 = keeper.Mac1(all.first(Initiation::kMac1At));
    std::copy(mac1.begin(), mac1.end(), message.begin() + Initiation::kMac1At);
    const auto mac2 = keeper.Mac2(now, all.first(Initiation::kMac2At));
    std::copy(mac2.begin(), mac2.end(), message.begin() + Initiation::kMac2At);

    iovec piece{message.data(), message.size()};
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(in_pktinfo))] = {};
    msghdr m{};
    m.msg_name = &to_;
    m.msg_namelen = sizeof to_;
    m.msg_iov = &piece;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo source{};
    source.ipi_spec_dst.s_addr = htonl(kFirstSource + index % static_cast<uint32_t>(peers_.size()));
    std::memcpy(CMSG_DATA(c), &source, sizeof source);
    if (::sendmsg(fd_, &m, 0) < 0 && errno != ENOBUFS) Die("send");
  }

  // Takes what is there, or waits a little for it.
  void Await() {
    uint8_t buffer[256];
    bool any = false;
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n < 0) break;
      any = true;
      OnMessage({buffer, static_cast<size_t>(n)});
    }
    if (any) return;
    pollfd p{fd_, POLLIN, 0};
    ::poll(&p, 1, 10);
  }

  void OnMessage(ByteView bytes) {
    wireguard::Response response;
    wireguard::CookieReply reply;
    if (wireguard::Parse(bytes, response) == wireguard::Drop::kNone) {
      if (!Settle(response.receiver_index)) return;
      ++answered_;
      if (response.receiver_index < peers_.size()) Verify(response);
    } else if (wireguard::Parse(bytes, reply) == wireguard::Drop::kNone) {
      const Instant now = Clock();
      if (reply.receiver_index >= next_ ||
          !Of(reply.receiver_index).keeper.OnReply(now, reply.nonce, reply.sealed_cookie))
        return;
      ++cookies_;
      Send(reply.receiver_index, now);
    }
  }

  void Verify(const wireguard::Response& response) {
    const Peer& p = Of(response.receiver_index);
    if (!wireguard::ConsumeResponse(response, p.first, p.us, Secret<32>())) {
      errno = EBADMSG;
      Die("a response does not open");
    }
    ++verified_;
  }

  bool Settle(uint32_t index) {
    const auto it = std::find_if(
        waiting_.begin(), waiting_.end(), [index](const Waiting& w) { return w.index == index; });
    if (it == waiting_.end()) return false;
    waiting_.erase(it);
    return true;
  }

  void Forget(Instant now) {
    lost_ += std::erase_if(waiting_, [now](const Waiting& w) { return now - w.sent > kLost; });
  }

  int fd_ = -1;
  sockaddr_in to_;
  std::vector<Peer> peers_;
  std::vector<std::array<uint8_t, Initiation::kSize>> messages_;  // by their sender index
  std::vector<Waiting> waiting_;
  uint32_t next_ = 0;
  size_t answered_ = 0, verified_ = 0, lost_ = 0, cookies_ = 0;
};

int Keys(uint32_t count) {
  for (const wireguard::Identity& i : Identities(count))
    std::printf("%s\n", ToBase64(i.public_key).c_str());
  return 0;
}

int Run(char** argv, uint32_t count) {
  const std::optional<Bytes> key = FromBase64(argv[3]);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[5])));
  if (!key || key->size() != X25519Key::kSize || ::inet_pton(AF_INET, argv[4], &to.sin_addr) != 1) {
    errno = EINVAL;
    Die("KEY or ADDRESS");
  }
  return Load(count, *X25519Key::From(*key), to)
      .Run(std::chrono::duration<double>(std::atof(argv[6])));
}

}  // namespace
}  // namespace aqmesh::bench

int main(int argc, char** argv) {
  const std::string_view what = argc > 2 ? argv[1] : "";
  const int count = argc > 2 ? std::atoi(argv[2]) : 0;
  if (sodium_init() >= 0 && count > 0 && count <= 65000) {
    if (what == "keys" && argc == 3) return aqmesh::bench::Keys(static_cast<uint32_t>(count));
    if (what == "run" && argc == 7) return aqmesh::bench::Run(argv, static_cast<uint32_t>(count));
  }
  std::fprintf(stderr,
               "aqmesh-handshake-load keys COUNT\n"
               "aqmesh-handshake-load run COUNT KEY ADDRESS PORT SECONDS\n");
  return 2;
}
