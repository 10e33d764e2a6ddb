// The control socket, seen from the CLI: one call a connection, answered once or as a stream of
// events. Wire:   proto/control.proto; each message behind its length, u32 big endian.
// Bounds: kControlMessageMax bytes a message. Thread: one owner; calls block.
// Errors: FailedPrecondition "the daemon is not running ...: aqmesh up"; a daemon's refusal as its text.
//
// Verbs. Arguments and answers are JSON objects; a field with ? may be absent. Times are Unix
// seconds, rates and sizes bytes, durations in the unit that the name ends in, kids and oids lower
// hex, rungs and classes in capitals. Every answer has "schema": "aqmesh.VERB/1". <- arguments, ->
// answer, => event of a stream.
//   status    -> mesh name kid addresses[] version uptime_s interface listen_port records(n)
//   joined(bool)
//                peers[PEER] warnings[text] up(bool) confined(text) aead(text)
//                offloads{NAME: "on" | "off" (by a setting) | "lacking" (kernel or device)}
//                counters{NAME: n}            (tun_... udp_...: what was not carried, and why, and
//                                              the congestion signals for a queue that stood)
//   peers     -> peers[PEER]
//                PEER: name kid addresses[] endpoint? rung reason? gate? ladm committed
//                last_handshake?
//                      rx_bytes tx_bytes grant_end? path("direct"|"relay"|"offline") rtt_us? words?
//   ping      <- node count interval_ms timeout_ms => seq address rtt_us? path endpoint? (no
//   rtt_us: no answer)
//             -> name sent received rung path
//   whois     <- address -> name kid class addresses[] tags[] rung endpoint? grant_end
//   whoami    -> mesh name kid scope addresses[] tags[] class grant_end enroller(bool)
//   ip        <- node? -> name addresses[]
//   wait      <- peer? timeout_ms -> name? rung?         (error when the time is over)
//   explain   <- src dst? proto? port?                   (dst absent: why is src where it is)
//             -> allowed(bool) verdict(RUNG) src{name address?} dst?{name address?} proto? port?
//                gates[{gate rung reason?}] rule?{text fragment authority} reason? mend? record?
//                count? last? corroboration?{votes groups attesters eligible needed{votes groups
//                attesters constrain_votes} voices[{kid name kind group ladm_q16 votes since ends
//                why?}]}                               (of a node, where the charter asks for it)
//   can       <- src dst proto port -> the same; exit 1 for no
//   attest    -> words[{held("own"|"said"|"shown") by by_name about about_name kind group since
//                ends oid evidence}]
//   invite    <- tags[] ttl_s uses enroller(bool) ephemeral(bool) -> line expires uses
//   answer    <- kid yes(bool) ->                        (to an event `ask`)
//   follow    <- kinds["ask" "joined" ...] until?("joined": the stream ends after it)
//             => event: "found"{name endpoint} "words"{words} "ask"{kid name endpoint? words}
//                "joined"{name kid addresses[] rung grant_end?} "refused"{name? reason mend?}
//             -> (at the end)
//   revoke    <- target reason? type("floor"|"key")
//             -> target kid released(bool) oid? seq? told(n) peers(n)
//                (released: its own self-revocation, left here, ended its key; then no oid, seq)
//   redact    <- kid -> kid
//   import    (payload: armoured objects) -> imported(n) skipped(n)
//   up        ->      down      ->                       (traffic on or off; the daemon stays)
//   stop      ->                                         (the daemon ends)
//   policy-reload ->                                     (reads policy.toml again)
#ifndef AQMESH_DAEMON_CLI_LIVE_H_
#define AQMESH_DAEMON_CLI_LIVE_H_

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace aqmesh::cli {

inline constexpr size_t kControlMessageMax = 8u << 20;
inline constexpr int kExitTimeIsOver = 5;  // what was waited for did not come

struct LiveRequest {
  std::string verb;
  std::string json = "{}";
  std::string payload = {};
};
struct LiveAnswer {
  std::string json = "{}";
  std::string payload = {};
  int exit = 0;
};
// One event of a stream; false ends the stream, and the call, early.
using LiveEvent = std::function<bool(const LiveAnswer&)>;

class LiveClient {
 public:
  virtual ~LiveClient() = default;
  virtual absl::StatusOr<LiveAnswer> Call(const LiveRequest& request,
                                          const LiveEvent& on_event) = 0;
  absl::StatusOr<LiveAnswer> Call(const LiveRequest& request) {
    return Call(request, [](const LiveAnswer&) { return true; });
  }
};

// Connects anew for each call.
std::unique_ptr<LiveClient> SocketClient(std::string socket_path);
bool SocketAnswers(const std::string& socket_path);

// The messages, for both ends. Encoded with their length in front; parsed without it.
struct LiveReply {
  bool ok = true;
  std::string error = {};
  LiveAnswer answer = {};
  bool more = false;
};
Bytes EncodeRequest(const LiveRequest& request);
Bytes EncodeReply(const LiveReply& reply);
absl::StatusOr<LiveRequest> ParseRequest(ByteView message);
absl::StatusOr<LiveReply> ParseReply(ByteView message);
// A whole message at the start of `buffer` (its length first), or 0 if more bytes are needed.
// InvalidArgument: too large.
absl::StatusOr<size_t> MessageIn(ByteView buffer);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_LIVE_H_
