#include "admission/verdict.h"

#include <algorithm>

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

Limits Tightest(const Limits& a, const Limits& b) {
  Limits out = a;
  if (b.bytes_per_second != 0 &&
      (a.bytes_per_second == 0 || b.bytes_per_second < a.bytes_per_second)) {
    out.bytes_per_second = b.bytes_per_second;
    out.bytes_burst = b.bytes_burst;
  }
  if (b.packets_per_second != 0 &&
      (a.packets_per_second == 0 || b.packets_per_second < a.packets_per_second)) {
    out.packets_per_second = b.packets_per_second;
    out.packets_burst = b.packets_burst;
  }
  return out;
}

uint16_t DutiesOf(Rung rung, uint16_t obligations) {
  uint16_t out = rung == Rung::kProbation ? authority::kDoLogFlow : 0;
  if (obligations & authority::kMustLogFlow) out |= authority::kDoLogFlow;
  if (obligations & authority::kMustLogHeaders) out |= authority::kDoLogHeaders;
  return out;
}

std::vector<authority::Svc> ProbationProfile(const authority::Charter& charter) {
  if (!charter.probation.empty()) return charter.probation;
  return {authority::Svc{{kProtoIcmp, kProtoIcmp6}, {}}};
}

Verdict MakeVerdict(const authority::Decision& decision,
                    uint32_t peer,
                    uint32_t epoch,
                    uint16_t obligations,
                    std::shared_ptr<const Policies> policies) {
  Verdict v;
  v.rung = decision.rung();
  v.reason = decision.reason();
  v.peer = peer;
  v.subject = decision.chain().subject;
  v.epoch = epoch;
  v.masked_caps = decision.masked_caps();
  v.expires = decision.expires();
  v.rate = authority::RateOf(obligations);
  if (v.rung >= Rung::kProbation) v.policies = std::move(policies);
  return v;
}

Shaper::Shaper(const Limits& limits, Instant start)
    : limits_(limits),
      bytes_(limits.bytes_per_second, limits.bytes_burst, start),
      packets_(limits.packets_per_second, limits.packets_burst, start) {}

bool Shaper::Has(size_t bytes, Instant now) {
  if (limits_.bytes_per_second != 0 && !bytes_.Has(bytes, now)) return false;
  return limits_.packets_per_second == 0 || packets_.Has(1, now);
}

bool Shaper::Take(size_t bytes, Instant now) {
  if (!Has(bytes, now)) return false;
  if (limits_.packets_per_second != 0) packets_.Take(1, now);
  if (limits_.bytes_per_second != 0) bytes_.Take(bytes, now);
  return true;
}

void Meters::Limit(const Limits& limits, Instant now) {
  if (limits != all_.limits()) all_ = Shaper(limits, now);
}

Shaper& Meters::ClassAt(uint8_t rate_class, Instant now) {
  if (classes_ == nullptr) {
    classes_ = std::make_unique<std::array<Shaper, 7>>();
    for (size_t i = 0; i < classes_->size(); ++i)
      (*classes_)[i] = Shaper(LimitsOfClass(static_cast<uint8_t>(i + 1)), now);
  }
  return (*classes_)[std::min<size_t>(rate_class, classes_->size()) - 1];
}

bool Meters::Take(size_t bytes, uint8_t rate_class, Instant now) {
  if (rate_class == 0) return all_.Take(bytes, now);
  Shaper& of_class = ClassAt(rate_class, now);
  return of_class.Has(bytes, now) && all_.Take(bytes, now) && of_class.Take(bytes, now);
}

}  // namespace aqmesh::admission
