// lineage export: records to a file, for whatever reads files.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/wire/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "daemon/cli/text.h"
#include "lineage/sealed/seal.h"
#include "lineage/ship/encode.h"
#include "lineage/ship/parquet.h"
#include "lineage/ship/row_reader.h"
#include "lineage/tlog/text.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

namespace ship = lineage::ship;

struct ExportFlags {
  std::string format = "jsonl", since, until, file, sealed;
};

// Where an export goes: stdout, or a new file for its owner alone.
class ExportSink {
 public:
  static absl::StatusOr<std::unique_ptr<ExportSink>> Open(Session& s, const std::string& path) {
    auto sink = std::unique_ptr<ExportSink>(new ExportSink(s));
    if (path.empty() || path == "-") return sink;
    sink->path_ = path;
    sink->fd_ = os::Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (sink->fd_.valid()) return sink;
    return os::ErrnoStatus(errno,
                           Join("writing ", path),
                           errno == EEXIST ? "name another file, or remove that one" : "");
  }
  void Write(std::string_view text) {
    if (!fd_.valid()) return s_.Out(text);
    while (!text.empty() && status_.ok()) {
      const ssize_t n = write(fd_.get(), text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) status_ = os::ErrnoStatus(errno, Join("writing ", path_));
      if (n > 0) text.remove_prefix(static_cast<size_t>(n));
    }
  }
  const absl::Status& status() const { return status_; }
  bool to_file() const { return fd_.valid(); }
  // Half an export passes for a whole one: it does not stay.
  void Discard() {
    if (to_file()) unlink(path_.c_str());
  }

 private:
  explicit ExportSink(Session& s) : s_(s) {}
  Session& s_;
  std::string path_;
  os::Fd fd_;
  absl::Status status_;
};

// A record as `lineage query --json` has it, with all that its proof needs: SHA-256(00 || body) is
// record_digest.
std::string JsonRow(const ship::Row& row, const ship::Words& words) {
  std::string machine;
  wire::AppendJsonString(machine, words.machine);
  const std::string fields = lineage::RenderJson(row.record, row.leaf, words.names);
  return Join("{\"machine\":",
              machine,
              ",\"record_digest\":\"",
              ToHex(row.leaf),
              "\",\"leaf_index\":",
              row.record.seq,
              row.checkpoint ? Join(",\"checkpoint\":\"",
                                    ToHex(row.checkpoint->oid),
                                    "\",\"checkpoint_size\":",
                                    row.checkpoint->size)
                             : "",
              ",",
              fields.substr(1, fields.size() - 2),
              ",\"body\":\"",
              ToBase64(row.body),
              "\"}\n");
}

// Rows in one of the formats.
class Exporter {
 public:
  Exporter(const std::string& format, const ship::Words& words, ExportSink& sink)
      : format_(format), words_(words), sink_(sink) {
    if (format_ == "csv") held_ = ship::CsvHeader();
    if (format_ == "parquet")
      parquet_.emplace([this](std::string_view bytes) { sink_.Write(bytes); });
  }
  void Take(const ship::Row& row) {
    if (parquet_) return parquet_->Add(row, words_);
    if (format_ == "csv") {
      ship::AppendCsvLine(held_, row, words_);
    } else {
      held_ += JsonRow(row, words_);
    }
    if (held_.size() >= 65'536) Flush();
  }
  void Finish() {
    if (parquet_) parquet_->Finish();
    Flush();
  }

 private:
  void Flush() {
    if (!held_.empty()) sink_.Write(held_);
    held_.clear();
  }
  const std::string& format_;
  const ship::Words& words_;
  ExportSink& sink_;
  std::string held_;
  std::optional<ship::ParquetWriter> parquet_;
};

struct Range {
  lineage::Seq first = 0, end = 0;
};
struct Span {
  std::optional<uint64_t> since, until;  // seconds
};

// The name by which a row says whose it is.
absl::StatusOr<std::string> MachineOf(Session& s) {
  if (!s.from.empty()) return MachineNameOf(s.from);
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  return MachineName(s, state);
}

absl::StatusOr<Span> SpanOf(Session& s, const ExportFlags& flags) {
  Span out;
  const auto read = [&s](std::string_view flag,
                         const std::string& text,
                         std::optional<uint64_t>& seconds) -> absl::Status {
    if (text.empty()) return absl::OkStatus();
    const auto at = ParseWhen(text, s.now());
    if (!at.ok()) return s.Usage(Join(flag, ": ", Text(at.status())));
    seconds = *at;
    return absl::OkStatus();
  };
  AQ_RETURN_IF_ERROR(read("--since", flags.since, out.since));
  AQ_RETURN_IF_ERROR(read("--until", flags.until, out.until));
  return out;
}

absl::StatusOr<Range> RangeOf(const lineage::Store& store, const Span& span) {
  Range out{0, store.size()};
  if (span.since) {
    AQ_ASSIGN_OR_RETURN(out.first, store.SeqAt(lineage::HlcFromMillis(*span.since * 1'000)));
  }
  if (span.until) {
    AQ_ASSIGN_OR_RETURN(out.end, store.SeqAt(lineage::HlcFromMillis(*span.until * 1'000)));
  }
  return out;
}

absl::Status ExportRange(
    Session& s, const lineage::Store& store, Range range, Exporter& to, const ExportSink& sink) {
  const std::optional<lineage::Head> head = store.head();
  if (!head) return absl::OkStatus();
  AQ_ASSIGN_OR_RETURN(const Bytes newest, store.Read(head->seq));
  AQ_ASSIGN_OR_RETURN(const auto record, authority::ParseBody<authority::Observe>(newest));
  ship::RowReader reader(store, record.log, ship::Uncovered::kTake);
  for (lineage::Seq next = range.first; next < range.end;) {
    AQ_ASSIGN_OR_RETURN(const std::vector<ship::Row> rows, reader.Next(next, range.end));
    if (rows.empty()) break;
    for (const ship::Row& row : rows) to.Take(row);
    next += rows.size();
    AQ_RETURN_IF_ERROR(sink.status());
    if (s.env().interrupted && s.env().interrupted()) return absl::CancelledError("interrupted");
    if (s.env().out_gone && s.env().out_gone()) return absl::OkStatus();
  }
  return absl::OkStatus();
}

// "--until 5000" is a number of records, anything else a time.
absl::StatusOr<lineage::Seq> UntilOf(Session& s,
                                     const lineage::Store& store,
                                     const std::string& text) {
  if (text.empty()) return store.size();
  constexpr size_t kSeqDigitsMax = 9;  // what is longer is Unix seconds
  if (text.size() <= kSeqDigitsMax) {
    if (const auto seq = tlog::ParseDecimal(text)) return *seq;
  }
  const auto at = ParseWhen(text, s.now());
  if (!at.ok()) return s.Usage(Join("--until: ", Text(at.status())));
  return store.SeqAt(lineage::HlcFromMillis(*at * 1'000));
}

absl::StatusOr<int> ExportSealed(Session& s, const ExportFlags& flags) {
  if (!flags.since.empty() || !flags.file.empty())
    return s.Usage("--sealed goes on where the directory ends: it takes no --since and no -o");
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const lineage::Seq until, UntilOf(s, *store, flags.until));
  AQ_ASSIGN_OR_RETURN(const lineage::SealReport report, lineage::Seal(*store, flags.sealed, until));
  if (s.json) {
    wire::JsonWriter w;
    w.Object().Field("schema", "aqmesh.sealed/1").Field("segments", report.segments);
    w.Field("records", report.records).Field("first", report.first).Field("end", report.end);
    w.Field("waits_for_head", report.uncovered).End();
    s.Out(Join(w.Take(), "\n"));
    return 0;
  }
  s.Out(Join(
      report.records,
      " records in ",
      report.segments,
      " segments; ",
      flags.sealed,
      " has ",
      report.end == report.first ? "none" : Join("records ", report.first, " to ", report.end - 1),
      "\n"));
  if (report.uncovered) s.Say("More can be sealed once a signed head covers it.");
  return 0;
}

absl::StatusOr<int> Export(Session& s, const ExportFlags& flags) {
  if (!flags.sealed.empty()) return ExportSealed(s, flags);
  if (s.json) return s.Usage("--json: goes with --sealed; records as JSON are --format jsonl");
  if (flags.format != "jsonl" && flags.format != "csv" && flags.format != "parquet")
    return s.Usage(Join("--format: wants jsonl, csv or parquet, not `", flags.format, "`"));
  if (flags.format == "parquet" && s.env().out_tty && (flags.file.empty() || flags.file == "-"))
    return s.Usage("--format parquet: is no text for a terminal; name a file with -o");
  AQ_ASSIGN_OR_RETURN(const Span span, SpanOf(s, flags));
  AQ_ASSIGN_OR_RETURN(const auto store, s.Lineage());
  AQ_ASSIGN_OR_RETURN(const Range range, RangeOf(*store, span));
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(*store));
  AQ_ASSIGN_OR_RETURN(const std::string machine, MachineOf(s));
  const ship::Words words{machine, NamesOf(known)};
  AQ_ASSIGN_OR_RETURN(const auto sink, ExportSink::Open(s, flags.file));
  if (s.env().interrupted) (void)s.env().interrupted();  // from here on it is caught
  Exporter exporter(flags.format, words, *sink);
  absl::Status status = ExportRange(s, *store, range, exporter, *sink);
  if (status.ok()) exporter.Finish();
  if (status.ok()) status = sink->status();
  if (!status.ok()) {
    sink->Discard();
    return status;
  }
  const uint64_t count = range.end > range.first ? range.end - range.first : 0;
  if (sink->to_file()) s.Say(Join(count, " records in ", flags.file));
  return 0;
}

}  // namespace

void AddRowFiles(Tree& tree, CLI::App* lineage) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* app = tree.Command(lineage,
                               "export",
                               "Write records out, each with what its proof needs",
                               "aqmesh lineage export --since 1d --format parquet -o day.parquet",
                               [flags](Session& s) { return Export(s, *flags); });
  app->add_option("--format", flags->format, "jsonl, csv or parquet")->capture_default_str();
  app->add_option("--since", flags->since, "From this time: 2h (ago), 2026-11-21T14:00Z");
  app->add_option(
      "--until", flags->until, "Before this time; with --sealed also before record SEQ");
  app->add_option("--sealed",
                  flags->sealed,
                  "As sealed segments into this directory, those that it has not yet");
  tree.Lineage(app);
  tree.Json(app);
  app->add_option("-o,--output", flags->file, "To this file, which must be new; else to stdout");
}

}  // namespace aqmesh::cli
