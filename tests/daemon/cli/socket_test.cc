// The client over a real socket, against a server that answers from a script; and joining by a real
// line.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "core/base/status.h"
#include "daemon/cli/state.h"
#include "issuing/issue.h"
#include "issuing/line.h"
#include "tests/daemon/cli/world.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::cli {
namespace {

using testing::HasSubstr;

// Accepts one connection, reads one request, sends `bytes` and hangs up.
class ScriptedServer {
 public:
  ScriptedServer(const std::string& path, Bytes bytes) {
    listener_ = *os::UnixListener::Listen({.path = path});
    thread_ = std::thread([this, bytes = std::move(bytes)] {
      pollfd p{listener_->fd(), POLLIN, 0};
      poll(&p, 1, 5'000);
      const os::Fd fd = listener_->Accept();
      Bytes got;
      uint8_t chunk[4'096];
      while (fd.valid() && *MessageIn(got) == 0) {
        pollfd c{fd.get(), POLLIN, 0};
        if (poll(&c, 1, 5'000) <= 0) return;
        const ssize_t n = recv(fd.get(), chunk, sizeof chunk, 0);
        if (n <= 0) return;
        Append(got, ByteView(chunk, static_cast<size_t>(n)));
      }
      request = *ParseRequest(ByteView(got).subspan(4));
      // In two halves, so that a message arrives in pieces.
      const size_t half = bytes.size() / 2;
      send(fd.get(), bytes.data(), half, MSG_NOSIGNAL);
      usleep(2'000);
      send(fd.get(), bytes.data() + half, bytes.size() - half, MSG_NOSIGNAL);
    });
  }
  ~ScriptedServer() { Wait(); }
  void Wait() {
    if (thread_.joinable()) thread_.join();
  }
  LiveRequest request;

 private:
  std::unique_ptr<os::UnixListener> listener_;
  std::thread thread_;
};

TEST(CliSocketTest, AStreamIsHandedOnEventByEventAndEndsWithTheAnswer) {
  World w;
  Bytes script = EncodeReply({.answer = {.json = "1"}, .more = true});
  Append(script, EncodeReply({.answer = {.json = "2"}, .more = true}));
  Append(script, EncodeReply({.answer = {.json = "end", .exit = 1}}));
  ScriptedServer server(w.Path("s"), script);
  std::string events;
  const auto answer =
      SocketClient(w.Path("s"))
          ->Call({.verb = "ping", .json = "{}", .payload = "p"}, [&](const LiveAnswer& e) {
            events += e.json;
            return true;
          });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(events, "12");
  EXPECT_EQ(answer->json, "end");
  EXPECT_EQ(answer->exit, 1);
  server.Wait();
  EXPECT_EQ(server.request.verb, "ping");
  EXPECT_EQ(server.request.payload, "p");
}

TEST(CliSocketTest, ARefusalIsItsTextAndADaemonThatDiesIsSaid) {
  World w;
  {
    ScriptedServer server(w.Path("s"), EncodeReply({.ok = false, .error = "no peer `x`"}));
    EXPECT_EQ(Text(SocketClient(w.Path("s"))->Call({.verb = "ping"}).status()), "no peer `x`");
  }
  ScriptedServer server(w.Path("t"), Bytes{0, 0, 0, 9, 1});
  EXPECT_THAT(Text(SocketClient(w.Path("t"))->Call({.verb = "ping"}).status()),
              HasSubstr("in the middle of its answer"));
}

std::string ALine(uint64_t now) {
  Rng rng(Rng::Seed{7});
  const crypto::Ed25519Seed root = crypto::NewEd25519(rng), once = crypto::NewEd25519(rng);
  issuing::MemorySeqs seqs;
  const issuing::Signer signer(root, seqs);
  const auto charter = *issuing::Genesis({.name = "home", .now = now}, root, rng);
  authority::Member member;
  member.kid = signer.kid();
  member.static_key = crypto::X25519Public(crypto::NewX25519(rng));
  member.endpoints = {*Endpoint::Parse("192.0.2.1:41641")};
  issuing::InviteTerms terms{.one_time_key = crypto::Ed25519Public(once), .members = {member}};
  const auto invite =
      issuing::MakeInvite({.signer = signer, .charter = charter}, std::move(terms), now);
  EXPECT_TRUE(invite.ok()) << invite.status();
  return issuing::LineOf(*invite, once);
}

TEST(CliJoinTest, ALineBecomesKeysConfigAndARunningDaemon) {
  World w;
  w.input = ALine(w.now) + "\n";
  w.answers["follow"] = {
      {.json = R"({"event":"words","words":"maple rocket seven"})"},
      {.json = R"({"event":"joined","mesh":"home","name":"borealis","addresses":["100.79.3.2"]})"},
      {}};
  const Ran ran = w.Run({"--state", w.Path("b"), "join", "-", "--name", "borealis"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "Joined mesh \"home\". You are borealis, 100.79.3.2\n");
  EXPECT_THAT(ran.err, HasSubstr("maple rocket seven"));
  EXPECT_EQ(w.starts, 1);
  const auto state = StateDir::Open(w.Path("b"));
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ((*state->ReadInvitation())->view(), w.input);
  EXPECT_EQ(state->ReadConfig()->name, "borealis");
  EXPECT_TRUE(state->KidOfKey(kIdentityKey).ok());
}

TEST(CliJoinTest, AJoinQuickerThanTheQuestionIsSeenAllTheSame) {
  World w;
  w.answers["whoami"] = {
      {.json =
           R"({"mesh":"home","name":"borealis","addresses":["100.79.3.2"],"grant_end":1802592000})"}};
  EXPECT_EQ(w.Run({"--state", w.Path("b"), "join", ALine(w.now), "--name", "borealis"}).out,
            "Joined mesh \"home\". You are borealis, 100.79.3.2\n");
}

TEST(CliUpTest, UpAndDownAskTheDaemonThatRuns) {
  World w;
  w.answers["down"] = w.answers["stop"] = {{}};
  EXPECT_EQ(w.Run({"down"}).exit, 0);
  EXPECT_EQ(w.Run({"down", "--stop"}).exit, 0);
  EXPECT_EQ(w.asked[0].verb, "down");
  EXPECT_EQ(w.asked[1].verb, "stop");
  EXPECT_THAT(w.Run({"--state", w.Path("none"), "up"}).err, HasSubstr("aqmesh init NAME"));
}

TEST(CliJoinTest, AnEndedOrMistypedLineStartsNothing) {
  World w;
  const std::string line = ALine(w.now);
  w.now += 2 * 3'600;
  EXPECT_THAT(w.Run({"--state", w.Path("b"), "join", line}).err,
              HasSubstr("the invitation ended at "));
  std::string wrong = line;
  wrong[20] = wrong[20] == '7' ? '8' : '7';
  EXPECT_THAT(w.Run({"--state", w.Path("b"), "join", wrong}).err,
              HasSubstr("this is no invitation: "));
  EXPECT_EQ(w.starts, 0);
}

}  // namespace
}  // namespace aqmesh::cli
