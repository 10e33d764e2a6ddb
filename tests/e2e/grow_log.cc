// A machine's log made long, with heads over it, while its daemon is down: what ship_e2e.sh ships.
//   grow_log STATE RECORDS PER_HEAD     adds RECORDS records of several kinds, and after each
//   PER_HEAD of them a head, signed by the machine's own log key as the daemon would sign it
#include <cstdio>
#include <cstdlib>

#include "core/base/check.h"
#include "core/base/status.h"
#include "daemon/cli/state.h"
#include "lineage/heads.h"
#include "transport/os/clock.h"

namespace aqmesh {
namespace {

template <class Fixed>
Fixed Filled(uint64_t n) {
  Fixed f;
  f.bytes.fill(static_cast<uint8_t>(n));
  return f;
}

// A refusal, what a session carried (its last counter as large as a peer may choose it), drops.
authority::Observe RecordOf(uint64_t n) {
  authority::Observe r;
  r.kind = authority::RecordKind::kDecided;
  r.subject = Filled<Kid>(n % 5);
  if (n % 3 == 0) {
    r.gates = authority::Gates{6, 6, 6, 6, 6, 1};
    r.ladm = 49'152;
    r.slope = 65'600;
    r.rung = authority::Rung::kRefuse;
    r.action = 3;
    r.reason = 2;
    r.commits = {Filled<Digest>(n), Filled<Digest>(n / 256)};
  } else if (n % 3 == 1) {
    r.kind = authority::RecordKind::kFlow;
    r.flow = authority::FlowSummary{.frames = n,
                                    .bytes = n * 1'000,
                                    .first = 1,
                                    .last = ~uint64_t{0} - n,
                                    .tags = Filled<Digest>(n),
                                    .presentations = {Filled<Oid>(n)},
                                    .drops = n % 7};
  } else {
    r.kind = authority::RecordKind::kDrops;
    r.subject.reset();
    r.drops = {{66, n}, {700, ~uint64_t{0}}};
  }
  return r;
}

absl::Status Grow(const std::string& path, uint64_t records, uint64_t per_head) {
  AQ_ASSIGN_OR_RETURN(const cli::StateDir state, cli::StateDir::Open(path));
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(const crypto::Ed25519Seed seed, keys.LoadEd25519(cli::kLogKey));
  const tlog::NoteSigner signer = lineage::LogSigner(seed);
  AQ_ASSIGN_OR_RETURN(const auto store, state.OpenStore());
  const Kid log = *lineage::LogOfOrigin(signer.key().name);
  lineage::Chain chain(log);
  if (store->head()) {
    AQ_ASSIGN_OR_RETURN(const Bytes last, store->Read(store->head()->seq));
    AQ_ASSIGN_OR_RETURN(chain, lineage::Chain::Resume(log, last));
  }
  lineage::HeadPen pen(signer, std::nullopt, Instant{});
  for (uint64_t done = 0; done < records;) {
    lineage::Batch batch;
    for (uint64_t i = 0; i < per_head && done < records; ++i, ++done)
      batch.records.push_back(chain.Add(RecordOf(done), os::ReadNow().wall));
    AQ_RETURN_IF_ERROR(store->Commit(batch));
    AQ_ASSIGN_OR_RETURN(lineage::HeadPen::Draft draft, pen.Begin(store->edge(), Instant{}));
    AQ_RETURN_IF_ERROR(store->Commit({.puts = {{"head", draft.state()}}}));
    const tlog::SignedCheckpoint head = pen.Sign(std::move(draft));
    const std::string text = head.note.Text();
    const Oid oid = tlog::NoteOid(head.note.text);
    authority::Observe cites;
    cites.kind = authority::RecordKind::kCheckpoint;
    cites.evidence = *Digest::From(oid);
    cites.intent_gen = head.checkpoint.size;
    AQ_RETURN_IF_ERROR(store->Commit(
        {.records = {chain.Add(cites, os::ReadNow().wall)},
         .objects = {{lineage::Shelf::kNote, oid, Bytes(text.begin(), text.end())}}}));
  }
  std::printf("%llu\n", static_cast<unsigned long long>(store->size()));
  return absl::OkStatus();
}

}  // namespace
}  // namespace aqmesh

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: grow_log STATE RECORDS PER_HEAD\n");
    return 2;
  }
  const uint64_t per_head = std::strtoull(argv[3], nullptr, 10);
  AQ_CHECK(per_head > 0 && per_head <= aqmesh::lineage::kGroupRecordsMax);
  const absl::Status status = aqmesh::Grow(argv[1], std::strtoull(argv[2], nullptr, 10), per_head);
  if (status.ok()) return 0;
  std::fprintf(stderr, "grow_log: %s\n", aqmesh::Text(status).c_str());
  return 1;
}
