// Rules of a fragment as a line of text that a person types, and back.
// Spec:   spec/objects.md §2 Rule; authority A.4 grammar.
// Text:   rule  = ["allow"] SRC "->" DST SVC *WORD
//         SRC,DST = any | tag:a.b | node:KIDHEX | ADDRESS[/LEN]
//         SVC   = any | PROTO *("+" PROTO) [":" PORT["-"PORT] *("," ...)]     no ports, or ":*":
//         all of them PROTO = tcp udp icmp icmpv6 sctp dccp udplite gre esp ah igmp ipip or a
//         number 1..254 WORD  = one-way | forward | log | log-headers | escalate | rate:1-7 |
//         drop-after:N |
//                 transform:NAME | since:SECONDS | until:SECONDS | hours:mon09:00-mon17:30,...
//                 (UTC) | via:N
//         Several rules: one a line; "#" starts a comment, blank lines are skipped.
// Bounds: kRulesMax rules; 8 protocols, port ranges and hours each; kRuleTextMax characters a line.
// Errors: InvalidArgument "line L, column C: what; the mend". Thread: all functions are pure.
#ifndef AQMESH_ISSUING_RULES_H_
#define AQMESH_ISSUING_RULES_H_

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/authority/objects.h"

namespace aqmesh::issuing {

inline constexpr size_t kRulesMax = 64;
inline constexpr size_t kRuleTextMax = 2'048;

// What node:NAME means where NAME is no kid; empty: names are refused.
using NodeLookup = std::function<std::optional<Kid>(std::string_view name)>;

absl::StatusOr<authority::Rule> ParseRule(std::string_view text, const NodeLookup& lookup = {});
absl::StatusOr<std::vector<authority::Rule>> ParseRules(std::string_view text,
                                                        const NodeLookup& lookup = {});

// ParseRule(PrintRule(r)) == r for every rule that obeys spec/objects.md.
std::string PrintRule(const authority::Rule& rule);
std::string PrintSelector(const authority::Selector& selector);

// "tag:member -> tag:member any": what `init` signs.
authority::Rule MembersRule();

// The grammar of labs and tags, for whoever takes names from a person.
bool IsLab(std::string_view text);
bool IsTag(std::string_view text);
bool IsWildTag(std::string_view text);  // tag, tag.* or *

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_RULES_H_
