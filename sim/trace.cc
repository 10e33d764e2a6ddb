#include "sim/trace.h"

#include "core/base/bytes.h"
#include "core/base/status.h"

namespace aqmesh::sim {

std::string TimeText(Instant at, Instant began) {
  const int64_t nanos = (at - began).count();
  const std::string fraction = std::to_string(nanos % 1'000'000'000);
  return Join(nanos / 1'000'000'000, ".", std::string(9 - fraction.size(), '0'), fraction);
}

Trace::Trace(Sink sink) : sink_(std::move(sink)) {
  crypto_generichash_init(&state_, nullptr, 0, 32);
}

void Trace::Add(std::string line) {
  line.push_back('\n');
  crypto_generichash_update(&state_, AsBytes(line).data(), line.size());
  ++lines_;
  if (sink_) sink_(line);
  line.pop_back();
  tail_.push_back(std::move(line));
  if (tail_.size() > kTailMax) tail_.pop_front();
}

std::string Trace::Hash() const {
  crypto_generichash_state copy = state_;  // the stream goes on
  std::array<uint8_t, 32> hash{};
  crypto_generichash_final(&copy, hash.data(), hash.size());
  return ToHex(hash);
}

}  // namespace aqmesh::sim
