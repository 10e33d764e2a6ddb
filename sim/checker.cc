#include "sim/checker.h"

#include <algorithm>

#include "core/authority/chain.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/inputs.h"

namespace aqmesh::sim {

using authority::RecordKind;
using authority::RevokeType;
using authority::Rung;

std::string_view RuleName(Rule rule) {
  switch (rule) {
    case Rule::kDelivery: return "delivery";
    case Rule::kRevoked: return "revoked";
    case Rule::kAgreement: return "agreement";
    case Rule::kChain: return "chain";
    case Rule::kBounds: return "bounds";
    case Rule::kOutcome: return "outcome";
  }
  return "?";
}

void Checker::Report(Rule rule, const std::string& node, std::string what) {
  if (violations_.size() < kViolationsMax) violations_.push_back({rule, node, std::move(what)});
}

std::string Checker::NameOf(const Kid& kid) const {
  const auto it = names_.find(kid);
  return it == names_.end() ? ToHex(kid).substr(0, 8) : it->second;
}

// ---- facts ----

void Checker::OnStart(const std::string& node, const lineage::Store& disk) {
  Node& n = nodes_[node];
  OnDurable(node, disk);
  n.durable.NewLife();
  n.life_began = n.read;
  n.spoken = n.durable;  // what was handed over and not synced is gone
}

void Checker::OnHandedOver(const std::string& node, const lineage::Batch& batch) {
  Node& n = nodes_[node];
  for (const lineage::RecordEntry& entry : batch.records) {
    const auto record = authority::ParseBody<authority::Observe>(entry.body);
    if (!record.ok()) {
      Report(Rule::kChain, node, Join("record ", entry.seq, ": ", Text(record.status())));
      continue;
    }
    n.spoken.Add(*record);
  }
}

void Checker::OnDurable(const std::string& node, const lineage::Store& disk) {
  Node& n = nodes_[node];
  std::vector<authority::Observe> records;  // a visitor must not call the store
  const absl::Status walked = disk.WalkLog(
      n.read,
      disk.size(),
      lineage::Order::kOldestFirst,
      [&](lineage::Seq seq, const Digest&, ByteView body) {
        auto record = authority::ParseBody<authority::Observe>(body);
        if (record.ok()) {
          records.push_back(*std::move(record));
        } else {
          Report(Rule::kChain, node, Join("record ", seq, ": ", Text(record.status())));
        }
        return true;
      });
  if (!walked.ok()) Report(Rule::kChain, node, Text(walked));
  for (const authority::Observe& record : records) ReadRecord(n, disk, record);
  const uint64_t fresh = disk.size() - n.read;
  n.read = disk.size();
  if (fresh == 0) return;
  if (const absl::Status s = disk.Verify(fresh + 1); !s.ok()) Report(Rule::kChain, node, Text(s));
}

void Checker::ReadRecord(Node& n, const lineage::Store& disk, const authority::Observe& record) {
  n.durable.Add(record);
  if (record.inputs && !n.inputs.contains(*record.inputs)) {
    const auto bytes = disk.GetObject(lineage::Shelf::kInputs, *record.inputs);
    if (bytes.ok() && *bytes) {
      const auto inputs = lineage::ParseInputs(**bytes);
      if (inputs.ok()) n.inputs[*record.inputs] = inputs->oids;
    }
  }
  if (record.kind != RecordKind::kRevokeSeen || !record.evidence) return;
  const auto bytes = disk.GetObject(lineage::Shelf::kSigned, *Oid::From(record.evidence->view()));
  if (!bytes.ok() || !*bytes) return;
  auto revoke = authority::ParseObject<authority::Revoke>(**bytes);
  if (revoke.ok()) n.revocations.push_back(*std::move(revoke));
}

bool Checker::Restricted(const std::string& node, const Kid& kid) const {
  const auto& held = nodes_.at(node).revocations;
  return std::any_of(held.begin(), held.end(), [&](const Revoke& r) { return r.body.kid == kid; });
}

// ---- chains ----

const Checker::Grant* Checker::FindGrant(const Oid& oid) const {
  const auto known = grants_.find(oid);
  if (known != grants_.end()) return &known->second;
  const std::optional<Bytes> bytes = find_(oid);
  if (!bytes) return nullptr;
  auto grant = authority::ParseObject<authority::Grant>(*bytes);
  if (!grant.ok()) return nullptr;
  return &grants_.emplace(oid, *std::move(grant)).first->second;
}

// Leaf first. Inputs name the objects without order: the leaf is the sender's, and parents follow.
std::vector<Checker::Grant> Checker::ChainOf(const Node& n,
                                             const Oid& inputs,
                                             const Kid& sender) const {
  std::vector<Grant> chain;
  const auto oids = n.inputs.find(inputs);
  if (oids == n.inputs.end()) return chain;
  std::map<Oid, const Grant*> named;
  for (const Oid& oid : oids->second) {
    if (const Grant* g = FindGrant(oid)) named[oid] = g;
  }
  for (const auto& [oid, g] : named) {
    const bool leaf = authority::KidOf(g->body.suite, g->body.key) == sender &&
                      (g->body.caps & authority::kCapsIssue) == 0;
    if (leaf) chain.push_back(*g);
  }
  if (chain.size() != 1) return {};
  while (chain.size() <= authority::kChainMax) {
    const auto parent = named.find(chain.back().body.parent);
    if (parent == named.end()) break;
    chain.push_back(*parent->second);
  }
  return chain;
}

bool Ends(const authority::Held<authority::Revoke>& revoke,
          std::span<const authority::Held<authority::Grant>> chain) {
  const authority::Revoke& r = revoke.body;
  for (size_t i = 0; i < chain.size(); ++i) {
    const authority::Grant& g = chain[i].body;
    const Kid subject = authority::KidOf(g.suite, g.key);
    const auto above = chain.subspan(i);  // who signed this grant, and whoever stands above
    const bool binds = std::any_of(
        above.begin(), above.end(), [&](const auto& a) { return a.signer() == revoke.signer(); });
    const bool own = revoke.signer() == subject;
    switch (r.type) {
      case RevokeType::kFloor:
        if (r.kid == subject && g.generation < r.floor && (own || binds)) return true;
        break;
      case RevokeType::kOid:
        if (r.oid == chain[i].oid() && (own || binds)) return true;
        break;
      case RevokeType::kKey:
        if (i == 0 && r.kid == subject && own) return true;
        break;
      case RevokeType::kIssuerFrom:
        if (r.kid == chain[i].signer() && g.seq >= r.from && binds) return true;
        break;
    }
  }
  return false;
}

// ---- checks ----

void Checker::CheckDelivery(const std::string& node, const Delivery& d) {
  const Node& n = nodes_.at(node);
  const std::string sender = NameOf(d.sender);
  if (d.source != d.address) {
    Report(Rule::kDelivery,
           node,
           Join("a frame of ", sender, " with the source address ", d.source.ToString()));
  }
  const Ledger::Standing* standing = n.durable.Find(d.sender);
  std::vector<Oid> grounds;  // inputs of the decisions that let it in
  if (standing != nullptr) {
    if (standing->in_force && standing->in_force->rung >= Rung::kProbation)
      grounds.push_back(standing->in_force->inputs);
    if (standing->decided.rung >= Rung::kProbation) grounds.push_back(standing->decided.inputs);
  }
  if (grounds.empty()) {
    Report(Rule::kDelivery,
           node,
           Join("a frame of ", sender, ", and no durable decision that is in force lets it in"));
    return;
  }
  bool in_date = false, standing_chain = false;
  std::string ended;
  for (const Oid& inputs : grounds) {
    const std::vector<Grant> chain = ChainOf(n, inputs, d.sender);
    if (chain.empty()) continue;
    in_date |= std::all_of(chain.begin(), chain.end(), [&](const Grant& g) {
      return !authority::NotYet(g.body.not_before, d.wall.seconds()) &&
             !authority::Lapsed(g.body.not_before, g.body.ttl, d.wall.seconds());
    });
    const auto revoke = std::find_if(n.revocations.begin(),
                                     n.revocations.end(),
                                     [&](const Revoke& r) { return Ends(r, chain); });
    if (revoke == n.revocations.end()) {
      standing_chain = true;
    } else {
      ended = Join("a frame of ",
                   sender,
                   " after the revocation ",
                   ToHex(revoke->oid()).substr(0, 8),
                   " by ",
                   NameOf(revoke->signer()),
                   " was durable here");
    }
  }
  if (!ended.empty() && !standing_chain) {
    Report(Rule::kRevoked, node, ended);
  } else if (!in_date) {
    Report(Rule::kDelivery,
           node,
           Join("a frame of ", sender, " under a decision whose grants are not in date, or lost"));
  }
}

void Checker::CheckAgreement(const std::string& node, const Live& live) {
  const Node& n = nodes_.at(node);
  std::map<Kid, Live::Peer> by_kid;
  for (const Live::Peer& p : live.peers) {
    if (p.kid.is_zero()) continue;
    by_kid[p.kid] = p;
    const std::string who = NameOf(p.kid);
    const Ledger::Standing* said = n.spoken.Find(p.kid);
    const Rung in_force = said && said->in_force ? said->in_force->rung : Rung::kNone;
    const bool narrowed = said && p.verdict < in_force &&
                          std::any_of(
                              said->armed.begin(),
                              said->armed.end(),
                              [&](const auto& plan) { return plan.second.rung == p.verdict; });
    if (p.verdict != in_force && !narrowed) {
      Report(Rule::kAgreement,
             node,
             Join(who,
                  ": the verdict in force is ",
                  authority::RungName(p.verdict),
                  ", the log says ",
                  authority::RungName(in_force)));
    }
    if (p.committed && p.verdict == Rung::kNone)
      Report(Rule::kAgreement, node, Join(who, ": committed, and no verdict in force"));
    const Ledger::Standing* held = n.durable.Find(p.kid);
    const Rung durable =
        held == nullptr
            ? Rung::kNone
            : std::max(held->decided.rung, held->in_force ? held->in_force->rung : Rung::kNone);
    if (p.verdict > durable) {
      Report(Rule::kAgreement,
             node,
             Join(who, ": let in at ", authority::RungName(p.verdict), " before that was durable"));
    }
  }
  for (const auto& [kid, standing] : n.spoken.standings()) {
    if (standing.in_force && !by_kid.contains(kid)) {
      Report(Rule::kAgreement,
             node,
             Join(NameOf(kid), ": the log says it is in, and no such peer is held"));
    }
  }
  if (live.restrictions != n.spoken.restrictions().size()) {
    Report(
        Rule::kAgreement,
        node,
        Join(
            live.restrictions, " restrictions act, the log says ", n.spoken.restrictions().size()));
  }
  if (live.tables_up != n.spoken.tables_up()) {
    Report(Rule::kAgreement,
           node,
           Join("the kernel's tables are ",
                live.tables_up ? "up" : "down",
                ", the log says ",
                n.spoken.tables_up() ? "up" : "down"));
  }
}

void Checker::CheckTables(const std::string& node, const authority::ActionId& id) {
  if (!nodes_.at(node).durable.TablesArmed(id)) {
    Report(Rule::kAgreement,
           node,
           "the kernel's tables are to change before the plan and its undo are durable");
  }
}

void Checker::CheckLoad(const std::string& node, const Load& load) {
  const auto at_most = [&](size_t value, size_t limit, std::string_view what) {
    if (value > limit) Report(Rule::kBounds, node, Join(value, " ", what, ", at most ", limit));
  };
  at_most(load.peers, load.others, "peers held");
  at_most(load.batches, kBatchesMax, "batches wait for the disk");
  at_most(load.datagrams, kDatagramsMax, "datagrams of one turn");
  at_most(load.plans, kPlansPerPeerMax * std::max<size_t>(load.others, 1), "open plans");
  at_most(load.turns_at_once, kTurnsAtOnceMax, "turns at one instant");
}

void Checker::CheckFold(const std::string& node, const lineage::Store& disk) {
  const Node& n = nodes_.at(node);
  Ledger fold;
  const absl::Status walked = disk.WalkLog(
      0, n.read, lineage::Order::kOldestFirst, [&](lineage::Seq seq, const Digest&, ByteView body) {
        if (seq == n.life_began) fold.NewLife();
        const auto record = authority::ParseBody<authority::Observe>(body);
        if (record.ok()) fold.Add(*record);
        return record.ok();
      });
  if (n.life_began == n.read) fold.NewLife();
  if (!walked.ok() || fold != n.durable)
    Report(Rule::kChain, node, "the log folded anew is not what was folded record by record");
}

}  // namespace aqmesh::sim
