// The daemon's one way to speak: lines on standard error, in the form that the journal takes.
// Spec:   spec/reliability.md §5 (logs): peers must not be able to forge lines or to fill a disk.
//         Levels: error, somebody has to act; warn, odd but handled; info, this machine's own
//         changes; debug, what a peer can bring about, shown with --verbose alone.
// Bounds: kBurst lines a topic and kWindow, then one that says how many there were more; kTopicsMax topics, and all
//         others together as one. A line shows kLineMax bytes, what a peer wrote in it
//         kPrintableMax (PeerText).
// Thread: one owner. Errors: none: a line that cannot be written is lost.
#ifndef AQMESH_DAEMON_LOG_H_
#define AQMESH_DAEMON_LOG_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "daemon/net/printable.h"

namespace aqmesh::daemon {

enum class Severity : uint8_t { kError, kWarn, kInfo, kDebug };

// A name or a reason that came from elsewhere, for a line.
inline std::string PeerText(std::string_view text) { return Printable(text, kPrintableMax); }

class LogSink {
 public:
  static constexpr size_t kLineMax = 1024;
  static constexpr size_t kTopicsMax = 256;
  static constexpr uint32_t kBurst = 10;
  static constexpr std::chrono::seconds kWindow{10};

  // One line, without its newline.
  using Write = std::function<void(std::string_view line)>;
  static Write ToStandardError();

  // Lines less urgent than `least` are not written.
  LogSink(Severity least, Write write) : least_(least), write_(std::move(write)) {}

  // `topic`: what repeats, and its source, if it has one ("udp", "refused 3f9ac012"). Lines of one
  // topic share one allowance. Also says what was held back in windows that are over.
  void Say(Instant now, Severity severity, std::string_view topic, std::string_view text);
  // What was held back until now, before the process ends.
  void Flush();

 private:
  struct Topic {
    Instant began{};
    uint32_t said = 0;
    uint64_t suppressed = 0;
    Severity severity = Severity::kDebug;
  };
  using Topics = std::map<std::string, Topic, std::less<>>;

  void CloseWindows(Instant now);
  void TellSuppressed(const std::string& name, const Topic& topic);
  Topic& Find(Instant now, std::string_view name);
  void Line(Severity severity, std::string_view text);

  Severity least_;
  Write write_;
  Topics topics_;
};

}  // namespace aqmesh::daemon

#endif  // AQMESH_DAEMON_LOG_H_
