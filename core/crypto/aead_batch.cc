#include "core/crypto/aead_batch.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"
#include "core/crypto/lanes.h"

#ifdef AQMESH_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

namespace aqmesh::crypto {

namespace {

// ---- our own lanes

constexpr size_t kRun = 32;    // packets whose Poly1305 keys are made in one go
constexpr size_t kBlock = 64;  // bytes of keystream block 0, of which a Poly1305 key takes half

}  // namespace

struct AeadBatch::LaneScratch {
  std::array<std::array<uint8_t, kBlock>, kRun> poly_keys;
  std::array<std::array<uint8_t, kTagSize>, kRun> tags;
  std::array<uint8_t, kRun> order;
  std::array<PolyLane, kRun> poly;
  std::array<ChaChaStretch, 2 * kRun> stretches;
  size_t n = 0;  // stretches

  ~LaneScratch() { sodium_memzero(poly_keys.data(), sizeof poly_keys); }
  void AddPolyKeys(std::span<const AeadJob> jobs) {
    std::memset(poly_keys.data(), 0, jobs.size() * kBlock);
    for (size_t i = 0; i < jobs.size(); ++i)
      stretches[n++] = {jobs[i].key->key32(), jobs[i].counter, 0, poly_keys[i].data(), kBlock};
  }
  void AddText(const AeadJob& j, size_t size) {
    stretches[n++] = {j.key->key32(), j.counter, 1, j.data, size};
  }
  void Order(std::span<const AeadJob> jobs);
  void Seal(std::span<AeadJob> jobs);
  void Open(std::span<AeadJob> jobs);
  void RunStretches() {
    RunChaCha(std::span<const ChaChaStretch>(stretches).first(n));
    n = 0;
  }
};

// Packets of like length share a register: a long one makes its neighbours wait.
void AeadBatch::LaneScratch::Order(std::span<const AeadJob> jobs) {
  for (size_t i = 0; i < jobs.size(); ++i) order[i] = static_cast<uint8_t>(i);
  const bool alike =
      std::ranges::all_of(jobs, [&](const AeadJob& j) { return j.size == jobs[0].size; });
  if (alike) return;
  std::sort(order.begin(),
            order.begin() + static_cast<ptrdiff_t>(jobs.size()),
            [&](auto a, auto b) { return jobs[a].size < jobs[b].size; });
}

void AeadBatch::LaneScratch::Seal(std::span<AeadJob> jobs) {
  AddPolyKeys(jobs);
  for (const AeadJob& j : jobs) AddText(j, j.size);
  RunStretches();
  Order(jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    const AeadJob& j = jobs[order[i]];
    poly[i] = {poly_keys[order[i]].data(), j.data, j.size, j.data + j.size};
  }
  RunPoly(std::span<const PolyLane>(poly).first(jobs.size()));
  for (AeadJob& j : jobs) j.ok = true;
}

void AeadBatch::LaneScratch::Open(std::span<AeadJob> jobs) {
  AddPolyKeys(jobs);
  RunStretches();
  Order(jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    const size_t at = order[i];
    poly[i] = {poly_keys[at].data(), jobs[at].data, jobs[at].size - kTagSize, tags[at].data()};
  }
  RunPoly(std::span<const PolyLane>(poly).first(jobs.size()));
  for (size_t i = 0; i < jobs.size(); ++i) {
    AeadJob& j = jobs[i];
    const size_t size = j.size - kTagSize;
    j.ok = crypto_verify_16(tags[i].data(), j.data + size) == 0;
    if (j.ok) AddText(j, size);
  }
  RunStretches();
}

namespace {

// ---- OpenSSL

void SealEach(std::span<AeadJob> jobs) {
  for (AeadJob& j : jobs) {
    j.key->Seal(j.counter, ByteView(j.data, j.size), j.data);
    j.ok = true;
  }
}

void OpenEach(std::span<AeadJob> jobs) {
  for (AeadJob& j : jobs) {
    j.ok = j.key->Open(j.counter, ByteView(j.data, j.size), j.data);
    if (!j.ok) std::memset(j.data, 0, j.size);
  }
}

}  // namespace

// ---- intel-ipsec-mb

#ifdef AQMESH_IPSEC_MB

namespace {

constexpr bool kHaveIpsecMb = true;

struct Nonce {
  std::array<uint8_t, 12> bytes{};
};

void Fill(IMB_JOB& job, const AeadJob& j, size_t size, bool seal, Nonce& nonce, uint8_t* tag) {
  StoreLe(nonce.bytes.data() + 4, j.counter);
  job.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
  job.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
  job.cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
  job.chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
  job.enc_keys = job.dec_keys = j.key->key32();
  job.key_len_in_bytes = 32;
  job.iv = nonce.bytes.data();
  job.iv_len_in_bytes = nonce.bytes.size();
  job.src = job.dst = j.data;
  job.cipher_start_src_offset_in_bytes = job.hash_start_src_offset_in_bytes = 0;
  job.msg_len_to_cipher_in_bytes = job.msg_len_to_hash_in_bytes = size;
  job.auth_tag_output = tag;
  job.auth_tag_output_len_in_bytes = kTagSize;
  job.u.CHACHA20_POLY1305.aad = nullptr;
  job.u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
}

}  // namespace

struct AeadBatch::Manager {
  Manager() : mgr(alloc_mb_mgr(0)) {
    AQ_CHECK(mgr != nullptr);
    IMB_ARCH arch;
    init_mb_mgr_auto(mgr, &arch);
  }
  ~Manager() { free_mb_mgr(mgr); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  void Run(std::span<AeadJob> jobs, bool seal) {  // at most kRun
    for (size_t i = 0; i < jobs.size(); ++i) {
      AeadJob& j = jobs[i];
      const size_t size = seal ? j.size : j.size - kTagSize;
      Fill(*IMB_GET_NEXT_JOB(mgr), j, size, seal, nonces[i], tags[i].data());
      IMB_SUBMIT_JOB(mgr);
    }
    while (IMB_FLUSH_JOB(mgr) != nullptr) {
    }
    AQ_CHECK(imb_get_errno(mgr) == 0);
    for (size_t i = 0; i < jobs.size(); ++i) Settle(jobs[i], tags[i].data(), seal);
  }
  // It deciphers whatever the tag: what did not open goes before anybody reads it.
  static void Settle(AeadJob& j, const uint8_t* tag, bool seal) {
    if (seal) {
      std::memcpy(j.data + j.size, tag, kTagSize);
      j.ok = true;
      return;
    }
    j.ok = crypto_verify_16(tag, j.data + j.size - kTagSize) == 0;
    if (!j.ok) std::memset(j.data, 0, j.size);
  }

  IMB_MGR* mgr;
  std::array<Nonce, kRun> nonces;
  std::array<std::array<uint8_t, kTagSize>, kRun> tags;
};

#else

namespace {
constexpr bool kHaveIpsecMb = false;
}
struct AeadBatch::Manager {
  void Run(std::span<AeadJob>, bool) { AQ_CHECK(false); }
};

#endif

// ---- the choice

std::string_view BackendName(AeadBackend b) {
  switch (b) {
    case AeadBackend::kEvp: return "openssl";
    case AeadBackend::kIpsecMb: return "ipsec-mb";
    case AeadBackend::kLanes: return "avx512";
    case AeadBackend::kMixed: return "avx512 and ipsec-mb";
  }
  return "?";
}

bool IsSupported(AeadBackend b) {
  switch (b) {
    case AeadBackend::kEvp: return true;
    case AeadBackend::kIpsecMb: return kHaveIpsecMb;
    case AeadBackend::kLanes: return HaveLanes();
    case AeadBackend::kMixed: return HaveLanes() && kHaveIpsecMb;
  }
  return false;
}

AeadBackend BestBackend() {
  for (const AeadBackend b : {AeadBackend::kMixed, AeadBackend::kLanes, AeadBackend::kIpsecMb}) {
    if (IsSupported(b)) return b;
  }
  return AeadBackend::kEvp;
}

AeadBatch::AeadBatch(AeadBackend backend) : backend_(backend) {
  AQ_CHECK(IsSupported(backend));
  if (backend == AeadBackend::kIpsecMb || backend == AeadBackend::kMixed)
    manager_ = std::make_unique<Manager>();
  if (backend == AeadBackend::kLanes || backend == AeadBackend::kMixed)
    scratch_ = std::make_unique<LaneScratch>();
}
AeadBatch::~AeadBatch() = default;
AeadBatch::AeadBatch(AeadBatch&&) noexcept = default;
AeadBatch& AeadBatch::operator=(AeadBatch&&) noexcept = default;

namespace {

// Lanes that carry nothing cost as much as those that do: a few packets, or some long ones, leave
// most of sixteen idle.
bool FillsLanes(std::span<const AeadJob> jobs) {
  constexpr size_t kFew = 4, kSome = 8, kLong = 512;
  if (jobs.size() < kFew) return false;
  if (jobs.size() >= kSome) return true;
  return std::ranges::all_of(jobs, [](const AeadJob& j) { return j.size < kLong; });
}

}  // namespace

void AeadBatch::Run(std::span<AeadJob> jobs, bool seal) {
  // OpenSSL works in a context that belongs to the key: two cores may not share one.
  if (helpers_ != nullptr && backend_ != AeadBackend::kEvp) {
    size_t bytes = 0;
    for (const AeadJob& j : jobs) bytes += j.size;
    if (bytes >= kHelpFromBytes && helpers_->Run(*this, jobs, seal)) return;
  }
  RunAlone(jobs, seal);
}

void AeadBatch::RunAlone(std::span<AeadJob> jobs, bool seal) {
  if (backend_ == AeadBackend::kEvp) return seal ? SealEach(jobs) : OpenEach(jobs);
  while (!jobs.empty()) {
    const std::span<AeadJob> run = jobs.first(std::min(kRun, jobs.size()));
    jobs = jobs.subspan(run.size());
    if (scratch_ == nullptr || (manager_ != nullptr && !FillsLanes(run))) {
      manager_->Run(run, seal);
    } else {
      seal ? scratch_->Seal(run) : scratch_->Open(run);
    }
  }
}

void AeadBatch::Seal(std::span<AeadJob> jobs) { Run(jobs, true); }

void AeadBatch::Open(std::span<AeadJob> jobs) {
  for (const AeadJob& j : jobs) AQ_CHECK(j.size >= kTagSize);
  Run(jobs, false);
}

}  // namespace aqmesh::crypto
