// Landlock through its three system calls: the headers of Debian 12 know ABI 2, so what later ones
// added stands here with its number.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "core/base/status.h"
#include "daemon/net/privileges.h"
#include "daemon/net/sandbox.h"
#include "transport/os/fd.h"

namespace aqmesh::daemon {

namespace {

constexpr uint64_t kTruncate = 1u << 14;                              // ABI 3
constexpr uint64_t kIoctlDevice = 1u << 15;                           // ABI 5
constexpr uint64_t kTcpBind = 1u << 0, kTcpConnect = 1u << 1;         // ABI 4
constexpr int kRuleNetPort = 2;                                       // ABI 4
constexpr uint64_t kScopeAbstract = 1u << 0, kScopeSignal = 1u << 1;  // ABI 6

// Below ABI 2 no file can be renamed from one directory to another: RocksDB has to.
constexpr int kAbiMin = 2;

struct NetPortRule {
  uint64_t allowed;
  uint64_t port;
};

struct RulesetV6 {
  uint64_t files;
  uint64_t net;
  uint64_t scopes;
};

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kChange = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                             LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                             LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER | kTruncate;
constexpr uint64_t kSocket = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
constexpr uint64_t kDevice =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kIoctlDevice;
// What a rule for a file that is no directory may name.
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kIoctlDevice;

uint64_t FilesHandled(int abi) {
  uint64_t all = (1u << 14) - 1;  // ABI 2
  if (abi >= 3) all |= kTruncate;
  if (abi >= 5) all |= kIoctlDevice;
  return all;
}

absl::Status Allow(int ruleset,
                   uint64_t rights,
                   uint64_t handled,
                   const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const os::Fd at(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!at.valid() && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) continue;
    struct stat kind{};
    if (!at.valid() || ::fstat(at.get(), &kind) < 0) return os::ErrnoStatus(errno, path);
    const uint64_t fit = S_ISDIR(kind.st_mode) ? rights : rights & kOfFiles;
    landlock_path_beneath_attr rule{.allowed_access = fit & handled, .parent_fd = at.get()};
    if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
      return os::ErrnoStatus(errno, Join("Landlock rule for ", path));
  }
  return absl::OkStatus();
}

}  // namespace

Files EngineFiles(const std::string& state, const std::string& socket, const std::string& config) {
  Files files{.state = {state},
              .sockets = {DirectoryOf(socket)},
              // Groups by name and what serves them, once; the shape of the machine for malloc and
              // threads; a name for a new store; the hour in RocksDB's own log.
              .readable = {"/etc/nsswitch.conf",
                           "/etc/passwd",
                           "/etc/group",
                           "/run/systemd/userdb",
                           "/etc/ld.so.cache",
                           "/lib",
                           "/lib64",
                           "/usr/lib",
                           "/usr/lib64",
                           "/etc/localtime",
                           "/usr/share/zoneinfo",
                           "/sys/devices/system/cpu",
                           "/proc/sys/kernel/random",
                           "/dev/urandom"}};
  // The directory: an editor puts a new file in the place of the one that was read.
  if (!config.empty()) files.readable.push_back(DirectoryOf(config));
  const char* notify =
      std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): no thread yet
  files.abstract_sockets = notify != nullptr && notify[0] == '@';
  return files;
}

Files MonitorFiles() { return {.devices = {"/dev/net/tun"}}; }

Files CourierFiles(std::vector<uint16_t> tcp_ports) {
  constexpr uint16_t kDns = 53;  // for an answer that is too long for UDP
  if (std::ranges::find(tcp_ports, kDns) == tcp_ports.end()) tcp_ports.push_back(kDns);
  Files files{.readable = {"/etc",
                           "/run/systemd/resolve",
                           "/run/resolvconf",
                           "/run/NetworkManager",
                           "/lib",
                           "/lib64",
                           "/usr/lib",
                           "/usr/lib64",
                           "/usr/share/ca-certificates",
                           "/usr/local/share/ca-certificates",
                           "/sys/devices/system/cpu",
                           "/dev/urandom"},
              .tcp_ports = std::move(tcp_ports)};
  const char* trusted =
      std::getenv("SSL_CERT_FILE");  // NOLINT(concurrency-mt-unsafe): no thread yet
  if (trusted != nullptr && *trusted != '\0') files.readable.emplace_back(trusted);
  return files;
}

absl::StatusOr<Wall> ConfineFiles(const Files& files) {
  const long found =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (found < 0) {
    if (errno == ENOSYS || errno == EOPNOTSUPP)
      return Wall{.stands = false, .text = "no Landlock in this kernel"};
    return os::ErrnoStatus(errno, "asking for Landlock", "allow its calls in the service unit");
  }
  const int abi = static_cast<int>(found);
  if (abi < kAbiMin)
    return Wall{.stands = false, .text = Join("Landlock ABI ", abi, " knows too little")};
  RulesetV6 set{.files = FilesHandled(abi), .net = 0, .scopes = 0};
  if (abi >= 4) set.net = kTcpBind | kTcpConnect;
  if (abi >= 6) set.scopes = kScopeSignal | (files.abstract_sockets ? 0 : kScopeAbstract);
  const size_t size = abi >= 6 ? sizeof set : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
  const os::Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &set, size, 0)));
  if (!ruleset.valid()) return os::ErrnoStatus(errno, "making Landlock's rules");
  AQ_RETURN_IF_ERROR(Allow(ruleset.get(), kRead | kChange, set.files, files.state));
  AQ_RETURN_IF_ERROR(Allow(ruleset.get(), kSocket, set.files, files.sockets));
  AQ_RETURN_IF_ERROR(Allow(ruleset.get(), kRead, set.files, files.readable));
  AQ_RETURN_IF_ERROR(Allow(ruleset.get(), kDevice, set.files, files.devices));
  for (const uint16_t port : abi >= 4 ? files.tcp_ports : std::vector<uint16_t>()) {
    const NetPortRule rule{.allowed = kTcpConnect, .port = port};
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), kRuleNetPort, &rule, 0) < 0)
      return os::ErrnoStatus(errno, Join("Landlock rule for TCP port ", port));
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0)
    return os::ErrnoStatus(errno, "Landlock", "no_new_privs comes first");
  return Wall{.stands = true, .text = Join("Landlock ABI ", abi)};
}

absl::Status LockInMemory(const void* object, size_t bytes) {
  if (::mlock(object, bytes) == 0) return absl::OkStatus();
  return os::ErrnoStatus(
      errno, "locking keys in memory", "raise the limit: ulimit -l, LimitMEMLOCK=");
}

}  // namespace aqmesh::daemon
