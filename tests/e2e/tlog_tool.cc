// A log in a directory, as the files that C2SP tlog-tiles names, written and read by lineage/tlog
// alone: what tlog_go_e2e.sh puts before other people's programs. Keys are made of seeds given as
// one byte; nothing here is secret.
//   grow DIR ORIGIN SIZE [fork]    adds records up to SIZE, signs the head     (fork: the last
//   differs) prove DIR INDEX                a tlog-proof of the newest head, verified request DIR
//   OLD                the body of add-checkpoint vkey NAME TYPE SEED            and skey: a key's
//   text open VKEY... <NOTE             who signed; 1 if it is to be refused take DIR VKEY...
//   <ANSWER       puts a witness's cosignatures under DIR's checkpoint witness DIR ORIGIN VKEY NAME
//   SEED TIME <BODY    one request at our witness, whose state is DIR/NAME inclusion | consistency
//   <CASES  a line a case, hashes in hex; "ok" or "refused" a line
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>

#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/tlog/witness.h"

namespace aqmesh::tlog {
namespace {

namespace fs = std::filesystem;
using Args = std::vector<std::string>;

absl::StatusOr<std::string> Slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return NotFound(path.string(), ": no such file");
  return std::string(std::istreambuf_iterator<char>(in), {});
}
void Spill(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  AQ_CHECK(out.good());
}
std::string Input() { return std::string(std::istreambuf_iterator<char>(std::cin), {}); }

crypto::Ed25519Seed Seed(const std::string& byte) {
  return crypto::Ed25519Seed(Bytes(32, static_cast<uint8_t>(std::stoul(byte))));
}
NoteSigner LogSigner(const std::string& origin) {
  return NoteSigner(origin, KeyType::kEd25519, Seed("1"));
}
std::string RecordText(uint64_t seq, bool forked) {
  return Join(forked ? "another record " : "record ", seq);
}

absl::StatusOr<SignedCheckpoint> HeadIn(const fs::path& dir) {
  AQ_ASSIGN_OR_RETURN(const std::string text, Slurp(dir / "checkpoint"));
  return ParseCheckpoint(text);
}

TileReader ReaderOf(fs::path dir) {
  return [dir](const Tile& tile) -> absl::StatusOr<Bytes> {
    auto bytes = Slurp(dir / TilePath(tile));
    if (!bytes.ok()) bytes = Slurp(dir / TilePath({tile.level, tile.index, kTileWidth}));
    if (!bytes.ok()) return bytes.status();
    return Bytes(bytes->begin(), bytes->end());
  };
}

// The rightmost tiles and the rightmost bundle, begun from what the old head published.
class Growth {
 public:
  Growth(fs::path dir, Edge edge) : dir_(std::move(dir)), edge_(edge), old_size_(edge.size()) {}

  absl::Status Add(const std::string& record) {
    const uint64_t seq = edge_.size();
    AQ_ASSIGN_OR_RETURN(Bytes * bundle, Begun(bundles_, 0, seq / kTileWidth, true));
    AppendBundleEntry(*bundle, AsBytes(record));
    absl::Status status;
    edge_.Append(LeafHash(AsBytes(record)), [&](const TileEntry& e) {
      const auto tile = Begun(tiles_, e.level, e.index / kTileWidth, false);
      if (tile.ok()) return Append(**tile, e.hash);
      status = tile.status();
    });
    return status;
  }
  void Publish() {
    ForEachNewTile(old_size_, edge_.size(), [this](const Tile& tile) {
      Spill(dir_ / TilePath(tile), AsText(tiles_.at({tile.level, tile.index})));
      if (tile.level == 0)
        Spill(dir_ / BundlePath(tile.index, tile.width), AsText(bundles_.at({0, tile.index})));
    });
    Bytes edge;
    edge_.AppendTo(edge);
    Spill(dir_ / "edge", AsText(edge));
  }
  const Edge& edge() const { return edge_; }

 private:
  using Tiles = std::map<std::pair<unsigned, uint64_t>, Bytes>;
  absl::StatusOr<Bytes*> Begun(Tiles& tiles, unsigned level, uint64_t index, bool bundle) {
    const auto [at, is_new] = tiles.try_emplace({level, index});
    const unsigned had = WidthIn(old_size_, level, index);
    if (is_new && had > 0) {
      AQ_ASSIGN_OR_RETURN(
          const std::string bytes,
          Slurp(dir_ / (bundle ? BundlePath(index, had) : TilePath({level, index, had}))));
      at->second.assign(bytes.begin(), bytes.end());
    }
    return &at->second;
  }

  fs::path dir_;
  Edge edge_;
  uint64_t old_size_;
  Tiles tiles_, bundles_;
};

absl::Status Grow(const Args& a) {
  const fs::path dir = a.at(0);
  const auto size = static_cast<uint64_t>(std::stoull(a.at(2)));
  Edge edge;
  if (fs::exists(dir / "edge")) {
    AQ_ASSIGN_OR_RETURN(const std::string stored, Slurp(dir / "edge"));
    AQ_ASSIGN_OR_RETURN(edge, Edge::Parse(AsBytes(stored)));
    AQ_ASSIGN_OR_RETURN(const SignedCheckpoint head, HeadIn(dir));
    AQ_RETURN_IF_ERROR(edge.CheckAgainst(head.checkpoint.size, head.checkpoint.root));
  }
  Growth growth(dir, edge);
  for (uint64_t seq = edge.size(); seq < size; ++seq)
    AQ_RETURN_IF_ERROR(growth.Add(RecordText(seq, a.size() > 3 && seq + 1 == size)));
  growth.Publish();
  const SignedCheckpoint head =
      SignCheckpoint({a.at(1), size, growth.edge().Root()}, LogSigner(a.at(1)));
  Spill(dir / "checkpoint", head.note.Text());
  return absl::OkStatus();
}

absl::Status Prove(const Args& a) {
  LogProof proof;
  AQ_ASSIGN_OR_RETURN(proof.head, HeadIn(a.at(0)));
  const Checkpoint& head = proof.head.checkpoint;
  proof.index = static_cast<uint64_t>(std::stoull(a.at(1)));
  Prover prover(head.size, head.root, ReaderOf(a.at(0)));
  AQ_ASSIGN_OR_RETURN(proof.hashes, prover.Inclusion(proof.index));
  std::cout << proof.Text();
  return absl::OkStatus();
}

absl::Status Request(const Args& a) {
  AddCheckpoint request;
  AQ_ASSIGN_OR_RETURN(request.head, HeadIn(a.at(0)));
  const Checkpoint& head = request.head.checkpoint;
  request.old_size = static_cast<uint64_t>(std::stoull(a.at(1)));
  if (request.old_size > 0) {
    Prover prover(head.size, head.root, ReaderOf(a.at(0)));
    AQ_ASSIGN_OR_RETURN(const auto consistent, prover.Consistency(request.old_size));
    request.proof = consistent.proof;
  }
  std::cout << request.Text();
  return absl::OkStatus();
}

absl::Status Key(const Args& a, bool secret) {
  const NoteSigner signer(a.at(0), static_cast<KeyType>(std::stoul(a.at(1))), Seed(a.at(2)));
  std::cout << (secret ? Skey(signer.key(), Seed(a.at(2))) : signer.key().Vkey());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<NoteKey>> Keys(const Args& a, size_t from) {
  std::vector<NoteKey> keys;
  for (size_t i = from; i < a.size(); ++i) {
    AQ_ASSIGN_OR_RETURN(NoteKey key, NoteKey::Parse(a[i]));
    keys.push_back(std::move(key));
  }
  return keys;
}

absl::Status Open(const Args& a) {
  AQ_ASSIGN_OR_RETURN(const std::vector<NoteKey> keys, Keys(a, 0));
  AQ_ASSIGN_OR_RETURN(const Note note, ParseNote(Input()));
  AQ_ASSIGN_OR_RETURN(const std::vector<Signer> signers, VerifyNote(note, keys));
  for (const Signer& s : signers) std::cout << keys[s.key].name << " " << s.time << "\n";
  return absl::OkStatus();
}

absl::Status Take(const Args& a) {
  AQ_ASSIGN_OR_RETURN(const std::vector<NoteKey> keys, Keys(a, 1));
  AQ_ASSIGN_OR_RETURN(SignedCheckpoint head, HeadIn(a.at(0)));
  AQ_ASSIGN_OR_RETURN(const size_t taken, TakeCosignatures(Input(), keys, head));
  Spill(fs::path(a.at(0)) / "checkpoint", head.note.Text());
  std::cout << taken << "\n";
  return absl::OkStatus();
}

absl::Status AskWitness(const Args& a) {
  const fs::path state = fs::path(a.at(0)) / a.at(3);
  const NoteSigner signer(a.at(3), KeyType::kCosignature, Seed(a.at(4)));
  Witness witness(signer);
  AQ_ASSIGN_OR_RETURN(const NoteKey log, NoteKey::Parse(a.at(2)));
  AQ_RETURN_IF_ERROR(witness.Trust(a.at(1), {log}));
  if (fs::exists(state)) {
    AQ_ASSIGN_OR_RETURN(const std::string stored, Slurp(state));
    AQ_ASSIGN_OR_RETURN(Witnessed last, Witnessed::Parse(AsBytes(stored)));
    AQ_RETURN_IF_ERROR(witness.Restore(std::move(last)));
  }
  auto judged = witness.Judge(Input(), WallTime::FromSeconds(std::stoull(a.at(5))));
  if (auto* grant = std::get_if<Witness::Grant>(&judged)) {
    Spill(state, AsText(grant->record()));
    judged = witness.Release(std::move(*grant));
  }
  const auto& answer = std::get<WitnessAnswer>(judged);
  std::cout << static_cast<int>(answer.status) << " " << answer.content_type << "\n" << answer.body;
  if (answer.equivocation) std::cerr << "equivocation\n";
  return absl::OkStatus();
}

// INDEX SIZE LEAF ROOT [HASH...]   or   OLD SIZE OLD_ROOT ROOT [HASH...]; a hash may have any
// length.
absl::Status Verify(bool inclusion) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    uint64_t from = 0, size = 0;
    words >> from >> size;
    std::vector<Digest> hashes;
    bool all = true;
    for (std::string hex; words >> hex;) {
      const auto bytes = FromHex(hex == "-" ? "" : hex);
      const auto hash = bytes ? Digest::From(*bytes) : std::nullopt;
      all = all && hash.has_value();
      hashes.push_back(hash.value_or(Digest{}));
    }
    AQ_CHECK(hashes.size() >= 2);
    const std::span<const Digest> proof = std::span(hashes).subspan(2);
    const auto status = inclusion ? VerifyInclusion(hashes[0], from, size, proof, hashes[1])
                                  : VerifyConsistency(from, hashes[0], size, hashes[1], proof);
    std::cout << (all && status.ok() ? "ok\n" : "refused\n");
  }
  return absl::OkStatus();
}

absl::Status Run(const std::string& command, const Args& a) {
  if (command == "grow") return Grow(a);
  if (command == "prove") return Prove(a);
  if (command == "request") return Request(a);
  if (command == "vkey" || command == "skey") return Key(a, command == "skey");
  if (command == "open") return Open(a);
  if (command == "take") return Take(a);
  if (command == "witness") return AskWitness(a);
  if (command == "inclusion" || command == "consistency") return Verify(command == "inclusion");
  return InvalidArgument("no command ", command);
}

}  // namespace
}  // namespace aqmesh::tlog

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const absl::Status status = aqmesh::tlog::Run(argv[1], aqmesh::tlog::Args(argv + 2, argv + argc));
  if (!status.ok()) std::fprintf(stderr, "tlog_tool: %s\n", aqmesh::Text(status).c_str());
  return status.ok() ? 0 : 1;
}
