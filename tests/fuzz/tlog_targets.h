// What the fuzz entries of the transparency log claim, so that the plain suite can claim it too:
// every text that is taken is written again as it came, and no proof is believed that was not made.
// A broken claim is a failed check.
#ifndef AQMESH_TESTS_FUZZ_TLOG_TARGETS_H_
#define AQMESH_TESTS_FUZZ_TLOG_TARGETS_H_

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/tlog/policy.h"
#include "lineage/tlog/text.h"
#include "lineage/tlog/witness.h"

namespace aqmesh::fuzz {

inline void FuzzNote(ByteView bytes) {
  using namespace tlog;  // NOLINT(google-build-using-namespace)
  const std::string_view text = AsText(bytes);
  const auto note = ParseNote(text);
  if (note.ok()) {
    AQ_CHECK(note->Text() == text);
    AQ_CHECK(IsNoteText(text));
    for (const NoteLine& line : note->lines) {
      const NoteKey unrelated{line.name, KeyType::kCosignature, {}};
      AQ_CHECK(!VerifyLine(unrelated, note->text, line).ok());
    }
  }
  const auto checkpoint = ParseCheckpointText(text);
  if (checkpoint.ok()) AQ_CHECK(checkpoint->Text() == text);
  const auto proof = ParseLogProof(text);
  if (proof.ok()) AQ_CHECK(proof->Text() == text);
  const auto key = NoteKey::Parse(text);
  if (key.ok()) AQ_CHECK(key->Vkey() == text);
  const auto tile = ParseTilePath(text);
  if (tile) AQ_CHECK(TilePath(*tile) == text);
  const auto bundle = ParseBundlePath(text);
  if (bundle) AQ_CHECK(BundlePath(bundle->index, bundle->width) == text);
  (void)NoteSigner::Parse(text);
  (void)Policy::Parse(text);
  (void)ParseBundle(bytes, 1 + static_cast<unsigned>(bytes.size() % tlog::kTileWidth));
  const auto edge = Edge::Parse(bytes);
  if (edge.ok()) {
    Bytes again;
    edge->AppendTo(again);
    AQ_CHECK(Equal(again, bytes));
  }
}

// BE64 index or old size, BE64 size, then hashes: the first is the leaf or the old root. The head
// is of a log that nobody has, so nothing may be proven.
inline void FuzzProof(ByteView bytes) {
  using namespace tlog;  // NOLINT(google-build-using-namespace)
  if (bytes.size() < 16) return;
  const auto a = LoadBe<uint64_t>(bytes.data()), b = LoadBe<uint64_t>(bytes.data() + 8);
  Proof hashes;
  for (ByteView rest = bytes.subspan(16); rest.size() >= 32; rest = rest.subspan(32))
    hashes.push_back(*Digest::From(rest.first(32)));
  const Digest head{crypto::Sha256({AsBytes("a head that no tree has")})};
  if (std::ranges::find(hashes, head) != hashes.end()) return;  // which is a log of one record
  const Digest first = hashes.empty() ? Digest{} : hashes[0];
  const std::span<const Digest> proof = std::span(hashes).subspan(hashes.empty() ? 0 : 1);
  AQ_CHECK(!VerifyInclusion(first, a, b, proof, head).ok());
  AQ_CHECK(!VerifyConsistency(a, first, b, head, proof).ok());
}

// Requests at a witness that knows one log of 2 records. It never cosigns what that log did not
// sign.
inline void FuzzWitness(ByteView bytes) {
  using namespace tlog;  // NOLINT(google-build-using-namespace)
  static const NoteSigner log(
      "example.com/log", KeyType::kEd25519, crypto::Ed25519Seed(Bytes(32, 1)));
  static const NoteSigner signer(
      "example.com/w", KeyType::kCosignature, crypto::Ed25519Seed(Bytes(32, 2)));
  static const SignedCheckpoint head =
      SignCheckpoint({"example.com/log", 2, NodeHash(Digest{{1}}, Digest{{2}})}, log);
  Witness witness(signer);
  AQ_CHECK(witness.Trust("example.com/log", {log.key()}).ok());
  AQ_CHECK(witness.Restore({1, head}).ok());
  const std::string_view body = AsText(bytes);
  const auto request = ParseAddCheckpoint(body);
  if (request.ok()) AQ_CHECK(request->Text() == body);
  auto judged = witness.Judge(body, WallTime::FromSeconds(2));
  const auto* grant = std::get_if<Witness::Grant>(&judged);
  if (grant == nullptr) return;
  AQ_CHECK(request.ok());
  AQ_CHECK(VerifyNote(request->head.note, {&log.key(), 1}).ok());
  const auto stored = Witnessed::Parse(grant->record());
  AQ_CHECK(stored.ok());
  AQ_CHECK(stored->head.checkpoint == request->head.checkpoint);
}

}  // namespace aqmesh::fuzz

#endif  // AQMESH_TESTS_FUZZ_TLOG_TARGETS_H_
