// An AEAD that seals nothing and opens everything, in the place of core/crypto/aead_batch.cc: the
// ceiling that bench/e2e.sh measures as `null`. Sizes are those of the real one, tags are whatever
// lay there. Handshakes are not its business and stay real.
// No program but bench/CMakeLists.txt's aqmesh-wg-null may have it: tests/no_null_aead.sh looks for
// the text of BackendName in all that is built to be shipped.
#ifndef AQMESH_NULL_AEAD_FOR_BENCH_ONLY
#error "seals nothing: bench/CMakeLists.txt alone builds this file, for aqmesh-wg-null"
#endif

#include "core/base/check.h"
#include "core/crypto/aead_batch.h"

namespace aqmesh::crypto {

struct AeadBatch::Manager {};
struct AeadBatch::LaneScratch {};

std::string_view BackendName(AeadBackend) { return "aqmesh-null-aead: nothing is sealed"; }
bool IsSupported(AeadBackend) { return true; }
AeadBackend BestBackend() { return AeadBackend::kEvp; }

AeadBatch::AeadBatch(AeadBackend backend) : backend_(backend) {}
AeadBatch::~AeadBatch() = default;
AeadBatch::AeadBatch(AeadBatch&&) noexcept = default;
AeadBatch& AeadBatch::operator=(AeadBatch&&) noexcept = default;

void AeadBatch::Run(std::span<AeadJob> jobs, bool) {
  for (AeadJob& j : jobs) j.ok = true;
}

void AeadBatch::RunAlone(std::span<AeadJob> jobs, bool seal) { Run(jobs, seal); }
void AeadBatch::Seal(std::span<AeadJob> jobs) { Run(jobs, true); }

void AeadBatch::Open(std::span<AeadJob> jobs) {
  for (const AeadJob& j : jobs) AQ_CHECK(j.size >= kTagSize);
  Run(jobs, false);
}

}  // namespace aqmesh::crypto
