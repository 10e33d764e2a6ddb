#include "transport/os/coalesce.h"

#include <netinet/in.h>

#include <algorithm>

#include "core/base/check.h"

namespace aqmesh::os {

namespace {

constexpr size_t kIp4Size = 20;  // without options: a packet with some is not looked into
constexpr size_t kIp6Size = 40;
constexpr size_t kTcpMin = 20;
constexpr size_t kUdpSize = 8;
constexpr size_t kTcpCsumAt = 16;
constexpr size_t kUdpCsumAt = 6;
constexpr size_t kHeadMax = kIp6Size + 60;  // IPv6 and the longest TCP header
constexpr size_t kSourceAt4 = 12;           // addresses stand just before the ports, in both
constexpr size_t kSourceAt6 = 8;
constexpr uint8_t kTcpPsh = 0x08;
constexpr uint8_t kTcpAck = 0x10;
constexpr size_t kNoSlot = Coalescer::kRunsMax;

// Nothing asked of the kernel, checksum complete.
constexpr std::array<uint8_t, kVnetHeaderSize> kNoOffload = {};

template <typename T>
T Load(const uint8_t* p) {  // to compare or to sum: the byte order does not matter
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

constexpr bool IsTcp(uint32_t offload) { return (offload & (kTunTso4 | kTunTso6)) != 0; }
constexpr bool IsV6(uint32_t offload) { return (offload & (kTunTso6 | kTunUso6)) != 0; }

// Inlined, for twenty bytes are not worth a call of SumWords.
bool Ip4HeaderHolds(const uint8_t* p) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kIp4Size; i += 4) sum += Load<uint32_t>(p + i);
  return ChecksumFold(sum) == 0xffff;
}

// The addresses stand just before the L4 header, so that one sum covers all of it.
bool ChecksumsHold(ByteView p, uint32_t offload) {
  const bool v6 = IsV6(offload);
  if (!v6 && !Ip4HeaderHolds(p.data())) return false;
  const uint64_t protocol = IsTcp(offload) ? IPPROTO_TCP : IPPROTO_UDP;
  const size_t l4_size = p.size() - (v6 ? kIp6Size : kIp4Size);
  const ByteView summed = p.subspan(v6 ? kSourceAt6 : kSourceAt4);
  return ChecksumFold(ChecksumAdd(summed, protocol + l4_size)) == 0xffff;
}

bool SameAddresses(const uint8_t* a, const uint8_t* b, bool v6) {
  return v6 ? std::memcmp(a + kSourceAt6, b + kSourceAt6, 32) == 0
            : Load<uint64_t>(a + kSourceAt4) == Load<uint64_t>(b + kSourceAt4);
}

// What must be equal in the IP headers of a run, besides the addresses.
bool SameIp(const uint8_t* a, const uint8_t* b, bool v6) {
  if (v6) {  // version, traffic class, flow label; next header and hop limit
    return Load<uint32_t>(a) == Load<uint32_t>(b) && Load<uint16_t>(a + 6) == Load<uint16_t>(b + 6);
  }
  // version, IHL, TOS; DF; TTL and protocol
  return Load<uint16_t>(a) == Load<uint16_t>(b) && Load<uint32_t>(a + 6) == Load<uint32_t>(b + 6);
}

// From the acknowledgement number on: header length, flags but PSH, window, urgent pointer,
// options.
bool SameTcp(const uint8_t* a, const uint8_t* b, size_t size) {
  return Load<uint32_t>(a + 8) == Load<uint32_t>(b + 8) && a[12] == b[12] &&
         ((a[13] ^ b[13]) & ~kTcpPsh) == 0 && Load<uint16_t>(a + 14) == Load<uint16_t>(b + 14) &&
         Load<uint16_t>(a + 18) == Load<uint16_t>(b + 18) &&
         std::memcmp(a + kTcpMin, b + kTcpMin, size - kTcpMin) == 0;
}

iovec Part(const uint8_t* data, size_t size) {
  return {.iov_base = const_cast<uint8_t*>(data), .iov_len = size};  // writev does not write to it
}

}  // namespace

// One packet's headers, read once.
struct Coalescer::Look {
  ByteView bytes;
  uint64_t tag = 0;      // ports and kind; 0: its flow cannot be told
  uint32_t offload = 0;  // the kind: kTunTso4 … kTunUso6
  uint16_t l4_at = 0;
  uint16_t head_size = 0;  // all headers
  bool joinable = false;   // as far as its own headers tell

  explicit Look(ByteView packet);
  void ReadTcp(const uint8_t* l4, size_t l4_size);
  void ReadUdp(const uint8_t* l4, size_t l4_size);
  const uint8_t* l4() const { return bytes.data() + l4_at; }
  size_t payload() const { return bytes.size() - head_size; }
  bool ends_run() const { return IsTcp(offload) && (l4()[13] & kTcpPsh) != 0; }
  uint32_t seq() const { return IsTcp(offload) ? LoadBe<uint32_t>(l4() + 4) : 0; }
  // Where the ids matter: an IPv4 packet that may be fragmented on its way.
  bool counts_ids() const { return !IsV6(offload) && (bytes.data()[6] & 0x40) == 0; }
  uint16_t id() const { return LoadBe<uint16_t>(bytes.data() + 4); }
};

Coalescer::Look::Look(ByteView packet) : bytes(packet) {
  const uint8_t* p = packet.data();
  const size_t size = packet.size();
  if (size < kIp4Size + kUdpSize) return;
  uint8_t protocol = 0;
  if (p[0] == 0x45) {
    // Neither a fragment nor the reserved bit.
    if (LoadBe<uint16_t>(p + 2) != size || (LoadBe<uint16_t>(p + 6) & 0xbfff) != 0) return;
    protocol = p[9];
    l4_at = kIp4Size;
  } else if (p[0] >> 4 == 6) {
    if (size < kIp6Size + kUdpSize || LoadBe<uint16_t>(p + 4) + kIp6Size != size) return;
    protocol = p[6];
    l4_at = kIp6Size;
  } else {
    return;
  }
  const bool v6 = l4_at == kIp6Size;
  if (protocol == IPPROTO_TCP && size >= l4_at + kTcpMin) {
    offload = v6 ? kTunTso6 : kTunTso4;
    ReadTcp(p + l4_at, size - l4_at);
  } else if (protocol == IPPROTO_UDP) {
    offload = v6 ? kTunUso6 : kTunUso4;
    ReadUdp(p + l4_at, size - l4_at);
  } else {
    return;
  }
  tag = uint64_t{offload} << 32 | Load<uint32_t>(p + l4_at);
}

void Coalescer::Look::ReadTcp(const uint8_t* l4, size_t l4_size) {
  const size_t tcp_size = (size_t{l4[12]} >> 4) * 4;
  head_size = static_cast<uint16_t>(l4_at + tcp_size);
  joinable = tcp_size >= kTcpMin && tcp_size < l4_size && (l4[13] | kTcpPsh) == (kTcpAck | kTcpPsh);
}

void Coalescer::Look::ReadUdp(const uint8_t* l4, size_t l4_size) {
  head_size = static_cast<uint16_t>(l4_at + kUdpSize);
  joinable = LoadBe<uint16_t>(l4 + 4) == l4_size && l4_size > kUdpSize &&
             Load<uint16_t>(l4 + kUdpCsumAt) != 0;
}

// Packets of one flow that may go together. Its first packet's headers stand for all.
struct Coalescer::Run {
  const uint8_t* first = nullptr;
  uint32_t offload = 0;
  uint32_t first_index = 0;
  uint32_t last_index = 0;
  uint32_t count = 0;
  uint32_t next_seq = 0;
  uint32_t total = 0;  // bytes of the super-packet
  uint16_t next_id = 0;
  uint16_t l4_at = 0;
  uint16_t head_size = 0;
  uint16_t payload = 0;  // of each but the last

  // Headers only.
  bool Fits(const Look& p) const {
    return p.joinable && p.head_size == head_size && p.payload() <= payload &&
           total + p.payload() <= UINT16_MAX && p.seq() == next_seq &&
           SameIp(first, p.bytes.data(), IsV6(offload)) && (!p.counts_ids() || p.id() == next_id) &&
           (!IsTcp(offload) || SameTcp(first + l4_at, p.l4(), size_t{head_size} - l4_at));
  }
  ByteView first_bytes() const { return {first, size_t{head_size} + payload}; }
};

struct Coalescer::Scratch {
  struct Head {
    std::array<uint8_t, kVnetHeaderSize> vnet;
    std::array<uint8_t, kHeadMax> bytes;
  };
  std::array<Run, kRunsMax> runs;
  std::array<uint32_t, kBatchMax> next;    // the packet after this one in its run
  std::array<Head, kBatchMax / 2> heads;   // of joined writes: two packets or more each
  std::array<iovec, 2 * kBatchMax> parts;  // alone: header, packet; joined: two and the payloads
  std::array<Write, kBatchMax> writes;
  size_t heads_used = 0;
  size_t parts_used = 0;
  size_t writes_used = 0;
};

Coalescer::Coalescer(uint32_t offloads)
    : offloads_(offloads), scratch_(std::make_unique<Scratch>()) {}

Coalescer::~Coalescer() = default;

std::span<const Coalescer::Write> Coalescer::Plan(std::span<const ByteView> packets) {
  AQ_CHECK(packets.size() <= kBatchMax);
  Scratch& s = *scratch_;
  s.heads_used = s.parts_used = s.writes_used = 0;
  packets_ = packets;
  if (packets.size() == 1) {
    WriteAlone(packets[0]);
  } else {
    for (uint32_t i = 0; i < packets.size(); ++i) Take(i);
    CloseAll();
  }
  return std::span(s.writes).first(s.writes_used);
}

void Coalescer::Take(uint32_t index) {
  const Look p(packets_[index]);
  if (p.tag == 0) {
    CloseAll();
    return WriteAlone(p.bytes);
  }
  // A kind that may not be joined has no run, so that nothing of its flow waits.
  if ((p.offload & offloads_) == 0) return WriteAlone(p.bytes);
  const size_t slot = Find(p);
  if (slot != kNoSlot) {
    const Run& run = scratch_->runs[slot];
    // The first packet is summed when a second one comes that would go with it, and not before.
    if (run.Fits(p) && (run.count > 1 || ChecksumsHold(run.first_bytes(), run.offload)) &&
        ChecksumsHold(p.bytes, p.offload)) {
      return Append(slot, p, index);
    }
    Close(slot);
  }
  if (!p.joinable || p.ends_run()) return WriteAlone(p.bytes);
  Open(p, index);
}

size_t Coalescer::Find(const Look& p) const {
  for (size_t i = 0; i < kRunsMax; ++i) {
    if (tags_[i] == p.tag &&
        SameAddresses(scratch_->runs[i].first, p.bytes.data(), IsV6(p.offload))) {
      return i;
    }
  }
  return kNoSlot;
}

void Coalescer::Append(size_t slot, const Look& p, uint32_t index) {
  Run& run = scratch_->runs[slot];
  const size_t payload = p.payload();
  scratch_->next[run.last_index] = index;
  run.last_index = index;
  ++run.count;
  ++run.next_id;
  run.total += static_cast<uint32_t>(payload);
  if (IsTcp(run.offload)) run.next_seq += static_cast<uint32_t>(payload);
  if (payload < run.payload || run.count == kSegmentsMax || p.ends_run()) Close(slot);
}

void Coalescer::Open(const Look& p, uint32_t index) {
  if (open_ == kRunsMax) Close(order_ & 0xff);
  size_t slot = 0;
  while (tags_[slot] != 0) ++slot;
  tags_[slot] = p.tag;
  order_ |= uint64_t{slot} << (8 * open_++);
  Run& run = scratch_->runs[slot];
  const size_t payload = p.payload();
  run.first = p.bytes.data();
  run.offload = p.offload;
  run.first_index = run.last_index = index;
  run.count = 1;
  run.next_seq = IsTcp(p.offload) ? p.seq() + static_cast<uint32_t>(payload) : 0;
  run.total = static_cast<uint32_t>(p.bytes.size());
  run.next_id = static_cast<uint16_t>(p.id() + 1);  // of IPv6: never asked for
  run.l4_at = p.l4_at;
  run.head_size = p.head_size;
  run.payload = static_cast<uint16_t>(payload);
}

void Coalescer::CloseAll() {
  while (open_ != 0) Close(order_ & 0xff);
}

void Coalescer::Close(size_t slot) {
  const Run& run = scratch_->runs[slot];
  tags_[slot] = 0;
  unsigned at = 0;
  while ((order_ >> at & 0xff) != slot) at += 8;
  const uint64_t older = order_ & ((uint64_t{1} << at) - 1);
  order_ = (order_ >> at >> 8 << at) | older;
  --open_;
  if (run.count == 1) {
    WriteAlone(run.first_bytes());
  } else {
    WriteJoined(run);
  }
}

void Coalescer::WriteAlone(ByteView packet) {
  Scratch& s = *scratch_;
  iovec* parts = &s.parts[s.parts_used];
  s.parts_used += 2;
  parts[0] = Part(kNoOffload.data(), kNoOffload.size());
  parts[1] = Part(packet.data(), packet.size());
  s.writes[s.writes_used++] = {.parts = {parts, 2}, .packets = 1, .offload = 0};
}

void Coalescer::WriteJoined(const Run& run) {
  Scratch& s = *scratch_;
  const bool v6 = IsV6(run.offload), tcp = IsTcp(run.offload);
  Scratch::Head& h = s.heads[s.heads_used++];
  const size_t csum_offset = tcp ? kTcpCsumAt : kUdpCsumAt;
  StoreVnetHeader({.flags = kVnetNeedsCsum,
                   .gso_type = !tcp ? kGsoUdpL4
                               : v6 ? kGsoTcp6
                                    : kGsoTcp4,
                   .hdr_len = run.head_size,
                   .gso_size = run.payload,
                   .csum_start = run.l4_at,
                   .csum_offset = static_cast<uint16_t>(csum_offset)},
                  h.vnet);
  uint8_t* head = h.bytes.data();
  std::memcpy(head, run.first, run.head_size);
  const size_t l4_size = run.total - run.l4_at;
  if (v6) {
    StoreBe<uint16_t>(head + 4, static_cast<uint16_t>(l4_size));
  } else {
    StoreBe<uint16_t>(head + 2, static_cast<uint16_t>(run.total));
    head[10] = head[11] = 0;
    const uint64_t sum = ChecksumAdd({head, kIp4Size}, 0);
    StoreBe<uint16_t>(head + 10, static_cast<uint16_t>(~ChecksumFold(sum)));
  }
  uint8_t* l4 = head + run.l4_at;
  if (tcp) {
    l4[13] = packets_[run.last_index][size_t{run.l4_at} + 13];  // PSH, if the last one has it
  } else {
    StoreBe<uint16_t>(l4 + 4, static_cast<uint16_t>(l4_size));
  }
  // NEEDS_CSUM: the field holds the sum of the pseudo header, and the kernel adds the rest.
  const size_t source_at = v6 ? kSourceAt6 : kSourceAt4;
  const ByteView addresses(head + source_at, run.l4_at - source_at);
  const uint64_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
  StoreBe<uint16_t>(l4 + csum_offset, ChecksumFold(ChecksumAdd(addresses, protocol + l4_size)));

  iovec* parts = &s.parts[s.parts_used];
  const size_t parts_count = 2 + size_t{run.count};
  s.parts_used += parts_count;
  parts[0] = Part(h.vnet.data(), h.vnet.size());
  parts[1] = Part(head, run.head_size);
  uint32_t index = run.first_index;
  for (size_t i = 2; i < parts_count; ++i, index = s.next[index]) {
    const ByteView p = packets_[index];
    parts[i] = Part(p.data() + run.head_size, p.size() - run.head_size);
  }
  s.writes[s.writes_used++] = {
      .parts = {parts, parts_count}, .packets = run.count, .offload = run.offload};
}

}  // namespace aqmesh::os
