// lineage ship: records to an engine for fleets, each once.
#include <cstdlib>
#include <set>

#include "daemon/cli/commands.h"
#include "daemon/cli/lineage_lookup.h"
#include "lineage/rocks/head_file.h"
#include "lineage/ship/shipper.h"
#include "lineage/tlog/text.h"

namespace aqmesh::cli {

namespace {

namespace ship = lineage::ship;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{500}, kBackOffFirst{500}, kBackOffMost{30'000};

struct ShipFlags {
  std::string to, table = std::string(ship::kDefaultTable), from;
  bool follow = false, ddl = false;
};

// One run: connects, carries what is covered, and with --follow waits for more.
class Shipping {
 public:
  Shipping(Session& s,
           const StateDir& state,
           const ShipFlags& flags,
           std::optional<lineage::Seq> from)
      : s_(s), state_(state), flags_(flags), from_(from) {}

  absl::StatusOr<int> Run();

 private:
  absl::Status Make();
  absl::Status Pass();
  absl::Status CarryLog(const lineage::Store& store, const Kid& log, bool newest);
  absl::StatusOr<lineage::Seq> NextOf(const lineage::Store& store, const Kid& log, bool newest);
  void WaitForMore();
  void BackOff(const absl::Status& why);
  std::string Summary() const;
  bool Ended() {
    Env& env = s_.env();
    ended_ =
        ended_ || (env.interrupted && env.interrupted()) || (env.told_to_end && env.told_to_end());
    return ended_;
  }

  Session& s_;
  const StateDir& state_;
  const ShipFlags& flags_;
  std::optional<lineage::Seq> from_;  // what lies before it is in the table, or not wanted there
  bool begun_ = false;
  std::unique_ptr<ship::Sink> sink_;
  bool open_ = false;
  std::map<Kid, lineage::Seq> next_;  // by log, since the sink was opened
  std::set<Kid> over_;                // logs that ended and have nothing more to ship
  uint64_t commit_ = 0;               // of the store that was read last
  uint64_t shipped_ = 0, waiting_ = 0;
  milliseconds back_off_ = kBackOffFirst;
  std::string lost_;  // why, as it was said last
  bool level_ = false, ended_ = false;
};

absl::Status Shipping::Make() {
  const auto from_env = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text == nullptr ? "" : text);
  };
  ship::SinkOptions options;
  options.table = flags_.table;
  options.user = from_env("CLICKHOUSE_USER");
  options.password = from_env("CLICKHOUSE_PASSWORD");
  options.hooks.stop = [this] { return Ended(); };
  options.hooks.pause = s_.env().pause;
  if (options.user.empty() && !options.password.empty()) options.user = "default";
  AQ_ASSIGN_OR_RETURN(sink_, ship::MakeSink(flags_.to, std::move(options)));
  return absl::OkStatus();
}

absl::StatusOr<lineage::Seq> Shipping::NextOf(const lineage::Store& store,
                                              const Kid& log,
                                              bool newest) {
  if (const auto known = next_.find(log); known != next_.end()) return known->second;
  AQ_ASSIGN_OR_RETURN(lineage::Seq next, ship::ResumeAt(*sink_, store, log));
  if (newest && from_ && (!begun_ || *from_ < next)) next = *from_;
  next_[log] = next;
  return next;
}

absl::Status Shipping::CarryLog(const lineage::Store& store, const Kid& log, bool newest) {
  AQ_ASSIGN_OR_RETURN(const lineage::Seq first, NextOf(store, log, newest));
  ship::RowReader probe(store, log, ship::Uncovered::kWait);
  AQ_ASSIGN_OR_RETURN(const auto any, probe.Next(first, first + 1));
  if (any.empty()) {
    waiting_ = store.size() > first ? store.size() - first : 0;
    return absl::OkStatus();
  }
  AQ_ASSIGN_OR_RETURN(const KnownObjects known, LoadWithCited(store));
  const ship::Words words{MachineName(s_, state_), NamesOf(known)};
  const auto shipped =
      ship::ShipLog(*sink_, store, log, first, words, [&](const ship::Shipped& so_far) {
        shipped_ += so_far.next - next_[log];
        next_[log] = so_far.next;
        if (newest && from_) from_ = so_far.next;
        begun_ = begun_ || newest;
      });
  if (shipped.ok()) waiting_ = shipped->waiting;
  return shipped.status();
}

// The logs that there were first: where the disk was restored, their rows are the older ones.
absl::Status Shipping::Pass() {
  if (!open_) {
    next_.clear();
    over_.clear();
    AQ_RETURN_IF_ERROR(sink_->Open());
    open_ = true;
  }
  AQ_ASSIGN_OR_RETURN(const auto store, state_.ReadStore());
  commit_ = store->commits();
  AQ_ASSIGN_OR_RETURN(const auto logs, store->Logs());
  for (size_t i = 0; i < logs.size(); ++i) {
    const bool newest = i + 1 == logs.size();
    if (!logs[i].kid || over_.contains(*logs[i].kid)) continue;
    if (newest) {
      AQ_RETURN_IF_ERROR(CarryLog(*store, *logs[i].kid, true));
      continue;
    }
    AQ_ASSIGN_OR_RETURN(
        const auto past,
        lineage::RocksStore::OpenReadOnly(state_.store_path(), {.log = *logs[i].kid}));
    AQ_RETURN_IF_ERROR(CarryLog(*past, *logs[i].kid, false));
    over_.insert(*logs[i].kid);
    if (waiting_ == 0) continue;
    s_.Say(Join("the last ",
                waiting_,
                " records of log ",
                ToHex(*logs[i].kid),
                ", which ended, are under no signed head: they stay here"));
  }
  return absl::OkStatus();
}

std::string Shipping::Summary() const {
  return Join(
      shipped_,
      " records shipped to ",
      sink_->Name(),
      ", table ",
      flags_.table,
      waiting_ == 0 ? "" : Join("; ", waiting_, " wait for a signed head that covers them"));
}

void Shipping::WaitForMore() {
  while (!Ended()) {
    s_.env().pause(kLookEvery);
    const auto head = lineage::HeadFile::Open(state_.store_path() + "/HEAD", false);
    if (!head.ok() || head->mark().commit != commit_) return;
  }
}

void Shipping::BackOff(const absl::Status& why) {
  if (lost_ != Text(why)) s_.Say(Join(Text(why), "; trying again"));
  lost_ = Text(why);
  open_ = false;
  const Instant until = After(s_.env().now().mono, back_off_);
  while (!Ended() && s_.env().now().mono < until) s_.env().pause(ship::kPatience);
  back_off_ = std::min(back_off_ * 2, kBackOffMost);
}

absl::StatusOr<int> Shipping::Run() {
  AQ_RETURN_IF_ERROR(Make());
  (void)Ended();  // from here on both signals are ours
  while (!Ended()) {
    const absl::Status status = Pass();
    if (Ended()) break;
    if (!flags_.follow && absl::IsUnavailable(status))
      return absl::Status(status.code(),
                          Join(Text(status), "; run it again, it goes on where it ended"));
    if (!status.ok() && !absl::IsUnavailable(status)) return status;
    if (!status.ok()) {
      BackOff(status);
      continue;
    }
    if (!flags_.follow) {
      s_.Say(Summary());
      return 0;
    }
    if (!lost_.empty() || !level_) s_.Say(Join(Summary(), "; going on"));
    lost_.clear();
    level_ = true;
    back_off_ = kBackOffFirst;
    WaitForMore();
  }
  s_.Say(Summary());
  if (flags_.follow) return 0;
  return absl::CancelledError("interrupted; run it again, it goes on where it ended");
}

absl::StatusOr<int> Ship(Session& s, const ShipFlags& flags) {
  if (!ship::IsTableName(flags.table))
    return s.Usage(Join("--table: `", flags.table, "` is no name: letters, digits and _"));
  if (flags.ddl) {
    const bool postgres = flags.to.starts_with("postgres");
    if (!postgres && !flags.to.starts_with("http"))
      return s.Usage("--to: wants postgres://... or http://... (ClickHouse)");
    s.Out(postgres ? ship::PostgresDdl(flags.table) : ship::ClickHouseDdl(flags.table));
    return 0;
  }
  const auto address = ship::MakeSink(flags.to, {});
  if (!address.ok()) return s.Usage(Join("--to: ", Text(address.status())));
  std::optional<lineage::Seq> from;
  if (!flags.from.empty()) {
    from = tlog::ParseDecimal(flags.from);
    if (!from) return s.Usage(Join("--from: wants the number of a record, not `", flags.from, "`"));
  }
  AQ_ASSIGN_OR_RETURN(const StateDir state, s.State());
  Shipping run(s, state, flags, from);
  return run.Run();
}

}  // namespace

void AddShip(Tree& tree, CLI::App* lineage) {
  auto flags = std::make_shared<ShipFlags>();
  CLI::App* app = tree.Command(lineage,
                               "ship",
                               "Ship records to PostgreSQL or ClickHouse, each once",
                               "PGPASSWORD=... aqmesh lineage ship --to postgres://aq@db/fleet "
                               "--follow",
                               [flags](Session& s) { return Ship(s, *flags); });
  app->add_option("--to",
                  flags->to,
                  "postgres://USER@HOST/DATABASE, or http[s]://HOST[:PORT]/DATABASE of ClickHouse; "
                  "passwords come from PGPASSWORD or ~/.pgpass, CLICKHOUSE_PASSWORD or ~/.netrc")
      ->required();
  app->add_option("--table", flags->table, "Made if there is none")->capture_default_str();
  app->add_option("--from", flags->from, "Go over the log from this record again: what is missing");
  app->add_flag("--follow", flags->follow, "Go on with what comes, until Ctrl-C or SIGTERM");
  app->add_flag("--ddl", flags->ddl, "Print how the table is made, and do nothing");
}

}  // namespace aqmesh::cli
