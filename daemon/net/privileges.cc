#include "daemon/net/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "core/base/status.h"
#include "transport/os/fd.h"

namespace aqmesh::daemon {

namespace {

using CapWords = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

constexpr uint32_t kNetAdminBit = 1u << CAP_NET_ADMIN;
static_assert(CAP_NET_ADMIN < 32);

CapWords ReadCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  CapWords words{};
  (void)::syscall(
      SYS_capget, &header, words.data());  // cannot fail for oneself; zeros would only refuse more
  return words;
}

// Only `bits` of the first word stay. The bounding set is cut first, which only a process with
// CAP_SETPCAP can; for the others no_new_privs closes the same door.
absl::Status SetCapabilities(uint32_t bits) {
  for (int cap = 0; cap <= CAP_LAST_CAP; ++cap) {
    if (cap >= 32 || (bits & (1u << cap)) == 0) (void)::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    return os::ErrnoStatus(errno, "giving up ambient capabilities");
  }
  // Under the service units nothing is left to give up, and capset itself is forbidden.
  const CapWords held = ReadCapabilities();
  if (held[0].permitted == bits && held[0].effective == bits && held[1].permitted == 0)
    return absl::OkStatus();
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  CapWords words{};
  words[0].effective = words[0].permitted = bits;
  if (::syscall(SYS_capset, &header, words.data()) < 0)
    return os::ErrnoStatus(errno, "giving up capabilities");
  return absl::OkStatus();
}

}  // namespace

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool HasNetAdmin() { return (ReadCapabilities()[0].effective & kNetAdminBit) != 0; }

absl::Status KeepOnlyNetAdmin() {
  if ((ReadCapabilities()[0].permitted & kNetAdminBit) == 0) {
    return PermissionDenied(
        "aqmesh-net needs CAP_NET_ADMIN: start aqmeshd as root, or by its service unit");
  }
  return SetCapabilities(kNetAdminBit);
}

absl::Status DropCapabilities() { return SetCapabilities(0); }

absl::Status MakeSocketDirectory(const std::string& socket) {
  const std::string directory = DirectoryOf(socket), above = DirectoryOf(directory);
  const bool made = (::mkdir(above.c_str(), 0755) == 0 || errno == EEXIST) &&
                    (::mkdir(directory.c_str(), 0750) == 0 || errno == EEXIST);
  return made ? absl::OkStatus()
              : os::ErrnoStatus(errno,
                                Join("creating directory ", directory),
                                "create it, or run with the rights to");
}

absl::StatusOr<std::string> BecomeServiceUser(const std::string& state, const std::string& socket) {
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* user = nullptr;
  (void)::getpwnam_r("aqmesh", &entry, buffer.data(), buffer.size(), &user);
  struct stat owner{};
  const bool ours =
      user != nullptr && ::stat(state.c_str(), &owner) == 0 && owner.st_uid == user->pw_uid;
  if (::geteuid() != 0 || !ours) return Join("user ", ::geteuid());
  const std::string directory = DirectoryOf(socket);
  if (::mkdir(directory.c_str(), 0750) < 0 && errno != EEXIST)
    return os::ErrnoStatus(errno, directory);
  if (::chown(directory.c_str(), user->pw_uid, user->pw_gid) < 0)
    return os::ErrnoStatus(errno, directory);
  if (::initgroups("aqmesh", user->pw_gid) < 0 ||
      ::setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
      ::setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0) {
    return os::ErrnoStatus(errno, "becoming the user aqmesh");
  }
  return std::string("user aqmesh");
}

absl::Status Seal() {
  rlimit core{};
  const bool has_core =
      ::getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0 || core.rlim_max != 0;
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return os::ErrnoStatus(errno, "no_new_privs");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return os::ErrnoStatus(errno, "PR_SET_DUMPABLE");
  if (has_core && ::setrlimit(RLIMIT_CORE, &none) < 0) return os::ErrnoStatus(errno, "RLIMIT_CORE");
  ::umask(0077);
  return absl::OkStatus();
}

Privileges ReadPrivileges() {
  const CapWords words = ReadCapabilities();
  bool none = true;
  for (const auto& w : words) none = none && w.effective == 0 && w.permitted == 0;
  for (int cap = 0; cap <= CAP_LAST_CAP; ++cap)
    none = none && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) <= 0;
  return {.no_capabilities = none,
          .no_new_privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
          .not_dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0};
}

}  // namespace aqmesh::daemon
