#include "issuing/line.h"

#include <optional>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::issuing {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kCheckSize = 4;
constexpr size_t kSeedSize = crypto::Ed25519Seed::kSize;
constexpr int kBlank = -1, kForeign = -2;

// The digit a character stands for, kBlank where readers skip it.
int DigitOf(char c) {
  if (c == '-' || c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f')
    return kBlank;
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (c == 'O') c = '0';
  if (c == 'I' || c == 'L') c = '1';
  const size_t at = kDigits.find(c);
  return at == std::string_view::npos ? kForeign : static_cast<int>(at);
}

std::array<uint8_t, kCheckSize> CheckOf(std::string_view label, ByteView p) {
  const crypto::Hash32 hash = crypto::H256({AsBytes(label), p});
  return {hash[0], hash[1], hash[2], hash[3]};
}

std::string Encode(std::string_view prefix, std::string_view label, ByteView p) {
  const Bytes bytes = Concat({p, CheckOf(label, p)});
  std::string out(prefix);
  uint32_t pool = 0;
  unsigned bits = 0;
  size_t digits = 0;
  const auto put = [&out, &digits](uint32_t five) {
    if (digits++ % 5 == 0) out += '-';
    out += kDigits[five & 31];
  };
  for (const uint8_t b : bytes) {
    pool = (pool << 8 | b) & 0xfff;  // at most 4 bits wait for the next byte
    for (bits += 8; bits >= 5; bits -= 5) put(pool >> (bits - 5));
  }
  if (bits > 0) put(pool << (5 - bits));
  return out;
}

// The bytes before the check; `prefix` is made of digits, so it is read as they are.
absl::StatusOr<Bytes> Decode(std::string_view text,
                             std::string_view prefix,
                             std::string_view label,
                             std::string_view what) {
  if (text.size() > kLineTextMax) {
    return InvalidArgument(
        what, ": ", text.size(), " characters, more than ", kLineTextMax, "; copy the line alone");
  }
  Bytes bytes;
  uint32_t pool = 0;
  unsigned bits = 0;
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int digit = DigitOf(text[i]);
    if (digit == kBlank) continue;
    if (digit == kForeign) {
      return InvalidArgument(what,
                             ", character ",
                             i + 1,
                             ": not a letter or digit of such a line (U is none); ",
                             "copy it again");
    }
    if (digits < prefix.size()) {
      if (digit != DigitOf(prefix[digits])) {
        return InvalidArgument(
            what, ", character ", i + 1, ": it must begin with ", prefix, "-; copy it whole");
      }
      ++digits;
      continue;
    }
    ++digits;
    pool = (pool << 5 | static_cast<uint32_t>(digit)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<uint8_t>(pool >> bits));
    }
  }
  // One encoding a line: no spare digit, and what fills the last one is zero.
  if (bits >= 5 || (pool & ((1u << bits) - 1)) != 0) {
    return InvalidArgument(what, ": it ends wrongly; a character is missing, doubled or mistyped");
  }
  if (bytes.size() <= kCheckSize) return InvalidArgument(what, ": too short; copy it whole");
  const size_t p_size = bytes.size() - kCheckSize;
  const ByteView p = ByteView(bytes).first(p_size);
  if (!Equal(CheckOf(label, p), ByteView(bytes).subspan(p_size))) {
    return InvalidArgument(what, ": its check does not match; a character was mistyped or lost");
  }
  bytes.resize(p_size);
  return bytes;
}

constexpr std::string_view kLinePrefix = "aq1", kLineLabel = "aqmesh/1/line";
constexpr std::string_view kPaperPrefix = "aqp1", kPaperLabel = "aqmesh/1/paper";

// Bytes that end in a seed, wiped on the way out.
struct WipedBytes {
  Bytes bytes;
  ~WipedBytes() { sodium_memzero(bytes.data(), bytes.size()); }
};

}  // namespace

std::string LineOf(const authority::Held<authority::Invite>& invite,
                   const crypto::Ed25519Seed& seed) {
  AQ_CHECK(crypto::Ed25519Public(seed) == invite.body.key);
  const WipedBytes p{Concat({invite.envelope->bytes(), seed.view()})};
  return Encode(kLinePrefix, kLineLabel, p.bytes);
}

absl::StatusOr<Invitation> ParseLine(std::string_view text) {
  AQ_ASSIGN_OR_RETURN(Bytes bytes, Decode(text, kLinePrefix, kLineLabel, "invitation line"));
  const WipedBytes p{std::move(bytes)};
  if (p.bytes.size() <= kSeedSize)
    return InvalidArgument("invitation line: too short; copy it whole");
  const size_t signed_size = p.bytes.size() - kSeedSize;
  absl::StatusOr<authority::Held<authority::Invite>> invite =
      authority::ParseObject<authority::Invite>(ByteView(p.bytes).first(signed_size));
  if (!invite.ok()) return Annotate(invite.status(), "invitation line");
  Invitation out{*std::move(invite), crypto::Ed25519Seed(ByteView(p.bytes).subspan(signed_size))};
  if (crypto::Ed25519Public(out.seed) != out.invite.body.key) {
    return InvalidArgument(
        "invitation line: its seed is not that of the invitation's key; ask for a new one");
  }
  return out;
}

std::string PaperOf(const crypto::Ed25519Seed& seed) {
  return Encode(kPaperPrefix, kPaperLabel, seed.view());
}

absl::StatusOr<crypto::Ed25519Seed> ParsePaper(std::string_view text) {
  AQ_ASSIGN_OR_RETURN(Bytes bytes, Decode(text, kPaperPrefix, kPaperLabel, "paper key"));
  const WipedBytes p{std::move(bytes)};
  if (p.bytes.size() != kSeedSize)
    return InvalidArgument("paper key: not of a key's length; copy it whole");
  return crypto::Ed25519Seed(p.bytes);
}

}  // namespace aqmesh::issuing
