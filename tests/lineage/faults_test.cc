// A store whose files are altered while nobody has it open: cut off at any byte, or with any bit
// flipped. What was acknowledged is there, or opening and reading say what is wrong and where.
// Spec: spec/lineage.md §5.1; spec/reliability.md G7, G8. AQMESH_FAULTS_STRIDE=1 goes over every
// byte (tests/e2e/faults_e2e.sh --long), with AQMESH_FAULTS_FILES=NAME of one kind of file.
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <map>

#include "lineage/rocks/table_check.h"
#include "tests/lineage/story.h"
#include "tests/lineage/workload.h"
#include "tests/support/sanitized.h"

namespace aqmesh::lineage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// How many cases the plain run looks at; the offset of the first is drawn.
constexpr size_t kCases = kSanitized ? 30 : 100;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void WriteFile(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// The steps by which a run goes over `cases` of them, and where it begins.
struct Walk {
  size_t first = 0, stride = 1;
};
Walk WalkOver(size_t cases) {
  Walk walk;
  if (const char* text = std::getenv("AQMESH_FAULTS_STRIDE"))
    walk.stride = std::strtoull(text, nullptr, 10);
  else
    walk.stride = std::max<size_t>(1, cases / kCases);
  walk.first = static_cast<size_t>(SeededRng().Below(walk.stride));
  std::printf("%zu cases, each %zu-th from %zu on\n", cases, walk.stride, walk.first);
  return walk;
}

// A directory in memory where there is one: nothing here depends on a disk that forgets, and there
// are hundreds of stores to open.
class MemoryDir {
 public:
  MemoryDir() {
    const fs::path memory = "/dev/shm";
    std::string path = ((access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path()) /
                        "aqmesh-faults-XXXXXX")
                           .string();
    path_ = mkdtemp(path.data());
  }
  ~MemoryDir() { fs::remove_all(path_); }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class FaultsTest : public testing::Test {
 protected:
  // What the store shows when it is opened for writing, as aqmeshd does at its start.
  absl::StatusOr<Seen> Look() const {
    auto store = RocksStore::Open(dir_);
    if (!store.ok()) return store.status();
    return LookAtAll(**store);
  }
  // The story up to `end`, and then a crash: what lies in the files while the store is still open
  // is what a killed process leaves. `after` runs after each turn.
  template <class After>
  void TellAndDie(uint64_t end, bool shreds, After after) {
    const std::string alive = temp_.Path("alive");
    if (fs::exists(dir_)) fs::rename(dir_, alive);
    {
      auto store = RocksStore::Open(alive);
      ASSERT_TRUE(store.ok()) << store.status();
      auto story = Workload::After(**store);
      ASSERT_TRUE(story.ok()) << story.status();
      while (story->turn() < end) {
        const auto due = story->SnapshotDue();
        ASSERT_TRUE(due.ok()) << due.status();
        if (*due) {
          ASSERT_TRUE((*store)->PutSnapshot(**due).ok());
        }
        Batch batch = story->Next();
        batch.shreds = batch.shreds && shreds;
        ASSERT_TRUE((*store)->Commit(batch).ok());
        after(story->turn(), alive);
      }
      CopyAlive(alive, dir_);
    }
    fs::remove_all(alive);
  }
  void TellAndDie(uint64_t end) {
    TellAndDie(end, true, [](uint64_t, const std::string&) {});
  }
  // RocksDB's own threads may still be removing files that it has no more use for.
  static void CopyAlive(const fs::path& from, const fs::path& to) {
    fs::create_directories(to / "db");
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      std::error_code gone;
      if (!entry.is_directory())
        fs::copy_file(entry.path(), to / fs::relative(entry.path(), from), gone);
    }
  }
  static fs::path Wal(const std::string& dir) {
    fs::path wal;
    for (const auto& file : fs::directory_iterator(dir + "/db")) {
      if (file.path().extension() == ".log" && file.file_size() > 0) wal = file.path();
    }
    return wal;
  }
  void Restore(const std::string& from) const {
    fs::remove_all(dir_);
    fs::copy(from, dir_, fs::copy_options::recursive);
  }

  MemoryDir temp_;
  std::string dir_ = temp_.Path("s"), whole_ = temp_.Path("whole");
};

// One process tells all of it without a word of the disk's; another goes on after a crash: they end
// the same.
TEST_F(FaultsTest, TheStoryIsTheSameInEveryRun) {
  TellAndDie(Workload::kTurns);
  const auto told = Look();
  ASSERT_TRUE(told.ok()) << told.status();
  dir_ = temp_.Path("other");
  for (const uint64_t end : {uint64_t{17}, uint64_t{30}, Workload::kTurns}) TellAndDie(end);
  const auto again = Look();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Differing(*told, *again), "");
  EXPECT_EQ(RocksStore::Open(dir_).value()->size(), Workload::kRecords);
}

TEST_F(FaultsTest, AWriteAheadLogCutAtAnyByteIsAPrefixOrRefused) {  // spec: lineage#5.1
  std::vector<size_t> size_after = {0};                             // of the log, by turn
  TellAndDie(Workload::kTurns, false, [&](uint64_t turn, const std::string& alive) {
    size_after.push_back(fs::file_size(Wal(alive)));
    fs::copy_file(alive + "/HEAD", temp_.Path(Join("head.", turn)));
  });
  fs::rename(dir_, whole_);
  const fs::path wal = Wal(whole_);
  const std::string log = ReadFile(wal);
  const auto cut = [&](size_t size, const std::string& head) {
    Restore(whole_);
    fs::resize_file(dir_ + "/db/" + wal.filename().string(), size);
    if (!head.empty()) fs::copy_file(head, dir_ + "/HEAD", fs::copy_options::overwrite_existing);
  };
  std::vector<Digest> leaves;
  {
    Restore(whole_);
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->WalkLog(0,
                              kSeqEnd,
                              Order::kOldestFirst,
                              [&](Seq, const Digest& leaf, ByteView) {
                                leaves.push_back(leaf);
                                return true;
                              })
                    .ok());
  }
  ASSERT_EQ(leaves.size(), Workload::kRecords);
  const size_t first = size_after[1];  // before it, a crash leaves a store without a family
  const size_t last = size_after[Workload::kTurns];
  ASSERT_EQ(last, log.size());
  const Walk walk = WalkOver(last - first);
  uint64_t turn = 1;
  for (size_t size = first + walk.first; size < last; size += walk.stride) {
    SCOPED_TRACE(size);
    while (size_after[turn + 1] <= size) ++turn;
    // The disk lost what it had said was there.
    cut(size, "");
    const absl::Status lost = Look().status();
    ASSERT_TRUE(absl::IsDataLoss(lost)) << lost;
    ASSERT_THAT(Text(lost), HasSubstr(dir_));
    ASSERT_THAT(Text(lost),
                HasSubstr(Join("HEAD names commit ", Workload::kTurns, ", 60 records")));
    // The power went while the next turn was written: nobody was told of it.
    cut(size, temp_.Path(Join("head.", turn)));
    auto store = RocksStore::Open(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto story = Workload::After(**store);
    ASSERT_TRUE(story.ok()) << story.status();
    ASSERT_EQ(story->turn(), turn);
    const auto head = (*store)->head();
    ASSERT_TRUE(head && head->leaf == leaves[head->seq]);
    ASSERT_TRUE(LookAtAll(**store).ok());
  }
}

// Lives that ended in each way, so that all kinds of files are there: logs of records, tables of
// every family, and what says which of them count. Then each place of each file is altered.
class AlteredFilesTest : public FaultsTest {
 protected:
  struct At {
    fs::path file;
    size_t byte = 0;
  };

  void SetUp() override {
    // So few that RocksDB merges no tables of its own accord: it waits a second where it cannot.
    TellAndDie(38);
    ASSERT_TRUE(Look().ok());
    TellAndDie(Workload::kTurns);
    fs::rename(dir_, whole_);
    Restore(whole_);
    const auto told = Look();
    ASSERT_TRUE(told.ok()) << told.status();
    told_ = *told;
  }
  std::vector<At> Places() const {
    const char* only = std::getenv("AQMESH_FAULTS_FILES");
    std::vector<At> places;
    for (const auto& entry : fs::recursive_directory_iterator(whole_)) {
      const fs::path file = fs::relative(entry.path(), whole_);
      if (!entry.is_regular_file() ||
          (only != nullptr && file.string().find(only) == std::string::npos))
        continue;
      // Of HEAD two slots of 88 bytes are anything; OPTIONS says what nobody asks.
      const bool head = file == "HEAD";
      const bool options = file.string().find("OPTIONS") != std::string::npos;
      for (size_t i = 0; i < entry.file_size(); ++i) {
        if ((!head || i % 4096 < 96) && (!options || i % 64 == 0)) places.push_back({file, i});
      }
    }
    return places;
  }
  // With `alter(bytes, place)` done to one file: an error that names it, or all that was there.
  template <class Alter>
  void AlterEach(Alter alter) {
    const std::vector<At> places = Places();
    std::map<std::string, std::array<size_t, 2>> ends;  // by kind of file: refused, the same
    const Walk walk = WalkOver(places.size());
    for (size_t i = walk.first; i < places.size(); i += walk.stride) {
      const At& at = places[i];
      Restore(whole_);
      std::string bytes = ReadFile(fs::path(whole_) / at.file);
      SCOPED_TRACE(
          Join(at.file.string(), " byte ", at.byte, " of ", bytes.size(), alter(bytes, at.byte)));
      WriteFile(fs::path(dir_) / at.file, bytes);
      const auto seen = Look();
      ++ends[KindOf(at.file)][seen.ok() ? 1 : 0];
      if (seen.ok()) {
        EXPECT_EQ(Differing(told_, *seen), "");
      } else {
        EXPECT_THAT(Text(seen.status()), testing::AnyOf(HasSubstr(dir_), HasSubstr("record ")));
      }
    }
    for (const auto& [kind, count] : ends)
      std::printf("%-10s %6zu refused %6zu the same\n", kind.c_str(), count[0], count[1]);
  }
  // "000022.sst": ".sst"; "MANIFEST-000053": "MANIFEST".
  static std::string KindOf(const fs::path& file) {
    const std::string name = file.filename().string();
    return file.has_extension() ? file.extension().string() : name.substr(0, name.find('-'));
  }

  Seen told_;
};

TEST_F(AlteredFilesTest, AFlippedBitIsNamedOrChangesNothing) {  // spec: lineage#5.1
  Rng rng = SeededRng();
  AlterEach([&rng](std::string& bytes, size_t at) {
    const auto bit = static_cast<unsigned>(rng.Below(8));
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
    return Join(", bit ", bit);
  });
}

// RocksDB reads these before it compares their checksum. A build with its assertions on would not
// come back from the opening.
TEST_F(AlteredFilesTest, APropertyThatWouldEndTheProcessIsNamed) {  // spec: lineage#5.1
  size_t tables = 0;
  for (const auto& entry : fs::directory_iterator(whole_ + "/db")) {
    if (entry.path().extension() != ".sst" || entry.file_size() > 2000) continue;
    const std::string bytes = ReadFile(entry.path());
    const fs::path only = temp_.Path("only"), table = only / entry.path().filename();
    fs::create_directory(only);
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
      WriteFile(table, flipped);
      if (CheckTables(only).ok()) continue;
      ++refused;
      Restore(whole_);
      WriteFile(fs::path(dir_) / "db" / table.filename(), flipped);
      const absl::Status status = Look().status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      EXPECT_THAT(Text(status), HasSubstr(dir_ + "/db/" + table.filename().string()));
    }
    EXPECT_GE(refused, 1u) << entry.path();
    WriteFile(table, bytes);
    EXPECT_TRUE(CheckTables(only).ok());
    fs::remove_all(only);
    ++tables;
  }
  EXPECT_GT(tables, 2u);
}

TEST_F(AlteredFilesTest, AFileThatIsCutShortIsNamedOrChangesNothing) {  // spec: lineage#5.1
  AlterEach([](std::string& bytes, size_t at) {
    bytes.resize(at);
    return std::string(", cut there");
  });
}

}  // namespace
}  // namespace aqmesh::lineage
