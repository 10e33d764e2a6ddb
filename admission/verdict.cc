#include "admission/verdict.h"

namespace aqmesh::admission {

using authority::Rung;

Limits LimitsOf(Rung rung) {
  switch (rung) {
    case Rung::kAdmit: return {};
    case Rung::kConstrain:  // 10 Mbit/s; the burst takes a few super-packets
      return {1'250'000, 256 * 1024, 0, 0};
    case Rung::kProbation:  // 256 kbit/s, 64 packets a second
      return {32'000, 32'000, 64, 64};
    case Rung::kEscalate:  // control channel: 16 KiB, then 8 kbit/s
      return {1'000, 16 * 1024, 0, 0};
    case Rung::kDefer:
    case Rung::kRefuse:
    case Rung::kNone: break;
  }
  return {1, 1, 1, 1};  // no packet of ours is one byte
}

Limits LimitsOfClass(uint8_t rate_class) {
  // Larger = tighter. Bytes a second: 100, 30, 10, 3, 1 Mbit/s, 256, 64 kbit/s.
  static constexpr std::array<uint64_t, 8> kBytes = {
      0, 12'500'000, 3'750'000, 1'250'000, 375'000, 125'000, 32'000, 8'000};
  if (rate_class == 0) return {};
  const uint64_t rate = kBytes[std::min<size_t>(rate_class, kBytes.size() - 1)];
  return {rate, std::max<uint64_t>(rate / 8, 64 * 1024), 0, 0};
}

std::vector<authority::Svc> ProbationProfile(const authority::Charter& charter) {
  if (!charter.probation.empty()) return charter.probation;
  return {authority::Svc{{kProtoIcmp, kProtoIcmp6}, {}}};
}

Verdict MakeVerdict(const authority::Decision& decision,
                    uint32_t peer,
                    uint32_t epoch,
                    std::shared_ptr<const Policies> policies) {
  Verdict v;
  v.rung = decision.rung();
  v.reason = decision.reason();
  v.peer = peer;
  v.subject = decision.chain().subject;
  v.epoch = epoch;
  v.masked_caps = decision.masked_caps();
  v.expires = decision.expires();
  v.log_all = v.rung == Rung::kProbation;
  if (v.rung >= Rung::kProbation) v.policies = std::move(policies);
  return v;
}

Shaper::Shaper(const Limits& limits, Instant start)
    : limits_(limits),
      bytes_(limits.bytes_per_second, limits.bytes_burst, start),
      packets_(limits.packets_per_second, limits.packets_burst, start) {}

bool Shaper::Take(size_t bytes, Instant now) {
  const bool by_bytes = limits_.bytes_per_second != 0, by_packets = limits_.packets_per_second != 0;
  if (by_bytes && !bytes_.Has(bytes, now)) return false;
  if (by_packets && !packets_.Take(1, now)) return false;
  return !by_bytes || bytes_.Take(bytes, now);
}

}  // namespace aqmesh::admission
