// The courier before servers that do not behave: every answer, or none, becomes one Outcome.
#include "daemon/courier/http/courier.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "daemon/courier/courier_client.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::daemon {
namespace {

using namespace std::chrono_literals;

// A server on loopback that does with each connection what the script says.
class Server {
 public:
  using Script = std::function<void(int connection, const std::string& request)>;
  explicit Server(Script script) : script_(std::move(script)) {
    listen_ = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listen_.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listen_.get(), 8), 0);
    ::getsockname(listen_.get(), reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
  }
  std::string Url(std::string_view path = "") const {
    return Join("http://127.0.0.1:", port_, path);
  }
  uint16_t port() const { return port_; }

 private:
  void Run() {
    while (!stop_) {
      pollfd ready{.fd = listen_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const os::Fd connection(::accept4(listen_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string request;
      while (!Whole(request) && !stop_) {
        char chunk[4096];
        const ssize_t n = ::recv(connection.get(), chunk, sizeof chunk, 0);
        if (n <= 0) break;
        request.append(chunk, static_cast<size_t>(n));
      }
      script_(connection.get(), request);
    }
  }
  static bool Whole(const std::string& request) {
    const size_t head = request.find("\r\n\r\n"), length = request.find("Content-Length: ");
    return head != std::string::npos && length != std::string::npos &&
           request.size() >= head + 4 + std::stoul(request.substr(length + 16));
  }

  Script script_;
  os::Fd listen_;
  uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

void Say(int connection, std::string_view text) {
  [[maybe_unused]] const ssize_t n = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
}
std::string Answer(std::string_view status, std::string_view body) {
  return Join("HTTP/1.1 ",
              status,
              "\r\nContent-Length: ",
              body.size(),
              "\r\nConnection: close\r\n\r\n",
              body);
}

// A courier for these URLs on a thread of its own, and the engine's end.
class Pair {
 public:
  explicit Pair(std::vector<std::string> urls, Courier::Limits limits = {})
      : courier_(*Courier::Open(std::move(urls), limits)) {
    auto [ours, theirs] = *os::SequencedPair();
    theirs_ = std::move(theirs);
    client_.emplace(*CourierClient::Take(std::move(ours)));
    thread_ = std::thread([this] { end_ = courier_->Serve(theirs_.get()); });
  }
  ~Pair() { EXPECT_TRUE(End().ok()) << end_; }
  absl::Status End() {
    client_.reset();
    if (thread_.joinable()) thread_.join();
    return end_;
  }
  void Send(const Errand& errand) { EXPECT_TRUE(client_->Send(errand).ok()); }
  Outcome Next() {
    for (int i = 0; i < 100; ++i) {
      if (!came_.empty()) {
        Outcome first = came_.front();
        came_.erase(came_.begin());
        return first;
      }
      pollfd ready{.fd = client_->fd(), .events = POLLIN, .revents = 0};
      ::poll(&ready, 1, 50);
      EXPECT_TRUE(client_->Receive(came_).ok());
    }
    ADD_FAILURE() << "nothing came";
    return {};
  }
  Outcome Ask(uint8_t witness, std::string body) {
    Send({.request = ++request_, .witness = witness, .body = std::move(body)});
    const Outcome outcome = Next();
    EXPECT_EQ(outcome.request, request_);
    EXPECT_EQ(outcome.witness, witness);
    return outcome;
  }

 private:
  std::unique_ptr<Courier> courier_;
  os::Fd theirs_;
  std::optional<CourierClient> client_;
  std::vector<Outcome> came_;
  uint32_t request_ = 0;
  absl::Status end_;
  std::thread thread_;
};

TEST(CourierTest, CarriesARequestAndItsAnswer) {
  std::mutex mutex;
  std::string got;
  const Server server([&](int c, const std::string& request) {
    {
      const std::lock_guard lock(mutex);
      got = request;
    }
    Say(c, Answer("200 OK", "\xe2\x80\x94 rome abc\n"));
  });
  Pair pair({server.Url("/prefix/")});
  const Outcome outcome = pair.Ask(0, "old 0\n\nnote\n");
  EXPECT_EQ(outcome.status, 200);
  EXPECT_EQ(outcome.body, "\xe2\x80\x94 rome abc\n");
  const std::lock_guard lock(mutex);
  const std::string& seen = got;
  EXPECT_TRUE(seen.starts_with("POST /prefix/add-checkpoint HTTP/1.1\r\n")) << seen;
  EXPECT_TRUE(seen.ends_with("\r\n\r\nold 0\n\nnote\n")) << seen;
  EXPECT_EQ(seen.find("Expect"), std::string::npos);
}

TEST(CourierTest, EachStatusComesBackWithItsBody) {
  std::atomic<const char*> status = nullptr;
  const Server server([&](int c, const std::string&) {
    const char* s = status;
    Say(c, Answer(s, Join(s, "\n")));
  });
  Pair pair({server.Url()});
  for (const char* s :
       {"400 Bad", "403 No", "404 None", "409 Conflict", "422 Wrong", "500 Oh", "503 Later"}) {
    status = s;
    const Outcome outcome = pair.Ask(0, "x");
    EXPECT_EQ(Join(outcome.status, std::string_view(s).substr(3)), s);
    EXPECT_EQ(outcome.body, Join(s, "\n"));
  }
}

TEST(CourierTest, NoRedirectIsFollowed) {
  std::atomic<int> asked = 0;
  const Server away([&](int c, const std::string&) { ++asked, Say(c, Answer("200 OK", "x")); });
  const Server server([&](int c, const std::string&) {
    Say(c,
        Join("HTTP/1.1 307 Away\r\nLocation: ",
             away.Url(),
             "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
  });
  Pair pair({server.Url()});
  EXPECT_EQ(pair.Ask(0, "x").status, 307);
  EXPECT_EQ(asked, 0);
}

TEST(CourierTest, WhatIsNoAnswerSaysWhy) {
  struct Case {
    const char* name;
    std::string says;
    const char* words;
  };
  const Case cases[] = {
      {"nothing", "", "Empty reply"},
      {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", ""},
      {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", ""},
      {"too large a body", Answer("200 OK", std::string(kAnswerBytesMax + 1, 'x')), "larger than"},
      {"too large a head",
       Join("HTTP/1.1 200 OK\r\nX: ", std::string(20'000, 'x'), "\r\n\r\n"),
       "larger than"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Server server([&](int connection, const std::string&) { Say(connection, c.says); });
    Pair pair({server.Url()});
    const Outcome outcome = pair.Ask(0, "x");
    EXPECT_EQ(outcome.status, 0);
    EXPECT_NE(outcome.body, "");
    EXPECT_NE(outcome.body.find(c.words), std::string::npos) << outcome.body;
  }
}

TEST(CourierTest, ASlowOneIsGivenUpAndHoldsNobodyElseUp) {
  const Server slow([](int c, const std::string&) {
    char byte;
    [[maybe_unused]] const ssize_t n = ::recv(c, &byte, 1, 0);  // until the courier hangs up
  });
  const Server quick([](int c, const std::string&) { Say(c, Answer("200 OK", "q")); });
  Pair pair({slow.Url(), quick.Url()}, {.connect = 900ms, .whole = 900ms});
  pair.Send({.request = 1, .witness = 0, .body = "x"});
  EXPECT_EQ(pair.Ask(1, "x").body, "q");
  const Outcome outcome = pair.Next();
  EXPECT_EQ(outcome.witness, 0);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.body.find("timed out"), std::string::npos) << outcome.body;
}

TEST(CourierTest, WhereNobodyListensThatIsTheAnswer) {
  uint16_t port = 0;
  {
    const Server gone([](int, const std::string&) {});
    port = gone.port();
  }
  Pair pair({Join("http://127.0.0.1:", port)});
  const Outcome outcome = pair.Ask(0, "x");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.body.find("connect"), std::string::npos) << outcome.body;
}

TEST(CourierTest, ANewerErrandTakesThePlaceOfTheOneBefore) {
  std::atomic<int> asked = 0;
  const Server server([&](int c, const std::string&) {
    char byte;
    if (++asked == 1) {
      [[maybe_unused]] const ssize_t n = ::recv(c, &byte, 1, 0);
    } else {
      Say(c, Answer("200 OK", "second"));
    }
  });
  Pair pair({server.Url()});
  pair.Send({.request = 1, .witness = 0, .body = "x"});
  while (asked == 0) std::this_thread::yield();
  pair.Send({.request = 2, .witness = 0, .body = "y"});
  const Outcome outcome = pair.Next();
  EXPECT_EQ(outcome.request, 2u);
  EXPECT_EQ(outcome.body, "second");
}

TEST(CourierTest, ReachesNothingButItsUrls) {
  const Server server([](int c, const std::string&) { Say(c, Answer("200 OK", "q")); });
  Pair pair({server.Url()});
  const Outcome outcome = pair.Ask(1, "x");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.body.find("not started with its URL"), std::string::npos);
  EXPECT_FALSE(Courier::Open({}).ok());
  EXPECT_FALSE(Courier::Open({"file:///etc/passwd"}).ok());
  EXPECT_FALSE(Courier::Open({"gopher://127.0.0.1/"}).ok());
  EXPECT_FALSE(Courier::Open({"no url"}).ok());
  EXPECT_EQ(
      (*Courier::Open({"https://a.example/x", "http://b.example", "http://[::1]:81/"}))->ports(),
      (std::vector<uint16_t>{443, 80, 81}));
}

TEST(CourierTest, EndsWithTheEngineAndAtWhatIsNoErrand) {
  auto courier = *Courier::Open({"http://127.0.0.1:1"});
  auto [ours, theirs] = *os::SequencedPair();
  ASSERT_TRUE(os::SendMessage(ours.get(), Bytes(3, 1)).ok());
  EXPECT_EQ(courier->Serve(theirs.get()).code(), absl::StatusCode::kInvalidArgument);
  ours = os::Fd();
  EXPECT_TRUE(courier->Serve(theirs.get()).ok());
}

TEST(CourierProtocolTest, BothMessagesAreReadAsTheyWereWritten) {
  const Errand errand{.request = 0x01020304, .witness = 5, .body = "old 3\n"};
  const Outcome outcome{.request = 9, .witness = 255, .status = 409, .body = "7\n"};
  EXPECT_EQ(ParseErrand(Encode(errand)), errand);
  EXPECT_EQ(ParseOutcome(Encode(outcome)), outcome);
  EXPECT_EQ(ToHex(Encode(errand)), "01020304056f6c6420330a");
  EXPECT_EQ(ToHex(Encode(outcome)), "00000009ff0199370a");
  for (size_t n = 0; n < 7; ++n) {
    EXPECT_FALSE(ParseOutcome(ByteView(Encode(outcome)).first(n)));
    if (n < 5) {
      EXPECT_FALSE(ParseErrand(ByteView(Encode(errand)).first(n)));
    }
  }
  EXPECT_FALSE(ParseErrand(Bytes(kCourierMessageMax + 1)));
  EXPECT_FALSE(ParseOutcome(Bytes(kCourierMessageMax + 1)));
}

TEST(CourierClientTest, SaysThatTheCourierHasEnded) {
  auto [ours, theirs] = *os::SequencedPair();
  CourierClient client = *CourierClient::Take(std::move(ours));
  std::vector<Outcome> came;
  EXPECT_TRUE(client.Receive(came).ok());
  ASSERT_TRUE(os::SendMessage(theirs.get(), Bytes(2, 1)).ok());  // no outcome: left out
  ASSERT_TRUE(os::SendMessage(theirs.get(), Encode(Outcome{.request = 1})).ok());
  theirs = os::Fd();
  EXPECT_FALSE(client.Receive(came).ok());
  EXPECT_EQ(came.size(), 1u);
  EXPECT_FALSE(client.Send({.request = 1, .witness = 0, .body = "x"}).ok());
  EXPECT_FALSE(client.Send({.request = 1, .witness = 0, .body = std::string(40'000, 'x')}).ok());
}

}  // namespace
}  // namespace aqmesh::daemon
