#include "core/crypto/curve_batch.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/curve_lanes.h"
#include "core/crypto/lanes.h"

namespace aqmesh::crypto {

std::string_view BackendName(CurveBackend b) {
  switch (b) {
    case CurveBackend::kSodium: return "libsodium";
    case CurveBackend::kLanes: return "avx512";
  }
  return "?";
}

bool IsSupported(CurveBackend b) { return b == CurveBackend::kSodium || HaveLanes(); }

CurveBackend BestCurveBackend() {
  return HaveLanes() ? CurveBackend::kLanes : CurveBackend::kSodium;
}

namespace {

constexpr size_t kLanes = 8;
constexpr size_t kRun = lanes::kGroups * kLanes;

// A run of lanes costs a little more than one of libsodium's, however few they are.
constexpr size_t kFewest = 2;

constexpr std::array<uint8_t, 32> kBasePoint = {9};

void RunOne(X25519Job& j) {
  if (j.peer == nullptr) {
    AQ_CHECK(crypto_scalarmult_base(j.shared32, j.key->data()) == 0);
    j.ok = true;
    return;
  }
  j.ok = crypto_scalarmult(j.shared32, j.key->data(), j.peer->data()) == 0;
  if (!j.ok) std::memset(j.shared32, 0, 32);
}

void RunLanes(std::span<X25519Job> jobs) {
  std::array<lanes::LadderLane, kRun> run;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const uint8_t* u = jobs[i].peer == nullptr ? kBasePoint.data() : jobs[i].peer->data();
    run[i] = {jobs[i].key->data(), u, jobs[i].shared32};
  }
  lanes::RunLadders(std::span<const lanes::LadderLane>(run).first(jobs.size()));
  for (X25519Job& j : jobs) j.ok = sodium_is_zero(j.shared32, 32) == 0;
}

}  // namespace

void X25519Batch(std::span<X25519Job> jobs, CurveBackend backend) {
  AQ_CHECK(IsSupported(backend));
  while (!jobs.empty()) {
    size_t n = std::min(jobs.size(), kRun);
    if (n % kLanes < kFewest) n -= n % kLanes;  // these later, one by one
    if (backend == CurveBackend::kSodium || n == 0) {
      n = 1;
      RunOne(jobs[0]);
    } else {
      RunLanes(jobs.first(n));
    }
    jobs = jobs.subspan(n);
  }
}

}  // namespace aqmesh::crypto
