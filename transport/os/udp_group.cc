#include "transport/os/udp_group.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/base/check.h"

namespace aqmesh::os {

namespace {

// Answers the number of a socket in its group, which is the order in which they were bound: control
// first. A load behind the end of the datagram ends the program with 0.
std::vector<sock_filter> SteerProgram(size_t lanes, std::span<const SteerRule> rules) {
  std::vector<sock_filter> program;
  for (const SteerRule& rule : rules) {
    program.push_back(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule.first, 0, 4));
    program.push_back(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, rule.at));
    program.push_back(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, static_cast<uint32_t>(lanes)));
    program.push_back(BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  return program;
}

absl::Status Steer(const UdpPair& pair, std::vector<sock_filter> program) {
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  for (const Family f : {Family::kV4, Family::kV6}) {
    if (pair.fd(f) < 0) continue;
    if (::setsockopt(pair.fd(f), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) <
        0) {
      return ErrnoStatus(errno,
                         Join("UDP port ", pair.port(), ": steering datagrams to their threads"),
                         "the kernel must be 4.5 or newer");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UdpGroup> UdpGroup::Open(const UdpPair::Options& options,
                                        size_t lanes,
                                        std::span<const SteerRule> rules) {
  AQ_CHECK(lanes >= 1 && lanes <= kDataLanesMax);
  AQ_CHECK(rules.size() <= kSteerRulesMax);
  UdpGroup group;
  UdpPair::Options each = options;
  // Bound alone, and shared after that: so a stranger who shares the port is in the way as well.
  each.touch = false;
  each.shared = false;
  AQ_ASSIGN_OR_RETURN(group.control, UdpPair::Open(each));
  AQ_RETURN_IF_ERROR(group.control->Share());
  each.port = group.control->port();
  each.touch = options.touch;
  each.shared = true;
  for (size_t i = 0; i < lanes; ++i) {
    AQ_ASSIGN_OR_RETURN(auto lane, UdpPair::Open(each));
    group.data.push_back(std::move(lane));
  }
  AQ_RETURN_IF_ERROR(Steer(*group.control, SteerProgram(lanes, rules)));
  return group;
}

}  // namespace aqmesh::os
