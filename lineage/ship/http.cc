#include "lineage/ship/http.h"

#include <curl/curl.h>

#include "core/base/status.h"

namespace aqmesh::lineage::ship {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeMime {
  void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// A part of an address; "" if it has none.
std::string PartOf(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string out = text;
  curl_free(text);
  return out;
}

absl::Status OfCurl(CURLcode code, const char* detail) {
  const std::string_view words = *detail == '\0' ? curl_easy_strerror(code) : detail;
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
      code == CURLE_UNSUPPORTED_PROTOCOL)
    return FailedPrecondition(words);
  return Unavailable(words);
}

}  // namespace

struct HttpClient::Impl {
  std::string base, user, password;
  Hooks hooks;
  CURL* curl = curl_easy_init();
  Answer answer;
  // A server that does not know "Expect: 100-continue" would be waited for with each block.
  std::unique_ptr<curl_slist, FreeList> headers{curl_slist_append(nullptr, "Expect:")};
  bool stopped = false, too_long = false;
  char error[CURL_ERROR_SIZE] = {};

  ~Impl() { curl_easy_cleanup(curl); }

  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    Impl& impl = *static_cast<Impl*>(self);
    impl.too_long = impl.answer.body.size() + size > kAnswerBytesMax;
    if (impl.too_long) return 0;
    impl.answer.body.append(data, size);
    return size;
  }
  // Called about once a second, and whenever something moved.
  static int OnProgress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    Impl& impl = *static_cast<Impl*>(self);
    impl.stopped = impl.stopped || (impl.hooks.stop && impl.hooks.stop());
    return impl.stopped ? 1 : 0;
  }
  void Prepare();
  std::string AddressOf(const Parameters& parameters) const;
  absl::Status Perform();
};

void HttpClient::Impl::Prepare() {
  answer = {};
  too_long = false;
  error[0] = '\0';
  curl_easy_reset(curl);  // options only: the connection stays
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(kConnectWithin.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(kAnswerWithin.count()));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "aqmesh");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
  if (user.empty()) {
    curl_easy_setopt(curl, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
  } else {
    curl_easy_setopt(curl, CURLOPT_USERNAME, user.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, password.c_str());
  }
}

std::string HttpClient::Impl::AddressOf(const Parameters& parameters) const {
  std::string out = base;
  char mark = '?';
  for (const auto& [key, value] : parameters) {
    char* escaped = curl_easy_escape(curl, value.data(), static_cast<int>(value.size()));
    out += Join(std::string_view(&mark, 1), key, "=", escaped == nullptr ? "" : escaped);
    curl_free(escaped);
    mark = '&';
  }
  return out;
}

absl::Status HttpClient::Impl::Perform() {
  const CURLcode code = curl_easy_perform(curl);
  if (stopped) return absl::CancelledError("interrupted");
  if (too_long) return ResourceExhausted("the server's answer is too long");
  if (code != CURLE_OK) return OfCurl(code, error);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return absl::OkStatus();
}

HttpClient::HttpClient(std::string base, std::string user, std::string password, Hooks hooks)
    : impl_(std::make_unique<Impl>()) {
  impl_->base = std::move(base);
  impl_->user = std::move(user);
  impl_->password = std::move(password);
  impl_->hooks = std::move(hooks);
}
HttpClient::~HttpClient() = default;

absl::StatusOr<HttpClient::Answer> HttpClient::Post(const Parameters& parameters,
                                                    std::string_view body,
                                                    const char* file_name) {
  Impl& impl = *impl_;
  if (impl.curl == nullptr) return ResourceExhausted("no memory for a connection");
  impl.stopped = impl.hooks.stop && impl.hooks.stop();
  if (impl.stopped) return absl::CancelledError("interrupted");
  impl.Prepare();
  const std::string address = impl.AddressOf(parameters);
  curl_easy_setopt(impl.curl, CURLOPT_URL, address.c_str());
  std::unique_ptr<curl_mime, FreeMime> form;
  if (file_name == nullptr) {
    curl_easy_setopt(impl.curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(impl.curl, CURLOPT_POSTFIELDS, body.data() == nullptr ? "" : body.data());
  } else {
    form.reset(curl_mime_init(impl.curl));
    curl_mimepart* part = curl_mime_addpart(form.get());
    curl_mime_name(part, file_name);
    curl_mime_filename(part, file_name);
    curl_mime_data(part, body.data(), body.size());
    curl_easy_setopt(impl.curl, CURLOPT_MIMEPOST, form.get());
  }
  AQ_RETURN_IF_ERROR(impl.Perform());
  return std::move(impl.answer);
}

absl::StatusOr<HttpAddress> ParseHttpAddress(const std::string& text) {
  const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  if (url == nullptr) return ResourceExhausted("no memory for an address");
  const CURLUcode wrong = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0);
  if (wrong != CURLUE_OK) return InvalidArgument("not an address: ", curl_url_strerror(wrong));
  const std::string scheme = PartOf(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https")
    return InvalidArgument("wants http or https, not ", scheme);
  if (!PartOf(url.get(), CURLUPART_PASSWORD).empty()) {
    return InvalidArgument(
        "a password in the address is seen by everybody on this machine; set "
        "CLICKHOUSE_PASSWORD, or write it to ~/.netrc");
  }
  if (!PartOf(url.get(), CURLUPART_QUERY).empty() || !PartOf(url.get(), CURLUPART_FRAGMENT).empty())
    return InvalidArgument("wants http://[USER@]HOST[:PORT][/DATABASE], nothing behind");
  HttpAddress out;
  out.user = PartOf(url.get(), CURLUPART_USER, CURLU_URLDECODE);
  std::string path = PartOf(url.get(), CURLUPART_PATH);
  while (path.starts_with('/')) path.erase(0, 1);
  while (path.ends_with('/')) path.pop_back();
  if (!path.empty() && !IsTableName(path))
    return InvalidArgument("`", path, "` is no name of a database");
  out.database = path;
  std::string port = PartOf(url.get(), CURLUPART_PORT);
  if (port.empty()) port = scheme == "https" ? "8443" : "8123";
  out.base = Join(scheme, "://", PartOf(url.get(), CURLUPART_HOST), ":", port, "/");
  return out;
}

}  // namespace aqmesh::lineage::ship
