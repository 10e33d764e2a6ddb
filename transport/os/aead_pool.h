// Threads that seal and open parts of large batches: for the one peer that is too much for a core.
// A batch is cut into super-batches of kUnit packets, which whoever is awake takes one by one; in
// place, so that the order of packets is the batch's, however they were shared.
// Spec:   spec/performance.md §5.
// Bounds: as many threads as asked for, kHelpersMax. Thread: Run from any; one batch at a time.
// Cost:   54 ns to hand over to a helper that looks for work. One that sleeps is woken for the next
//         batch and not waited for (25 us): helpers sleep after kSpin without work.
#ifndef AQMESH_TRANSPORT_OS_AEAD_POOL_H_
#define AQMESH_TRANSPORT_OS_AEAD_POOL_H_

#include <atomic>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "core/crypto/aead_batch.h"

namespace aqmesh::os {

class AeadPool final : public crypto::AeadHelpers {
 public:
  static constexpr size_t kHelpersMax = 16;
  static constexpr size_t kUnit = 32;  // packets; what fills a batch of the AEAD's own
  static constexpr std::chrono::microseconds kSpin{50};

  explicit AeadPool(size_t helpers);  // 1 to kHelpersMax
  ~AeadPool() override;               // nobody is in Run
  AeadPool(const AeadPool&) = delete;
  AeadPool& operator=(const AeadPool&) = delete;

  bool Run(crypto::AeadBatch& own, std::span<crypto::AeadJob> jobs, bool seal) override;

  uint64_t units_helped() const { return helped_.load(std::memory_order_relaxed); }

 private:
  enum class State : uint32_t { kAsleep, kLooking, kCalled, kBusy, kStop };
  struct Helper {
    alignas(64) std::atomic<State> state{State::kLooking};
    crypto::AeadBatch batch;
    std::thread thread;
  };
  void Serve(Helper& helper);
  void WaitForCall(Helper& helper);
  size_t TakeUnits(crypto::AeadBatch& batch);

  std::atomic<bool> taken_{false};  // by who is in Run
  // The batch in hand. Written while no helper is busy.
  std::span<crypto::AeadJob> jobs_;
  bool seal_ = false;
  alignas(64) std::atomic<size_t> next_{0};  // the first job that nobody has taken
  std::atomic<uint64_t> helped_{0};
  std::vector<std::unique_ptr<Helper>> helpers_;
};

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_AEAD_POOL_H_
