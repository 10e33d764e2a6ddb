// a5: the three messages that may pass before a session stands. WANT: the responder lacks objects.
// GIVE: a piece of one. NOTICE: why not; its 64 bytes also travel inside the tunnel (control kind
// 3).
// Spec:   spec/objects.md §4 (a5, ticket), §6 (reasons, NOTICE); spec/authority.md B.2.
// Wire:   @0 a5 01, @2 u8 kind, @3 00; WANT 280 and NOTICE 112: @4 u32 inner sender index, @8 nonce
// 24,
//         @32 sealed; GIVE 1,232: @4 zeros, @8 ticket 96, @104 nonce 24, @128 sealed. Little
//         endian. Sealed: XAEAD(K_pre, random nonce, ad = all bytes before the nonce), + tag 16.
// Bounds: 8 refs a WANT; an object of at most 16,384 bytes in pieces of 1,064. Nothing is allocated.
// Errors: Drop. Thread: pure. Cost: one XAEAD, ~1 us.
#ifndef AQMESH_TRANSPORT_FRAME_NOTICE_H_
#define AQMESH_TRANSPORT_FRAME_NOTICE_H_

#include <array>
#include <chrono>
#include <span>

#include "core/authority/decision.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret.h"
#include "transport/frame/drop.h"
#include "transport/frame/envelope.h"

namespace aqmesh::frame {

enum class Before : uint8_t { kWant = 1, kGive = 2, kNotice = 3 };

inline constexpr size_t kWantBytes = 280;
inline constexpr size_t kGiveBytes = 1232;
inline constexpr size_t kNoticeBytes = 112;
inline constexpr size_t kTicketBytes = 96;
inline constexpr size_t kWantRefsMax = 8;
inline constexpr size_t kGivePiece = 1064;
inline constexpr size_t kNoticeBodyBytes = 64;
inline constexpr std::chrono::seconds kTicketLife{60};

using Ticket = std::array<uint8_t, kTicketBytes>;

struct Notice {
  authority::Reason reason{};      // never kNone
  uint16_t retry_seconds = 0;      // 0: no use in trying again unchanged
  uint64_t now_seconds = 0;        // the sender's clock
  Ref16 about{};                   // oid16 of what it is about, or zero
  std::array<uint8_t, 32> data{};  // by reason: static moved = the new key, a hint; else zeros
  bool operator==(const Notice&) const = default;
};
std::array<uint8_t, kNoticeBodyBytes> EncodeNotice(const Notice& notice);
// body: 64 bytes. kBeforeBody for another size, an unknown reason, or reserved bytes that are not
// zero.
Drop ParseNotice(ByteView body, Notice& out);

// Size, bytes 0-3 and kind of any a5. GIVE: also bytes 4-7.
Drop CheckBefore(ByteView datagram, Before& kind);
// WANT and NOTICE: our sender index in the initiation that it answers (only the newest counts).
uint32_t BeforeReceiver(ByteView datagram);

// ---- NOTICE ----
std::array<uint8_t, kNoticeBytes> BuildNotice(uint32_t index,
                                              ByteView k_pre,
                                              const Nonce24& nonce,
                                              const Notice& notice);
Drop OpenNotice(ByteView datagram, ByteView k_pre, Notice& out);

// ---- WANT ----
struct Want {
  Ticket ticket{};  // opaque to the initiator; goes back in every GIVE
  std::array<Ref16, kWantRefsMax> refs{};
  size_t count = 0;
  std::span<const Ref16> wanted() const { return std::span(refs).first(count); }
};
// 1 to 8 refs.
std::array<uint8_t, kWantBytes> BuildWant(uint32_t index,
                                          ByteView k_pre,
                                          const Nonce24& nonce,
                                          const Ticket& ticket,
                                          std::span<const Ref16> refs);
Drop OpenWant(ByteView datagram, ByteView k_pre, Want& out);

// ---- GIVE ----
struct Piece {
  Ref16 ref;
  uint32_t total = 0, offset = 0;  // offset: a multiple of kGivePiece below total
  ByteView data;                   // exactly what of the object lies in this piece
};
// The piece at `offset` of an object of 1 to 16,384 bytes.
std::array<uint8_t, kGiveBytes> BuildGive(const Ticket& ticket,
                                          ByteView k_pre,
                                          const Nonce24& nonce,
                                          const Ref16& ref,
                                          ByteView object,
                                          size_t offset);
inline ByteView GiveTicket(ByteView datagram) { return datagram.subspan(8, kTicketBytes); }
// `plain` holds the opened bytes that out.data views.
using GivePlain = std::array<uint8_t, 1088>;
Drop OpenGive(ByteView datagram, ByteView k_pre, GivePlain& plain, Piece& out);

// ---- the ticket, as only its maker reads it: what a responder would otherwise have to remember
// ---- nonce 24 || XAEAD(process key; K_pre, H128(S_i), LE64 expiry in seconds; ad
// "aqmesh/1/ticket").
Ticket SealTicket(ByteView process_key32,
                  const Nonce24& nonce,
                  ByteView k_pre,
                  const X25519Key& initiator,
                  uint64_t expiry_seconds);
struct OpenedTicket {
  Secret<32> k_pre;
  std::array<uint8_t, 16> initiator{};  // H128 of its static public key: whose budget a GIVE uses
};
// kTicket if it is not ours or its time is over: good while now < expiry.
Drop OpenTicket(ByteView ticket, ByteView process_key32, uint64_t now_seconds, OpenedTicket& out);

}  // namespace aqmesh::frame

#endif  // AQMESH_TRANSPORT_FRAME_NOTICE_H_
