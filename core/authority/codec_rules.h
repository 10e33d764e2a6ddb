// The rules of the objects that join several fields, and those that join the body and its envelope.
// Spec:   spec/objects.md §2: "iff", quorums, once-only keys, what an issue bit allows.
// Errors: the first rule that breaks is kept, with the byte of the field that it is about.
// Thread: a value of one parse.
#ifndef AQMESH_CORE_AUTHORITY_CODEC_RULES_H_
#define AQMESH_CORE_AUTHORITY_CODEC_RULES_H_

#include "core/authority/signed.h"
#include "core/wire/refusal.h"

namespace aqmesh::authority {

// Where a message stands inside its object: a chain up to the body, so that a refusal can say
// "field 12 voters, field 3 weight".
struct Place {
  const Place* up = nullptr;
  uint32_t number = 0;
  std::string_view name;
  std::string ToString() const;
};

// The fields that one message's description has named so far, and where each began; every refusal
// goes through it. The refusal is shared by all messages of a parse: the first one stays.
class RuleBook {
 public:
  RuleBook(std::string_view thing,
           const Place* up,
           const Signed* envelope,
           std::optional<wire::Refusal>* out)
      : thing_(thing), up_(up), envelope_(envelope), out_(out) {}

  bool refused() const { return out_->has_value(); }
  void Named(uint32_t number, std::string_view name, size_t byte);
  bool Knows(uint32_t number) const { return number < kFieldsMax && !names_[number].empty(); }
  void Refuse(uint32_t field, size_t byte, std::string rule, unsigned section);

  // One rule of §2 about a field that was named.
  void Require(uint32_t field, bool holds, std::string_view rule);
  // "iff": a field is there if and only if a condition holds.
  void Iff(uint32_t field, bool present, bool condition, std::string_view when);
  // A key that signs.
  void SigningSuite(uint32_t field, Suite suite);
  // The envelope that the body came in; nullptr when a body is parsed by itself.
  const Signed* envelope() const { return envelope_; }
  const Place* up() const { return up_; }
  std::string_view thing() const { return thing_; }
  std::optional<wire::Refusal>* out() const { return out_; }

 private:
  static constexpr size_t kFieldsMax = 32;

  std::string_view thing_;
  const Place* up_;
  const Signed* envelope_;
  std::optional<wire::Refusal>* out_;
  std::array<std::string_view, kFieldsMax> names_{};
  std::array<size_t, kFieldsMax> bytes_{};
};

void CheckRules(RuleBook& r, const Voter& o);
void CheckRules(RuleBook& r, const Svc& o);
void CheckRules(RuleBook& r, const Charter& o);
void CheckRules(RuleBook& r, const Grant& o);
void CheckRules(RuleBook& r, const Rule& o);
void CheckRules(RuleBook& r, const Fragment& o);
void CheckRules(RuleBook& r, const Keybind& o);
void CheckRules(RuleBook& r, const Rotate& o);
void CheckRules(RuleBook& r, const Attest& o);
void CheckRules(RuleBook& r, const Revoke& o);
void CheckRules(RuleBook& r, const Cosign& o);
void CheckRules(RuleBook& r, const Observe& o);
void CheckRules(RuleBook& r, const PrefixMap& o);
void CheckRules(RuleBook& r, const Treaty& o);
void CheckRules(RuleBook& r, const Pardon& o);
void CheckRules(RuleBook& r, const Presentation& o);
void CheckRules(RuleBook& r, const Invite& o);
void CheckRules(RuleBook& r, const Request& o);
// Each field's own bounds say it all.
inline void CheckRules(RuleBook&, const ClassRow&) {}
inline void CheckRules(RuleBook&, const Param&) {}
inline void CheckRules(RuleBook&, const Routing&) {}
inline void CheckRules(RuleBook&, const FlowSummary&) {}
inline void CheckRules(RuleBook&, const DropCount&) {}
inline void CheckRules(RuleBook&, const TagMap&) {}
inline void CheckRules(RuleBook&, const Member&) {}
inline void CheckRules(RuleBook&, const Approve&) {}
inline void CheckRules(RuleBook&, const Announce&) {}
inline void CheckRules(RuleBook&, const KeepRule&) {}
inline void CheckRules(RuleBook&, const Retention&) {}

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_CODEC_RULES_H_
