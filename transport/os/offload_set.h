// Which of the kernel's offloads may be used, and the words in which people say so: the setting
// `offloads` of aqmesh.toml, AQMESH_OFFLOADS and AQMESH_WG_OFFLOADS, and what `aqmesh status`
// shows.
// Spec:   spec/wire.md §4.1.
// Bounds: kOffloadWordsMax words. Thread: values. Errors: InvalidArgument with the words there are.
#ifndef AQMESH_TRANSPORT_OS_OFFLOAD_SET_H_
#define AQMESH_TRANSPORT_OS_OFFLOAD_SET_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "transport/os/offload.h"

namespace aqmesh::os {

struct OffloadSet {
  uint32_t tun = kTunOffloads;  // kTunCsum … kTunUso6
  bool udp_gso = true;          // UDP_SEGMENT, outward
  bool udp_gro = true;          // UDP_GRO, inward
  bool operator==(const OffloadSet&) const = default;
};
inline constexpr OffloadSet kNoOffloads{.tun = 0, .udp_gso = false, .udp_gro = false};

// One that can be had or not by itself. USO for IPv4 and IPv6 is one, because the kernel takes both
// or none.
struct OffloadName {
  std::string_view name;
  OffloadSet alone = kNoOffloads;
};
std::span<const OffloadName> OffloadNames();
bool Holds(const OffloadSet& set, const OffloadSet& part);

inline constexpr size_t kOffloadWordsMax = 16;

// Words in their order: all, none, a name, or no-NAME, which takes one away; a first word of the
// last kind starts from all. What the others of the TUN need, tun-csum, comes and goes with them.
// `set` is as before on an error.
absl::Status TakeOffloadWord(std::string_view word, bool first, OffloadSet& set);
// Parted by commas or blanks; no word at all: none.
absl::StatusOr<OffloadSet> ParseOffloads(std::string_view text);
std::string PrintOffloads(const OffloadSet& set);            // what ParseOffloads reads
std::vector<std::string> SplitWords(std::string_view text);  // at commas and blanks

}  // namespace aqmesh::os

#endif  // AQMESH_TRANSPORT_OS_OFFLOAD_SET_H_
