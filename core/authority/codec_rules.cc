#include "core/authority/codec_rules.h"

#include <algorithm>

#include "core/authority/codec.h"
#include "core/authority/codec_forms.h"
#include "core/base/check.h"
#include "core/base/status.h"

namespace aqmesh::authority {

std::string Place::ToString() const {
  std::string out = Join("field ", number);
  if (!name.empty()) out += Join(" ", name);
  return up == nullptr ? out : Join(up->ToString(), ", ", out);
}

void RuleBook::Named(uint32_t number, std::string_view name, size_t byte) {
  AQ_CHECK(number < kFieldsMax);
  names_[number] = name;
  bytes_[number] = byte;
}

void RuleBook::Refuse(uint32_t field, size_t byte, std::string rule, unsigned section) {
  if (refused()) return;
  const Place here{up_, field, Knows(field) ? names_[field] : std::string_view{}};
  std::string place = field != 0 ? here.ToString() : up_ != nullptr ? up_->ToString() : "";
  out_->emplace(
      wire::Refusal{std::string(thing_), std::move(place), byte, std::move(rule), section});
}

void RuleBook::Require(uint32_t field, bool holds, std::string_view rule) {
  AQ_CHECK(Knows(field));
  if (!holds) Refuse(field, bytes_[field], std::string(rule), 2);
}

void RuleBook::Iff(uint32_t field, bool present, bool condition, std::string_view when) {
  AQ_CHECK(Knows(field));
  if (present == condition) return;
  Require(
      field, false, Join(present ? "present, but only allowed " : "absent, but required ", when));
}

void RuleBook::SigningSuite(uint32_t field, Suite suite) {
  Require(field,
          SignatureSize(suite) != 0,
          "not a suite that signs: 1 (Ed25519) and 2 (ristretto255) are");
}

namespace {

bool NoneInsideAnother(const std::vector<Prefix>& prefixes) {
  for (const Prefix& outer : prefixes) {
    const auto inside = std::count_if(
        prefixes.begin(), prefixes.end(), [&outer](const Prefix& p) { return outer.Contains(p); });
    if (inside != 1) return false;  // itself
  }
  return true;
}

template <class Row, class Member>
bool EachOnce(const std::vector<Row>& rows, Member Row::* member) {
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (rows[i].*member == rows[j].*member) return false;
    }
  }
  return true;
}

uint64_t WeightOf(const std::vector<Voter>& voters) {
  uint64_t sum = 0;
  for (const Voter& v : voters) sum += v.weight;
  return sum;
}

// More than two thirds: floor(2W/3)+1..W.
bool IsQuorum(uint64_t q, uint64_t weight) { return q >= 2 * weight / 3 + 1 && q <= weight; }

bool SignedBy(const RuleBook& r, Suite suite, ByteView key) {
  return r.envelope() == nullptr || KidOf(suite, key) == r.envelope()->kid();
}

void CheckPorts(RuleBook& r, const Bytes& protos, bool has_ports, uint32_t field) {
  r.Iff(field, has_ports, HasPorts(protos), "with one of the protocols 6 17 33 132 136");
}

}  // namespace

void CheckRules(RuleBook& r, const Voter& o) { r.SigningSuite(1, o.suite); }

void CheckRules(RuleBook& r, const Svc& o) { CheckPorts(r, o.protos, !o.ports.empty(), 2); }

namespace {

void CheckVoters(RuleBook& r, const Charter& o) {
  r.Require(12, EachOnce(o.voters, &Voter::key), "a key stands twice");
  r.Require(13, EachOnce(o.witnesses, &Voter::key), "a key stands twice");
  const auto listed = [&o](const Voter& v) {
    return std::find(o.suites.begin(), o.suites.end(), static_cast<uint16_t>(v.suite)) !=
           o.suites.end();
  };
  r.Require(12,
            std::all_of(o.voters.begin(), o.voters.end(), listed),
            "a suite that field 17 suites does not list");
  r.Require(13,
            std::all_of(o.witnesses.begin(), o.witnesses.end(), listed),
            "a suite that field 17 suites does not list");
  const uint64_t weight = WeightOf(o.voters);
  r.Require(14, IsQuorum(o.q_reg, weight), "not in floor(2W/3)+1..W of the voters' weight");
  r.Require(15, IsQuorum(o.q_sens, weight), "not in floor(2W/3)+1..W of the voters' weight");
  r.Iff(16, o.q_wit != 0, !o.witnesses.empty(), "with witnesses");
  r.Require(16,
            o.q_wit == 0 || IsQuorum(o.q_wit, WeightOf(o.witnesses)),
            "not in floor(2W/3)+1..W of the witnesses' weight");
}

}  // namespace

void CheckRules(RuleBook& r, const Charter& o) {
  const bool genesis = o.version == 1;
  r.Iff(1, o.scope.has_value(), !genesis, "in versions after 1");
  r.Iff(3, o.prev.has_value(), !genesis, "in versions after 1");
  r.Iff(4, o.salt.has_value(), genesis, "in version 1");
  CheckVoters(r, o);
  r.Require(18, EachOnce(o.classes, &ClassRow::id), "an id stands twice");
  r.Require(19, EachOnce(o.params, &Param::id), "an id stands twice");
  r.Require(
      20,
      !o.pool4 || (!o.pool4->address.is_v6() && o.pool4->length >= 8 && o.pool4->length <= 24),
      "not a v4 prefix of /8../24");
  r.Require(21, NoneInsideAnother(o.prefixes), "a prefix lies inside another");
  // Later versions: by a voter of the version before, which the body alone does not know.
  if (genesis) {
    r.Require(12,
              std::any_of(o.voters.begin(),
                          o.voters.end(),
                          [&r](const Voter& v) { return SignedBy(r, v.suite, v.key); }),
              "a genesis charter has to be signed by one of its own voters");
  }
}

void CheckRules(RuleBook& r, const Grant& o) {
  const bool plain = o.suite == Suite::kX25519Static;
  const bool issues = (o.caps & kCapsIssue) != 0;
  if (!plain) r.SigningSuite(2, o.suite);
  r.Require(2,
            plain || issues || (o.caps & kCapJoin) == 0 || SignsPresentations(o.suite),
            "its signatures do not fit a presentation: with join, only beside an issue bit");
  r.Require(
      3, r.envelope() == nullptr || !SignedBy(r, o.suite, o.key), "the key is the signer's own");
  r.Require(4, (o.cls == Class::kPlain) == plain, "class 16 (PLAIN) if and only if suite 16");
  r.Require(5, o.depth_left == 0 || issues, "only with an issue bit in caps");
  r.Require(10,
            issues || r.envelope() == nullptr || r.envelope()->bytes().size() <= kLeafGrantBytesMax,
            "a grant without an issue bit is at most 640 bytes: it travels by value");
  r.Require(14, NoneInsideAnother(o.prefixes), "a prefix lies inside another");
  r.Require(15,
            issues || std::none_of(o.tags.begin(), o.tags.end(), IsWildcard),
            "a wildcard only with an issue bit in caps");
}

void CheckRules(RuleBook& r, const Rule& o) {
  CheckPorts(r, o.protos, !o.ports.empty(), 4);
  r.Require(11, o.until == 0 || o.until > o.since, "not after field 10 since");
}

void CheckRules(RuleBook& r, const Fragment& o) {
  for (const Rule& rule : o.rules) {
    r.Require(9,
              (rule.via != 0) == o.parent.has_value(),
              "field 13 via is there if and only if the fragment has field 6 parent");
  }
}

void CheckRules(RuleBook& r, const Keybind& o) {
  r.Require(4,
            (o.kind == 1) == (o.suite == Suite::kX25519Static),
            "suite 16 if and only if kind 1 (WireGuard static)");
  if (o.kind != 1) r.SigningSuite(4, o.suite);
}

void CheckRules(RuleBook& r, const Rotate& o) {
  r.SigningSuite(4, o.suite);
  r.Require(5, SignedBy(r, o.suite, o.key), "not the key that signed: the new key signs");
}

void CheckRules(RuleBook& r, const Attest& o) {
  const bool head = o.kind == AttestKind::kHead;
  r.Require(2,
            r.envelope() == nullptr || o.subject != r.envelope()->kid(),
            "the signer itself: nobody speaks for itself");
  r.Require(6, !o.evidence.is_zero(), "no record is named");
  r.Iff(7, o.prefix.has_value(), o.kind == AttestKind::kReach, "with kind 3 (REACH)");
  r.Iff(8, !o.posture.empty(), o.kind == AttestKind::kPosture, "with kind 4 (POSTURE)");
  r.Iff(9, o.epoch != 0, head, "with kind 5 (HEAD)");
  r.Iff(10, o.head.has_value(), head, "with kind 5 (HEAD)");
}

void CheckRules(RuleBook& r, const Revoke& o) {
  const bool terminal = o.seq == kTerminalSeq;
  r.Iff(3, o.prev.has_value(), o.seq != 1 && !terminal, "after seq 1, unless terminal");
  r.Require(
      5, !terminal || o.type == RevokeType::kKey, "the terminal seq 2^63-1 is of type 4 (KEY)");
  r.Iff(6, o.kid.has_value(), o.type != RevokeType::kOid, "unless type is 2 (OID)");
  r.Iff(7, o.oid.has_value(), o.type == RevokeType::kOid, "with type 2 (OID)");
  r.Iff(8, o.floor != 0, o.type == RevokeType::kFloor, "with type 1 (FLOOR)");
  r.Iff(9, o.from != 0, o.type == RevokeType::kIssuerFrom, "with type 3 (ISSUER_FROM)");
  r.Require(6,
            !terminal || r.envelope() == nullptr || o.kid == r.envelope()->kid(),
            "the terminal seq 2^63-1 is about the signer itself");
}

void CheckRules(RuleBook& r, const Cosign& o) {
  r.Require(3, o.slot != 3 || Equal(o.id, o.scope), "slot 3 (charter): not the scope");
  r.Require(4, o.slot > 2 || o.number <= kTerminalSeq, "a seq is below 2^63");
  r.Require(4, o.slot != 3 || o.number <= UINT32_MAX, "a charter version is below 2^32");
  r.Require(4, o.slot != 4 || o.number <= UINT16_MAX, "a use is below 2^16");
}

void CheckRules(RuleBook& r, const Observe& o) {
  r.Iff(4, o.prev.has_value(), o.seq != 0, "after seq 0");
  r.Iff(22, o.flow.has_value(), o.kind == RecordKind::kFlow, "with kind 11 (FLOW)");
  r.Iff(23, !o.drops.empty(), o.kind == RecordKind::kDrops, "with kind 18 (DROPS)");
  // A FLOW that carried nothing says which flows were tried: in what it commits to.
  const bool carried = o.flow && o.flow->frames != 0;
  r.Require(22, !o.flow || carried || !o.commits.empty(), "neither frames nor commits");
  r.Require(22, !o.flow || carried == (o.flow->bytes != 0), "frames and bytes go together");
}

void CheckRules(RuleBook& r, const PrefixMap& o) {
  r.Require(2,
            o.theirs.address.is_v6() == o.ours.address.is_v6() && o.theirs.length == o.ours.length,
            "not of the family and length of field 1 theirs");
}

void CheckRules(RuleBook& r, const Treaty& o) {
  r.Require(5, o.foreign != o.scope, "the scope itself");
  std::vector<Prefix> theirs, ours;
  for (const PrefixMap& p : o.prefixes) theirs.push_back(p.theirs), ours.push_back(p.ours);
  r.Require(11,
            NoneInsideAnother(theirs) && NoneInsideAnother(ours),
            "a prefix lies inside another of its side");
}

void CheckRules(RuleBook& r, const Pardon& o) { r.SigningSuite(5, o.suite); }

void CheckRules(RuleBook& r, const Presentation& o) {
  r.Iff(6, o.answers.has_value(), o.role == 2, "with role 2 (responder)");
}

void CheckRules(RuleBook& r, const Invite& o) {
  r.SigningSuite(7, o.suite);
  r.Require(7,
            SignatureSize(o.suite) == Signature::kSize,
            "its signatures do not fit the proof of a request");
}

void CheckRules(RuleBook& r, const Request& o) {
  r.Iff(2, o.rx_handle != 0, o.h.has_value(), "with field 1 h (live)");
  r.SigningSuite(4, o.suite);
  r.Require(5, SignedBy(r, o.suite, o.key), "not the key that signed");
  r.Iff(11, o.proof.has_value(), o.invite.has_value(), "with field 10 invite");
  r.Require(12, !o.commit || o.h, "present, but only allowed with field 1 h (live)");
}

}  // namespace aqmesh::authority
