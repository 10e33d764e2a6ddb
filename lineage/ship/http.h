// HttpClient: POST to one server over libcurl, kept open between requests.
// Bounds: kConnectWithin, kAnswerWithin, kAnswerBytesMax. No redirect is followed.
// Thread: one owner. Errors: Unavailable (no connection, no whole answer), InvalidArgument (the
//         address), ResourceExhausted (an answer without end), Cancelled. What the server answers,
//         also 500, is an answer.
#ifndef AQMESH_LINEAGE_SHIP_HTTP_H_
#define AQMESH_LINEAGE_SHIP_HTTP_H_

#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lineage/ship/sink.h"

namespace aqmesh::lineage::ship {

// scheme://[user@]host[:port][/database]
struct HttpAddress {
  std::string base;  // "http://host:8123/"
  std::string user, database;
};
// ClickHouse's ports where none is given: 8123, and 8443 for https. InvalidArgument: anything else
// in it, a password above all.
absl::StatusOr<HttpAddress> ParseHttpAddress(const std::string& text);

class HttpClient {
 public:
  static constexpr std::chrono::seconds kConnectWithin{15};
  static constexpr std::chrono::seconds kAnswerWithin{120};
  static constexpr size_t kAnswerBytesMax = 1'048'576;

  // Basic authentication if there is a user; else what ~/.netrc has for the host.
  HttpClient(std::string base, std::string user, std::string password, Hooks hooks);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  using Parameters = std::vector<std::pair<std::string, std::string>>;
  struct Answer {
    long status = 0;
    std::string body;
  };
  // The parameters go into the address. With `file_name`, `body` is sent as a file of that name in
  // a form (multipart/form-data), else as it is.
  absl::StatusOr<Answer> Post(const Parameters& parameters,
                              std::string_view body,
                              const char* file_name = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_HTTP_H_
