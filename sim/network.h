// Network: what becomes of a datagram between two machines: lost, late, doubled, out of order,
// bent, or cut off by a partition. It draws from its own stream of random bytes, so a fault added
// here shifts nothing elsewhere.
// Spec:   spec/reliability.md 6.2 (wire faults). Thread: a value; one owner.
#ifndef AQMESH_SIM_NETWORK_H_
#define AQMESH_SIM_NETWORK_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/rng.h"
#include "core/base/time.h"

namespace aqmesh::sim {

struct Weather {
  std::chrono::nanoseconds latency{2'000'000};  // the least that a datagram takes ...
  std::chrono::nanoseconds jitter{18'000'000};  // ... and up to so much more
  uint32_t loss_ppm = 0, duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;                          // comes late by up to reorder_by
  std::chrono::nanoseconds reorder_by{500'000'000};  // others overtake it
  uint32_t corrupt_ppm = 0;                          // one bit flips
  std::string ToString() const;
};
// Some faults of the five, each at a rate of its own: leaving faults out at random finds more than
// all at once.
Weather Storm(Rng& rng);

class Network {
 public:
  Network(const Weather& weather, Rng rng) : weather_(weather), rng_(std::move(rng)) {}

  void SetWeather(const Weather& weather) { weather_ = weather; }
  const Weather& weather() const { return weather_; }
  // Machines of different sides do not hear each other; who is on no side is with the others on
  // none.
  void Partition(std::vector<std::set<std::string>> sides) { sides_ = std::move(sides); }
  // Nothing passes from `from` to `to`. The other direction has a cut of its own.
  void Cut(const std::string& from, const std::string& to) { cuts_.emplace(from, to); }
  void Heal();
  bool Passes(const std::string& from, const std::string& to) const;

  struct Copy {
    std::chrono::nanoseconds delay{};
    Bytes bytes;
  };
  // The copies that will arrive, if nothing cuts the link meanwhile.
  std::vector<Copy> Carry(ByteView bytes);

 private:
  bool Happens(uint32_t ppm) { return ppm != 0 && rng_.Below(1'000'000) < ppm; }
  std::chrono::nanoseconds Up(std::chrono::nanoseconds most);
  const std::set<std::string>* SideOf(const std::string& name) const;

  Weather weather_;
  Rng rng_;
  std::vector<std::set<std::string>> sides_;
  std::set<std::pair<std::string, std::string>> cuts_;
};

}  // namespace aqmesh::sim

#endif  // AQMESH_SIM_NETWORK_H_
