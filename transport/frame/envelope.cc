#include "transport/frame/envelope.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/aead.h"

namespace aqmesh::frame {

namespace {

constexpr uint16_t kSuite = 1;

// Bytes 0-7: type, version 1, suite 1, zeros.
uint64_t OuterWord(Handshake kind) {
  return static_cast<uint64_t>(kind) | uint64_t{1} << 8 | uint64_t{kSuite} << 16;
}
uint32_t InnerWord(Handshake kind) { return kind == Handshake::kInitiation ? 1 : 2; }

bool AllZero(ByteView b) {
  return std::all_of(b.begin(), b.end(), [](uint8_t v) { return v == 0; });
}

Secret<32> Derive(ByteView ck, std::string_view label) {
  AQ_CHECK(ck.size() == 32);
  crypto::Hash32 k = crypto::Kdf1(ck, AsBytes(label));
  Secret<32> out{ByteView(k)};
  sodium_memzero(k.data(), k.size());
  return out;
}

bool MacMatches(ByteView key, ByteView data, ByteView mac) {
  return crypto::SecretEqual(crypto::Blake2sMac(key, data), mac);
}

}  // namespace

StaticKeys StaticKeysOf(const X25519Key& static_public) {
  return {.outer_mac1 = crypto::Blake2s({AsBytes("aq1-mac1"), static_public}),
          .inner_mac1 = crypto::Blake2s({AsBytes("mac1----"), static_public}),
          .cookie = crypto::Blake2s({AsBytes("aq1-cook"), static_public})};
}

Secret<32> BundleKeyOf(Handshake kind, ByteView ck) {
  return Derive(ck,
                kind == Handshake::kInitiation ? "aqmesh/1/init-bundle" : "aqmesh/1/resp-bundle");
}
Secret<32> PreKeyOf(ByteView ck) { return Derive(ck, "aqmesh/1/pre"); }

Digest AuthDigestOf(const Oid& first_item) {
  return *Digest::From(crypto::H256({AsBytes("aqmesh/1/authdigest"), first_item}));
}

size_t BundleBytes(std::span<const ByteView> items) {
  size_t bytes = 0;
  for (ByteView item : items) bytes += 2 + item.size();
  return bytes;
}

absl::StatusOr<Envelope> BuildEnvelope(const EnvelopeParts& parts) {
  const Layout at = LayoutOf(parts.kind);
  AQ_CHECK(parts.inner.size() == at.inner_bytes);
  AQ_CHECK(parts.cookie.empty() || parts.cookie.size() == 16);
  if (parts.items.empty())
    return InvalidArgument("bundle: no item; a presentation or a request comes first");
  if (parts.items.size() > kItemsMax) {
    return ResourceExhausted(
        "bundle: ", parts.items.size(), " items; at most ", kItemsMax, ", cite the others");
  }
  const size_t bytes = BundleBytes(parts.items);
  if (bytes > at.bundle_room) {
    return ResourceExhausted(
        "bundle: ", bytes, " bytes; room for ", at.bundle_room, ", send some objects by reference");
  }
  std::array<uint8_t, kBundleRoomMax> plain{};
  uint8_t* to = plain.data();
  for (ByteView item : parts.items) {
    if (item.empty()) return InvalidArgument("bundle: an empty item; leave it out");
    StoreLe(to, static_cast<uint16_t>(item.size()));
    to = std::copy(item.begin(), item.end(), to + 2);
  }

  Envelope out{};
  const MutableBytes whole(out);
  StoreLe(out.data(), OuterWord(parts.kind));
  std::copy(parts.inner.begin(), parts.inner.end(), out.begin() + kInnerAt);
  crypto::AeadSeal(BundleKeyOf(parts.kind, parts.ck).view(),
                   0,
                   ByteView(plain).first(at.bundle_room),
                   whole.first(at.bundle_at),
                   whole.subspan(at.bundle_at, at.bundle_room + crypto::kTagSize));
  const crypto::Mac16 mac1 = crypto::Blake2sMac(parts.receiver.outer_mac1, whole.first(kMac1At));
  std::copy(mac1.begin(), mac1.end(), out.begin() + kMac1At);
  if (!parts.cookie.empty()) {
    const crypto::Mac16 mac2 = crypto::Blake2sMac(parts.cookie, whole.first(kMac2At));
    std::copy(mac2.begin(), mac2.end(), out.begin() + kMac2At);
  }
  return out;
}

Drop CheckOuter(ByteView datagram, Handshake kind) {
  if (datagram.size() != kEnvelopeBytes) return Drop::kSize;
  return LoadLe<uint64_t>(datagram.data()) == OuterWord(kind) ? Drop::kNone : Drop::kVersion;
}

Drop CheckMac1(ByteView datagram, const StaticKeys& receiver) {
  return MacMatches(receiver.outer_mac1, datagram.first(kMac1At), Mac1Of(datagram)) ? Drop::kNone
                                                                                    : Drop::kMac1;
}

Drop CheckMac2(ByteView datagram, ByteView cookie16) {
  AQ_CHECK(cookie16.size() == 16);
  return MacMatches(cookie16, datagram.first(kMac2At), datagram.subspan(kMac2At, kMacBytes))
             ? Drop::kNone
             : Drop::kMac2Needed;
}

Drop CheckInner(ByteView datagram, Handshake kind, const StaticKeys& receiver) {
  const ByteView inner = Inner(datagram, kind);
  if (LoadLe<uint32_t>(inner.data()) != InnerWord(kind)) return Drop::kInnerType;
  const size_t mac1_at = inner.size() - 2 * kMacBytes;
  if (!MacMatches(receiver.inner_mac1, inner.first(mac1_at), inner.subspan(mac1_at, kMacBytes))) {
    return Drop::kInnerMac1;
  }
  return AllZero(inner.last(kMacBytes)) ? Drop::kNone : Drop::kInnerMac2;
}

ByteView Inner(ByteView datagram, Handshake kind) {
  return datagram.subspan(kInnerAt, LayoutOf(kind).inner_bytes);
}
uint32_t InnerSender(ByteView datagram) { return LoadLe<uint32_t>(datagram.data() + kInnerAt + 4); }
uint32_t InnerReceiver(ByteView response) {
  return LoadLe<uint32_t>(response.data() + kInnerAt + 8);
}

Drop OpenBundle(ByteView datagram, Handshake kind, ByteView ck, Bundle& out) {
  const Layout at = LayoutOf(kind);
  std::array<uint8_t, kBundleRoomMax> plain;
  const MutableBytes room = MutableBytes(plain).first(at.bundle_room);
  out.count_ = 0;
  if (!crypto::AeadOpen(BundleKeyOf(kind, ck).view(),
                        0,
                        datagram.subspan(at.bundle_at, at.bundle_room + crypto::kTagSize),
                        datagram.first(at.bundle_at),
                        room)) {
    return Drop::kBundleSeal;
  }
  return ParseBundle(room, out);
}

Drop ParseBundle(ByteView plain, Bundle& out) {
  out.count_ = 0;
  if (plain.size() > kBundleRoomMax) return Drop::kFraming;
  size_t count = 0;
  size_t at = 0;
  while (plain.size() - at >= 2) {
    const size_t bytes = LoadLe<uint16_t>(plain.data() + at);
    if (bytes == 0) break;  // padding begins
    if (count == kItemsMax || bytes > plain.size() - at - 2) return Drop::kFraming;
    out.items_[count++] = {static_cast<uint16_t>(at + 2), static_cast<uint16_t>(bytes)};
    at += 2 + bytes;
  }
  if (!AllZero(plain.subspan(at))) return Drop::kPadding;
  if (count == 0) return Drop::kFraming;
  std::copy(plain.begin(), plain.end(), out.plain_.begin());
  out.count_ = count;
  return Drop::kNone;
}

Drop CheckCitation(std::span<const Ref16> refs, std::span<const Ref16> items) {
  if (refs.empty()) return items.empty() ? Drop::kNone : Drop::kCitation;
  if (items.empty() || items[0] != refs[0]) return Drop::kCitation;
  // One walk along refs: an item that is not found further on is uncited, doubled or out of order.
  auto cited = refs.begin();
  for (const Ref16& item : items) {
    cited = std::find(cited, refs.end(), item);
    if (cited == refs.end()) return Drop::kCitation;
    ++cited;
  }
  return Drop::kNone;
}

CookieReply PackCookie(uint32_t index, ByteView nonce24, ByteView sealed32) {
  AQ_CHECK(nonce24.size() == 24 && sealed32.size() == 32);
  CookieReply out{static_cast<uint8_t>(Type::kCookie), 1, 0, 0};
  StoreLe(out.data() + 4, index);
  std::copy(nonce24.begin(), nonce24.end(), out.begin() + 8);
  std::copy(sealed32.begin(), sealed32.end(), out.begin() + 32);
  return out;
}

CookieReply BuildCookie(ByteView offender,
                        const StaticKeys& replier,
                        const Nonce24& nonce,
                        ByteView cookie16) {
  AQ_CHECK(offender.size() == kEnvelopeBytes && cookie16.size() == 16);
  std::array<uint8_t, 32> sealed;
  crypto::XAeadSeal(replier.cookie, nonce, cookie16, Mac1Of(offender), sealed);
  return PackCookie(InnerSender(offender), nonce, sealed);
}

Drop CheckCookie(ByteView datagram) {
  if (datagram.size() != kCookieBytes) return Drop::kSize;
  return LoadLe<uint32_t>(datagram.data()) == 0x000001a3 ? Drop::kNone : Drop::kVersion;
}

uint32_t CookieReceiver(ByteView datagram) { return LoadLe<uint32_t>(datagram.data() + 4); }

Drop OpenCookie(ByteView datagram, const StaticKeys& replier, ByteView mac1, Secret<16>& cookie) {
  return crypto::XAeadOpen(replier.cookie,
                           CookieNonce(datagram),
                           CookieSealed(datagram),
                           mac1,
                           cookie.mutable_view())
             ? Drop::kNone
             : Drop::kCookieSeal;
}

}  // namespace aqmesh::frame
