#include "transport/os/aead_pool.h"

#include <algorithm>

#include "core/base/check.h"
#include "transport/os/clock.h"

namespace aqmesh::os {

namespace {

// Between two looks at a line that another core will write.
void Pause(int look) {
  constexpr int kLooksBeforeYield = 256;  // whoever is waited for may need this very core
  if (look % kLooksBeforeYield == kLooksBeforeYield - 1) {
    std::this_thread::yield();
  } else {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace

AeadPool::AeadPool(size_t helpers) {
  AQ_CHECK(helpers >= 1 && helpers <= kHelpersMax);
  for (size_t i = 0; i < helpers; ++i) {
    helpers_.push_back(std::make_unique<Helper>());
    Helper& helper = *helpers_.back();
    helper.thread = std::thread([this, &helper] { Serve(helper); });
  }
}

AeadPool::~AeadPool() {
  for (const auto& helper : helpers_) {
    helper->state.store(State::kStop, std::memory_order_release);
    helper->state.notify_one();
  }
  for (const auto& helper : helpers_) helper->thread.join();
}

size_t AeadPool::TakeUnits(crypto::AeadBatch& batch) {
  size_t units = 0;
  for (;; ++units) {
    const size_t first = next_.fetch_add(kUnit, std::memory_order_relaxed);
    if (first >= jobs_.size()) return units;
    batch.RunAlone(jobs_.subspan(first, std::min(kUnit, jobs_.size() - first)), seal_);
  }
}

void AeadPool::WaitForCall(Helper& helper) {
  Instant until = After(ReadNow().mono, kSpin);
  for (int look = 0;; ++look) {
    const State state = helper.state.load(std::memory_order_acquire);
    if (state == State::kCalled || state == State::kStop) return;
    if (state == State::kAsleep) {
      helper.state.wait(State::kAsleep, std::memory_order_acquire);
      until = After(ReadNow().mono, kSpin);
      continue;
    }
    constexpr int kLooksPerClock = 64;
    if (look % kLooksPerClock == kLooksPerClock - 1 && ReadNow().mono >= until) {
      State looking = State::kLooking;
      helper.state.compare_exchange_strong(looking, State::kAsleep, std::memory_order_acq_rel);
    }
    Pause(look);
  }
}

void AeadPool::Serve(Helper& helper) {
  for (;;) {
    WaitForCall(helper);
    State called = State::kCalled;
    // Fails if the caller has finished without us, or at the end.
    if (!helper.state.compare_exchange_strong(called, State::kBusy, std::memory_order_acq_rel)) {
      if (called == State::kStop) return;
      continue;
    }
    helped_.fetch_add(TakeUnits(helper.batch), std::memory_order_relaxed);
    helper.state.store(State::kLooking, std::memory_order_release);
  }
}

bool AeadPool::Run(crypto::AeadBatch& own, std::span<crypto::AeadJob> jobs, bool seal) {
  if (taken_.exchange(true, std::memory_order_acquire)) return false;
  jobs_ = jobs;
  seal_ = seal;
  next_.store(0, std::memory_order_relaxed);
  for (const auto& helper : helpers_) {
    State looking = State::kLooking;
    if (helper->state.compare_exchange_strong(looking, State::kCalled, std::memory_order_acq_rel) ||
        looking != State::kAsleep)
      continue;
    // Too late for this batch; awake for the next.
    helper->state.store(State::kLooking, std::memory_order_release);
    helper->state.notify_one();
  }
  TakeUnits(own);
  for (const auto& helper : helpers_) {
    for (int look = 0;; ++look) {
      State called = State::kCalled;
      if (helper->state.compare_exchange_strong(
              called, State::kLooking, std::memory_order_acq_rel) ||
          called != State::kBusy)
        break;
      Pause(look);
    }
  }
  taken_.store(false, std::memory_order_release);
  return true;
}

}  // namespace aqmesh::os
