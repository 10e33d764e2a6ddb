// Courier: the inside of aqmesh-courier. POSTs what the engine hands it to the witnesses that it
// was started with, and hands back what they answer. It holds no key and believes nobody: what an
// answer is worth, the engine finds out.
// Spec:   C2SP tlog-witness (POST URL/add-checkpoint); spec/lineage.md §7.8; spec/security.md.
// Bounds: one errand of a witness under way, a newer one takes its place; an answer is read up to
//         kAnswerBytesMax, its head up to kAnswerHeadMax; Limits of time. Redirects are not
//         followed, proxies not asked.
// Thread: Serve's; libcurl looks names up on threads of its own.
// Errors: an errand always has an Outcome; Serve ends when the engine's end is closed.
#ifndef AQMESH_DAEMON_COURIER_HTTP_COURIER_H_
#define AQMESH_DAEMON_COURIER_HTTP_COURIER_H_

#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "daemon/courier/courier_protocol.h"

namespace aqmesh::daemon {

class Courier {
 public:
  static constexpr size_t kUrlsMax = 256;  // a witness is a byte of the protocol
  static constexpr size_t kAnswerHeadMax = 16'384;
  struct Limits {
    std::chrono::milliseconds connect{10'000};
    std::chrono::milliseconds whole{20'000};
  };
  // `urls`: submission prefixes, http or https. Starts libcurl, so before other threads exist.
  static absl::StatusOr<std::unique_ptr<Courier>> Open(std::vector<std::string> urls,
                                                       Limits limits);
  static absl::StatusOr<std::unique_ptr<Courier>> Open(std::vector<std::string> urls);
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  // That it connects to over TCP, beside the name server's.
  std::vector<uint16_t> ports() const;
  // Looks each name up once, whatever comes of it: so libc loads what its configuration names
  // before this process is confined.
  void WarmUp() const;
  // Borrows `fd`, the courier's end of the pair.
  absl::Status Serve(int fd);

 private:
  struct Libcurl;
  struct Errands;
  explicit Courier(std::vector<std::string> urls, Limits limits);
  absl::Status Hear(int fd);

  const std::vector<std::string> urls_;
  const Limits limits_;
  const std::string trusted_;  // SSL_CERT_FILE, or empty: what libcurl was built with
  std::unique_ptr<Libcurl> libcurl_;
  std::unique_ptr<Errands> errands_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_COURIER_HTTP_COURIER_H_
