#include "daemon/os_actuation.h"

#include <algorithm>

#include "core/base/status.h"

namespace aqmesh::daemon {

using authority::RecordKind;

namespace {

bool Holds(const std::vector<Prefix>& list, const Prefix& p) {
  return std::find(list.begin(), list.end(), p) != list.end();
}

}  // namespace

std::vector<net::Request> OsActuation::Plan() const {
  std::vector<net::Request> steps;
  if (up()) {
    steps.push_back(
        net::SetUp{true});  // the kernel takes routes only through an interface that is up
    for (const Prefix& a : action_.addresses) steps.push_back(net::AddAddress{a.address});
    for (const Prefix& r : action_.routes) steps.push_back(net::AddRoute{r});
  } else {
    for (const Prefix& r : action_.routes) steps.push_back(net::RemoveRoute{r});
    for (const Prefix& a : action_.addresses) steps.push_back(net::RemoveAddress{a.address});
    steps.push_back(net::SetUp{false});
  }
  return steps;
}

bool OsActuation::OnStep(const net::Request& step, const absl::Status& answer) {
  if (answer.ok()) {
    done_.push_back(step);
    return true;
  }
  const bool there_already = up() ? absl::IsAlreadyExists(answer) : absl::IsNotFound(answer);
  if (there_already) return true;
  why_ = Text(answer);
  return !up();  // a restriction goes on with what else it can take away
}

bool OsActuation::OnReadBack(const absl::StatusOr<net::State>& seen) {
  std::string differs;
  if (!seen.ok()) {
    differs = Join("reading back: ", Text(seen.status()));
  } else if (seen->up != up()) {
    differs = seen->up ? "the interface is still up" : "the interface is not up";
  }
  const auto check = [&](const std::vector<Prefix>& wanted,
                         const std::vector<Prefix>& there,
                         std::string_view what) {
    for (const Prefix& p : wanted) {
      if (Holds(there, p) != up())
        differs = Join(what, " ", p.ToString(), up() ? " is not there" : " is still there");
    }
  };
  if (seen.ok()) {
    check(action_.addresses, seen->addresses, "address");
    check(action_.routes, seen->routes, "route");
  }
  if (!differs.empty()) {
    if (why_.empty()) why_ = differs;  // the first cause says more than what follows from it
    return false;
  }
  why_.clear();
  edges_.push_back(RecordKind::kVerified);
  edges_.push_back(RecordKind::kCommitted);
  return true;
}

std::vector<net::Request> OsActuation::Undo() const {
  std::vector<net::Request> steps;
  for (auto step = done_.rbegin(); step != done_.rend(); ++step) {
    if (const auto* route = std::get_if<net::AddRoute>(&*step))
      steps.push_back(net::RemoveRoute{route->prefix});
    if (const auto* address = std::get_if<net::AddAddress>(&*step))
      steps.push_back(net::RemoveAddress{address->address});
    if (std::holds_alternative<net::SetUp>(*step)) steps.push_back(net::SetUp{false});
  }
  return steps;
}

void OsActuation::OnUndone(const absl::StatusOr<net::State>& seen) {
  bool gone = seen.ok();
  for (const net::Request& step : done_) {
    if (!gone) break;
    if (const auto* route = std::get_if<net::AddRoute>(&step))
      gone = !Holds(seen->routes, route->prefix);
    if (const auto* add = std::get_if<net::AddAddress>(&step))
      gone = !Holds(seen->addresses, Prefix::Host(add->address));
  }
  edges_.push_back(gone ? RecordKind::kRolledBack : RecordKind::kDiverged);
}

}  // namespace aqmesh::daemon
