// Table: one of the eleven, as a list of columns over a feed of rows. A column is a declaration,
// what it is to an index, and a function that puts a row's value; a feed reads rows from the
// stores, some at a time.
// Spec:   spec/lineage.md §6.1.
// Bounds: kFillRows rows are held at once; a feed says what else it holds.
// Thread: one owner. Errors: those of the store, and World::Stop's.
#ifndef AQMESH_LINEAGE_SQL_TABLE_H_
#define AQMESH_LINEAGE_SQL_TABLE_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lineage/sql/bounds.h"
#include "lineage/sql/cell.h"
#include "lineage/sql/database.h"
#include "lineage/sql/directory.h"

namespace aqmesh::lineage::sql {

inline constexpr size_t kFillRows = 512;

// A store with what is known of it once.
struct Log {
  std::string name;
  const Store* store = nullptr;
  std::optional<Kid> kid = {};  // of its log key; none while it is empty
};

// What feeds and columns see.
struct World {
  std::vector<Log> logs;
  Directory directory;
  Names names;  // of the directory, and of Options::drop
  std::function<absl::Status()> stop;

  absl::Status Stop() const { return stop ? stop() : absl::OkStatus(); }
  std::string NameOf(const std::optional<Kid>& kid) const {
    return kid ? directory.NameOf(*kid) : std::string();
  }
  uint64_t records() const;
};

struct Column {
  const char* declared = "";  // "seq INTEGER", "body BLOB HIDDEN"
  Key key = Key::kNone;
};

class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual absl::Status Next() = 0;  // to the first row, or the next
  virtual bool done() const = 0;
  virtual void Put(size_t column, Cell& cell) const = 0;
};

// In which order rows come from one store.
enum class Sorted : uint8_t { kNo, kBySeq, kOneRowASeq };

class Table {
 public:
  virtual ~Table() = default;
  virtual const char* name() const = 0;
  virtual const char* about() const = 0;
  virtual Sorted sorted() const = 0;
  virtual std::span<const Column> columns() const = 0;
  virtual std::unique_ptr<Cursor> Open(const World& world, const Bounds& bounds) const = 0;
};

template <class Row>
class Feed {
 public:
  virtual ~Feed() = default;
  // Appends the next rows; none: there are no more.
  virtual absl::Status Fill(std::vector<Row>& rows) = 0;
};

template <class Row>
struct ColumnOf {
  const char* declared;
  Key key;
  void (*put)(const Row& row, const World& world, Cell& cell);
};

template <class Row>
class CursorOf final : public Cursor {
 public:
  CursorOf(std::span<const ColumnOf<Row>> columns,
           const World& world,
           std::unique_ptr<Feed<Row>> feed)
      : columns_(columns), world_(world), feed_(std::move(feed)) {}

  absl::Status Next() override {
    if (++at_ < rows_.size()) return absl::OkStatus();
    rows_.clear();
    at_ = 0;
    return feed_->Fill(rows_);
  }
  bool done() const override { return at_ >= rows_.size(); }
  void Put(size_t column, Cell& cell) const override {
    columns_[column].put(rows_[at_], world_, cell);
  }

 private:
  std::span<const ColumnOf<Row>> columns_;
  const World& world_;
  std::unique_ptr<Feed<Row>> feed_;
  std::vector<Row> rows_;
  size_t at_ = 0;
};

template <class Row>
class TableOf final : public Table {
 public:
  using MakeFeed = std::unique_ptr<Feed<Row>> (*)(const World&, const Bounds&);
  struct Words {
    const char* name;
    const char* about;
    Sorted sorted;
  };
  TableOf(Words words, std::span<const ColumnOf<Row>> columns, MakeFeed feed)
      : words_(words), columns_(columns), feed_(feed) {
    for (const ColumnOf<Row>& c : columns) plain_.push_back({c.declared, c.key});
  }
  const char* name() const override { return words_.name; }
  const char* about() const override { return words_.about; }
  Sorted sorted() const override { return words_.sorted; }
  std::span<const Column> columns() const override { return plain_; }
  std::unique_ptr<Cursor> Open(const World& world, const Bounds& bounds) const override {
    return std::make_unique<CursorOf<Row>>(columns_, world, feed_(world, bounds));
  }

 private:
  const Words words_;
  const std::span<const ColumnOf<Row>> columns_;
  const MakeFeed feed_;
  std::vector<Column> plain_;
};

// Each file of tables gives its own.
std::unique_ptr<Table> RecordsTable();
std::unique_ptr<Table> DecisionsTable();
std::unique_ptr<Table> FlowsTable();
std::unique_ptr<Table> SlopesTable();
std::unique_ptr<Table> ActuationsTable();
std::unique_ptr<Table> AttemptsTable();
std::unique_ptr<Table> EdgesTable();
std::unique_ptr<Table> AuthoritiesTable();
std::unique_ptr<Table> ObjectsTable();
std::unique_ptr<Table> CheckpointsTable();
std::unique_ptr<Table> CosignaturesTable();
const std::vector<std::unique_ptr<Table>>& AllTables();  // by name

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_TABLE_H_
