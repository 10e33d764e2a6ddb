#include "issuing/place.h"

#include <algorithm>

#include "core/base/status.h"
#include "issuing/rules.h"

namespace aqmesh::issuing {

using authority::Charter;
using authority::Grant;
using authority::Voter;

namespace {
constexpr uint64_t kClockSlack = 120;  // spec: objects#1, in date
}  // namespace

std::string Short(const Kid& kid) { return ToHex(kid.view().first(4)); }

absl::Status CheckName(std::string_view name, bool may_be_empty) {
  if (IsLab(name) || (may_be_empty && name.empty())) return absl::OkStatus();
  return InvalidArgument(
      "name `", name, "`: write up to 32 lower-case letters, digits and inner dashes");
}

absl::StatusOr<std::vector<std::string>> SortedTags(std::vector<std::string> tags,
                                                    bool wild,
                                                    size_t max) {
  for (const std::string& tag : tags) {
    if (wild ? IsWildTag(tag) : IsTag(tag)) continue;
    return InvalidArgument("tag `",
                           tag,
                           "`: write lower-case words joined by dots",
                           wild ? ", NAME.* or *" : "; wildcards need a grant that may issue");
  }
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  if (tags.size() > max)
    return InvalidArgument(tags.size(), " tags, more than ", max, "; leave some out");
  return tags;
}

// In the order given, a doubled one once.
absl::StatusOr<std::vector<Endpoint>> CheckedEndpoints(const std::vector<Endpoint>& endpoints,
                                                       size_t max) {
  std::vector<Endpoint> out;
  for (const Endpoint& e : endpoints) {
    if (e.port == 0 || e.scope_id != 0) {
      return InvalidArgument("endpoint ",
                             e.ToString(),
                             ": it needs a port, and means something on one link only; ",
                             "leave it out");
    }
    if (std::find(out.begin(), out.end(), e) == out.end()) out.push_back(e);
  }
  if (out.size() > max)
    return InvalidArgument(out.size(), " endpoints, more than ", max, "; keep the best");
  return out;
}

absl::StatusOr<Place> PlaceOf(const Issuer& issuer, uint64_t now) {
  Place place;
  place.scope = ScopeOfCharter(issuer.charter);
  const Charter& charter = issuer.charter.body;
  if (issuer.grant == nullptr) {
    const bool voter =
        std::any_of(charter.voters.begin(), charter.voters.end(), [&issuer](const Voter& v) {
          return v.key == issuer.signer.key();
        });
    if (!voter) {
      return PermissionDenied("key ",
                              Short(issuer.signer.kid()),
                              " is no voter of ",
                              charter.name,
                              "; sign with the root key, or under a grant");
    }
    place.authority = issuer.charter.oid();
    place.subject = issuer.signer.kid();
    return place;
  }
  const Grant& grant = issuer.grant->body;
  place.authority = issuer.grant->oid();
  place.grant = &grant;
  place.subject = authority::KidOf(grant.suite, grant.key);
  if (place.subject != issuer.signer.kid() && !issuer.rotated) {
    return PermissionDenied("key ",
                            Short(issuer.signer.kid()),
                            " is not the subject of grant ",
                            ToHex(place.authority.view().first(4)),
                            "; sign with ",
                            Short(place.subject));
  }
  if (grant.scope != place.scope)
    return PermissionDenied("the issuer's grant is of another mesh than ", charter.name);
  place.from = grant.not_before;
  place.end = grant.not_before + grant.ttl;
  if (now + kClockSlack < place.from) {
    return FailedPrecondition(
        "the issuer's grant begins ", place.from - now, " s from now; check the clock");
  }
  if (now >= place.end) {
    return FailedPrecondition(
        "the issuer's grant ended ", now - place.end, " s ago; renew it, or sign with another");
  }
  return place;
}

absl::Status NeedCap(const Place& place, uint32_t cap, std::string_view what) {
  if (place.grant == nullptr || (place.grant->caps & cap) != 0) return absl::OkStatus();
  return PermissionDenied(
      "the issuer's grant may not sign ", what, "; sign with the root key or a grant that may");
}

absl::StatusOr<Window> Cut(const Place& place, uint64_t now, uint32_t ttl, uint64_t end_too) {
  Window w{.not_before = std::max(now, place.from), .ttl = ttl};
  const uint64_t end = std::min(place.end, end_too);
  if (end <= w.not_before || ttl == 0)
    return FailedPrecondition("nothing is left of the validity that was asked for");
  w.ttl = static_cast<uint32_t>(std::min<uint64_t>(ttl, end - w.not_before));
  return w;
}

}  // namespace aqmesh::issuing
