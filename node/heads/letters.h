// Letters: what the two halves of a node's part in the logs say to fellow members, and what they
// asked and still wait for.
// Spec:   spec/objects.md §6 (ASK, NOTE, COSIGN, COSIGNED); spec/lineage.md §7.
// Bounds: kAsksMax questions wait; the oldest goes. Thread: the control engine's.
#ifndef AQMESH_NODE_HEADS_LETTERS_H_
#define AQMESH_NODE_HEADS_LETTERS_H_

#include <map>
#include <utility>
#include <vector>

#include "core/base/rng.h"
#include "core/base/time.h"
#include "transport/frame/control.h"

namespace aqmesh::node {

// A member that control messages reach, at PROBATION or better.
struct Fellow {
  Kid kid;
  Ed25519Key key;  // of its identity
};

struct Letter {
  Kid to;
  frame::Control kind{};
  uint32_t request = 0;
  Bytes body;
};

class Letters {
 public:
  static constexpr size_t kAsksMax = 256;

  explicit Letters(Rng rng) : rng_(std::move(rng)) {}
  void Send(Letter letter) { out_.push_back(std::move(letter)); }
  std::vector<Letter> Take() { return std::exchange(out_, {}); }
  uint32_t NewRequest() { return rng_.U32(); }

  // Asks for the newest head of `log` that `to` knows.
  void Ask(const Kid& to, const Kid& log, Instant now) {
    if (asks_.size() >= kAsksMax) asks_.erase(asks_.begin());
    const uint32_t request = NewRequest();
    asks_[request] = {to, log, now};
    out_.push_back({to, frame::Control::kAsk, request, Bytes(log.bytes.begin(), log.bytes.end())});
  }
  // Whether `to` was asked about `log` at `since` or later and has not answered.
  bool Asked(const Kid& to, const Kid& log, Instant since) const {
    for (const auto& [request, ask] : asks_) {
      if (ask.to == to && ask.log == log && ask.at >= since) return true;
    }
    return false;
  }
  // The log that `from` was asked about by this request; each answer counts once.
  std::optional<Kid> Answered(uint32_t request, const Kid& from) {
    const auto it = asks_.find(request);
    if (it == asks_.end() || it->second.to != from) return std::nullopt;
    const Kid log = it->second.log;
    asks_.erase(it);
    return log;
  }

 private:
  struct Question {
    Kid to, log;
    Instant at{};
  };
  Rng rng_;
  std::vector<Letter> out_;
  std::map<uint32_t, Question> asks_;
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_HEADS_LETTERS_H_
