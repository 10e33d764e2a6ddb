// Fields of a daemon's JSON answer, read forgivingly: a newer daemon may say more, an older one
// less, and what is absent or of another kind is the empty value. Thread: pure. Errors: none.
#ifndef AQMESH_DAEMON_CLI_JSON_READ_H_
#define AQMESH_DAEMON_CLI_JSON_READ_H_

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace aqmesh::cli {

boost::json::object ReadObject(std::string_view text);
std::string TextIn(const boost::json::object& o, std::string_view key);
uint64_t NumberIn(const boost::json::object& o, std::string_view key);
bool TrueIn(const boost::json::object& o, std::string_view key);
std::vector<std::string> TextsIn(const boost::json::object& o, std::string_view key);
std::vector<boost::json::object> ObjectsIn(const boost::json::object& o, std::string_view key);
boost::json::object ObjectIn(const boost::json::object& o, std::string_view key);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_JSON_READ_H_
