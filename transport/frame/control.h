// Control: what two members say inside their tunnel. A message moves signed objects, asks for them
// or hints; it confers nothing.
// Spec:   spec/objects.md §6 (control), §7 (rows, flow).
// Wire:   inner IPv6 (class and flow 0, hop limit 1) from the node's address to prefix48::a5, UDP
// 42405
//         both ways, checksum set; payload <= 1,232: messages u8 kind, u8 0, u16 length of the
//         body, u32 request, body. Little endian, but rows and flows, which are hashed: big endian.
// Bounds: kMessagesMax messages a packet; per kind as below. Nothing is allocated per packet.
// Errors: Drop. Unknown kinds are skipped; a length past the end drops the whole packet.
// Thread: values.
#ifndef AQMESH_TRANSPORT_FRAME_CONTROL_H_
#define AQMESH_TRANSPORT_FRAME_CONTROL_H_

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/authority/objects.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/net.h"
#include "core/crypto/hash.h"
#include "transport/frame/drop.h"
#include "transport/frame/notice.h"

namespace aqmesh::frame {

enum class Control : uint8_t {
  kPull = 1,
  kObject,
  kNotice,
  kOffer,
  kVector,
  kNote,
  kWords,
  kDeposit,
  kAsk,       // which head of that log is the newest you know? Answered by a NOTE of this request
  kCosign,    // pieces of a witness's request (spec: lineage#7.4)
  kCosigned,  // its answer
};
inline constexpr size_t kControlKinds = 11;

inline constexpr uint16_t kControlPort = 42405;
inline constexpr size_t kPacketHeaderBytes = 48;  // IPv6 and UDP
inline constexpr size_t kPayloadMax = 1232;
inline constexpr size_t kPacketMax = kPacketHeaderBytes + kPayloadMax;
inline constexpr size_t kMessageHeaderBytes = 8;
inline constexpr size_t kMessageBodyMax = kPayloadMax - kMessageHeaderBytes;
inline constexpr size_t kMessagesMax = kPayloadMax / kMessageHeaderBytes;
inline constexpr size_t kRefsMax = 64;
inline constexpr size_t kObjectPiece = 1200;
inline constexpr size_t kFlowBytes = 38;
inline constexpr size_t kRowBytes = 56;
inline constexpr size_t kRowsPerPart = (kMessageBodyMax - 2) / kRowBytes;
inline constexpr size_t kVectorPartsMax = 255;
inline constexpr size_t kDepositMax = 256;
static_assert(kMessageBodyMax == 24 + kObjectPiece && kRowsPerPart == 21);

// The least rung of a sender for a kind. `entitled` is the softer case of the table: for PULL every
// ref is the charter, in the sender's own chain or offered to it; for OFFER the sender is our
// sponsor.
authority::Rung LeastRung(Control kind, bool entitled);

// ---- packets ----
struct Message {
  Control kind{};
  uint32_t request = 0;
  ByteView body;  // into the packet
};
struct Messages {
  std::array<Message, kMessagesMax> list;
  size_t count = 0;
  size_t unknown = 0;  // skipped
  auto begin() const { return list.begin(); }
  auto end() const { return list.begin() + static_cast<ptrdiff_t>(count); }
};
// The messages of a UDP payload. On failure `out` is empty: no message of a bad packet counts.
Drop ParseMessages(ByteView payload, Messages& out);
// A whole inner IPv6 packet: every header field and the checksum, then its messages. `from` is the
// address of the session's peer, `control` the address of the scope (authority::ControlAddress).
Drop ParsePacket(ByteView packet, const IpAddress& from, const IpAddress& control, Messages& out);

// Collects messages until the packet is full; one writer makes one packet.
class PacketWriter {
 public:
  // False, and nothing written, if it does not fit in what is left.
  [[nodiscard]] bool Add(Control kind, uint32_t request, ByteView body);
  bool empty() const { return size_ == kPacketHeaderBytes; }
  size_t room() const { return kPacketMax - size_; }  // for header and body of one more message
  // The finished packet, good while the writer lives. Not for an empty writer.
  ByteView Finish(const IpAddress& from, const IpAddress& control);

 private:
  std::array<uint8_t, kPacketMax> packet_{};
  size_t size_ = kPacketHeaderBytes;
};

// ---- bodies ----
// PULL and OFFER: 1 to 64 refs.
struct Refs {
  std::array<Ref16, kRefsMax> list{};
  size_t count = 0;
  std::span<const Ref16> view() const { return std::span(list).first(count); }
};
Drop ParseRefs(ByteView body, Refs& out);
Bytes EncodeRefs(std::span<const Ref16> refs);

// OBJECT: ref16, u32 total 1..16,384, u32 offset a multiple of 1,200, exactly the bytes of that
// piece.
Drop ParseObjectPiece(ByteView body, Piece& out);
Bytes EncodeObjectPiece(const Ref16& ref, ByteView object, size_t offset);

// A flow as its first packet showed it; ports of an ICMP echo: identifier, 0; of others 0, 0.
struct Flow {
  IpAddress source, destination;  // of one family
  uint8_t protocol = 0;
  uint16_t source_port = 0, destination_port = 0;
  bool operator==(const Flow&) const = default;
};
// u8 4|6, u8 protocol, source 16, destination 16 (v4 after 12 zeros), BE16 ports.
std::array<uint8_t, kFlowBytes> EncodeFlow(const Flow& flow);
std::optional<Flow> ParseFlow(ByteView bytes);

// NOTICE: 64 bytes, and the refused flow if it is about one.
struct FlowNotice {
  Notice notice;
  std::optional<Flow> flow;
};
Drop ParseFlowNotice(ByteView body, FlowNotice& out);
Bytes EncodeFlowNotice(const FlowNotice& notice);

// The newest restriction of one signer of R statements: kid || BE64 seq || oid.
struct Row {
  Kid kid;
  uint64_t seq = 0;  // the highest; at least 1, below 2^63
  Oid oid;
  bool operator==(const Row&) const = default;
};
std::array<uint8_t, kRowBytes> EncodeRow(const Row& row);
// The order of rows: by kid. A signer has two only where it ended its key: the dense row, then the
// terminal one.
bool RowBefore(const Row& a, const Row& b);
// RFC 6962 tree hash of the rows, in their order; of none SHA-256("").
crypto::Hash32 RowsRoot(std::span<const Row> rows);

// VECTOR: u8 part from 0, u8 parts, rows in their order. Only a lone part may be without rows.
struct VectorPart {
  uint8_t part = 0, parts = 0;
  std::array<Row, kRowsPerPart> rows;
  size_t count = 0;
  std::span<const Row> view() const { return std::span(rows).first(count); }
};
Drop ParseVectorPart(ByteView body, VectorPart& out);
// One body a part; rows in their order, at most kVectorPartsMax * kRowsPerPart.
std::vector<Bytes> EncodeVector(std::span<const Row> rows);

// COSIGN: as OBJECT's pieces, of LE16 length || keybind of the log key || the request of C2SP
// add-checkpoint. Their ref is CosignRef of the whole.
Ref16 CosignRef(ByteView whole);
Bytes EncodeCosign(ByteView keybind, std::string_view request);
struct CosignRequest {  // views into what was parsed
  ByteView keybind;
  std::string_view request;
};
std::optional<CosignRequest> ParseCosign(ByteView whole);

// COSIGNED: LE16 status as HTTP's, then the body of the answer.
struct CosignAnswer {
  uint16_t status = 0;
  std::string_view body;  // into the message
};
std::optional<CosignAnswer> ParseCosigned(ByteView body);
Bytes EncodeCosigned(uint16_t status, std::string_view body);  // cut to what a message holds

// WORDS: the joiner's nonce. DEPOSIT: one Signed of at most kDepositMax bytes, judged by who keeps
// it.
Drop CheckWords(ByteView body);
Drop CheckDeposit(ByteView body);

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_CONTROL_H_
