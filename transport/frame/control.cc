#include "transport/frame/control.h"

#include <algorithm>

#include "core/base/check.h"

namespace aqmesh::frame {

namespace {

using authority::Rung;

struct LeastRow {
  Control kind;
  Rung least, entitled;
};
constexpr std::array<LeastRow, kControlKinds> kLeast{{
    {Control::kPull, Rung::kProbation, Rung::kEscalate},
    {Control::kObject, Rung::kEscalate, Rung::kEscalate},
    {Control::kNotice, Rung::kEscalate, Rung::kEscalate},
    {Control::kOffer, Rung::kProbation, Rung::kNone},
    {Control::kVector, Rung::kEscalate, Rung::kEscalate},
    {Control::kNote, Rung::kProbation, Rung::kProbation},
    {Control::kWords, Rung::kEscalate, Rung::kEscalate},
    {Control::kDeposit, Rung::kEscalate, Rung::kEscalate},
    {Control::kAsk, Rung::kProbation, Rung::kProbation},
    {Control::kCosign, Rung::kProbation, Rung::kProbation},
    {Control::kCosigned, Rung::kProbation, Rung::kProbation},
}};
constexpr bool LeastInOrder() {
  for (size_t i = 0; i < kLeast.size(); ++i) {
    if (static_cast<size_t>(kLeast[i].kind) != i + 1) return false;
  }
  return true;
}
static_assert(LeastInOrder());

// The UDP checksum's sum over pseudo-header and datagram (RFC 8200 §8.1). Of a packet whose
// checksum stands: 0xffff.
uint32_t UdpSum(ByteView packet) {
  uint64_t sum = packet.size() - 40 + 17;
  const auto add = [&sum](ByteView b) {
    for (size_t i = 0; i + 1 < b.size(); i += 2) sum += LoadBe<uint16_t>(b.data() + i);
    if (b.size() % 2 != 0) sum += uint64_t{b.back()} << 8;
  };
  add(packet.subspan(8, 32));
  add(packet.subspan(40));
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint32_t>(sum);
}

bool RowInRange(const Row& row) { return row.seq >= 1 && row.seq >> 63 == 0; }
bool Ascending(std::span<const Row> rows) {
  return std::adjacent_find(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
           return !RowBefore(a, b);
         }) == rows.end();
}

void PutAddress(uint8_t* to16, const IpAddress& a) {
  std::copy(a.bytes().begin(), a.bytes().end(), to16 + 16 - a.size());
}
std::optional<IpAddress> TakeAddress(ByteView b16, bool v6) {
  if (!v6) {
    const bool padded =
        std::all_of(b16.begin(), b16.begin() + 12, [](uint8_t v) { return v == 0; });
    return padded ? IpAddress::From(b16.last(4)) : std::nullopt;
  }
  const std::optional<IpAddress> a = IpAddress::From(b16);
  return a && a->is_v6() ? a : std::nullopt;  // a mapped v4 has its own form
}

}  // namespace

Rung LeastRung(Control kind, bool entitled) {
  const LeastRow& row = kLeast[static_cast<size_t>(kind) - 1];
  return entitled ? row.entitled : row.least;
}

Drop ParseMessages(ByteView payload, Messages& out) {
  out.count = 0;
  out.unknown = 0;
  if (payload.empty() || payload.size() > kPayloadMax) return Drop::kControlMessage;
  size_t count = 0;
  size_t unknown = 0;
  while (!payload.empty()) {
    if (payload.size() < kMessageHeaderBytes || payload[1] != 0) return Drop::kControlMessage;
    const uint8_t kind = payload[0];
    const size_t bytes = LoadLe<uint16_t>(payload.data() + 2);
    if (bytes > payload.size() - kMessageHeaderBytes) return Drop::kControlMessage;
    if (kind >= 1 && kind <= kControlKinds) {
      out.list[count++] = {.kind = static_cast<Control>(kind),
                           .request = LoadLe<uint32_t>(payload.data() + 4),
                           .body = payload.subspan(kMessageHeaderBytes, bytes)};
    } else {
      ++unknown;
    }
    payload = payload.subspan(kMessageHeaderBytes + bytes);
  }
  out.count = count;
  out.unknown = unknown;
  return Drop::kNone;
}

Drop ParsePacket(ByteView packet, const IpAddress& from, const IpAddress& control, Messages& out) {
  out.count = 0;
  out.unknown = 0;
  if (packet.size() <= kPacketHeaderBytes || packet.size() > kPacketMax) return Drop::kSize;
  const uint8_t* p = packet.data();
  const size_t udp_bytes = packet.size() - 40;
  if (LoadBe<uint32_t>(p) != 0x60000000 || LoadBe<uint16_t>(p + 4) != udp_bytes || p[6] != 17 ||
      p[7] != 1) {
    return Drop::kControlHeader;
  }
  if (!Equal(packet.subspan(8, 16), from.bytes()) ||
      !Equal(packet.subspan(24, 16), control.bytes())) {
    return Drop::kControlAddress;
  }
  if (LoadBe<uint16_t>(p + 40) != kControlPort || LoadBe<uint16_t>(p + 42) != kControlPort ||
      LoadBe<uint16_t>(p + 44) != udp_bytes) {
    return Drop::kControlHeader;
  }
  if (LoadBe<uint16_t>(p + 46) == 0 || UdpSum(packet) != 0xffff) return Drop::kControlChecksum;
  return ParseMessages(packet.subspan(kPacketHeaderBytes), out);
}

bool PacketWriter::Add(Control kind, uint32_t request, ByteView body) {
  if (body.size() > kMessageBodyMax || kMessageHeaderBytes + body.size() > room()) return false;
  uint8_t* to = packet_.data() + size_;
  to[0] = static_cast<uint8_t>(kind);
  to[1] = 0;
  StoreLe(to + 2, static_cast<uint16_t>(body.size()));
  StoreLe(to + 4, request);
  std::copy(body.begin(), body.end(), to + kMessageHeaderBytes);
  size_ += kMessageHeaderBytes + body.size();
  return true;
}

ByteView PacketWriter::Finish(const IpAddress& from, const IpAddress& control) {
  AQ_CHECK(!empty());
  AQ_CHECK(from.is_v6() && control.is_v6());
  uint8_t* p = packet_.data();
  const auto udp_bytes = static_cast<uint16_t>(size_ - 40);
  StoreBe(p, uint32_t{0x60000000});
  StoreBe(p + 4, udp_bytes);
  p[6] = 17;
  p[7] = 1;
  PutAddress(p + 8, from);
  PutAddress(p + 24, control);
  StoreBe(p + 40, kControlPort);
  StoreBe(p + 42, kControlPort);
  StoreBe(p + 44, udp_bytes);
  StoreBe(p + 46, uint16_t{0});
  const ByteView whole = ByteView(packet_).first(size_);
  const auto checksum = static_cast<uint16_t>(~UdpSum(whole));
  StoreBe(p + 46, checksum == 0 ? uint16_t{0xffff} : checksum);  // zero would say "none"
  return whole;
}

Drop ParseRefs(ByteView body, Refs& out) {
  out.count = 0;
  if (body.empty() || body.size() % 16 != 0 || body.size() / 16 > kRefsMax)
    return Drop::kControlBody;
  const size_t count = body.size() / 16;
  for (size_t i = 0; i < count; ++i) out.list[i] = *Ref16::From(body.subspan(16 * i, 16));
  out.count = count;
  return Drop::kNone;
}

Bytes EncodeRefs(std::span<const Ref16> refs) {
  AQ_CHECK(!refs.empty() && refs.size() <= kRefsMax);
  Bytes out;
  out.reserve(16 * refs.size());
  for (const Ref16& ref : refs) Append(out, ref);
  return out;
}

Drop ParseObjectPiece(ByteView body, Piece& out) {
  if (body.size() <= 24) return Drop::kControlBody;
  const auto total = LoadLe<uint32_t>(body.data() + 16);
  const auto offset = LoadLe<uint32_t>(body.data() + 20);
  if (total == 0 || total > authority::kObjectBytesMax) return Drop::kControlBody;
  if (offset >= total || offset % kObjectPiece != 0) return Drop::kControlBody;
  if (body.size() - 24 != std::min<size_t>(kObjectPiece, total - offset)) return Drop::kControlBody;
  out = {.ref = *Ref16::From(body.first(16)),
         .total = total,
         .offset = offset,
         .data = body.subspan(24)};
  return Drop::kNone;
}

Bytes EncodeObjectPiece(const Ref16& ref, ByteView object, size_t offset) {
  AQ_CHECK(object.size() <= authority::kObjectBytesMax && offset < object.size() &&
           offset % kObjectPiece == 0);
  Bytes out;
  out.reserve(24 + kObjectPiece);
  Append(out, ref);
  AppendLe(out, static_cast<uint32_t>(object.size()));
  AppendLe(out, static_cast<uint32_t>(offset));
  Append(out, object.subspan(offset, std::min(kObjectPiece, object.size() - offset)));
  return out;
}

std::array<uint8_t, kFlowBytes> EncodeFlow(const Flow& flow) {
  AQ_CHECK(flow.source.is_v6() == flow.destination.is_v6());
  std::array<uint8_t, kFlowBytes> out{};
  out[0] = flow.source.is_v6() ? 6 : 4;
  out[1] = flow.protocol;
  PutAddress(out.data() + 2, flow.source);
  PutAddress(out.data() + 18, flow.destination);
  StoreBe(out.data() + 34, flow.source_port);
  StoreBe(out.data() + 36, flow.destination_port);
  return out;
}

std::optional<Flow> ParseFlow(ByteView bytes) {
  if (bytes.size() != kFlowBytes || (bytes[0] != 4 && bytes[0] != 6)) return std::nullopt;
  const bool v6 = bytes[0] == 6;
  const auto source = TakeAddress(bytes.subspan(2, 16), v6);
  const auto destination = TakeAddress(bytes.subspan(18, 16), v6);
  if (!source || !destination) return std::nullopt;
  return Flow{.source = *source,
              .destination = *destination,
              .protocol = bytes[1],
              .source_port = LoadBe<uint16_t>(bytes.data() + 34),
              .destination_port = LoadBe<uint16_t>(bytes.data() + 36)};
}

Drop ParseFlowNotice(ByteView body, FlowNotice& out) {
  if (body.size() != kNoticeBodyBytes && body.size() != kNoticeBodyBytes + kFlowBytes)
    return Drop::kControlBody;
  if (ParseNotice(body.first(kNoticeBodyBytes), out.notice) != Drop::kNone)
    return Drop::kControlBody;
  out.flow.reset();
  if (body.size() == kNoticeBodyBytes) return Drop::kNone;
  out.flow = ParseFlow(body.subspan(kNoticeBodyBytes));
  return out.flow ? Drop::kNone : Drop::kControlBody;
}

Bytes EncodeFlowNotice(const FlowNotice& notice) {
  Bytes out;
  Append(out, EncodeNotice(notice.notice));
  if (notice.flow) Append(out, EncodeFlow(*notice.flow));
  return out;
}

bool RowBefore(const Row& a, const Row& b) {
  if (a.kid != b.kid) return a.kid < b.kid;
  return a.seq < b.seq && b.seq == authority::kTerminalSeq;
}

std::array<uint8_t, kRowBytes> EncodeRow(const Row& row) {
  AQ_CHECK(RowInRange(row));
  std::array<uint8_t, kRowBytes> out;
  std::copy(row.kid.bytes.begin(), row.kid.bytes.end(), out.begin());
  StoreBe(out.data() + 16, row.seq);
  std::copy(row.oid.bytes.begin(), row.oid.bytes.end(), out.begin() + 24);
  return out;
}

crypto::Hash32 RowsRoot(std::span<const Row> rows) {
  AQ_CHECK(Ascending(rows));
  std::vector<crypto::Hash32> leaves;
  leaves.reserve(rows.size());
  for (const Row& row : rows) leaves.push_back(crypto::MerkleLeaf(EncodeRow(row)));
  return crypto::MerkleRoot(leaves);
}

Drop ParseVectorPart(ByteView body, VectorPart& out) {
  out.count = 0;
  if (body.size() < 2 || (body.size() - 2) % kRowBytes != 0) return Drop::kControlBody;
  const size_t count = (body.size() - 2) / kRowBytes;
  if (body[0] >= body[1] || count > kRowsPerPart || (count == 0 && body[1] != 1))
    return Drop::kControlBody;
  for (size_t i = 0; i < count; ++i) {
    const ByteView row = body.subspan(2 + kRowBytes * i, kRowBytes);
    out.rows[i] = {.kid = *Kid::From(row.first(16)),
                   .seq = LoadBe<uint64_t>(row.data() + 16),
                   .oid = *Oid::From(row.subspan(24))};
    if (!RowInRange(out.rows[i])) return Drop::kControlBody;
  }
  if (!Ascending(std::span(out.rows).first(count))) return Drop::kControlBody;
  out.part = body[0];
  out.parts = body[1];
  out.count = count;
  return Drop::kNone;
}

std::vector<Bytes> EncodeVector(std::span<const Row> rows) {
  AQ_CHECK(Ascending(rows));
  const size_t parts = std::max<size_t>(1, (rows.size() + kRowsPerPart - 1) / kRowsPerPart);
  AQ_CHECK(parts <= kVectorPartsMax);
  std::vector<Bytes> out(parts);
  for (size_t part = 0; part < parts; ++part) {
    const size_t first = part * kRowsPerPart;
    out[part] = {static_cast<uint8_t>(part), static_cast<uint8_t>(parts)};
    for (const Row& row : rows.subspan(first, std::min(kRowsPerPart, rows.size() - first))) {
      Append(out[part], EncodeRow(row));
    }
  }
  return out;
}

Ref16 CosignRef(ByteView whole) {
  return Ref16{crypto::H128({AsBytes(std::string_view("aqmesh/1/cosign")), whole})};
}

Bytes EncodeCosign(ByteView keybind, std::string_view request) {
  AQ_CHECK(keybind.size() <= 0xffff);
  Bytes out;
  AppendLe(out, static_cast<uint16_t>(keybind.size()));
  Append(out, keybind);
  Append(out, AsBytes(request));
  return out;
}

std::optional<CosignRequest> ParseCosign(ByteView whole) {
  if (whole.size() < 2) return std::nullopt;
  const size_t bound = LoadLe<uint16_t>(whole.data());
  if (whole.size() - 2 < bound) return std::nullopt;
  return CosignRequest{whole.subspan(2, bound), AsText(whole.subspan(2 + bound))};
}

std::optional<CosignAnswer> ParseCosigned(ByteView body) {
  if (body.size() < 2) return std::nullopt;
  return CosignAnswer{LoadLe<uint16_t>(body.data()), AsText(body.subspan(2))};
}

Bytes EncodeCosigned(uint16_t status, std::string_view body) {
  Bytes out;
  AppendLe(out, status);
  Append(out, AsBytes(body.substr(0, kMessageBodyMax - 2)));
  return out;
}

Drop CheckWords(ByteView body) { return body.size() == 16 ? Drop::kNone : Drop::kControlBody; }
Drop CheckDeposit(ByteView body) {
  return !body.empty() && body.size() <= kDepositMax ? Drop::kNone : Drop::kControlBody;
}

}  // namespace aqmesh::frame
