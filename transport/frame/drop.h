// Why a governed datagram, or a message inside a tunnel, went no further. Counted per code;
// recorded in DROPS records under these numbers; never answered.
// Spec:   spec/objects.md §2 (observe: Drop.reason, from 64), §4 (order of the checks), §6 (control).
// Bounds: kDropEnd - kDropBegin counters cover them all.
#ifndef AQMESH_TRANSPORT_FRAME_DROP_H_
#define AQMESH_TRANSPORT_FRAME_DROP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace aqmesh::frame {

// Durable numbers: append only.
enum class Drop : uint16_t {
  kNone = 0,
  // any governed datagram
  kSize = 64,
  kVersion,
  kMac1,
  kMac2Needed,
  kSourceRate,
  // the WireGuard message inside
  kInnerType,
  kInnerMac1,
  kInnerMac2,
  kNoise,
  kTimestamp,
  kFuture,
  // the bundle
  kBundleSeal,
  kPadding,
  kFraming,
  kParse,
  kNegativeCache,
  kTranscript,
  kRole,
  kCitation,
  kAnswers,
  kIdentity,
  kScopeUnknown,
  kIssuerUnknown,
  kSignature,
  kVerdict,
  kHandshakeUnknown,
  // frames
  kHandle,
  kHops,
  kFlags,
  kEpoch,
  kTag,
  kTunnel,
  // cookies and a5
  kCookieSeal,
  kBeforeKind,
  kBeforeSeal,
  kTicket,
  kBeforeBody,
  kUnasked,
  // control
  kControlAddress,
  kControlHeader,
  kControlChecksum,
  kControlMessage,
  kControlBody,
  kControlRung,
  kControlRate,
  kFragmentConflict,
  kFragmentBudget,
  // stock WireGuard devices
  kBare,
  kEnd,
};

inline constexpr uint16_t kDropBegin = static_cast<uint16_t>(Drop::kSize);
inline constexpr uint16_t kDropEnd = static_cast<uint16_t>(Drop::kEnd);
inline constexpr size_t kDropCount = kDropEnd - kDropBegin;

struct DropInfo {
  Drop code;
  std::string_view name;  // as metrics and `aqmesh log` print it
  std::string_view meaning;
};

inline constexpr std::array<DropInfo, kDropCount> kDrops{{
    {Drop::kSize, "size", "not the length of its type"},
    {Drop::kVersion, "version", "first bytes are not those of aqmesh/1"},
    {Drop::kMac1, "mac1", "AQ-mac1 is not under our static key"},
    {Drop::kMac2Needed, "mac2-needed", "under load without a fresh cookie; a cookie went back"},
    {Drop::kSourceRate, "source-rate", "the source's bucket of initiations is empty"},
    {Drop::kInnerType, "inner-type", "the WireGuard message inside is of another type"},
    {Drop::kInnerMac1, "inner-mac1", "the mac1 of the WireGuard message inside is wrong"},
    {Drop::kInnerMac2, "inner-mac2", "the mac2 of the WireGuard message inside is not zero"},
    {Drop::kNoise, "noise", "a Diffie-Hellman was zero or a handshake field did not open"},
    {Drop::kTimestamp, "timestamp", "not above the newest timestamp of that static key"},
    {Drop::kFuture, "future", "timestamp more than 120 s ahead"},
    {Drop::kBundleSeal, "bundle-seal", "the bundle does not open"},
    {Drop::kPadding, "padding", "the bundle's padding is not zero"},
    {Drop::kFraming,
     "framing",
     "an item of the bundle runs past its end, or there is none or too many"},
    {Drop::kParse, "parse", "an object of the bundle breaks the encoding"},
    {Drop::kNegativeCache,
     "negative-cache",
     "this static and leaf were refused within the last minute"},
    {Drop::kTranscript, "transcript", "the presentation was made for another handshake"},
    {Drop::kRole, "role", "the presentation is for the other role"},
    {Drop::kCitation, "citation", "an object is uncited, doubled or out of order"},
    {Drop::kAnswers, "answers", "the response answers another initiation"},
    {Drop::kIdentity, "identity", "the signer is not the identity expected of that static key"},
    {Drop::kScopeUnknown, "scope-unknown", "this node holds no such scope"},
    {Drop::kIssuerUnknown, "issuer-unknown", "no known issuer above the leaf"},
    {Drop::kSignature, "signature", "a signature does not verify"},
    {Drop::kVerdict, "verdict", "refused by the gate beyond the NOTICE budget"},
    {Drop::kHandshakeUnknown,
     "handshake-unknown",
     "answers no handshake of ours that is in flight"},
    {Drop::kHandle, "handle", "no governed session has this handle"},
    {Drop::kHops, "hops", "hop count not zero in version 1"},
    {Drop::kFlags, "flags", "flags not zero in version 1"},
    {Drop::kEpoch, "epoch", "key epoch not zero in version 1"},
    {Drop::kTag, "tag", "the frame's tag is wrong"},
    {Drop::kTunnel, "tunnel", "WireGuard refused the message inside a right frame"},
    {Drop::kCookieSeal, "cookie-seal", "the cookie does not open"},
    {Drop::kBeforeKind, "before-kind", "unknown kind before admission"},
    {Drop::kBeforeSeal, "before-seal", "a message before admission does not open"},
    {Drop::kTicket, "ticket", "the ticket is not ours or ran out"},
    {Drop::kBeforeBody, "before-body", "a sealed field before admission is out of range"},
    {Drop::kUnasked, "unasked", "an object that nobody asked for"},
    {Drop::kControlAddress, "control-address", "control packet from or to another address"},
    {Drop::kControlHeader,
     "control-header",
     "IPv6 or UDP header of a control packet is not as fixed"},
    {Drop::kControlChecksum, "control-checksum", "UDP checksum of a control packet"},
    {Drop::kControlMessage, "control-message", "a control message runs past the packet's end"},
    {Drop::kControlBody, "control-body", "the body of a control message breaks its format"},
    {Drop::kControlRung, "control-rung", "the sender's rung does not reach this kind"},
    {Drop::kControlRate, "control-rate", "control budget of the sender's rung is used up"},
    {Drop::kFragmentConflict, "fragment-conflict", "pieces of one object disagree"},
    {Drop::kFragmentBudget, "fragment-budget", "too many unfinished objects"},
    {Drop::kBare, "bare", "WireGuard refused a message outside any frame"},
}};

constexpr bool DropsAreInOrder() {
  for (size_t i = 0; i < kDrops.size(); ++i) {
    if (static_cast<size_t>(kDrops[i].code) != kDropBegin + i || kDrops[i].name.empty())
      return false;
  }
  return true;
}
static_assert(DropsAreInOrder());

constexpr std::string_view NameOf(Drop d) {
  const auto n = static_cast<uint16_t>(d);
  return n >= kDropBegin && n < kDropEnd ? kDrops[n - kDropBegin].name : std::string_view("none");
}

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_DROP_H_
