// The one place that reads an inner IP packet: what it is, or that it cannot be told. Everything
// else that decides about packets (rules, flow table, explain) reads the PacketInfo made here and
// nothing else.
// Spec:   spec/authority.md A.4 ("L4 classification fails closed"), spec/objects.md §7 (Flow).
// Wire:   Flow, 38 bytes: u8 4|6, u8 protocol, source 16, destination 16 (v4 after 12 zeros), BE16
// source and
//         destination port; ICMP echo: identifier, 0; else 0, 0. Protocol 255: could not be
//         classified.
// Bounds: one pass, no loop over headers: an IPv6 extension header ends the reading, it is not walked.
// Thread: pure. Errors: Drop for what no honest stack sends; doubt about the inside is `classified
// = false`. Cost:   ~5 ns, no allocation.
#ifndef AQMESH_ADMISSION_PACKET_H_
#define AQMESH_ADMISSION_PACKET_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/net.h"

namespace aqmesh::admission {

// Why a packet goes no further. The first group is the classifier's, the second the gate's.
enum class Drop : uint8_t {
  kNone = 0,
  kTooShort,  // no room for an IP header
  kNotIp,     // version neither 4 nor 6
  kHeader,    // header length field impossible
  kLength,    // the header's length is not the packet's
  kMapped,    // ::ffff:a.b.c.d: an IPv4 address in disguise would slip past IPv4 rules
  kRung,      // the verdict in force carries no data
  kExpired,   // the verdict is past its end: re-decide
  kRate,      // the rung's rate limit
  kNoRule,    // no rule allows the flow
  kLocal,     // denied by the local policy
  kBudget,    // the rule's drop_after is used up
  kMissRate,  // too many new flows from one source
  kHeld,      // the rule waits for a person's word
};
inline constexpr size_t kDropCount = 14;
// DROPS records count them under this and on, behind the wire's codes. Durable numbers: append
// only.
inline constexpr uint16_t kDropRecordBase = 256;
std::string_view DropName(Drop d);  // "no rule"

inline constexpr uint8_t kProtoIcmp = 1, kProtoTcp = 6, kProtoUdp = 17, kProtoDccp = 33,
                         kProtoIcmp6 = 58, kProtoSctp = 132, kProtoUdpLite = 136;
// In a Rule: any protocol. In a Flow: could not be classified, which only such a rule matches.
inline constexpr uint8_t kProtoAny = 255;
bool HasPorts(uint8_t proto);  // 6 17 33 132 136

struct Flow {
  static constexpr size_t kSize = 38;
  std::array<uint8_t, kSize> bytes{};
  // The same conversation as its answers spell it. Ports are swapped; an echo identifier stays
  // where it is.
  Flow Reversed() const;
  bool operator==(const Flow&) const = default;
};

// How a packet may take part in a flow.
enum class Part : uint8_t {
  kEither,       // UDP, TCP in mid-stream: opens a flow or answers one
  kOpensOnly,    // never an answer: TCP SYN without ACK, SCTP INIT, DCCP Request, echo request,
                 // unclassifiable
  kAnswersOnly,  // never opens: echo reply
  kError,        // ICMP error: passes if the flow it is about does, else as an opener
};

inline constexpr uint8_t kTcpFin = 1, kTcpSyn = 2, kTcpRst = 4, kTcpAck = 16;

struct PacketInfo {
  IpAddress src, dst;
  uint8_t proto = 0;  // as the header says; meaningless to rules unless classified
  bool classified =
      false;  // false: extension header, any fragment, options, cut short, unknown protocol
  bool fragment = false;  // first or later
  Part part = Part::kOpensOnly;
  uint8_t icmp_type = 0, icmp_code = 0;
  uint8_t tcp_flags = 0;
  uint16_t sport = 0, dport = 0;  // HasPorts(proto) only; else 0
  uint16_t icmp_id = 0;           // echo only
  std::optional<Flow>
      about;  // kError: the flow of the packet that it quotes, if that could be read

  bool is_v6() const { return src.is_v6(); }
  Flow flow() const;
};

// Reads one whole packet, without padding: the length that its header names must be packet.size().
// On kNone `out` is set; otherwise it is as before.
[[nodiscard]] Drop Classify(ByteView packet, PacketInfo& out);

// True: Classify would read `packet` as `before`, which it read as `info`, but for TCP's flags.
// Doubt is false. `before` need not be a packet of the same call; it must still stand.
bool IsAlike(ByteView packet, ByteView before, const PacketInfo& info);
// Of a packet that Classify read as TCP, IPv4 without options or IPv6 without extension headers.
uint8_t TcpFlagsOf(ByteView packet);

// The first packet of a flow as rules would see it: what is judged again when an answer arrives.
PacketInfo OpenerOf(const Flow& flow);

}  // namespace aqmesh::admission

#endif  // AQMESH_ADMISSION_PACKET_H_
