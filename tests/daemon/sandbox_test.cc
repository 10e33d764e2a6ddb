// The walls, from inside: a child builds them around itself and tries. What it could not do, or
// could, it says in one line; silence is success.
#include "daemon/net/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "daemon/net/privileges.h"
#include "lineage/rocks/rocks_store.h"
#include "transport/os/udp.h"

namespace aqmesh::daemon {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

struct End {
  int status = 0;  // as waitpid gives it
  std::string said;
};

// Runs `f` in a child of its own, for what it does cannot be undone.
End InChild(const std::function<std::string()>& f) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string said = Seal().ok() ? f() : "Seal failed";
    [[maybe_unused]] const ssize_t n = ::write(ends[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  End end;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    end.said.append(buffer, static_cast<size_t>(n));
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, &end.status, 0), child);
  return end;
}

bool HasSeccomp() {
  return ::syscall(SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, nullptr) < 0 && errno == EFAULT;
}
bool HasLandlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 2; }

#define NEEDS(feature) \
  if (!(feature)) GTEST_SKIP() << "this kernel does not offer it: " #feature

// What a call answered: "" if it was refused with `error`, else what happened instead.
std::string Expect(int error, const char* what, long result) {
  const int got = errno;
  if (result < 0 && got == error) return "";
  return Join(
      what, result < 0 ? Join(": errno ", got, ", not ", error) : ": was not refused", "\n");
}
std::string Works(const char* what, bool good) {
  return good ? "" : Join(what, ": errno ", errno, "\n");
}

class SandboxTest : public testing::Test {
 protected:
  SandboxTest() : root_(Join(TempDir(), "/sandbox-", ::getpid())) {
    fs::remove_all(root_);
    for (const char* d : {"/state", "/run", "/elsewhere"}) fs::create_directories(root_ + d);
    fs::permissions(root_ + "/state", fs::perms::owner_all);
    std::ofstream(root_ + "/elsewhere/shadow") << "root:x";
  }
  ~SandboxTest() override { fs::remove_all(root_); }

  std::string ConfineEngineFiles() const {
    const auto wall = ConfineFiles(EngineFiles(root_ + "/state", root_ + "/run/d.sock", ""));
    return wall.ok() && wall->stands ? "" : Join("ConfineFiles: ", Text(wall.status()), "\n");
  }
  static std::string Confine(Process process, Refused refused) {
    const auto wall = ConfineCalls(process, refused);
    return wall.ok() && wall->stands ? "" : Join("ConfineCalls: ", Text(wall.status()), "\n");
  }

  const std::string root_;
};

// As the daemon uses it: a store that is written, closed and opened again (as after a full disk);
// with so much in it that memtables are flushed and files compacted.
std::string UseStore(const std::string& dir) {
  constexpr size_t kValue = 64 * 1024;
  for (int round = 0; round < 3; ++round) {
    auto store = lineage::RocksStore::Open(dir);
    if (!store.ok()) return Join("opening the store: ", Text(store.status()), "\n");
    for (uint8_t i = 0; i < 32; ++i) {
      lineage::Batch batch;
      for (int j = 0; j < 8; ++j)
        batch.puts.push_back({.name = Join("n", i, "-", j), .value = Bytes(kValue, i)});
      const absl::Status s = (*store)->Commit(batch);
      if (!s.ok()) return Join("writing: ", Text(s), "\n");
    }
    const auto value = (*store)->GetState("n3-5");
    if (!value.ok() || !*value || (*value)->size() != kValue)
      return "what was written is not there\n";
  }
  size_t tables = 0;
  for (const auto& file : fs::directory_iterator(dir + "/db"))
    tables += file.path().extension() == ".sst" ? 1u : 0u;
  return tables > 0 ? "" : "nothing was flushed\n";
}

std::string UseUdp(os::UdpPair& from, os::UdpPair& to) {
  const Bytes hello = {1, 2, 3};
  const Endpoint there{.address = *IpAddress::Parse("127.0.0.1"), .port = to.port()};
  const os::OutDatagram out[] = {{.bytes = hello, .remote = there}};
  from.Send(out);
  std::vector<os::Datagram> in;
  for (int i = 0; i < 100 && in.empty(); ++i) {
    to.Receive(os::Family::kV4, in);
    ::usleep(1'000);
  }
  return in.size() == 1 && in[0].bytes.size() == 3 ? "" : "no datagram came\n";
}

TEST_F(SandboxTest, EngineStoresSendsReceivesAndStartsThreadsUnderTheListThatKills) {
  NEEDS(HasSeccomp());
  NEEDS(HasLandlock());
  const End end = InChild([this] {
    auto a = os::UdpPair::Open({.port = 0}), b = os::UdpPair::Open({.port = 0});
    if (!a.ok() || !b.ok()) return std::string("no UDP here\n");
    std::string bad = ConfineEngineFiles();
    bad += UseStore(root_ + "/state/store");  // its threads are there when the filter comes
    auto store = lineage::RocksStore::Open(root_ + "/state/other");
    bad += Confine(Process::kEngine, Refused::kKill);
    bad += UseStore(root_ + "/state/store");
    bad += UseUdp(**a, **b);
    int value = 0;
    std::thread([&value] { value = 7; }).join();
    bad += Works("a thread ran", value == 7);
    bad += Works("socket(AF_UNIX datagram)", ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
    return bad;
  });
  EXPECT_TRUE(WIFEXITED(end.status)) << "killed by signal " << WTERMSIG(end.status);
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, EngineIsRefusedWhatItNeverDoes) {
  NEEDS(HasSeccomp());
  const End end = InChild([] {
    std::string bad = Confine(Process::kEngine, Refused::kFail);
    char* const argv[] = {nullptr};
    bad += Expect(EPERM, "execve", ::execve("/bin/true", argv, argv));
    bad += Expect(EPERM, "fork", ::syscall(SYS_fork));
    bad += Expect(EPERM, "clone of a process", ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    bad += Expect(ENOSYS, "clone3", ::syscall(SYS_clone3, nullptr, 0));
    bad += Expect(EPERM, "ptrace", ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr));
    bad += Expect(EPERM, "process_vm_readv", ::syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0));
    bad += Expect(EPERM, "kill", ::kill(::getpid(), 0));
    bad += Expect(EPERM, "mount", ::mount("none", "/mnt", "tmpfs", 0, nullptr));
    bad += Expect(EPERM, "unshare", ::unshare(CLONE_NEWUSER));
    bad += Expect(EPERM, "setns", ::setns(0, 0));
    bad += Expect(EPERM, "bpf", ::syscall(SYS_bpf, 0, nullptr, 0));
    bad += Expect(EPERM, "io_uring_setup", ::syscall(SYS_io_uring_setup, 1, nullptr));
    bad += Expect(EPERM, "userfaultfd", ::syscall(SYS_userfaultfd, 0));
    bad += Expect(EPERM, "keyctl", ::syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    bad += Expect(EPERM, "open_by_handle_at", ::syscall(SYS_open_by_handle_at, 0, 0, 0));
    bad += Expect(EPERM, "setuid", ::setuid(0));
    bad += Expect(EPERM, "prctl(PR_SET_DUMPABLE)", ::prctl(PR_SET_DUMPABLE, 1));
    bad += Expect(EPERM, "AF_PACKET", ::socket(AF_PACKET, SOCK_RAW, 0));
    bad += Expect(EPERM, "AF_NETLINK", ::socket(AF_NETLINK, SOCK_RAW, 0));
    bad += Expect(EPERM, "AF_INET stream", ::socket(AF_INET, SOCK_STREAM, 0));
    bad += Expect(EPERM, "AF_INET raw", ::socket(AF_INET, SOCK_RAW, 1));
    bad += Expect(EPERM, "AF_UNIX stream", ::socket(AF_UNIX, SOCK_STREAM, 0));
    bad += Expect(EPERM, "connect", ::connect(0, nullptr, 0));
    bad += Expect(EPERM, "bind", ::bind(0, nullptr, 0));
    bad += Expect(EPERM, "ioctl(TIOCSTI)", ::ioctl(0, TIOCSTI, "x"));
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bad += Works("mmap", page != MAP_FAILED);
    bad += Expect(EPERM, "mprotect to executable", ::mprotect(page, 4096, PROT_READ | PROT_EXEC));
    return bad;
  });
  EXPECT_TRUE(WIFEXITED(end.status)) << "killed by signal " << WTERMSIG(end.status);
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, MonitorHasNoThreadsNoStoreAndNoNewSockets) {
  NEEDS(HasSeccomp());
  const End end = InChild([this] {
    std::string bad = Confine(Process::kMonitor, Refused::kFail);
    char* const argv[] = {nullptr};
    bad += Expect(EPERM, "execve", ::execve("/bin/true", argv, argv));
    constexpr long kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    bad += Expect(EPERM, "clone of a thread", ::syscall(SYS_clone, kThread, 0, 0, 0, 0));
    bad += Expect(EPERM, "clone3", ::syscall(SYS_clone3, nullptr, 0));
    bad += Expect(EPERM, "unlink", ::unlink((root_ + "/elsewhere/shadow").c_str()));
    bad += Expect(EPERM, "mkdir", ::mkdir((root_ + "/state/x").c_str(), 0700));
    bad += Expect(EPERM, "AF_INET", ::socket(AF_INET, SOCK_DGRAM, 0));
    bad += Expect(EPERM, "AF_UNIX", ::socket(AF_UNIX, SOCK_STREAM, 0));
    bad += Expect(EPERM, "AF_NETLINK", ::socket(AF_NETLINK, SOCK_RAW, 0));
    bad += Expect(EPERM, "setns", ::setns(0, 0));
    return bad;
  });
  EXPECT_TRUE(WIFEXITED(end.status)) << "killed by signal " << WTERMSIG(end.status);
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, ThreadsThatRanAlreadyAreHeldToo) {
  NEEDS(HasSeccomp());
  const End end = InChild([] {
    int go[2], done = 0, error = 0;
    if (::pipe(go) != 0) return std::string("no pipe\n");
    std::thread earlier([&] {
      char c = 0;
      done = ::read(go[0], &c, 1) == 1 && ::syscall(SYS_unshare, CLONE_NEWNET) < 0 ? 1 : 0;
      error = errno;
    });
    std::string bad = Confine(Process::kEngine, Refused::kFail);
    bad += Works("waking the thread", ::write(go[1], "x", 1) == 1);
    earlier.join();
    return bad + (done == 1 && error == EPERM ? "" : "the earlier thread was not held\n");
  });
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, RefusedCallKillsWhereThatWasAskedFor) {
  NEEDS(HasSeccomp());
  const End end = InChild([] {
    std::string bad = Confine(Process::kEngine, Refused::kKill);
    ::syscall(SYS_unshare, 0);
    return bad + "still alive\n";
  });
  ASSERT_TRUE(WIFSIGNALED(end.status)) << end.said;
  EXPECT_EQ(WTERMSIG(end.status), SIGSYS);
}

TEST_F(SandboxTest, EngineReachesItsStateAndNothingElse) {
  NEEDS(HasLandlock());
  const End end = InChild([this] {
    std::string bad = ConfineEngineFiles();
    const auto open = [](const std::string& path, int flags) {
      return ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    };
    bad += Works("make a file", open(root_ + "/state/a", O_RDWR | O_CREAT) >= 0);
    bad += Works("cut it", open(root_ + "/state/a", O_RDWR | O_TRUNC) >= 0);
    bad += Works("make a directory", ::mkdir((root_ + "/state/d").c_str(), 0700) == 0);
    const std::string moved = root_ + "/state/d/b";
    bad += Works("move it", ::rename((root_ + "/state/a").c_str(), moved.c_str()) == 0);
    bad += Works("remove it", ::unlink(moved.c_str()) == 0);
    bad += Works("group file", open("/etc/group", O_RDONLY) >= 0);
    bad += Expect(EACCES, "another's file", open(root_ + "/elsewhere/shadow", O_RDONLY));
    bad += Expect(EACCES, "write it", open(root_ + "/elsewhere/shadow", O_WRONLY));
    bad += Expect(EACCES, "/etc/shadow", open("/etc/shadow", O_RDONLY));
    bad += Expect(EACCES, "/proc/self/mem", open("/proc/self/mem", O_RDWR));
    bad +=
        Expect(EACCES, "make a file elsewhere", open(root_ + "/elsewhere/x", O_WRONLY | O_CREAT));
    bad += Expect(EACCES, "a file beside the socket", open(root_ + "/run/x", O_WRONLY | O_CREAT));
    bad += Expect(EACCES, "write the group file", open("/etc/group", O_WRONLY));
    bad += Expect(EACCES, "the TUN node", open("/dev/net/tun", O_RDWR));
    sockaddr_un at{.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = root_ + "/run/d.sock";
    path.copy(at.sun_path, sizeof at.sun_path - 1);
    const int s = ::socket(AF_UNIX, SOCK_STREAM, 0);
    bad += Works("bind", ::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    bad += Works("remove the socket", ::unlink(path.c_str()) == 0);
    return bad;
  });
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, EngineServesNoTcpWhereLandlockKnowsIt) {
  NEEDS(::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 4);
  const End end = InChild([this] {
    std::string bad = ConfineEngineFiles();
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bad += Expect(EACCES, "bind", ::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at));
    at.sin_port = htons(9);
    bad +=
        Expect(EACCES, "connect", ::connect(s, reinterpret_cast<const sockaddr*>(&at), sizeof at));
    return bad;
  });
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, MonitorReachesTheTunNodeAlone) {
  NEEDS(HasLandlock());
  const End end = InChild([this] {
    const auto wall = ConfineFiles(MonitorFiles());
    std::string bad = Works("ConfineFiles", wall.ok() && wall->stands);
    bad += Expect(EACCES, "a file", ::open((root_ + "/elsewhere/shadow").c_str(), O_RDONLY));
    bad += Expect(EACCES, "/etc/passwd", ::open("/etc/passwd", O_RDONLY));
    if (::access("/dev/net/tun", R_OK | W_OK) == 0)
      bad += Works("the TUN node", ::open("/dev/net/tun", O_RDWR) >= 0);
    return bad;
  });
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, CourierConnectsToItsPortsAloneAndReadsNoState) {
  NEEDS(::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 4);
  const End end = InChild([this] {
    const auto connect = [](int s, uint16_t port) {
      sockaddr_in at{};
      at.sin_family = AF_INET;
      at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      at.sin_port = htons(port);
      return ::connect(s, reinterpret_cast<const sockaddr*>(&at), sizeof at);
    };
    const auto wall = ConfineFiles(CourierFiles({9}));
    std::string bad = Works("ConfineFiles", wall.ok() && wall->stands);
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    bad += Expect(ECONNREFUSED, "its port", connect(s, 9));
    bad += Expect(EACCES, "another port", connect(s, 10));
    bad += Expect(EACCES, "a file", ::open((root_ + "/elsewhere/shadow").c_str(), O_RDONLY));
    bad += Works("/etc/passwd", ::open("/etc/passwd", O_RDONLY) >= 0);
    bad += Expect(EACCES, "writing", ::open("/etc/aqmesh-sandbox", O_RDWR | O_CREAT, 0600));
    return bad;
  });
  EXPECT_EQ(end.said, "");
}

TEST_F(SandboxTest, CourierOpensSocketsToTheNetworkAndNeverServes) {
  NEEDS(HasSeccomp());
  const End end = InChild([] {
    std::string bad = Confine(Process::kCourier, Refused::kFail);
    const int s = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bad += Works("TCP", s >= 0);
    bad += Works("UDP", ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) >= 0);
    std::thread([] {}).join();
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    bad += Expect(EPERM, "bind", ::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at));
    bad += Expect(EPERM, "listen", ::listen(s, 1));
    bad += Expect(EPERM, "a raw socket", ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    bad += Expect(EPERM, "packets", ::socket(AF_PACKET, SOCK_DGRAM, 0));
    bad += Expect(EAFNOSUPPORT, "another process", ::socket(AF_UNIX, SOCK_STREAM, 0));
    bad += Expect(EAFNOSUPPORT, "the tables", ::socket(AF_NETLINK, SOCK_RAW, 0));
    bad += Expect(EPERM, "a process", ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0));
    char* const none[] = {nullptr};
    bad += Expect(EPERM, "a program", ::execve("/bin/true", none, none));
    return bad;
  });
  EXPECT_EQ(end.said, "");
}

}  // namespace
}  // namespace aqmesh::daemon
