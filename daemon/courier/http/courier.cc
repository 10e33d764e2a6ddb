#include "daemon/courier/http/courier.h"

#include <curl/curl.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "core/base/status.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::daemon {

namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

// A part of a URL as libcurl reads it, which is who connects; empty if it reads none.
std::string PartOf(const std::string& text, CURLUPart part, unsigned flags) {
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  char* value = nullptr;
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK ||
      curl_url_get(url.get(), part, &value, flags) != CURLUE_OK)
    return "";
  const std::string out(value);
  curl_free(value);
  return out;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value == nullptr ? "" : value;
}

std::string TargetOf(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url + "/add-checkpoint";
}

}  // namespace

// One POST on its way.
struct Transfer {
  Errand errand;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string answer;
  size_t head_bytes = 0;
  bool too_large = false;
  std::array<char, CURL_ERROR_SIZE> error{};

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }

  static size_t OnBody(char* data, size_t one, size_t size, void* self) {
    auto& t = *static_cast<Transfer*>(self);
    if (t.answer.size() + one * size > kAnswerBytesMax) {
      t.too_large = true;
      return 0;  // which ends it
    }
    t.answer.append(data, one * size);
    return one * size;
  }
  static size_t OnHead(char*, size_t one, size_t size, void* self) {
    auto& t = *static_cast<Transfer*>(self);
    t.head_bytes += one * size;
    t.too_large |= t.head_bytes > Courier::kAnswerHeadMax;
    return t.too_large ? 0 : one * size;
  }

  Outcome Ended(CURLcode code) const {
    Outcome out{.request = errand.request, .witness = errand.witness, .status = 0, .body = {}};
    if (code == CURLE_OK) {
      long status = 0;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      out.status = static_cast<uint16_t>(std::clamp<long>(status, 0, 999));
      out.body = answer;
      if (out.status == 0) out.body = "its answer has no status";
    } else if (too_large) {
      out.body = Join("its answer is larger than ", kAnswerBytesMax, " bytes");
    } else {
      out.body = error[0] != '\0' ? error.data() : curl_easy_strerror(code);
    }
    return out;
  }
};

struct Courier::Libcurl {
  CURLM* multi = nullptr;
  bool started = false;
  ~Libcurl() {
    if (multi != nullptr) curl_multi_cleanup(multi);
    if (started) curl_global_cleanup();
  }
};

struct Courier::Errands {
  std::map<uint8_t, std::unique_ptr<Transfer>> under_way;  // by witness
};

Courier::Courier(std::vector<std::string> urls, Limits limits)
    : urls_(std::move(urls)),
      limits_(limits),
      trusted_(Environment("SSL_CERT_FILE")),
      libcurl_(std::make_unique<Libcurl>()),
      errands_(std::make_unique<Errands>()) {}

Courier::~Courier() {
  for (auto& [witness, t] : errands_->under_way) curl_multi_remove_handle(libcurl_->multi, t->easy);
}

absl::StatusOr<std::unique_ptr<Courier>> Courier::Open(std::vector<std::string> urls) {
  return Open(std::move(urls), Limits{});
}

absl::StatusOr<std::unique_ptr<Courier>> Courier::Open(std::vector<std::string> urls,
                                                       Limits limits) {
  if (urls.empty() || urls.size() > kUrlsMax)
    return InvalidArgument(urls.size(), " URLs: 1 to ", kUrlsMax, " are served");
  std::unique_ptr<Courier> courier(new Courier(std::move(urls), limits));
  Libcurl& lib = *courier->libcurl_;
  if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) return Internal("libcurl did not start");
  lib.started = true;
  lib.multi = curl_multi_init();
  if (lib.multi == nullptr) return Internal("libcurl did not start");
  for (const std::string& url : courier->urls_) {
    const std::string scheme = PartOf(url, CURLUPART_SCHEME, 0);
    if (scheme != "http" && scheme != "https")
      return InvalidArgument("the URL ", url, " is neither http nor https");
  }
  return courier;
}

std::vector<uint16_t> Courier::ports() const {
  std::vector<uint16_t> out;
  for (const std::string& url : urls_) {
    const std::string port = PartOf(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    const auto number = static_cast<uint16_t>(std::strtoul(port.c_str(), nullptr, 10));
    if (number != 0 && std::ranges::find(out, number) == out.end()) out.push_back(number);
  }
  return out;
}

void Courier::WarmUp() const {
  for (const std::string& url : urls_) {
    const std::string host = PartOf(url, CURLUPART_HOST, 0);
    if (host.starts_with('[')) continue;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) == 0) ::freeaddrinfo(found);
  }
}

namespace {

// What no errand changes: whom to believe, what not to follow, how long and how much.
void SetRules(CURL* easy, const Courier::Limits& limits) {
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(limits.whole.count()));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "aqmesh");
}

absl::Status Prepare(Transfer& t, const std::string& url, const Courier::Limits& limits) {
  t.easy = curl_easy_init();
  // Without Expect: a small body needs no permission first.
  t.headers = curl_slist_append(nullptr, "Expect:");
  curl_slist* more = curl_slist_append(t.headers, "Content-Type: text/plain; charset=utf-8");
  if (t.easy == nullptr || more == nullptr)
    return ResourceExhausted("no memory for another request");
  SetRules(t.easy, limits);
  curl_easy_setopt(t.easy, CURLOPT_URL, TargetOf(url).c_str());
  curl_easy_setopt(t.easy, CURLOPT_HTTPHEADER, t.headers);
  curl_easy_setopt(t.easy, CURLOPT_POST, 1L);
  curl_easy_setopt(
      t.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.errand.body.size()));
  curl_easy_setopt(t.easy, CURLOPT_POSTFIELDS, t.errand.body.data());  // which outlives it
  curl_easy_setopt(t.easy, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(t.easy, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(t.easy, CURLOPT_HEADERFUNCTION, &Transfer::OnHead);
  curl_easy_setopt(t.easy, CURLOPT_HEADERDATA, &t);
  curl_easy_setopt(t.easy, CURLOPT_ERRORBUFFER, t.error.data());
  curl_easy_setopt(t.easy, CURLOPT_PRIVATE, &t);
  return absl::OkStatus();
}

// An engine that does not read its answers asks again: its patience ends too.
void Tell(int fd, const Outcome& outcome) {
  [[maybe_unused]] const absl::Status sent = os::SendMessage(fd, Encode(outcome));
}

}  // namespace

// Errands that wait in the socket. NotFound: the engine is gone.
absl::Status Courier::Hear(int fd) {
  for (;;) {
    const auto message = os::ReceiveMessage(fd);
    if (absl::IsUnavailable(message.status())) return absl::OkStatus();
    AQ_RETURN_IF_ERROR(message.status());
    auto errand = ParseErrand(message->bytes);
    if (!errand) return InvalidArgument("aqmeshd says what no errand is; are both of one version?");
    auto t = std::make_unique<Transfer>();
    t->errand = *std::move(errand);
    const uint8_t witness = t->errand.witness;
    Outcome failed{.request = t->errand.request, .witness = witness, .status = 0, .body = {}};
    if (witness >= urls_.size()) {
      failed.body = "aqmesh-courier was not started with its URL; restart aqmeshd";
      Tell(fd, failed);
      continue;
    }
    if (const auto old = errands_->under_way.find(witness); old != errands_->under_way.end()) {
      curl_multi_remove_handle(libcurl_->multi, old->second->easy);
      errands_->under_way.erase(old);
    }
    if (const absl::Status ready = Prepare(*t, urls_[witness], limits_); !ready.ok()) {
      failed.body = Text(ready);
      Tell(fd, failed);
      continue;
    }
    if (!trusted_.empty()) curl_easy_setopt(t->easy, CURLOPT_CAINFO, trusted_.c_str());
    curl_multi_add_handle(libcurl_->multi, t->easy);
    errands_->under_way[witness] = std::move(t);
  }
}

absl::Status Courier::Serve(int fd) {
  AQ_RETURN_IF_ERROR(os::SetNonBlocking(fd));
  for (;;) {
    curl_waitfd engine{.fd = fd, .events = CURL_WAIT_POLLIN, .revents = 0};
    constexpr int kWaitMillis = 10'000;  // libcurl wakes earlier for what is due
    if (curl_multi_poll(libcurl_->multi, &engine, 1, kWaitMillis, nullptr) != CURLM_OK)
      return Internal("libcurl cannot wait");
    if (engine.revents != 0) {
      const absl::Status heard = Hear(fd);
      if (absl::IsNotFound(heard)) return absl::OkStatus();
      AQ_RETURN_IF_ERROR(heard);
    }
    int running = 0, left = 0;
    curl_multi_perform(libcurl_->multi, &running);
    while (const CURLMsg* done = curl_multi_info_read(libcurl_->multi, &left)) {
      if (done->msg != CURLMSG_DONE) continue;
      char* mine = nullptr;
      curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, &mine);
      const auto* t = reinterpret_cast<const Transfer*>(mine);
      Tell(fd, t->Ended(done->data.result));
      curl_multi_remove_handle(libcurl_->multi, t->easy);
      errands_->under_way.erase(t->errand.witness);
    }
  }
}

}  // namespace aqmesh::daemon
