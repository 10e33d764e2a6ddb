#include "transport/wireguard/messages.h"

namespace aqmesh::wireguard {

namespace {

constexpr uint32_t Word(MessageType t) { return static_cast<uint32_t>(t); }

// Length first, then the first word.
Drop Expect(ByteView message, MessageType type, size_t size) {
  if (message.size() != size) return Drop::kBadSize;
  return LoadLe<uint32_t>(message.data()) == Word(type) ? Drop::kNone : Drop::kBadType;
}

template <class Field>
void Get(const uint8_t* from, Field& to) {
  std::memcpy(to.data(), from, sizeof to);
}
template <class Field>
void Put(const Field& from, uint8_t* to) {
  std::memcpy(to, from.data(), sizeof from);
}

}  // namespace

Classified Classify(ByteView message) {
  if (message.size() < 4) return {.why = Drop::kBadSize};
  bool sized = false;
  MessageType type{};
  switch (LoadLe<uint32_t>(message.data())) {
    case Word(MessageType::kInitiation):
      type = MessageType::kInitiation;
      sized = message.size() == Initiation::kSize;
      break;
    case Word(MessageType::kResponse):
      type = MessageType::kResponse;
      sized = message.size() == Response::kSize;
      break;
    case Word(MessageType::kCookieReply):
      type = MessageType::kCookieReply;
      sized = message.size() == CookieReply::kSize;
      break;
    case Word(MessageType::kTransport):
      type = MessageType::kTransport;
      sized = message.size() >= kTransportMin;
      break;
    default: return {.why = Drop::kBadType};
  }
  return {.why = sized ? Drop::kNone : Drop::kBadSize, .type = type};
}

Drop Parse(ByteView message, Initiation& out) {
  if (Drop why = Expect(message, MessageType::kInitiation, Initiation::kSize); why != Drop::kNone)
    return why;
  const uint8_t* p = message.data();
  out.sender_index = LoadLe<uint32_t>(p + 4);
  Get(p + 8, out.ephemeral);
  Get(p + 40, out.sealed_static);
  Get(p + 88, out.sealed_timestamp);
  return Drop::kNone;
}

Drop Parse(ByteView message, Response& out) {
  if (Drop why = Expect(message, MessageType::kResponse, Response::kSize); why != Drop::kNone)
    return why;
  const uint8_t* p = message.data();
  out.sender_index = LoadLe<uint32_t>(p + 4);
  out.receiver_index = LoadLe<uint32_t>(p + 8);
  Get(p + 12, out.ephemeral);
  Get(p + 44, out.sealed_nothing);
  return Drop::kNone;
}

Drop Parse(ByteView message, CookieReply& out) {
  if (Drop why = Expect(message, MessageType::kCookieReply, CookieReply::kSize); why != Drop::kNone)
    return why;
  const uint8_t* p = message.data();
  out.receiver_index = LoadLe<uint32_t>(p + 4);
  Get(p + 8, out.nonce);
  Get(p + 32, out.sealed_cookie);
  return Drop::kNone;
}

Drop Parse(ByteView message, TransportHeader& out) {
  if (message.size() < kTransportMin) return Drop::kBadSize;
  if (LoadLe<uint32_t>(message.data()) != Word(MessageType::kTransport)) return Drop::kBadType;
  out.receiver_index = LoadLe<uint32_t>(message.data() + 4);
  out.counter = LoadLe<uint64_t>(message.data() + 8);
  return Drop::kNone;
}

std::array<uint8_t, Initiation::kSize> Serialize(const Initiation& m) {
  std::array<uint8_t, Initiation::kSize> b{};
  StoreLe(b.data(), Word(MessageType::kInitiation));
  StoreLe(b.data() + 4, m.sender_index);
  Put(m.ephemeral, b.data() + 8);
  Put(m.sealed_static, b.data() + 40);
  Put(m.sealed_timestamp, b.data() + 88);
  return b;
}

std::array<uint8_t, Response::kSize> Serialize(const Response& m) {
  std::array<uint8_t, Response::kSize> b{};
  StoreLe(b.data(), Word(MessageType::kResponse));
  StoreLe(b.data() + 4, m.sender_index);
  StoreLe(b.data() + 8, m.receiver_index);
  Put(m.ephemeral, b.data() + 12);
  Put(m.sealed_nothing, b.data() + 44);
  return b;
}

std::array<uint8_t, CookieReply::kSize> Serialize(const CookieReply& m) {
  std::array<uint8_t, CookieReply::kSize> b{};
  StoreLe(b.data(), Word(MessageType::kCookieReply));
  StoreLe(b.data() + 4, m.receiver_index);
  Put(m.nonce, b.data() + 8);
  Put(m.sealed_cookie, b.data() + 32);
  return b;
}

void WriteTransportHeader(const TransportHeader& h, uint8_t* out16) {
  StoreLe(out16, Word(MessageType::kTransport));
  StoreLe(out16 + 4, h.receiver_index);
  StoreLe(out16 + 8, h.counter);
}

}  // namespace aqmesh::wireguard
