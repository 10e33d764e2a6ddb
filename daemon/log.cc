#include "daemon/log.h"

#include <array>
#include <cstdio>

#include "core/base/status.h"

namespace aqmesh::daemon {

namespace {

constexpr std::string_view kOthers = "other topics";

}  // namespace

LogSink::Write LogSink::ToStandardError() {
  return [](std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  };
}

void LogSink::Say(Instant now, Severity severity, std::string_view topic, std::string_view text) {
  if (severity > least_) return;
  CloseWindows(now);
  Topic& t = Find(now, topic);
  t.severity = std::min(t.severity, severity);
  if (t.said >= kBurst) {
    ++t.suppressed;
    return;
  }
  ++t.said;
  Line(severity, text);
}

void LogSink::Flush() {
  for (const auto& [name, topic] : topics_) TellSuppressed(name, topic);
  topics_.clear();
}

void LogSink::CloseWindows(Instant now) {
  for (auto it = topics_.begin(); it != topics_.end();) {
    if (now < After(it->second.began, kWindow)) {
      ++it;
      continue;
    }
    TellSuppressed(it->first, it->second);
    it = topics_.erase(it);
  }
}

void LogSink::TellSuppressed(const std::string& name, const Topic& topic) {
  if (topic.suppressed > 0)
    Line(topic.severity, Join("suppressed ", topic.suppressed, " lines about ", name));
}

LogSink::Topic& LogSink::Find(Instant now, std::string_view name) {
  auto it = topics_.find(name);
  if (it == topics_.end() && topics_.size() >= kTopicsMax) {
    name = kOthers;
    it = topics_.find(name);
  }
  if (it == topics_.end()) it = topics_.emplace(std::string(name), Topic{.began = now}).first;
  return it->second;
}

void LogSink::Line(Severity severity, std::string_view text) {
  static constexpr std::array kPriority = {"<3>", "<4>", "<6>", "<7>"};  // sd-daemon(3)
  write_(Join(kPriority[static_cast<size_t>(severity)], "aqmeshd: ", Printable(text, kLineMax)));
}

}  // namespace aqmesh::daemon
