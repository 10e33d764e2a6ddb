#include "transport/frame/notice.h"

#include <algorithm>

#include "core/authority/objects.h"
#include "core/base/check.h"
#include "core/crypto/aead.h"
#include "core/crypto/hash.h"

namespace aqmesh::frame {

namespace {

constexpr size_t kWantPlain = 232;
constexpr size_t kGiveHeader = 24;  // ref16, total, offset
static_assert(32 + kWantPlain + crypto::kTagSize == kWantBytes);
static_assert(128 + sizeof(GivePlain) + crypto::kTagSize == kGiveBytes);
static_assert(32 + kNoticeBodyBytes + crypto::kTagSize == kNoticeBytes);
static_assert(kGiveHeader + kGivePiece == sizeof(GivePlain));
constexpr std::string_view kTicketLabel = "aqmesh/1/ticket";

bool AllZero(ByteView b) {
  return std::all_of(b.begin(), b.end(), [](uint8_t v) { return v == 0; });
}

size_t BytesOf(Before kind) {
  switch (kind) {
    case Before::kWant: return kWantBytes;
    case Before::kGive: return kGiveBytes;
    case Before::kNotice: return kNoticeBytes;
  }
  return 0;
}

// `head` bytes are bound in as they stand; then come the nonce and what is sealed.
void SealAfter(
    MutableBytes datagram, size_t head, ByteView k_pre, const Nonce24& nonce, ByteView plain) {
  std::copy(nonce.begin(), nonce.end(), datagram.begin() + static_cast<ptrdiff_t>(head));
  crypto::XAeadSeal(
      k_pre, nonce, plain, datagram.first(head), datagram.subspan(head + nonce.size()));
}
bool OpenAfter(ByteView datagram, size_t head, ByteView k_pre, MutableBytes plain) {
  return crypto::XAeadOpen(
      k_pre, datagram.subspan(head, 24), datagram.subspan(head + 24), datagram.first(head), plain);
}

void WriteHead(uint8_t* to, Before kind, uint32_t index) {
  to[0] = static_cast<uint8_t>(Type::kBefore);
  to[1] = 1;
  to[2] = static_cast<uint8_t>(kind);
  to[3] = 0;
  StoreLe(to + 4, index);
}

}  // namespace

std::array<uint8_t, kNoticeBodyBytes> EncodeNotice(const Notice& notice) {
  AQ_CHECK(notice.reason != authority::Reason::kNone);
  std::array<uint8_t, kNoticeBodyBytes> out{};
  StoreLe(out.data(), static_cast<uint16_t>(notice.reason));
  StoreLe(out.data() + 2, notice.retry_seconds);
  StoreLe(out.data() + 8, notice.now_seconds);
  std::copy(notice.about.bytes.begin(), notice.about.bytes.end(), out.begin() + 16);
  std::copy(notice.data.begin(), notice.data.end(), out.begin() + 32);
  return out;
}

Drop ParseNotice(ByteView body, Notice& out) {
  if (body.size() != kNoticeBodyBytes) return Drop::kBeforeBody;
  const auto reason = LoadLe<uint16_t>(body.data());
  if (reason == 0 || reason >= authority::kReasonCount) return Drop::kBeforeBody;
  if (LoadLe<uint32_t>(body.data() + 4) != 0) return Drop::kBeforeBody;
  out.reason = static_cast<authority::Reason>(reason);
  out.retry_seconds = LoadLe<uint16_t>(body.data() + 2);
  out.now_seconds = LoadLe<uint64_t>(body.data() + 8);
  out.about = *Ref16::From(body.subspan(16, 16));
  std::copy_n(body.begin() + 32, 32, out.data.begin());
  return Drop::kNone;
}

Drop CheckBefore(ByteView datagram, Before& kind) {
  if (datagram.size() < 8) return Drop::kSize;
  if (datagram[0] != static_cast<uint8_t>(Type::kBefore) || datagram[1] != 1 || datagram[3] != 0)
    return Drop::kVersion;
  if (datagram[2] < 1 || datagram[2] > 3) return Drop::kBeforeKind;
  kind = static_cast<Before>(datagram[2]);
  if (datagram.size() != BytesOf(kind)) return Drop::kSize;
  if (kind == Before::kGive && LoadLe<uint32_t>(datagram.data() + 4) != 0) return Drop::kVersion;
  return Drop::kNone;
}

uint32_t BeforeReceiver(ByteView datagram) { return LoadLe<uint32_t>(datagram.data() + 4); }

std::array<uint8_t, kNoticeBytes> BuildNotice(uint32_t index,
                                              ByteView k_pre,
                                              const Nonce24& nonce,
                                              const Notice& notice) {
  std::array<uint8_t, kNoticeBytes> out{};
  WriteHead(out.data(), Before::kNotice, index);
  SealAfter(out, 8, k_pre, nonce, EncodeNotice(notice));
  return out;
}

Drop OpenNotice(ByteView datagram, ByteView k_pre, Notice& out) {
  std::array<uint8_t, kNoticeBodyBytes> plain;
  if (!OpenAfter(datagram, 8, k_pre, plain)) return Drop::kBeforeSeal;
  return ParseNotice(plain, out);
}

std::array<uint8_t, kWantBytes> BuildWant(uint32_t index,
                                          ByteView k_pre,
                                          const Nonce24& nonce,
                                          const Ticket& ticket,
                                          std::span<const Ref16> refs) {
  AQ_CHECK(!refs.empty() && refs.size() <= kWantRefsMax);
  std::array<uint8_t, kWantPlain> plain{};
  std::copy(ticket.begin(), ticket.end(), plain.begin());
  plain[kTicketBytes] = static_cast<uint8_t>(refs.size());
  auto to = plain.begin() + kTicketBytes + 8;
  for (const Ref16& ref : refs) to = std::copy(ref.bytes.begin(), ref.bytes.end(), to);
  std::array<uint8_t, kWantBytes> out{};
  WriteHead(out.data(), Before::kWant, index);
  SealAfter(out, 8, k_pre, nonce, plain);
  return out;
}

Drop OpenWant(ByteView datagram, ByteView k_pre, Want& out) {
  std::array<uint8_t, kWantPlain> plain;
  if (!OpenAfter(datagram, 8, k_pre, plain)) return Drop::kBeforeSeal;
  const ByteView p(plain);
  const size_t count = p[kTicketBytes];
  const size_t refs_at = kTicketBytes + 8;
  if (count < 1 || count > kWantRefsMax) return Drop::kBeforeBody;
  if (!AllZero(p.subspan(kTicketBytes + 1, 7)) || !AllZero(p.subspan(refs_at + 16 * count)))
    return Drop::kBeforeBody;
  std::copy_n(p.begin(), kTicketBytes, out.ticket.begin());
  for (size_t i = 0; i < count; ++i) out.refs[i] = *Ref16::From(p.subspan(refs_at + 16 * i, 16));
  out.count = count;
  return Drop::kNone;
}

std::array<uint8_t, kGiveBytes> BuildGive(const Ticket& ticket,
                                          ByteView k_pre,
                                          const Nonce24& nonce,
                                          const Ref16& ref,
                                          ByteView object,
                                          size_t offset) {
  AQ_CHECK(object.size() <= authority::kObjectBytesMax && offset < object.size() &&
           offset % kGivePiece == 0);
  GivePlain plain{};
  std::copy(ref.bytes.begin(), ref.bytes.end(), plain.begin());
  StoreLe(plain.data() + 16, static_cast<uint32_t>(object.size()));
  StoreLe(plain.data() + 20, static_cast<uint32_t>(offset));
  const ByteView piece = object.subspan(offset, std::min(kGivePiece, object.size() - offset));
  std::copy(piece.begin(), piece.end(), plain.begin() + kGiveHeader);
  std::array<uint8_t, kGiveBytes> out{};
  WriteHead(out.data(), Before::kGive, 0);
  std::copy(ticket.begin(), ticket.end(), out.begin() + 8);
  SealAfter(out, 8 + kTicketBytes, k_pre, nonce, plain);
  return out;
}

Drop OpenGive(ByteView datagram, ByteView k_pre, GivePlain& plain, Piece& out) {
  if (!OpenAfter(datagram, 8 + kTicketBytes, k_pre, plain)) return Drop::kBeforeSeal;
  const ByteView p(plain);
  const auto total = LoadLe<uint32_t>(p.data() + 16);
  const auto offset = LoadLe<uint32_t>(p.data() + 20);
  if (total == 0 || total > authority::kObjectBytesMax) return Drop::kBeforeBody;
  if (offset >= total || offset % kGivePiece != 0) return Drop::kBeforeBody;
  const size_t bytes = std::min<size_t>(kGivePiece, total - offset);
  if (!AllZero(p.subspan(kGiveHeader + bytes))) return Drop::kBeforeBody;
  out = {.ref = *Ref16::From(p.first(16)),
         .total = total,
         .offset = offset,
         .data = p.subspan(kGiveHeader, bytes)};
  return Drop::kNone;
}

Ticket SealTicket(ByteView process_key32,
                  const Nonce24& nonce,
                  ByteView k_pre,
                  const X25519Key& initiator,
                  uint64_t expiry_seconds) {
  AQ_CHECK(k_pre.size() == 32);
  Secret<56> plain;
  std::copy(k_pre.begin(), k_pre.end(), plain.data());
  const auto whose = crypto::H128({initiator});
  std::copy(whose.begin(), whose.end(), plain.data() + 32);
  StoreLe(plain.data() + 48, expiry_seconds);
  Ticket out;
  std::copy(nonce.begin(), nonce.end(), out.begin());
  crypto::XAeadSeal(
      process_key32, nonce, plain.view(), AsBytes(kTicketLabel), MutableBytes(out).subspan(24));
  return out;
}

Drop OpenTicket(ByteView ticket, ByteView process_key32, uint64_t now_seconds, OpenedTicket& out) {
  Secret<56> plain;
  if (ticket.size() != kTicketBytes) return Drop::kTicket;
  if (!crypto::XAeadOpen(process_key32,
                         ticket.first(24),
                         ticket.subspan(24),
                         AsBytes(kTicketLabel),
                         plain.mutable_view())) {
    return Drop::kTicket;
  }
  if (now_seconds >= LoadLe<uint64_t>(plain.data() + 48)) return Drop::kTicket;
  out.k_pre = Secret<32>(plain.view().first(32));
  std::copy_n(plain.data() + 32, 16, out.initiator.begin());
  return Drop::kNone;
}

}  // namespace aqmesh::frame
