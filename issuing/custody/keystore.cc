#include "issuing/custody/keystore.h"

#include <charconv>
#include <optional>

#include "core/base/status.h"
#include "core/crypto/aead.h"

namespace aqmesh::issuing {
namespace {

constexpr std::string_view kBegin = "-----BEGIN AQMESH PRIVATE KEY-----\nversion 1\n";
constexpr std::string_view kEnd = "-----END AQMESH PRIVATE KEY-----\n";
constexpr size_t kSaltSize = crypto_pwhash_argon2id_SALTBYTES, kNonceSize = 24;

// A key file, read as text; nothing is decrypted yet.
struct KeyFile {
  KeyStore::Info info;
  std::string_view secret;  // hex
  uint64_t ops = 0, bytes = 0;
  Bytes salt, sealed;
  std::string_view head;  // what `sealed` is bound to
};

absl::StatusOr<std::string> FileOf(std::string_view name) {
  const bool good =
      !name.empty() && name.size() <= 32 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
  if (!good)
    return InvalidArgument(
        "key name `", name, "`: write up to 32 lower-case letters, digits and dashes");
  return Join(name, ".key");
}

std::string Head(bool x25519, ByteView public_key) {
  return Join(kBegin, "kind ", x25519 ? "x25519" : "ed25519", "\npublic ", ToHex(public_key), "\n");
}

// The value of the line "word value\n" at the front of text, taken off; nullopt and nothing taken
// otherwise.
std::optional<std::string_view> Take(std::string_view& text, std::string_view word) {
  const size_t newline = text.find('\n');
  if (newline == std::string_view::npos || newline <= word.size() ||
      text.substr(0, word.size()) != word || text[word.size()] != ' ') {
    return std::nullopt;
  }
  const std::string_view value = text.substr(word.size() + 1, newline - word.size() - 1);
  text.remove_prefix(newline + 1);
  return value;
}

bool ParseNumber(std::string_view text, uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "argon2id OPS BYTES SALT", bounded before anyone pays for it.
bool ParseKdf(std::string_view text, KeyFile& out) {
  std::array<std::string_view, 4> part;
  for (size_t i = 0; i < part.size(); ++i) {
    const size_t blank = i + 1 < part.size() ? text.find(' ') : text.size();
    if (blank == std::string_view::npos) return false;
    part[i] = text.substr(0, blank);
    text.remove_prefix(std::min(text.size(), blank + 1));
  }
  const std::optional<Bytes> salt = FromHex(part[3]);
  if (part[0] != "argon2id" || !ParseNumber(part[1], out.ops) || !ParseNumber(part[2], out.bytes) ||
      !salt.has_value() || salt->size() != kSaltSize) {
    return false;
  }
  out.salt = *salt;
  return out.ops >= crypto_pwhash_argon2id_OPSLIMIT_MIN && out.ops <= kKdfOpsMax &&
         out.bytes >= crypto_pwhash_argon2id_MEMLIMIT_MIN && out.bytes <= kKdfBytesMax;
}

absl::StatusOr<KeyFile> Parse(std::string_view text, std::string_view file) {
  absl::Status damaged =
      DataLoss(file, " is no key file of ours, or damaged; restore it from a backup");
  KeyFile out;
  std::string_view rest = text;
  if (rest.substr(0, kBegin.size()) != kBegin) return damaged;
  rest.remove_prefix(kBegin.size());
  const std::optional<std::string_view> kind = Take(rest, "kind");
  const std::optional<std::string_view> public_key = Take(rest, "public");
  if (!kind.has_value() || !public_key.has_value() || (*kind != "ed25519" && *kind != "x25519"))
    return damaged;
  out.info.x25519 = *kind == "x25519";
  const std::optional<Bytes> raw = FromHex(*public_key);
  if (!raw.has_value() || raw->size() != 32) return damaged;
  std::memcpy(out.info.public_key.data(), raw->data(), 32);

  if (const std::optional<std::string_view> kdf = Take(rest, "kdf"); kdf.has_value()) {
    out.info.sealed = true;
    out.head = text.substr(0, text.size() - rest.size());
    const std::optional<std::string_view> sealed = Take(rest, "sealed");
    const std::optional<Bytes> box = FromHex(sealed.value_or(""));
    if (!ParseKdf(*kdf, out) || !box.has_value() ||
        box->size() != kNonceSize + 32 + crypto::kTagSize)
      return damaged;
    out.sealed = *box;
  } else {
    const std::optional<std::string_view> secret = Take(rest, "secret");
    if (!secret.has_value() || secret->size() != 64) return damaged;
    out.secret = *secret;
  }
  return rest == kEnd ? absl::StatusOr<KeyFile>(std::move(out)) : damaged;
}

absl::StatusOr<Secret<32>> Stretch(std::string_view passphrase,
                                   uint64_t ops,
                                   uint64_t bytes,
                                   ByteView salt) {
  Secret<32> key;
  if (crypto_pwhash_argon2id(key.data(),
                             32,
                             passphrase.data(),
                             passphrase.size(),
                             salt.data(),
                             ops,
                             static_cast<size_t>(bytes),
                             crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
    return ResourceExhausted(
        "the passphrase needs ", bytes >> 20, " MiB of memory; free some and try again");
  }
  return key;
}

std::string SecretHex(ByteView secret) {
  std::string out(2 * secret.size() + 1, '\0');
  sodium_bin2hex(
      out.data(), out.size(), secret.data(), secret.size());  // constant time, unlike a table
  out.pop_back();
  return out;
}

absl::StatusOr<Secret<32>> Unlock(const KeyFile& key,
                                  std::string_view file,
                                  std::string_view passphrase) {
  Secret<32> secret;
  if (!key.info.sealed) {
    size_t size = 0;
    const char* end = nullptr;
    if (sodium_hex2bin(
            secret.data(), 32, key.secret.data(), key.secret.size(), nullptr, &size, &end) != 0 ||
        size != 32 || end != key.secret.data() + key.secret.size()) {
      return DataLoss(file, " is damaged; restore it from a backup");
    }
    return secret;
  }
  if (passphrase.empty()) return Unauthenticated(file, " is sealed; a passphrase is needed");
  AQ_ASSIGN_OR_RETURN(const Secret<32> wrap, Stretch(passphrase, key.ops, key.bytes, key.salt));
  const ByteView box = key.sealed;
  if (!crypto::XAeadOpen(wrap.view(),
                         box.first(kNonceSize),
                         box.subspan(kNonceSize),
                         AsBytes(key.head),
                         secret.mutable_view())) {
    return Unauthenticated(file, ": wrong passphrase (or the file was altered); try again");
  }
  return secret;
}

SecretText PlainText(bool x25519, ByteView public_key, ByteView secret) {
  const SecretText hex(SecretHex(secret));
  SecretText text;
  text.text().reserve(kKeyFileMax);  // once: growing would leave copies behind
  text.text() += Head(x25519, public_key);
  text.text() += "secret ";
  text.text() += hex.view();
  text.text() += "\n";
  text.text() += kEnd;
  return text;
}

}  // namespace

absl::StatusOr<KeyStore> KeyStore::Open(const std::string& path, bool create) {
  AQ_ASSIGN_OR_RETURN(PrivateDir dir, PrivateDir::Open(path, create));
  return KeyStore(std::move(dir));
}

absl::Status KeyStore::SaveEd25519(std::string_view name, const crypto::Ed25519Seed& seed) {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  const SecretText text = PlainText(false, crypto::Ed25519Public(seed), seed.view());
  return dir_.Write(file, text.view(), PrivateDir::Replace::kNever);
}

absl::Status KeyStore::SaveX25519(std::string_view name, const crypto::X25519Private& key) {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  const SecretText text = PlainText(true, crypto::X25519Public(key), key.view());
  return dir_.Write(file, text.view(), PrivateDir::Replace::kNever);
}

absl::Status KeyStore::SealEd25519(std::string_view name,
                                   const crypto::Ed25519Seed& seed,
                                   std::string_view passphrase,
                                   KdfCost cost,
                                   Rng& rng) {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  if (passphrase.empty()) return InvalidArgument("an empty passphrase seals nothing; choose one");
  const bool moderate = cost == KdfCost::kModerate;
  const uint64_t ops = moderate ? crypto_pwhash_argon2id_OPSLIMIT_MODERATE
                                : crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE;
  const uint64_t bytes = moderate ? crypto_pwhash_argon2id_MEMLIMIT_MODERATE
                                  : crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE;
  const std::array<uint8_t, kSaltSize> salt = rng.Array<kSaltSize>();
  const std::array<uint8_t, kNonceSize> nonce = rng.Array<kNonceSize>();
  AQ_ASSIGN_OR_RETURN(const Secret<32> wrap, Stretch(passphrase, ops, bytes, salt));
  const std::string head = Join(Head(false, crypto::Ed25519Public(seed)),
                                "kdf argon2id ",
                                ops,
                                " ",
                                bytes,
                                " ",
                                ToHex(salt),
                                "\n");
  std::array<uint8_t, 32 + crypto::kTagSize> box;
  crypto::XAeadSeal(wrap.view(), nonce, seed.view(), AsBytes(head), box);
  return dir_.Write(file,
                    Join(head, "sealed ", ToHex(nonce), ToHex(box), "\n", kEnd),
                    PrivateDir::Replace::kNever);
}

absl::StatusOr<crypto::Ed25519Seed> KeyStore::LoadEd25519(std::string_view name,
                                                          std::string_view passphrase) const {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  AQ_ASSIGN_OR_RETURN(const SecretText text, dir_.Read(file, kKeyFileMax));
  const std::string path = Join(dir_.path(), "/", file);
  AQ_ASSIGN_OR_RETURN(const KeyFile key, Parse(text.view(), path));
  if (key.info.x25519) return InvalidArgument(path, " holds a WireGuard key, not a signing key");
  AQ_ASSIGN_OR_RETURN(crypto::Ed25519Seed seed, Unlock(key, path, passphrase));
  if (crypto::Ed25519Public(seed).bytes != key.info.public_key)
    return DataLoss(path, ": its public key is another key's");
  return seed;
}

absl::StatusOr<crypto::X25519Private> KeyStore::LoadX25519(std::string_view name) const {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  AQ_ASSIGN_OR_RETURN(const SecretText text, dir_.Read(file, kKeyFileMax));
  const std::string path = Join(dir_.path(), "/", file);
  AQ_ASSIGN_OR_RETURN(const KeyFile key, Parse(text.view(), path));
  if (!key.info.x25519 || key.info.sealed)
    return InvalidArgument(path, " holds a signing key, not a WireGuard key");
  AQ_ASSIGN_OR_RETURN(crypto::X25519Private secret, Unlock(key, path, {}));
  if (crypto::X25519Public(secret).bytes != key.info.public_key)
    return DataLoss(path, ": its public key is another key's");
  return secret;
}

absl::StatusOr<KeyStore::Info> KeyStore::Look(std::string_view name) const {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  AQ_ASSIGN_OR_RETURN(const SecretText text, dir_.Read(file, kKeyFileMax));
  AQ_ASSIGN_OR_RETURN(const KeyFile key, Parse(text.view(), Join(dir_.path(), "/", file)));
  return key.info;
}

bool KeyStore::Has(std::string_view name) const {
  const absl::StatusOr<std::string> file = FileOf(name);
  return file.ok() && dir_.Exists(*file);
}

absl::Status KeyStore::Remove(std::string_view name) {
  AQ_ASSIGN_OR_RETURN(const std::string file, FileOf(name));
  return dir_.Remove(file);
}

}  // namespace aqmesh::issuing
