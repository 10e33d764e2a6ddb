#include "sim/network.h"

#include "core/base/status.h"

namespace aqmesh::sim {

using namespace std::chrono_literals;

namespace {

// From `lo` on, each doubling as likely as the next.
uint32_t LogUniform(Rng& rng, uint32_t lo, unsigned doublings) {
  const uint32_t base = lo << rng.Below(doublings);
  return base + static_cast<uint32_t>(rng.Below(base));
}

}  // namespace

std::string Weather::ToString() const {
  return Join("latency ",
              latency.count() / 1'000,
              "us jitter ",
              jitter.count() / 1'000,
              "us loss ",
              loss_ppm,
              " duplicate ",
              duplicate_ppm,
              " reorder ",
              reorder_ppm,
              " corrupt ",
              corrupt_ppm,
              " ppm");
}

Weather Storm(Rng& rng) {
  Weather w;
  w.latency = std::chrono::microseconds(LogUniform(rng, 200, 8));  // 0.2 to 51 ms
  w.jitter = std::chrono::microseconds(LogUniform(rng, 1'000, 7));
  const auto rate = [&](uint32_t lo, unsigned doublings) {
    return rng.Below(2) == 0 ? 0u : LogUniform(rng, lo, doublings);
  };
  w.loss_ppm = rate(2'000, 7);  // to a quarter
  w.duplicate_ppm = rate(2'000, 7);
  w.reorder_ppm = rate(2'000, 7);
  w.corrupt_ppm = rate(500, 7);
  return w;
}

void Network::Heal() {
  sides_.clear();
  cuts_.clear();
}

const std::set<std::string>* Network::SideOf(const std::string& name) const {
  for (const auto& side : sides_) {
    if (side.contains(name)) return &side;
  }
  return nullptr;
}

bool Network::Passes(const std::string& from, const std::string& to) const {
  return SideOf(from) == SideOf(to) && !cuts_.contains({from, to});
}

std::chrono::nanoseconds Network::Up(std::chrono::nanoseconds most) {
  return std::chrono::nanoseconds(rng_.Below(static_cast<uint64_t>(most.count()) + 1));
}

std::vector<Network::Copy> Network::Carry(ByteView bytes) {
  std::vector<Copy> out;
  if (Happens(weather_.loss_ppm)) return out;
  const size_t copies = Happens(weather_.duplicate_ppm) ? 2 : 1;
  for (size_t i = 0; i < copies; ++i) {
    Copy copy{weather_.latency + Up(weather_.jitter), Bytes(bytes.begin(), bytes.end())};
    if (Happens(weather_.reorder_ppm)) copy.delay += Up(weather_.reorder_by);
    if (Happens(weather_.corrupt_ppm) && !copy.bytes.empty()) {
      const uint64_t bit = rng_.Below(copy.bytes.size() * 8);
      copy.bytes[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    }
    out.push_back(std::move(copy));
  }
  return out;
}

}  // namespace aqmesh::sim
