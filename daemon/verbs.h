// What each verb of the control socket does with the node. Names and JSON fields: cli/live.h.
// Spec:   spec/authority.md E (join).
// Bounds: kPingsMax pings, kWaitsMax waiters, kFollowersMax streams at once.
// Thread: the loop's. Errors: answered to the caller in words; a vanished caller's work is dropped.
#ifndef AQMESH_DAEMON_VERBS_H_
#define AQMESH_DAEMON_VERBS_H_

#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "admission/packet.h"
#include "core/wire/json.h"
#include "daemon/control_api.h"
#include "daemon/echo.h"
#include "node/control.h"

namespace aqmesh::daemon {

class NodeLoop;

class Verbs {
 public:
  static constexpr size_t kPingsMax = 32, kWaitsMax = 64, kFollowersMax = 32;

  explicit Verbs(NodeLoop& loop);
  ~Verbs();
  void SetServer(ControlServer* server) { server_ = server; }

  void Handle(SessionId session, Verb verb, const cli::LiveRequest& request);
  void OnEvent(const node::Event& event);
  // True: the packet answers a ping of ours and is not the kernel's.
  bool TakeEchoReply(ByteView packet);

 private:
  using Args = boost::json::object;
  struct Flow;
  struct Ping;
  struct Wait {
    std::string peer;  // empty: ourselves being joined
    std::unique_ptr<boost::asio::steady_timer> deadline;
  };
  struct Follower {
    std::set<std::string, std::less<>> kinds;  // empty: all
    std::string until;
  };

  // Answers that are known at once: text of a JSON object, or why not. `exit` starts at 0.
  absl::StatusOr<std::string> AnswerNow(Verb verb,
                                        const Args& args,
                                        const cli::LiveRequest& request,
                                        int& exit);
  std::string Status();
  std::string Peers();
  absl::StatusOr<std::string> Whois(const Args& args);
  absl::StatusOr<std::string> Whoami();
  absl::StatusOr<std::string> Ip(const Args& args);
  absl::StatusOr<std::string> Explain(const Args& args, std::string_view schema, int& exit);
  absl::StatusOr<std::string> ExplainPeer(const node::PeerView& peer,
                                          std::string_view schema,
                                          int& exit);
  std::optional<admission::PacketInfo> FindOpener(const Flow& flow,
                                                  const std::optional<IpAddress>& wanted);
  std::string ExplainFlow(const Flow& flow, std::string_view schema, int& exit);
  absl::StatusOr<std::string> Invite(const Args& args);
  absl::StatusOr<std::string> AnswerJoin(const Args& args);
  std::string NameOf(const Kid& kid);
  std::string Escalations();
  std::string Attestations();
  void PutCorroboration(wire::JsonWriter& w, const Kid& kid);
  absl::StatusOr<std::string> Approve(const Args& args);
  absl::StatusOr<std::string> Revoke(const Args& args);
  absl::StatusOr<bool> RevokeOrRelease(const issuing::RevokeTerms& terms,
                                       bool ours,
                                       std::string_view target);
  bool IsCommitted(const Kid& kid);
  absl::StatusOr<std::string> Redact(const Args& args);
  absl::StatusOr<std::string> Import(const cli::LiveRequest& request);

  // Answers that take time.
  absl::Status StartPing(SessionId session, const Args& args);
  void SendPing(Ping& ping);
  void EndPing(uint16_t id);
  absl::Status StartWait(SessionId session, const Args& args);
  void CheckWaits();
  void StartPrune(SessionId session);
  absl::Status StartFollow(SessionId session, const Args& args);
  std::string EventJson(const node::Event& event);
  // Says it, if the follower asked for such. True: it was what it waited for, and the stream ended.
  bool Tell(SessionId session, const Follower& follower, const node::Event& event);

  // A peer by name, address, key or a unique prefix of it (4 digits or more).
  absl::StatusOr<node::PeerView> FindPeer(std::string_view what);
  std::string OwnName();
  void PutPeer(wire::JsonWriter& w, const node::PeerView& p);
  void PutAddresses(wire::JsonWriter& w, const std::vector<Prefix>& addresses);
  bool IsLive(const node::PeerView& p);
  void Say(SessionId session, std::string json, bool more, int exit = 0);

  NodeLoop& loop_;
  ControlServer* server_ = nullptr;
  std::map<uint16_t, std::unique_ptr<Ping>> pings_;  // by echo identifier
  std::map<SessionId, Wait> waits_;
  std::map<SessionId, Follower> followers_;
  // Of our join: a client may look after they came.
  std::optional<node::Event> own_words_, own_refusal_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_VERBS_H_
