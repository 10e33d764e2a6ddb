// PgLink: one connection to PostgreSQL, whose every wait ends at a stop, or when nothing comes.
// libpq's own calls that wait would not hear Ctrl-C while a server is silent.
// Bounds: kConnectWithin, kAnswerWithin. Thread: one owner.
// Errors: Unavailable (the link is gone, the server shuts down or is short of something),
//         FailedPrecondition (it refused the statement: its own words), Cancelled.
#ifndef AQMESH_LINEAGE_SHIP_PG_LINK_H_
#define AQMESH_LINEAGE_SHIP_PG_LINK_H_

#include <absl/status/statusor.h>
#include <libpq-fe.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lineage/ship/sink.h"

namespace aqmesh::lineage::ship {

class PgLink {
 public:
  static constexpr std::chrono::seconds kConnectWithin{15};
  static constexpr std::chrono::seconds kAnswerWithin{120};

  explicit PgLink(Hooks hooks) : hooks_(std::move(hooks)) {}

  // What is not in the address comes from where libpq takes it: PGUSER, PGPASSWORD, ~/.pgpass, a
  // service file.
  absl::Status Connect(const std::string& address);
  bool open() const { return conn_ != nullptr; }
  void Close() { conn_.reset(); }

  // The rows of the answer, as text; NULL is "". After an error inside a transaction the link is
  // closed, so that nothing of it stays.
  using Rows = std::vector<std::vector<std::string>>;
  absl::StatusOr<Rows> Run(const std::string& sql, const std::vector<std::string>& params = {});
  // COPY ... FROM STDIN, and all of its text.
  absl::Status CopyIn(const std::string& sql, std::string_view text);

 private:
  struct Finish {
    void operator()(PGconn* conn) const { PQfinish(conn); }
  };
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  absl::Status Await(short events, std::chrono::milliseconds& left);
  absl::Status FlushOut(std::chrono::milliseconds& left);
  absl::StatusOr<Result> NextResult(std::chrono::milliseconds& left);  // null: no more
  absl::StatusOr<Result> LastResult();
  absl::Status Push(std::string_view text);
  absl::Status Lost();
  absl::Status Refused(const PGresult* result);

  Hooks hooks_;
  std::unique_ptr<PGconn, Finish> conn_;
  bool ever_ = false;  // it was let in once
};

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_PG_LINK_H_
