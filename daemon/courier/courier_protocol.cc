#include "daemon/courier/courier_protocol.h"

namespace aqmesh::daemon {

namespace {

constexpr size_t kErrandHead = 5, kOutcomeHead = 7;

}  // namespace

Bytes Encode(const Errand& errand) {
  Bytes out;
  AppendBe(out, errand.request);
  out.push_back(errand.witness);
  Append(out, AsBytes(errand.body));
  return out;
}

Bytes Encode(const Outcome& outcome) {
  Bytes out;
  AppendBe(out, outcome.request);
  out.push_back(outcome.witness);
  AppendBe(out, outcome.status);
  Append(out, AsBytes(outcome.body));
  return out;
}

std::optional<Errand> ParseErrand(ByteView message) {
  if (message.size() < kErrandHead || message.size() > kCourierMessageMax) return std::nullopt;
  return Errand{LoadBe<uint32_t>(message.data()),
                message[4],
                std::string(AsText(message.subspan(kErrandHead)))};
}

std::optional<Outcome> ParseOutcome(ByteView message) {
  if (message.size() < kOutcomeHead || message.size() > kCourierMessageMax) return std::nullopt;
  return Outcome{LoadBe<uint32_t>(message.data()),
                 message[4],
                 LoadBe<uint16_t>(message.data() + 5),
                 std::string(AsText(message.subspan(kOutcomeHead)))};
}

}  // namespace aqmesh::daemon
