#include "lineage/tlog/note.h"

#include <absl/strings/str_format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "lineage/tlog/text.h"
#include "lineage/tlog/tree.h"

namespace aqmesh::tlog {

namespace {

constexpr std::string_view kDash = "\u2014 ";  // em dash, space
constexpr std::string_view kSecretPrefix = "PRIVATE+KEY+";
constexpr size_t kTimeBytes = 8;

std::optional<NoteLine> ParseLine(std::string_view line) {
  if (!line.starts_with(kDash)) return std::nullopt;
  line.remove_prefix(kDash.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || !IsKeyName(line.substr(0, space))) return std::nullopt;
  const auto bytes = FromBase64(line.substr(space + 1));
  if (!bytes || bytes->size() < 5) return std::nullopt;
  return NoteLine{std::string(line.substr(0, space)),
                  LoadBe<uint32_t>(bytes->data()),
                  Bytes(bytes->begin() + 4, bytes->end())};
}

uint32_t KeyId(std::string_view name, KeyType type, const Ed25519Key& key) {
  const uint8_t between[] = {0x0a, static_cast<uint8_t>(type)};
  return LoadBe<uint32_t>(crypto::Sha256({AsBytes(name), between, key}).data());
}

// The three parts of a verifier or signer key, and the 32 bytes that it ends in.
struct KeyParts {
  std::string_view name;
  uint32_t id = 0;
  KeyType type = KeyType::kEd25519;
  Secret<32> key;
};
std::optional<KeyParts> ParseKey(std::string_view text) {
  const size_t first = text.find('+');
  if (first == std::string_view::npos || text.size() - first < 10 || text[first + 9] != '+')
    return std::nullopt;
  KeyParts parts;
  parts.name = text.substr(0, first);
  const std::string_view hex = text.substr(first + 1, 8);
  const auto id = FromHex(hex);
  auto key = FromBase64(text.substr(first + 10));
  if (!IsKeyName(parts.name) || !id || ToHex(*id) != hex || !key || key->size() != 33)
    return std::nullopt;
  parts.id = LoadBe<uint32_t>(id->data());
  parts.type = static_cast<KeyType>(key->front());
  parts.key = Secret<32>(ByteView(*key).subspan(1));
  sodium_memzero(key->data(), key->size());
  if (parts.type != KeyType::kEd25519 && parts.type != KeyType::kCosignature) return std::nullopt;
  return parts;
}

std::string KeyText(std::string_view name, uint32_t id, KeyType type, ByteView key) {
  Bytes tail{static_cast<uint8_t>(type)};
  Append(tail, key);
  std::string text = Join(name, "+", absl::StrFormat("%08x", id), "+", ToBase64(tail));
  sodium_memzero(tail.data(), tail.size());
  return text;
}

// What a cosignature signs: tlog-cosignature, "Ed25519 signed message".
std::string Timed(std::string_view text, uint64_t time) {
  return Join("cosignature/v1\ntime ", time, "\n", text);
}

}  // namespace

std::string NoteLine::Text() const {
  Bytes bytes;
  AppendBe(bytes, key_id);
  Append(bytes, signature);
  return Join(kDash, name, " ", ToBase64(bytes), "\n");
}

std::string Note::Text() const {
  std::string out = text + "\n";
  for (const NoteLine& line : lines) out += line.Text();
  return out;
}

absl::StatusOr<std::vector<NoteLine>> ParseNoteLines(std::string_view bytes) {
  if (bytes.size() > kNoteBytesMax)
    return InvalidArgument("signatures of ", bytes.size(), " bytes are too many");
  std::vector<NoteLine> lines;
  while (!bytes.empty()) {
    const auto text = TakeLine(bytes);
    if (!text) return InvalidArgument("the last signature line has no newline");
    auto line = ParseLine(*text);
    if (!line)
      return InvalidArgument("signature line ", lines.size() + 1, " is not \"\u2014 name base64\"");
    if (lines.size() == kNoteLinesMax)
      return InvalidArgument("more than ", kNoteLinesMax, " signature lines");
    lines.push_back(*std::move(line));
  }
  if (lines.empty()) return InvalidArgument("there is no signature line");
  return lines;
}

absl::StatusOr<Note> ParseNote(std::string_view bytes) {
  if (bytes.size() > kNoteBytesMax)
    return InvalidArgument("a note of ", bytes.size(), " bytes is too large");
  if (!IsNoteText(bytes))
    return InvalidArgument("the note is not UTF-8, or has a control character");
  const size_t end = bytes.rfind("\n\n");
  if (end == std::string_view::npos)
    return InvalidArgument("the note has no empty line before its signatures");
  Note note;
  note.text = bytes.substr(0, end + 1);
  AQ_ASSIGN_OR_RETURN(note.lines, ParseNoteLines(bytes.substr(end + 2)));
  return note;
}

uint32_t NoteKey::id() const { return KeyId(name, type, key); }

std::string NoteKey::Vkey() const { return KeyText(name, id(), type, key); }

absl::StatusOr<NoteKey> NoteKey::Parse(std::string_view vkey) {
  const auto parts = ParseKey(vkey);
  if (!parts) return InvalidArgument("a verifier key is NAME+8 hex digits+base64, of type 1 or 4");
  NoteKey key{std::string(parts->name), parts->type, *Ed25519Key::From(parts->key.view())};
  if (key.id() != parts->id) return InvalidArgument("the verifier key's id is not its own");
  return key;
}

NoteSigner::NoteSigner(std::string name, KeyType type, const crypto::Ed25519Seed& seed)
    : key_{std::move(name), type, {}}, pair_(seed) {
  AQ_CHECK(IsKeyName(key_.name));
  key_.key = pair_.public_key();
}

absl::StatusOr<NoteSigner> NoteSigner::Parse(std::string_view skey) {
  absl::Status refused =
      InvalidArgument("a signer key is PRIVATE+KEY+NAME+8 hex digits+base64, of type 1 or 4");
  if (!skey.starts_with(kSecretPrefix)) return refused;
  const auto parts = ParseKey(skey.substr(kSecretPrefix.size()));
  if (!parts) return refused;
  NoteSigner signer(std::string(parts->name), parts->type, parts->key);
  if (signer.key().id() != parts->id) return refused;
  return signer;
}

NoteLine NoteSigner::Sign(std::string_view text, uint64_t time) const {
  NoteLine line{key_.name, key_.id(), {}};
  if (key_.type == KeyType::kEd25519) {
    Append(line.signature, pair_.Sign(AsBytes(text)));
    return line;
  }
  AQ_CHECK(time >= 1);
  AQ_CHECK(time <= kTreeSizeMax);
  AppendBe(line.signature, time);
  Append(line.signature, pair_.Sign(AsBytes(Timed(text, time))));
  return line;
}

std::string Skey(const NoteKey& key, const crypto::Ed25519Seed& seed) {
  return Join(kSecretPrefix, KeyText(key.name, key.id(), key.type, seed.view()));
}

absl::StatusOr<uint64_t> VerifyLine(const NoteKey& key,
                                    std::string_view text,
                                    const NoteLine& line) {
  absl::Status refused = Unauthenticated("the signature of ", key.name, " is wrong");
  if (line.name != key.name || line.key_id != key.id()) return refused;
  ByteView bytes = line.signature;
  uint64_t time = 0;
  std::string timed;
  if (key.type == KeyType::kCosignature) {
    if (bytes.size() < kTimeBytes) return refused;
    time = LoadBe<uint64_t>(bytes.data());
    if (time > kTreeSizeMax) return refused;
    bytes = bytes.subspan(kTimeBytes);
    timed = Timed(text, time);
    text = timed;
  }
  const auto signature = Signature::From(bytes);
  if (!signature || !crypto::Ed25519Verify(key.key, AsBytes(text), *signature)) return refused;
  return time;
}

absl::StatusOr<std::vector<Signer>> VerifyNote(const Note& note, std::span<const NoteKey> known) {
  std::vector<Signer> signers;
  for (size_t k = 0; k < known.size(); ++k) {
    const uint32_t id = known[k].id();
    const auto same = [&](const NoteKey& other) {
      return other.name == known[k].name && other.id() == id;
    };
    if (std::any_of(known.begin() + static_cast<std::ptrdiff_t>(k) + 1, known.end(), same))
      return FailedPrecondition("two known keys share the name ", known[k].name, " and an id");
    std::optional<Signer> signer;
    for (const NoteLine& line : note.lines) {
      if (line.name != known[k].name || line.key_id != id) continue;
      AQ_ASSIGN_OR_RETURN(const uint64_t time, VerifyLine(known[k], note.text, line));
      signer = Signer{k, std::max(time, signer ? signer->time : 0)};
    }
    if (signer) signers.push_back(*signer);
  }
  if (signers.empty()) return Unauthenticated("no known key signed the note");
  return signers;
}

}  // namespace aqmesh::tlog
