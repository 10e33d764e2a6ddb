// The walls that a process builds around itself: which files it can reach (Landlock) and which
// system calls it can make (seccomp). They hold for whoever takes the process over, with or without
// a service manager, and cannot be taken down again.
//
// Files first, before a second thread exists: Landlock holds for the thread that asks and for those
// that it starts. Calls last, before the first byte from a stranger is read: all threads get the
// filter. A refused call fails with EPERM and is a record in the kernel's audit; the hidden flag
// --kill-on-refusal of aqmeshd, aqmesh-net and aqmesh-courier, for tests, ends the process instead.
//
// Not covered: Landlock knows no UDP and no Unix sockets by path, so the calls that open, bind and
// connect are refused instead. Metadata (stat, chmod of what one owns) is outside of Landlock. The
// machine's root is not kept out. What the kernel lacks is said in Wall::text, not made up for.
// Spec:   spec/reliability.md §5 (seccomp + Landlock, keys and memory); landlock(7), seccomp(2).
// Thread: as above; no_new_privs is set before (Seal in privileges.h).
// Errors: what failed; fatal to the caller. A kernel without the feature is no error.
#ifndef AQMESH_DAEMON_NET_SANDBOX_H_
#define AQMESH_DAEMON_NET_SANDBOX_H_

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace aqmesh::daemon {

// For the log, the status and --selfcheck.
struct Wall {
  bool stands = false;
  std::string text = {};  // "Landlock ABI 7", "no Landlock in this kernel"
};

// ---- files

// A path that does not exist or cannot be reached is left out, so nothing can be made there later
// either. A rule for a directory holds for all below it; one for a file ends when another file
// takes its place.
struct Files {
  std::vector<std::string> state = {};     // read, change, make, rename and remove
  std::vector<std::string> sockets = {};   // make and remove Unix sockets
  std::vector<std::string> readable = {};  // read files, list directories
  std::vector<std::string> devices = {};   // open, read, write, ioctl
  bool abstract_sockets = false;           // may speak to abstract Unix sockets of other processes
  std::vector<uint16_t> tcp_ports = {};    // may connect to these, at any address
};

// The engine: its state, the directory of its control socket (must exist), its configuration, and
// what libc reads for groups, threads, time and random numbers. `config` may be empty.
Files EngineFiles(const std::string& state, const std::string& socket, const std::string& config);
// The monitor: the TUN node.
Files MonitorFiles();
// The courier: how names are looked up and whose certificates count. /etc as a whole, for who
// renews a lease puts another resolv.conf in the place of the one that was there.
Files CourierFiles(std::vector<uint16_t> tcp_ports);

// Also no TCP but to those ports (from ABI 4), and no signals to and no abstract sockets of others
// (from ABI 6).
absl::StatusOr<Wall> ConfineFiles(const Files& files);

// ---- system calls

// None runs a program, makes a process, maps memory that can be executed, traces, mounts, enters a
// namespace or, but for the courier, opens a network socket. What each may do more:
//   engine   threads, files, its open sockets; new sockets AF_UNIX datagrams alone (sd_notify)
//   monitor  its two netlink sockets and the engine's, which are open already; opening a TUN
//   courier  threads; new network sockets, to connect and to ask a name server, never to listen
enum class Process { kEngine, kMonitor, kCourier };
enum class Refused { kFail, kKill };

absl::StatusOr<Wall> ConfineCalls(Process process, Refused refused);

// ---- memory

// Keeps the pages of a resource that holds long-term keys out of swap. For what lies inside the
// object alone: session keys, on the heap, are not covered; they live for minutes, and are wiped.
absl::Status LockInMemory(const void* object, size_t bytes);

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_NET_SANDBOX_H_
