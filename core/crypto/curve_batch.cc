#include "core/crypto/curve_batch.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/curve_lanes.h"
#include "core/crypto/ed25519_checks.h"

namespace aqmesh::crypto {

namespace {

using lanes::kLanes;
constexpr size_t kRun = lanes::kGroups * kLanes;

constexpr std::array<uint8_t, 32> kBasePoint = {9};

void RunOne(X25519Job& j, CurveBackend backend) {
  if (j.peer == nullptr) {
    const X25519Key out = X25519Public(*j.key, backend);
    std::copy(out.bytes.begin(), out.bytes.end(), j.shared32);
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
  // A comb makes a lone public key in a quarter of a ladder's time; among others it has a lane
  // free.
  const bool lone_public = jobs.size() == 1 && jobs[0].peer == nullptr;
  if (backend == CurveBackend::kSodium || lone_public) {
    for (X25519Job& j : jobs) RunOne(j, backend);
    return;
  }
  while (!jobs.empty()) {
    const size_t n = std::min(jobs.size(), kRun);
    RunLanes(jobs.first(n));
    jobs = jobs.subspan(n);
  }
}

// ---- signatures

namespace {

// Eight verifications cost a third more than one of libsodium's, however few of them are wanted.
constexpr size_t kFewest = 2;

// Up to eight that passed the checks of their bytes, on their way to the lanes.
struct VerifyRun {
  std::array<lanes::VerifyLane, kLanes> lane;
  std::array<std::array<uint8_t, 32>, kLanes> h;
  std::array<VerifyJob*, kLanes> job;
  size_t n = 0;

  void Add(VerifyJob& j) {
    const uint8_t* r = j.signature->data();
    HashToScalar(ByteView(r, 32), *j.key, j.message, h[n].data());
    lane[n] = {j.key->data(), r, r + 32, h[n].data()};
    job[n++] = &j;
  }
  void Flush() {
    if (n < kFewest) {
      for (size_t i = 0; i < n; ++i)
        job[i]->ok = Ed25519Verify(*job[i]->key, job[i]->message, *job[i]->signature);
    } else {
      const uint8_t good = lanes::RunVerifies(std::span<const lanes::VerifyLane>(lane).first(n));
      for (size_t i = 0; i < n; ++i) job[i]->ok = (good >> i & 1) != 0;
    }
    n = 0;
  }
};

}  // namespace

void Ed25519VerifyBatch(std::span<VerifyJob> jobs, CurveBackend backend) {
  AQ_CHECK(IsSupported(backend));
  VerifyRun run;
  for (VerifyJob& j : jobs) {
    if (backend == CurveBackend::kSodium) {
      j.ok = Ed25519Verify(*j.key, j.message, *j.signature);
      continue;
    }
    j.ok = false;
    if (!IsAcceptableKey(*j.key) || !IsAcceptable(*j.signature)) continue;
    run.Add(j);
    if (run.n == kLanes) run.Flush();
  }
  run.Flush();
}

}  // namespace aqmesh::crypto
