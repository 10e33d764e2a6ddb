#include "core/crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include <memory>

#include "core/base/check.h"
#include "core/crypto/sha256_lanes.h"

namespace aqmesh::crypto {

namespace {

struct MdCtxFree {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
struct MacCtxFree {
  void operator()(EVP_MAC_CTX* c) const { EVP_MAC_CTX_free(c); }
};
using MdCtx = std::unique_ptr<EVP_MD_CTX, MdCtxFree>;
using MacCtx = std::unique_ptr<EVP_MAC_CTX, MacCtxFree>;

// Fetched once: a fetch by name costs more than the hash of a handshake message.
const EVP_MD* Blake2sMd() {
  static const EVP_MD* const md = EVP_MD_fetch(nullptr, "BLAKE2S-256", nullptr);
  AQ_CHECK(md != nullptr);
  return md;
}

void Blake2sInto(std::initializer_list<ByteView> first,
                 std::initializer_list<ByteView> second,
                 uint8_t out[32]) {
  thread_local MdCtx ctx(EVP_MD_CTX_new());
  AQ_CHECK(EVP_DigestInit_ex2(ctx.get(), Blake2sMd(), nullptr) == 1);
  for (ByteView p : first) AQ_CHECK(EVP_DigestUpdate(ctx.get(), p.data(), p.size()) == 1);
  for (ByteView p : second) AQ_CHECK(EVP_DigestUpdate(ctx.get(), p.data(), p.size()) == 1);
  unsigned length = 32;
  AQ_CHECK(EVP_DigestFinal_ex(ctx.get(), out, &length) == 1);
}

}  // namespace

Hash32 Blake2s(std::initializer_list<ByteView> parts) {
  Hash32 out;
  Blake2sInto(parts, {}, out.data());
  return out;
}

Mac16 Blake2sMac(ByteView key, ByteView data) {
  // The digest length is in BLAKE2's parameter block, so this is no truncated 32-byte hash.
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "BLAKE2SMAC", nullptr);
  AQ_CHECK(mac != nullptr);
  AQ_CHECK(!key.empty() && key.size() <= 32);
  thread_local MacCtx ctx(EVP_MAC_CTX_new(mac));
  size_t size = 16;
  OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                         OSSL_PARAM_construct_end()};
  AQ_CHECK(EVP_MAC_CTX_set_params(ctx.get(), params) == 1);
  AQ_CHECK(EVP_MAC_init(ctx.get(), key.data(), key.size(), nullptr) == 1);
  AQ_CHECK(EVP_MAC_update(ctx.get(), data.data(), data.size()) == 1);
  Mac16 out;
  size_t length = 0;
  AQ_CHECK(EVP_MAC_final(ctx.get(), out.data(), &length, out.size()) == 1 && length == 16);
  return out;
}

Hash32 HmacBlake2s(ByteView key, std::initializer_list<ByteView> parts) {
  constexpr size_t kBlock = 64;
  uint8_t pad[kBlock] = {};
  AQ_CHECK(key.size() <= kBlock);
  if (!key.empty()) std::memcpy(pad, key.data(), key.size());
  for (uint8_t& b : pad) b ^= 0x36;
  Hash32 inner;
  Blake2sInto({ByteView(pad)}, parts, inner.data());
  for (uint8_t& b : pad) b ^= 0x36 ^ 0x5c;
  Hash32 out;
  Blake2sInto({ByteView(pad)}, {ByteView(inner)}, out.data());
  sodium_memzero(pad, sizeof pad);
  sodium_memzero(inner.data(), inner.size());
  return out;
}

Hash32 Kdf1(ByteView ck, ByteView input) {
  Hash32 prk = HmacBlake2s(ck, {input});
  const uint8_t one[] = {1};
  Hash32 t1 = HmacBlake2s(prk, {one});
  sodium_memzero(prk.data(), prk.size());
  return t1;
}

Kdf2Out Kdf2(ByteView ck, ByteView input) {
  Hash32 prk = HmacBlake2s(ck, {input});
  const uint8_t one[] = {1}, two[] = {2};
  Kdf2Out out;
  out.t1 = HmacBlake2s(prk, {one});
  out.t2 = HmacBlake2s(prk, {out.t1, two});
  sodium_memzero(prk.data(), prk.size());
  return out;
}

Kdf3Out Kdf3(ByteView ck, ByteView input) {
  Hash32 prk = HmacBlake2s(ck, {input});
  const uint8_t one[] = {1}, two[] = {2}, three[] = {3};
  Kdf3Out out;
  out.t1 = HmacBlake2s(prk, {one});
  out.t2 = HmacBlake2s(prk, {out.t1, two});
  out.t3 = HmacBlake2s(prk, {out.t2, three});
  sodium_memzero(prk.data(), prk.size());
  return out;
}

namespace {
template <size_t N>
std::array<uint8_t, N> Blake2b(std::string_view personal, std::initializer_list<ByteView> parts) {
  uint8_t padded[crypto_generichash_blake2b_PERSONALBYTES] = {};
  AQ_CHECK(personal.size() <= sizeof padded);
  if (!personal.empty()) std::memcpy(padded, personal.data(), personal.size());
  crypto_generichash_blake2b_state state;
  AQ_CHECK(crypto_generichash_blake2b_init_salt_personal(&state, nullptr, 0, N, nullptr, padded) ==
           0);
  for (ByteView p : parts)
    AQ_CHECK(crypto_generichash_blake2b_update(&state, p.data(), p.size()) == 0);
  std::array<uint8_t, N> out;
  AQ_CHECK(crypto_generichash_blake2b_final(&state, out.data(), N) == 0);
  return out;
}
}  // namespace

Hash32 H256(std::initializer_list<ByteView> parts) { return Blake2b<32>("", parts); }
std::array<uint8_t, 16> H128(std::initializer_list<ByteView> parts) {
  return Blake2b<16>("", parts);
}
Hash32 Blake2bPersonal(std::string_view personal, std::initializer_list<ByteView> parts) {
  return Blake2b<32>(personal, parts);
}

// Our own where the processor has instructions for it: a lineage is made of short messages, and
// OpenSSL's contexts cost as much as those. Elsewhere OpenSSL's, which is the oracle in tests.
Hash32 Sha256(std::initializer_list<ByteView> parts) {
  return HaveShaInstructions() ? Sha256One(parts) : Sha256ByLibrary(parts);
}

Hash32 Sha256ByLibrary(std::initializer_list<ByteView> parts) {
  static const EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  AQ_CHECK(md != nullptr);
  thread_local MdCtx ctx(EVP_MD_CTX_new());
  AQ_CHECK(EVP_DigestInit_ex2(ctx.get(), md, nullptr) == 1);
  for (ByteView p : parts) AQ_CHECK(EVP_DigestUpdate(ctx.get(), p.data(), p.size()) == 1);
  Hash32 out;
  unsigned length = 32;
  AQ_CHECK(EVP_DigestFinal_ex(ctx.get(), out.data(), &length) == 1);
  return out;
}

Hash32 MerkleLeaf(ByteView data) {
  const uint8_t zero[] = {0};
  return Sha256({zero, data});
}

Hash32 MerkleNode(ByteView left, ByteView right) {
  const uint8_t one[] = {1};
  return Sha256({one, left, right});
}

void MerkleLeaves(std::span<const ByteView> data, std::span<Hash32> out) {
  AQ_CHECK(data.size() == out.size());
  size_t i = 0;
  const auto fits = [&data](size_t at) { return data[at].size() <= kPairBytesMax; };
  for (; HaveShaInstructions() && i + 1 < data.size(); i += 2) {
    if (!fits(i) || !fits(i + 1)) {
      out[i] = MerkleLeaf(data[i]);
      out[i + 1] = MerkleLeaf(data[i + 1]);
      continue;
    }
    Sha256Two(0, data[i], data[i + 1], out[i], out[i + 1]);
  }
  for (; i < data.size(); ++i) out[i] = MerkleLeaf(data[i]);
}

void MerkleNodes(ByteView children, MutableBytes out) {
  constexpr size_t kSize = sizeof(Hash32);
  AQ_CHECK(children.size() == 2 * out.size() && out.size() % kSize == 0);
  const auto both = [&children](size_t at) { return children.subspan(2 * at, 2 * kSize); };
  size_t at = 0;
  for (; HaveShaInstructions() && at + kSize < out.size(); at += 2 * kSize) {
    Hash32 two[2];
    Sha256Two(1, both(at), both(at + kSize), two[0], two[1]);
    std::memcpy(out.data() + at, two, sizeof two);
  }
  for (; at < out.size(); at += kSize) {
    const Hash32 one = MerkleNode(both(at).first(kSize), both(at).last(kSize));
    std::memcpy(out.data() + at, one.data(), kSize);
  }
}

Hash32 MerkleRoot(std::span<const Hash32> leaves) {
  if (leaves.empty()) return Sha256({});
  // Bottom-up and in place: pair neighbours, carry an odd one up. Equals RFC 6962's split at the
  // largest power of two, because only the last subtree of a level is ever incomplete.
  std::vector<Hash32> level(leaves.begin(), leaves.end());
  while (level.size() > 1) {
    const size_t pairs = level.size() / 2, bytes = pairs * sizeof(Hash32);
    MerkleNodes({level[0].data(), 2 * bytes}, {level[0].data(), bytes});
    if (level.size() % 2 == 1) level[pairs] = level.back();
    level.resize(pairs + level.size() % 2);
  }
  return level[0];
}

uint64_t SipHash24(ByteView key16, ByteView data) {
  AQ_CHECK(key16.size() == crypto_shorthash_siphash24_KEYBYTES);
  uint8_t out[8];
  crypto_shorthash_siphash24(out, data.data(), data.size(), key16.data());
  return LoadLe<uint64_t>(out);
}

std::array<uint8_t, 16> SipHash24x128(ByteView key16, ByteView data) {
  AQ_CHECK(key16.size() == crypto_shorthash_siphashx24_KEYBYTES);
  std::array<uint8_t, 16> out;
  crypto_shorthash_siphashx24(out.data(), data.data(), data.size(), key16.data());
  return out;
}

bool SecretEqual(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace aqmesh::crypto
