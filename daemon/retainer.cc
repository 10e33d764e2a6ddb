#include "daemon/retainer.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "core/base/status.h"
#include "daemon/node_loop.h"
#include "transport/os/clock.h"

namespace aqmesh::daemon {

Retainer::Retainer(NodeLoop& loop)
    : loop_(loop),
      timer_(loop.io()),
      busy_(work_.get_executor()),
      thread_([this] { work_.run(); }) {}

Retainer::~Retainer() { Stop(); }

void Retainer::Stop() {
  timer_.cancel();
  work_.stop();
  if (thread_.joinable()) thread_.join();
  done_ = nullptr;
}

void Retainer::StartHourly() { WaitHour(); }

void Retainer::WaitHour() {
  timer_.expires_after(kEvery);
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    // Without a rule there is nothing to do, and nothing to say.
    Prune([this](const absl::StatusOr<cli::PreparedPrune>& result) {
      if (!result.ok() && !absl::IsNotFound(result.status()))
        loop_.Log(Severity::kWarn, "retention", Text(result.status()));
      if (result.ok() && result->plan.records() > 0)
        loop_.Log(Severity::kInfo, "retention", cli::PruneText(*result, false));
    });
    WaitHour();
  });
}

void Retainer::Prune(Done done) {
  if (done_) return done(Unavailable("records are being pruned: ask again when that is done"));
  done_ = std::move(done);
  boost::asio::post(work_, [this] {
    const auto& setup = loop_.setup();
    const std::string place =
        setup.file.sealed.empty() ? setup.dir->path() + "/sealed" : setup.file.sealed;
    auto prepared =
        cli::PreparePrune(*setup.store, place, os::ReadNow().wall.seconds(), cli::Doing::kPrepare);
    boost::asio::post(loop_.io(), [this, prepared = std::move(prepared)]() mutable {
      OnPrepared(std::move(prepared));
    });
  });
}

void Retainer::OnPrepared(absl::StatusOr<cli::PreparedPrune> prepared) {
  if (!done_) return;  // stopped
  if (!prepared.ok() || prepared->plan.records() == 0) return Finish(std::move(prepared));
  now_ = *std::move(prepared);
  loop_.Turn([this](Now now, node::Outbox& out) {
    loop_.control().NoteDeed(
        now, lineage::RetainedRecord(now_.plan, now_.rule), cli::PruningMark(now_), out);
  });
  loop_.WhenDurable([this] { OnDurable(); });
}

// The record says which go, and is on the disk: now they may.
void Retainer::OnDurable() {
  boost::asio::post(work_, [this] {
    absl::Status pruned = loop_.setup().store->Prune(now_.plan.end, now_.rule);
    boost::asio::post(
        loop_.io(), [this, pruned = std::move(pruned)]() mutable { OnPruned(std::move(pruned)); });
  });
}

void Retainer::OnPruned(absl::Status pruned) {
  if (!done_) return;
  if (!pruned.ok()) return Finish(std::move(pruned));  // the mark stays: the next start goes on
  loop_.Turn([this](Now now, node::Outbox& out) {
    loop_.control().DropMark(now, std::string(lineage::kPruningName), out);
  });
  Finish(now_);
}

void Retainer::Finish(absl::StatusOr<cli::PreparedPrune> result) {
  const Done done = std::exchange(done_, nullptr);
  done(std::move(result));
}

}  // namespace aqmesh::daemon
