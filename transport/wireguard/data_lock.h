// The lock of a data half that several threads use: whoever asks it anything, or changes it, holds
// it. Ciphers, the kernel and whatever decides run outside, so it is held for some 40 ns a packet,
// taken twice a batch; and what one thread changed, the next packet of every thread feels.
// Spec:   spec/performance.md §5.
// Thread: any. It may be entered again by who holds it: a turn of the control half holds it over
//         several steps that no packet may come in between of. Not shared: nothing is locked.
#ifndef AQMESH_TRANSPORT_WIREGUARD_DATA_LOCK_H_
#define AQMESH_TRANSPORT_WIREGUARD_DATA_LOCK_H_

#include <mutex>

namespace aqmesh::wireguard {

class DataLock {
 public:
  explicit DataLock(bool shared) : shared_(shared) {}
  bool shared() const { return shared_; }

  class Hold {
   public:
    explicit Hold(DataLock& lock) : lock_(lock) {
      if (lock_.shared_) lock_.mutex_.lock();
    }
    ~Hold() {
      if (lock_.shared_) lock_.mutex_.unlock();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    DataLock& lock_;
  };

 private:
  const bool shared_;
  std::recursive_mutex mutex_;
};

}  // namespace aqmesh::wireguard

#endif  // AQMESH_TRANSPORT_WIREGUARD_DATA_LOCK_H_
