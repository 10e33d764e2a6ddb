// The lists of system calls. They come from traces of tests/e2e (what each process calls between
// the end of its start and its own end), and from what glibc and RocksDB call on paths that are
// rare: a full disk, compaction, an allocator in need, an interrupted sleep, an abort. Names that
// only other architectures have are for those: libseccomp leaves out what ours lacks.
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <memory>
#include <span>

#include "core/base/status.h"
#include "daemon/net/sandbox.h"
#include "transport/os/fd.h"

namespace aqmesh::daemon {

namespace {

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

// Any process that runs, allocates, logs and ends.
constexpr int kOfBoth[] = {
    SCMP_SYS(read),         SCMP_SYS(readv),          SCMP_SYS(write),
    SCMP_SYS(writev),       SCMP_SYS(close),          SCMP_SYS(openat),
    SCMP_SYS(open),         SCMP_SYS(fstat),          SCMP_SYS(newfstatat),
    SCMP_SYS(statx),        SCMP_SYS(lseek),          SCMP_SYS(fcntl),
    SCMP_SYS(umask),        SCMP_SYS(poll),           SCMP_SYS(ppoll),
    SCMP_SYS(sendmsg),      SCMP_SYS(sendto),         SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),     SCMP_SYS(shutdown),       SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),   SCMP_SYS(getsockname),    SCMP_SYS(getpeername),
    SCMP_SYS(brk),          SCMP_SYS(munmap),         SCMP_SYS(mremap),
    SCMP_SYS(madvise),      SCMP_SYS(futex),          SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),  SCMP_SYS(getpid),         SCMP_SYS(gettid),
    SCMP_SYS(getuid),       SCMP_SYS(geteuid),        SCMP_SYS(getgid),
    SCMP_SYS(getegid),      SCMP_SYS(getrandom),      SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),   SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),    SCMP_SYS(sched_yield),    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

// The loop and its sockets; the log thread and RocksDB with its own threads.
constexpr int kOfEngine[] = {
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(dup),
    SCMP_SYS(wait4),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(membarrier),
    SCMP_SYS(getcpu),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(msync),
    SCMP_SYS(fallocate),
    SCMP_SYS(ftruncate),
    SCMP_SYS(truncate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(readahead),
    SCMP_SYS(flock),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(fchmod),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    SCMP_SYS(times),
    SCMP_SYS(time),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
};

// libcurl's loop, its threads that look names up, and OpenSSL's reading of certificates.
constexpr int kOfCourier[] = {
    SCMP_SYS(connect),    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),   SCMP_SYS(socketpair),
    SCMP_SYS(eventfd2),   SCMP_SYS(pipe2),
    SCMP_SYS(select),     SCMP_SYS(pselect6),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_ctl),
    SCMP_SYS(stat),       SCMP_SYS(lstat),
    SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),     SCMP_SYS(pread64),
    SCMP_SYS(uname),      SCMP_SYS(sysinfo),
    SCMP_SYS(time),       SCMP_SYS(times),
    SCMP_SYS(getrusage),  SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),       SCMP_SYS(membarrier),
    SCMP_SYS(getcpu),     SCMP_SYS(sched_getaffinity),
    SCMP_SYS(dup),
};

// A sanitizer's runtime looks at doubtful memory through a pipe.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kOfSanitizer[] = {SCMP_SYS(pipe), SCMP_SYS(pipe2)};
#else
constexpr std::span<const int> kOfSanitizer;
#endif

constexpr uint64_t kSocketType = 0xf;  // beside SOCK_CLOEXEC and SOCK_NONBLOCK
constexpr uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// A filter being built. The first error stays; rules after it do nothing.
class Filter {
 public:
  explicit Filter(uint32_t refusal) : context_(seccomp_init(refusal), seccomp_release) {
    if (!context_) error_ = -ENOMEM;
  }
  void Set(scmp_filter_attr attribute, uint32_t value) {
    if (error_ == 0) error_ = seccomp_attr_set(context_.get(), attribute, value);
  }
  void Allow(std::span<const int> calls) {
    for (const int call : calls) Add(SCMP_ACT_ALLOW, call, {});
  }
  // One rule; several for one call are alternatives.
  void Add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments) {
    if (error_ == 0)
      error_ = seccomp_rule_add_array(
          context_.get(), action, call, static_cast<unsigned>(arguments.size()), arguments.begin());
  }
  absl::Status Load() {
    if (error_ == 0) error_ = seccomp_load(context_.get());
    return error_ == 0 ? absl::OkStatus()
                       : os::ErrnoStatus(-error_, "seccomp", "allow its call in the service unit");
  }

 private:
  std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int error_ = 0;
};

scmp_arg_cmp Is(unsigned argument, uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}
scmp_arg_cmp Has(unsigned argument, uint64_t mask, uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

void AllowBoth(Filter& filter) {
  filter.Allow(kOfBoth);
  filter.Allow(kOfSanitizer);
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)})
    filter.Add(SCMP_ACT_ALLOW, call, {Has(2, PROT_EXEC, 0)});
  // abort() signals its own thread.
  filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), {Is(0, static_cast<uint64_t>(::getpid()))});
  filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), {Is(2, 0)});  // asks, sets none
}

// Threads, not processes. The flags of clone3 lie in memory, where no filter sees them: glibc takes
// "not there" for an answer and calls clone.
void AllowThreads(Filter& filter) {
  filter.Add(
      SCMP_ACT_ALLOW, SCMP_SYS(clone), {Has(0, CLONE_THREAD | kNewNamespaces, CLONE_THREAD)});
  filter.Add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), {});
}

// libc asks which addresses the machine has, and a daemon that caches names: it goes on without.
void AllowCourier(Filter& filter) {
  filter.Allow(kOfCourier);
  AllowThreads(filter);
  for (const uint64_t family : {uint64_t{AF_INET}, uint64_t{AF_INET6}}) {
    for (const uint64_t type : {uint64_t{SOCK_STREAM}, uint64_t{SOCK_DGRAM}})
      filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(socket), {Is(0, family), Has(1, kSocketType, type)});
  }
  for (const uint64_t family : {uint64_t{AF_NETLINK}, uint64_t{AF_UNIX}})
    filter.Add(SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), {Is(0, family)});
  for (const uint64_t what : {uint64_t{PR_SET_NAME}, uint64_t{PR_SET_VMA}})
    filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(prctl), {Is(0, what)});
  for (const uint64_t request : {uint64_t{FIONBIO}, uint64_t{FIONREAD}})
    filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {Is(1, request)});
}

void AllowEngine(Filter& filter) {
  filter.Allow(kOfEngine);
  filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(socket), {Is(0, AF_UNIX), Has(1, kSocketType, SOCK_DGRAM)});
  AllowThreads(filter);
  for (const uint64_t what : {uint64_t{PR_SET_NAME}, uint64_t{PR_SET_VMA}})
    filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(prctl), {Is(0, what)});
  for (const uint64_t request :
       {uint64_t{FIONBIO}, uint64_t{FIONREAD}, uint64_t{FS_IOC_GETVERSION}})
    filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {Is(1, request)});
}

void AllowMonitor(Filter& filter) {
  for (const uint64_t request : {uint64_t{TUNSETIFF},
                                 uint64_t{TUNGETIFF},
                                 uint64_t{TUNSETVNETHDRSZ},
                                 uint64_t{TUNSETOFFLOAD}})
    filter.Add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {Is(1, request)});
}

}  // namespace

absl::StatusOr<Wall> ConfineCalls(Process process, Refused refused) {
  // Without a filter to read this fails as EFAULT wherever filters are known.
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, nullptr) < 0 &&
      (errno == ENOSYS || errno == EINVAL))
    return Wall{.stands = false, .text = "no seccomp in this kernel"};
  Filter filter(refused == Refused::kKill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
  filter.Set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  filter.Set(SCMP_FLTATR_CTL_TSYNC, 1);
  filter.Set(SCMP_FLTATR_CTL_LOG, 1);
  filter.Set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: the list is long
  filter.Set(SCMP_FLTATR_API_SYSRAWRC, 1);  // the kernel's own reason when it does not load
  AllowBoth(filter);
  switch (process) {
    case Process::kEngine: AllowEngine(filter); break;
    case Process::kMonitor: AllowMonitor(filter); break;
    case Process::kCourier: AllowCourier(filter); break;
  }
  AQ_RETURN_IF_ERROR(filter.Load());
  return Wall{.stands = true,
              .text = refused == Refused::kKill ? "seccomp, a refused call kills" : "seccomp"};
}

}  // namespace aqmesh::daemon
