#include "lineage/ship/pg_link.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "core/base/status.h"

namespace aqmesh::lineage::ship {
namespace {

using std::chrono::milliseconds;

constexpr size_t kCopyPiece = 65'536;

// A server's message on one line.
std::string OneLine(std::string_view text) {
  std::string out(text);
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  std::ranges::replace(out, '\n', ' ');
  return out;
}

// Classes of SQLSTATE after which the same statement may do: the server goes away, is short of
// something, or somebody else was in between.
bool MayMend(std::string_view state) {
  return state.starts_with("08") || state.starts_with("53") || state.starts_with("57P") ||
         state.starts_with("40") || state == "57014" || state == "55P03";
}

}  // namespace

absl::Status PgLink::Lost() {
  const std::string why = OneLine(PQerrorMessage(conn_.get()));
  Close();
  return Unavailable(why.empty() ? "the connection is gone" : why);
}

absl::Status PgLink::Refused(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state == nullptr || PQstatus(conn_.get()) != CONNECTION_OK) return Lost();
  const std::string why = OneLine(words == nullptr ? PQresultErrorMessage(result) : words);
  const bool mends = MayMend(state);
  Close();
  return mends ? Unavailable(why) : FailedPrecondition(why);
}

// Until the socket may be read or written; `left` runs out over all waits of one order.
absl::Status PgLink::Await(short events, milliseconds& left) {
  while (true) {
    if (hooks_.stop && hooks_.stop()) {
      Close();
      return absl::CancelledError("interrupted");
    }
    if (left <= milliseconds(0)) {
      Close();
      return Unavailable("the server has not answered in time");
    }
    pollfd look{PQsocket(conn_.get()), events, 0};
    const int ready = poll(&look, 1, static_cast<int>(kPatience.count()));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Lost();
    left -= kPatience;
  }
}

absl::Status PgLink::Connect(const std::string& address) {
  const char* const keys[] = {"dbname", "client_encoding", "fallback_application_name", nullptr};
  const char* const values[] = {address.c_str(), "UTF8", "aqmesh lineage ship", nullptr};
  conn_.reset(PQconnectStartParams(keys, values, /*expand_dbname=*/1));
  if (conn_ == nullptr) return ResourceExhausted("no memory for a connection");
  milliseconds left = kConnectWithin;
  auto step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    if (step == PGRES_POLLING_FAILED || PQstatus(conn_.get()) == CONNECTION_BAD) {
      // A wrong password is not mended by waiting. Later on it may be the server that dies.
      if (ever_ || (PQconnectionNeedsPassword(conn_.get()) == 0 &&
                    PQconnectionUsedPassword(conn_.get()) == 0))
        return Lost();
      return FailedPrecondition(Text(Lost()), "; the password comes from PGPASSWORD or ~/.pgpass");
    }
    AQ_RETURN_IF_ERROR(Await(step == PGRES_POLLING_READING ? POLLIN : POLLOUT, left));
    step = PQconnectPoll(conn_.get());
  }
  ever_ = true;
  PQsetNoticeProcessor(conn_.get(), [](void*, const char*) {}, nullptr);
  return PQsetnonblocking(conn_.get(), 1) == 0 ? absl::OkStatus() : Lost();
}

absl::Status PgLink::FlushOut(milliseconds& left) {
  while (true) {
    const int more = PQflush(conn_.get());
    if (more < 0) return Lost();
    if (more == 0) return absl::OkStatus();
    AQ_RETURN_IF_ERROR(Await(POLLIN | POLLOUT, left));
    if (PQconsumeInput(conn_.get()) == 0) return Lost();
  }
}

absl::StatusOr<PgLink::Result> PgLink::NextResult(milliseconds& left) {
  AQ_RETURN_IF_ERROR(FlushOut(left));
  while (PQisBusy(conn_.get()) != 0) {
    AQ_RETURN_IF_ERROR(Await(POLLIN, left));
    if (PQconsumeInput(conn_.get()) == 0) return Lost();
  }
  return Result(PQgetResult(conn_.get()));
}

// The answer to what was sent, once all of it is there.
absl::StatusOr<PgLink::Result> PgLink::LastResult() {
  milliseconds left = kAnswerWithin;
  Result last;
  while (true) {
    AQ_ASSIGN_OR_RETURN(Result next, NextResult(left));
    if (next == nullptr) break;
    const ExecStatusType status = PQresultStatus(next.get());
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) return Refused(next.get());
    last = std::move(next);
    if (status == PGRES_COPY_IN) break;
  }
  if (last == nullptr) return Lost();
  return last;
}

absl::StatusOr<PgLink::Rows> PgLink::Run(const std::string& sql,
                                         const std::vector<std::string>& params) {
  if (!open()) return Unavailable("not connected");
  std::vector<const char*> values;
  for (const std::string& p : params) values.push_back(p.c_str());
  if (PQsendQueryParams(conn_.get(),
                        sql.c_str(),
                        static_cast<int>(values.size()),
                        nullptr,
                        values.data(),
                        nullptr,
                        nullptr,
                        0) == 0)
    return Lost();
  AQ_ASSIGN_OR_RETURN(const Result result, LastResult());
  Rows rows(static_cast<size_t>(PQntuples(result.get())));
  for (int r = 0; r < PQntuples(result.get()); ++r) {
    for (int c = 0; c < PQnfields(result.get()); ++c)
      rows[static_cast<size_t>(r)].emplace_back(PQgetvalue(result.get(), r, c));
  }
  return rows;
}

absl::Status PgLink::Push(std::string_view text) {
  milliseconds left = kAnswerWithin;
  while (!text.empty()) {
    const size_t size = std::min(text.size(), kCopyPiece);
    const int taken = PQputCopyData(conn_.get(), text.data(), static_cast<int>(size));
    if (taken < 0) return Lost();
    if (taken == 1) {
      text.remove_prefix(size);
      continue;
    }
    AQ_RETURN_IF_ERROR(Await(POLLIN | POLLOUT, left));
    if (PQconsumeInput(conn_.get()) == 0) return Lost();
    AQ_RETURN_IF_ERROR(FlushOut(left));
  }
  while (true) {
    const int ended = PQputCopyEnd(conn_.get(), nullptr);
    if (ended < 0) return Lost();
    if (ended == 1) return absl::OkStatus();
    AQ_RETURN_IF_ERROR(FlushOut(left));
  }
}

absl::Status PgLink::CopyIn(const std::string& sql, std::string_view text) {
  if (!open()) return Unavailable("not connected");
  if (PQsendQuery(conn_.get(), sql.c_str()) == 0) return Lost();
  AQ_ASSIGN_OR_RETURN(const Result begun, LastResult());
  if (PQresultStatus(begun.get()) != PGRES_COPY_IN) return Internal("COPY was not begun");
  AQ_RETURN_IF_ERROR(Push(text));
  return LastResult().status();
}

}  // namespace aqmesh::lineage::ship
