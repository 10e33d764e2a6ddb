#include "transport/wireguard/ciphers.h"

#include <algorithm>

namespace aqmesh::wireguard {

namespace {

void Number(const Keypair& k, uint64_t counter, crypto::AeadJob& job) {
  job.counter = counter;
  WriteTransportHeader({.receiver_index = k.remote_index, .counter = counter},
                       job.data - kTransportHeader);
}

}  // namespace

void Ciphers::SealPending(Outbox& out) {
  if (out.pending.empty()) return;
  // A run of one session takes its counters at once: other threads want theirs.
  for (size_t i = 0; i < out.pending.size();) {
    const Keypair& k = *out.pending_sessions[i];
    size_t end = i + 1;
    while (end < out.pending.size() && end - i < SessionSync::kReserveMax &&
           out.pending_sessions[end] == &k) {
      ++end;
    }
    uint64_t counter = k.sync->Reserve(end - i);
    for (; i < end; ++i) Number(k, counter++, out.pending[i]);
  }
  batch_.Seal(out.pending);
  out.pending.clear();
  out.pending_sessions.clear();
  out.held_sessions.clear();
}

void Ciphers::SealOne(Keypair& session, MutableBytes text) {
  crypto::AeadJob job{.key = &session.send, .data = text.data(), .size = text.size()};
  Number(session, session.sync->Reserve(1), job);
  batch_.Seal({&job, 1});
}

void Ciphers::OpenAll(std::span<Looked> looked) {
  jobs_.clear();
  for (const Looked& l : looked) {
    if (l.why != Drop::kNone) continue;
    jobs_.push_back({.key = &l.session->receive,
                     .counter = l.counter,
                     .data = l.box.data(),
                     .size = l.box.size()});
  }
  batch_.Open(jobs_);
  auto job = jobs_.begin();
  for (Looked& l : looked) {
    if (l.why != Drop::kNone) continue;
    if (!job->ok) l.why = Drop::kBadSeal;
    ++job;
  }
}

}  // namespace aqmesh::wireguard
