// Hashes, MACs and key derivation, under the names that the specs use.
// Spec:   WireGuard paper §5.4 and spec/wire.md 1.1 (HASH, MAC, HMAC, KDFn: all BLAKE2s);
//         spec/objects.md §1 (H256, H128: unkeyed BLAKE2b with that digest length).
// Thread: all functions are pure. Cost: 0.1 to 0.5 us for 100 bytes.
#ifndef AQMESH_CORE_CRYPTO_HASH_H_
#define AQMESH_CORE_CRYPTO_HASH_H_

#include <array>
#include <initializer_list>

#include "core/base/bytes.h"
#include "core/base/secret.h"

namespace aqmesh::crypto {

using Hash32 = std::array<uint8_t, 32>;
using Mac16 = std::array<uint8_t, 16>;

Hash32 Blake2s(std::initializer_list<ByteView> parts);  // HASH, over the concatenation
Mac16 Blake2sMac(ByteView key, ByteView data);          // MAC: keyed, digest length 16; key <= 32
Hash32 HmacBlake2s(ByteView key, std::initializer_list<ByteView> parts);  // HMAC, RFC 2104
Hash32 Kdf1(ByteView ck, ByteView input);
struct Kdf2Out {
  Hash32 t1, t2;
};
Kdf2Out Kdf2(ByteView ck, ByteView input);
struct Kdf3Out {
  Hash32 t1, t2, t3;
};
Kdf3Out Kdf3(ByteView ck, ByteView input);

Hash32 H256(std::initializer_list<ByteView> parts);
std::array<uint8_t, 16> H128(std::initializer_list<ByteView> parts);
// BLAKE2b-256 under a personalisation of up to 16 bytes, zero filled.
Hash32 Blake2bPersonal(std::string_view personal, std::initializer_list<ByteView> parts);

Hash32 Sha256(std::initializer_list<ByteView> parts);
Hash32 Sha256ByLibrary(std::initializer_list<ByteView> parts);  // OpenSSL's
// RFC 6962: leaf = SHA-256(00 || data), node = SHA-256(01 || left || right).
Hash32 MerkleLeaf(ByteView data);
Hash32 MerkleNode(ByteView left, ByteView right);
// Many at once, each as above: out[i] of data[i]; and the nodes over hashes that lie side by side,
// 32 bytes for each 64, which may be written where `children` begins.
void MerkleLeaves(std::span<const ByteView> data, std::span<Hash32> out);
void MerkleNodes(ByteView children, MutableBytes out);
Hash32 MerkleRoot(std::span<const Hash32> leaves);  // of no leaves: SHA-256("")

// SipHash-2-4 (Aumasson & Bernstein): 64-bit result; and its 128-bit variant.
uint64_t SipHash24(ByteView key16, ByteView data);
std::array<uint8_t, 16> SipHash24x128(ByteView key16, ByteView data);

bool SecretEqual(ByteView a, ByteView b);  // constant time in the bytes; lengths are public

}  // namespace aqmesh::crypto

#endif  // AQMESH_CORE_CRYPTO_HASH_H_
