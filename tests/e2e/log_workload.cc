// The story of tests/lineage/workload.h told to a real disk by the real log thread, for
// faults_e2e.sh to break.
//   log_workload tell STORE first|rest [PATIENCE_MS]
//     its first half, and then dies without closing the store; or what is left of it. "ack SEQ
//     LEAF" on stdout as soon as a record is acknowledged, "full: WHY" when the disk is (it is
//     waited for so long), "ended: WHY" when the log thread ends.
//   log_workload check STORE ACKS HEAD
//     what such runs left: everything in it is read, each record of the file ACKS must be there,
//     and the rest of the story is told. HEAD is the leaf that it ends with, or -.
// Exits 0, 1 (usage), 3 with why on stderr.
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>

#include "core/base/status.h"
#include "lineage/rocks/writer.h"
#include "tests/lineage/workload.h"

namespace aqmesh::lineage {
namespace {

constexpr uint64_t kHalf = Workload::kTurns / 2;
constexpr std::chrono::milliseconds kRetry{5};
constexpr std::chrono::milliseconds kPatience{20'000};  // with a full disk
constexpr std::chrono::seconds kSilence{60};            // of a log thread that hangs

// One call: a kill leaves a line or none.
void Say(const std::string& text) {
  const std::string line = text + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    std::_Exit(9);
}

// The log thread, one batch at a time.
class Teller {
 public:
  Teller(Store& store, std::chrono::milliseconds patience)
      : patience_(patience),
        writer_(store, {.retry = kRetry}, [this](const Ack& ack) { OnAck(ack); }) {}

  // Once it is durable. An error is what the log thread said.
  absl::Status Tell(Batch batch) {
    const std::optional<Ticket> ticket = writer_.TryEnqueue(batch);
    if (!ticket) return Unavailable("the log thread takes nothing more");
    std::unique_lock lock(mutex_);
    const auto settled = [&] { return durable_ >= *ticket || !ended_.ok(); };
    const auto heard = [&] { return settled() || !full_.ok(); };
    if (!heard_.wait_for(lock, kSilence, heard)) return Unavailable("no acknowledgement");
    if (!heard_.wait_for(lock, patience_, settled)) return full_;
    full_ = absl::OkStatus();
    return durable_ >= *ticket ? absl::OkStatus() : ended_;
  }
  void Stop() { writer_.Stop(); }

 private:
  void OnAck(const Ack& ack) {
    const std::lock_guard lock(mutex_);
    durable_ = ack.ticket;
    if (absl::IsResourceExhausted(ack.status)) {
      full_ = ack.status;
      Say(Join("full: ", Text(ack.status)));
    } else if (!ack.status.ok()) {
      ended_ = ack.status;
      Say(Join("ended: ", Text(ack.status)));
    }
    heard_.notify_one();
  }

  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable heard_;
  Ticket durable_ = 0;
  absl::Status full_, ended_;
  Writer writer_;
};

absl::Status TellTo(RocksStore& store, uint64_t end, std::chrono::milliseconds patience) {
  AQ_ASSIGN_OR_RETURN(Workload story, Workload::After(store));
  Teller teller(store, patience);
  absl::Status told;
  while (told.ok() && story.turn() < end) {
    AQ_ASSIGN_OR_RETURN(const auto snapshot, story.SnapshotDue());
    if (snapshot) (void)store.PutSnapshot(*snapshot);  // it may be lost at any time
    Batch batch = story.Next();
    std::string acks;
    for (const RecordEntry& record : batch.records)
      acks += Join(acks.empty() ? "" : "\n", "ack ", record.seq, " ", ToHex(record.leaf));
    told = teller.Tell(std::move(batch));
    if (told.ok() && !acks.empty()) Say(acks);
  }
  // What has failed stays so: nothing that is tried after it may be acknowledged.
  if (!told.ok() && !absl::IsResourceExhausted(told)) {
    if (store.Commit({.puts = {{"late", {}}}}).ok()) return Internal("written after: ", Text(told));
    if (teller.Tell({.puts = {{"later", {}}}}).ok()) return Internal("told after: ", Text(told));
  }
  teller.Stop();
  return told;
}

absl::Status Tell(const std::string& dir, bool first, std::chrono::milliseconds patience) {
  AQ_ASSIGN_OR_RETURN(const auto store, RocksStore::Open(dir));
  AQ_RETURN_IF_ERROR(TellTo(*store, first ? kHalf : Workload::kTurns, patience));
  if (first) std::_Exit(0);
  return absl::OkStatus();
}

// Every record that a line of `path` acknowledges is there under that hash.
absl::Status CheckAcks(const Store& store, const std::string& path) {
  std::ifstream lines(path);
  std::string word, leaf;
  uint64_t seq = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("ended: ")) {
      if (std::getline(lines, line)) return DataLoss("after the end: ", line);
      break;
    }
    if (!line.starts_with("ack ")) continue;
    const size_t space = line.find(' ', 4);
    seq = std::strtoull(line.c_str() + 4, nullptr, 10);
    absl::Status wrong = DataLoss("record ", seq, " was acknowledged and is not there");
    AQ_RETURN_IF_ERROR(
        store.WalkLog(seq, seq + 1, Order::kOldestFirst, [&](Seq, const Digest& stored, ByteView) {
          if (ToHex(stored) == line.substr(space + 1)) wrong = absl::OkStatus();
          return true;
        }));
    AQ_RETURN_IF_ERROR(wrong);
  }
  return absl::OkStatus();
}

absl::Status Check(const std::string& dir, const std::string& acks, const std::string& head) {
  AQ_ASSIGN_OR_RETURN(const auto store, RocksStore::Open(dir));
  AQ_RETURN_IF_ERROR(LookAtAll(*store).status());
  AQ_RETURN_IF_ERROR(CheckAcks(*store, acks));
  AQ_ASSIGN_OR_RETURN(Workload story, Workload::After(*store));
  while (!story.done()) AQ_RETURN_IF_ERROR(store->Commit(story.Next()));
  AQ_RETURN_IF_ERROR(LookAtAll(*store).status());
  const std::string end = ToHex(store->head()->leaf);
  if (head != "-" && end != head) return DataLoss("it ends with ", end, ", not with ", head);
  std::printf("%s\n", end.c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace aqmesh::lineage

int main(int argc, char** argv) {
  using namespace aqmesh::lineage;  // NOLINT(google-build-using-namespace)
  const std::string verb = argc > 1 ? argv[1] : "";
  absl::Status done;
  const std::string half = argc > 3 ? argv[3] : "";
  if (verb == "tell" && (argc == 4 || argc == 5) && (half == "first" || half == "rest")) {
    done = Tell(argv[2],
                half == "first",
                argc == 5 ? std::chrono::milliseconds(std::atoi(argv[4])) : kPatience);
  } else if (verb == "check" && argc == 5) {
    done = Check(argv[2], argv[3], argv[4]);
  } else {
    std::fprintf(
        stderr,
        "usage: log_workload tell STORE first|rest [PATIENCE_MS] | check STORE ACKS HEAD\n");
    return 1;
  }
  if (done.ok()) return 0;
  std::fprintf(stderr, "log_workload: %s\n", aqmesh::Text(done).c_str());
  return 3;
}
