// What must hold of the Coalescer for any packets at all, asked by the fuzzer and the plain suite:
// it joins exactly what a slow reading of the rules joins, and what is joined comes apart again as
// it came.
#ifndef AQMESH_TESTS_TRANSPORT_OS_COALESCE_PROPERTY_H_
#define AQMESH_TESTS_TRANSPORT_OS_COALESCE_PROPERTY_H_

#include "core/base/check.h"
#include "tests/transport/os/packet_kit.h"
#include "transport/os/coalesce.h"

namespace aqmesh::os::kit {

// A packet by the words of spec/wire.md §4, each field on its own.
struct Anatomy {
  explicit Anatomy(ByteView p);

  bool known = false;  // its flow can be told
  uint32_t kind = 0;
  bool tcp = false;
  bool joinable = false;
  bool sound = false;  // both checksums
  bool psh = false;
  size_t l4_at = 0, head = 0, payload = 0;
  uint32_t seq = 0;
  bool ids_count = false;
  uint16_t id = 0;
  Bytes flow;      // addresses, protocol and ports
  Bytes constant;  // the headers without what may differ along a run
};

inline Anatomy::Anatomy(ByteView p) {
  if (p.size() < 20) return;
  const bool v6 = IsV6(p);
  if (!v6 && p[0] != 0x45) return;
  l4_at = v6 ? 40 : 20;
  if (p.size() < l4_at) return;
  if (v6 ? LoadBe<uint16_t>(&p[4]) + size_t{40} != p.size() : LoadBe<uint16_t>(&p[2]) != p.size())
    return;
  if (!v6 && p[6] != 0x40 && p[6] != 0) return;
  if (!v6 && p[7] != 0) return;
  const uint8_t protocol = v6 ? p[6] : p[9];
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return;
  tcp = protocol == IPPROTO_TCP;
  if (p.size() < l4_at + (tcp ? 20 : 8)) return;
  known = true;
  kind = tcp ? (v6 ? kTunTso6 : kTunTso4) : (v6 ? kTunUso6 : kTunUso4);
  const ByteView l4 = p.subspan(l4_at);
  flow = Concat({v6 ? p.subspan(8, 32) : p.subspan(12, 8), Bytes{protocol}, l4.first(4)});
  const size_t l4_head = tcp ? (l4[12] >> 4) * size_t{4} : 8;
  if (l4_head < (tcp ? 20 : 8) || l4_head >= l4.size()) return;  // no payload
  head = l4_at + l4_head;
  payload = p.size() - head;
  if (tcp) {
    if (l4[13] != 0x10 && l4[13] != 0x18) return;
    psh = l4[13] == 0x18;
    seq = LoadBe<uint32_t>(&l4[4]);
  } else {
    if (LoadBe<uint16_t>(&l4[4]) != l4.size()) return;
    if (LoadBe<uint16_t>(&l4[6]) == 0) return;
  }
  joinable = true;
  sound = (v6 || Sum(p.first(20)) == 0xffff) && SumL4(p, l4_at, protocol) == 0xffff;
  ids_count = !v6 && p[6] == 0;
  id = LoadBe<uint16_t>(&p[4]);

  constant.assign(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(head));
  const auto zero = [this](size_t at, size_t n) { std::fill_n(&constant[at], n, uint8_t{0}); };
  if (v6) {
    zero(4, 2);  // length
  } else {
    zero(2, 4);   // length, id
    zero(10, 2);  // checksum
  }
  if (tcp) {
    zero(l4_at + 4, 4);   // sequence
    zero(l4_at + 13, 1);  // PSH; all else in there is known
    zero(l4_at + 16, 2);  // checksum
  } else {
    zero(l4_at + 4, 4);  // length, checksum
  }
}

using Group = std::vector<size_t>;  // indices of packets that go in one write

inline bool Joins(const std::vector<Anatomy>& all, const Group& run, const Anatomy& p) {
  const Anatomy& first = all[run[0]];
  size_t total = first.head;
  uint32_t seq = first.seq;
  for (const size_t i : run) {
    total += all[i].payload;
    if (p.tcp) seq += static_cast<uint32_t>(all[i].payload);
  }
  return p.joinable && p.constant == first.constant && p.payload <= first.payload && p.seq == seq &&
         total + p.payload <= 65'535 &&
         (!p.ids_count || p.id == static_cast<uint16_t>(first.id + run.size())) && first.sound &&
         p.sound;
}

// The plan, by the rules read slowly.
inline std::vector<Group> SlowPlan(const std::vector<Anatomy>& all, uint32_t kinds) {
  std::vector<Group> done, open;  // open: the oldest first
  const auto close = [&](size_t at) {
    done.push_back(open[at]);
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const auto close_all = [&] {
    while (!open.empty()) close(0);
  };
  for (size_t i = 0; i < all.size(); ++i) {
    const Anatomy& p = all[i];
    if (!p.known) close_all();
    size_t mine = 0;
    while (p.known && mine < open.size() && all[open[mine][0]].flow != p.flow) ++mine;
    if (mine < open.size()) {
      if (Joins(all, open[mine], p)) {
        open[mine].push_back(i);
        const bool shorter = p.payload < all[open[mine][0]].payload;
        if (p.psh || shorter || open[mine].size() == 64) close(mine);
        continue;
      }
      close(mine);
    }
    if (!p.known || (p.kind & kinds) == 0 || !p.joinable || p.psh) {
      done.push_back({i});
      continue;
    }
    if (open.size() == 8) close(0);
    open.push_back({i});
  }
  close_all();
  return done;
}

inline Bytes Whole(const Coalescer::Write& w) {
  Bytes out;
  for (const iovec& part : w.parts)
    Append(out, ByteView(static_cast<const uint8_t*>(part.iov_base), part.iov_len));
  return out;
}

// `b` is `a` after joining and splitting. An id that says nothing may have been counted up, and a
// sum of ffff is as good as 0 where 0 means no more than itself.
inline void CheckSame(ByteView a, ByteView b) {
  const Anatomy read(a);
  Bytes want(a.begin(), a.end()), got(b.begin(), b.end());
  AQ_CHECK(want.size() == got.size());
  if (!IsV6(a)) {
    AQ_CHECK(Sum(b.first(20)) == 0xffff);
    if (!read.ids_count) std::copy_n(&want[4], 2, &got[4]);
    std::copy_n(&want[10], 2, &got[10]);
  }
  AQ_CHECK(SumL4(b, read.l4_at, read.tcp ? IPPROTO_TCP : IPPROTO_UDP) == 0xffff);
  if (read.tcp && LoadBe<uint16_t>(&want[read.l4_at + 16]) == 0xffff)
    StoreBe<uint16_t>(&want[read.l4_at + 16], 0);
  AQ_CHECK(want == got);
}

// A super-packet cut by the book, without Split.
inline std::vector<Bytes> SlowCut(const VnetHeader& h, ByteView whole, bool tcp) {
  std::vector<Bytes> out;
  const size_t l4_at = h.csum_start;
  for (size_t at = h.hdr_len; at < whole.size(); at += h.gso_size) {
    const size_t size = std::min<size_t>(h.gso_size, whole.size() - at);
    Bytes p = Concat({whole.first(h.hdr_len), whole.subspan(at, size)});
    if (!IsV6(p)) {
      StoreBe<uint16_t>(&p[4], static_cast<uint16_t>(LoadBe<uint16_t>(&p[4]) + out.size()));
    }
    if (tcp) {
      const auto before = static_cast<uint32_t>(at - h.hdr_len);
      StoreBe<uint32_t>(&p[l4_at + 4], LoadBe<uint32_t>(&p[l4_at + 4]) + before);
      if (at + size < whole.size()) p[l4_at + 13] &= 0xf7;
    }
    Mend(p);
    out.push_back(std::move(p));
  }
  return out;
}

inline void CheckJoined(const Coalescer::Write& w,
                        const Group& group,
                        std::span<const ByteView> packets) {
  Bytes whole = Whole(w);
  const VnetHeader h = ParseVnetHeader(std::span(whole).first<kVnetHeaderSize>());
  whole.erase(whole.begin(), whole.begin() + kVnetHeaderSize);
  const Anatomy first(packets[group[0]]);
  const bool v6 = IsV6(packets[group[0]]);
  AQ_CHECK(w.offload == first.kind && w.packets == group.size() && group.size() <= 64);
  AQ_CHECK(whole.size() <= 65'535 && h.flags == kVnetNeedsCsum);
  AQ_CHECK(h.gso_type == (first.tcp ? (v6 ? kGsoTcp6 : kGsoTcp4) : kGsoUdpL4));
  AQ_CHECK(h.hdr_len == first.head && h.gso_size == first.payload);
  AQ_CHECK(h.csum_start == first.l4_at && h.csum_offset == (first.tcp ? 16 : 6));
  AQ_CHECK(w.parts.size() == 2 + group.size() && w.parts[1].iov_len == first.head);

  // The checksum field holds what the kernel adds to: completed, it is right.
  Bytes completed = whole;
  AQ_CHECK(CompleteChecksum(h, completed) == OffloadDrop::kNone);
  AQ_CHECK(SumL4(completed, h.csum_start, first.tcp ? IPPROTO_TCP : IPPROTO_UDP) == 0xffff);
  AQ_CHECK(v6 || Sum(ByteView(whole).first(20)) == 0xffff);
  AQ_CHECK(LoadBe<uint16_t>(&whole[v6 ? 4 : 2]) == whole.size() - (v6 ? 40 : 0));
  AQ_CHECK(first.tcp || LoadBe<uint16_t>(&whole[first.l4_at + 4]) == whole.size() - first.l4_at);

  const std::vector<Bytes> cut = SlowCut(h, whole, first.tcp);
  static PacketArena arena({.bytes = 256 * 1024, .packets_max = 64});  // dear to make anew
  arena.Clear();
  AQ_CHECK(Split(h, whole, arena) == OffloadDrop::kNone);
  AQ_CHECK(arena.packets().size() == group.size() && cut.size() == group.size());
  for (size_t i = 0; i < group.size(); ++i) {
    CheckSame(packets[group[i]], arena.packets()[i].bytes());
    CheckSame(packets[group[i]], cut[i]);
    const auto* payload = static_cast<const uint8_t*>(w.parts[2 + i].iov_base);
    AQ_CHECK(payload - first.head == packets[group[i]].data());  // Tun::WriteApart relies on it
  }
}

// Plans the packets and holds the answer against the slow one. How many went in company.
inline size_t CheckPlan(Coalescer& coalescer, std::span<const ByteView> packets) {
  const std::vector<Anatomy> all(packets.begin(), packets.end());
  const std::vector<Group> want = SlowPlan(all, coalescer.offloads());
  const auto writes = coalescer.Plan(packets);
  AQ_CHECK(writes.size() == want.size());
  size_t joined = 0;
  for (size_t i = 0; i < writes.size(); ++i) {
    AQ_CHECK(writes[i].packets == want[i].size());
    if (want[i].size() > 1) {
      CheckJoined(writes[i], want[i], packets);
      joined += want[i].size();
      continue;
    }
    AQ_CHECK(writes[i].offload == 0);
    AQ_CHECK(Whole(writes[i]) == Concat({Bytes(kVnetHeaderSize), packets[want[i][0]]}));
  }
  return joined;
}

}  // namespace aqmesh::os::kit

#endif  // AQMESH_TESTS_TRANSPORT_OS_COALESCE_PROPERTY_H_
