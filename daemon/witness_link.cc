#include "daemon/witness_link.h"

#include <fcntl.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "core/base/status.h"
#include "daemon/node_loop.h"

namespace aqmesh::daemon {

using boost::asio::posix::stream_descriptor;

WitnessLink::WitnessLink(NodeLoop& loop) : loop_(loop), wait_(loop.io()) {}

absl::StatusOr<std::unique_ptr<WitnessLink>> WitnessLink::Make(NodeLoop& loop, os::Fd courier) {
  std::unique_ptr<WitnessLink> link(new WitnessLink(loop));
  if (!courier.valid()) return link;
  AQ_ASSIGN_OR_RETURN(link->courier_, CourierClient::Take(std::move(courier)));
  // Asio wants a descriptor of its own to close.
  link->wait_.assign(::fcntl(link->courier_->fd(), F_DUPFD_CLOEXEC, 3));
  return link;
}

void WitnessLink::Start() {
  if (courier_) Wait();
}

void WitnessLink::Wait() {
  wait_.async_wait(stream_descriptor::wait_read, [this](boost::system::error_code error) {
    if (error) return;
    OnReadable();
    if (!ended_) Wait();
  });
}

// What cannot be sent is answered at once, from the loop and not from inside a turn.
void WitnessLink::Ask(std::vector<node::WitnessAsk> asks) {
  for (node::WitnessAsk& ask : asks) {
    absl::Status sent = Unavailable("aqmesh-courier has ended; restart aqmeshd");
    if (courier_ && !ended_) {
      sent = courier_->Send({.request = ask.request,
                             .witness = static_cast<uint8_t>(ask.witness),
                             .body = std::move(ask.body)});
    }
    if (sent.ok()) continue;
    boost::asio::post(
        loop_.io(),
        [this,
         r = node::WitnessReply{
             .witness = ask.witness, .request = ask.request, .status = 0, .body = Text(sent)}] {
          loop_.Turn(
              [&](Now now, node::Outbox& out) { loop_.control().OnWitnessReply(now, r, out); });
        });
  }
}

void WitnessLink::OnReadable() {
  std::vector<Outcome> came;
  if (!courier_->Receive(came).ok()) {
    ended_ = true;
    loop_.Log(Severity::kError,
              "witnesses",
              "aqmesh-courier has ended: public witnesses are asked no more; restart aqmeshd");
  }
  for (Outcome& o : came) {
    const node::WitnessReply reply{
        .witness = o.witness, .request = o.request, .status = o.status, .body = std::move(o.body)};
    loop_.Turn(
        [&](Now now, node::Outbox& out) { loop_.control().OnWitnessReply(now, reply, out); });
  }
}

}  // namespace aqmesh::daemon
