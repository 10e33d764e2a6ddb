// The tag in front of every governed packet, against libsodium's SipHash-2-4 over as many bytes.
#include <sodium.h>

#include <array>

#include "bench/micro/bench.h"
#include "core/base/check.h"
#include "transport/frame/frame.h"

namespace aqmesh::bench {

namespace {

constexpr size_t kMessage = 1452;  // a WireGuard message around 1420 bytes
const std::array<uint8_t, 16> kKey = {4, 5, 6};

struct Frame {
  Frame() {
    bytes[frame::kFrameHeaderBytes] = 4;
    frame::WriteFrame(bytes.data(), 9, key, kMessage);
  }
  frame::FrameKey key{kKey};
  std::array<uint8_t, frame::kFrameHeaderBytes + kMessage> bytes{};
};

void Write(benchmark::State& state) {
  Frame f;
  uint32_t handle = 0;
  for (auto _ : state) {
    frame::WriteFrame(f.bytes.data(), handle++, f.key, kMessage);
    benchmark::ClobberMemory();
  }
}

void Check(benchmark::State& state) {
  Frame f;
  for (auto _ : state) {
    benchmark::DoNotOptimize(f.bytes.data());
    benchmark::ClobberMemory();
    AQ_CHECK(frame::CheckFrame(f.bytes, f.key) == frame::Drop::kNone);
  }
}

void Sodium(benchmark::State& state) {
  std::array<uint8_t, 32> in{};
  std::array<uint8_t, 8> out{};
  for (auto _ : state) {
    crypto_shorthash(out.data(), in.data(), in.size(), kKey.data());
    in[0] = out[0];
    benchmark::ClobberMemory();
  }
}

}  // namespace

void RegisterFrame() {
  Measure("frame tag", "aqmesh write", Write);
  Measure("frame tag", "aqmesh check", Check);
  Measure("frame tag", "=libsodium SipHash of 32 B", Sodium);
}

}  // namespace aqmesh::bench
