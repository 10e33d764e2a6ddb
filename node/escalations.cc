#include "node/escalations.h"

#include <algorithm>
#include <tuple>

namespace aqmesh::node {

namespace {

constexpr std::string_view kFamily = "escalation/";
constexpr size_t kBytes = Kid::kSize + 1 + 1 + 2 + 8 + 4;

std::string NameOf(const authority::Nonce16& item) { return std::string(kFamily) + ToHex(item); }

Bytes Encode(const Escalation& e) {
  Bytes out(e.subject.bytes.begin(), e.subject.bytes.end());
  out.push_back(static_cast<uint8_t>(e.cause));
  out.push_back(static_cast<uint8_t>(e.rung));
  AppendBe(out, static_cast<uint16_t>(e.reason));
  AppendBe(out, e.opened);
  AppendBe(out, e.ladm);
  return out;
}

std::optional<Escalation> Parse(ByteView b) {
  if (b.size() != kBytes) return std::nullopt;
  Escalation e{.subject = *Kid::From(b.first(Kid::kSize))};
  const uint8_t* at = b.data() + Kid::kSize;
  const auto reason = LoadBe<uint16_t>(at + 2);
  if (at[0] < 1 || at[0] > static_cast<uint8_t>(authority::Cause::kJoin) ||
      at[1] > static_cast<uint8_t>(authority::Rung::kAdmit) || reason >= authority::kReasonCount)
    return std::nullopt;
  e.cause = static_cast<authority::Cause>(at[0]);
  e.rung = static_cast<authority::Rung>(at[1]);
  e.reason = static_cast<authority::Reason>(reason);
  e.opened = LoadBe<uint64_t>(at + 4);
  e.ladm = LoadBe<uint32_t>(at + 12);
  return e;
}

}  // namespace

void Escalations::Load(std::string_view name, ByteView value) {
  if (!name.starts_with(kFamily)) return;
  const auto hex = FromHex(name.substr(kFamily.size()));
  const auto item = hex ? authority::Nonce16::From(*hex) : std::nullopt;
  const auto e = Parse(value);
  if (item && e && all_.size() < kMax) all_[*item] = *e;
}

bool Escalations::Open(const authority::Nonce16& item, const Escalation& e) {
  if (const auto it = all_.find(item); it != all_.end() && e.opened < it->second.opened + kLife) {
    // Still the same question; what it says is brought up to date when it is asked again.
    return false;
  }
  if (!all_.contains(item) && all_.size() >= kMax) {
    const auto least = std::ranges::min_element(all_, {}, [](const auto& x) {
      return std::tuple(x.second.ladm, x.second.opened, x.first);
    });
    Close(authority::Nonce16(least->first));
  }
  all_[item] = e;
  recorder_.PutState(NameOf(item), Encode(e));
  return true;
}

void Escalations::Close(const authority::Nonce16& item) {
  if (all_.erase(item) != 0) recorder_.DeleteState(NameOf(item));
}

void Escalations::Expire(uint64_t now) {
  for (auto it = all_.begin(); it != all_.end();) {
    const authority::Nonce16 item = it->first;
    const bool over = now >= it->second.opened + kLife;
    ++it;
    if (over) Close(item);
  }
}

}  // namespace aqmesh::node
