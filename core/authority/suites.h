// The registry of signature suites: what a suite number means. Nobody else asks which suite it is
// (tests/tidy_test.cc has the few places that may).
// Spec:   spec/suites.md; spec/objects.md §1 (suite in PAE and kid).
// Bounds: a handful of rows, fixed when the program is linked.
// Thread: pure. Errors: a suite that this program lacks is nullptr, verifies nothing, and has
//         signatures of 0 bytes.
#ifndef AQMESH_CORE_AUTHORITY_SUITES_H_
#define AQMESH_CORE_AUTHORITY_SUITES_H_

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "core/authority/objects.h"
#include "core/crypto/keys.h"

namespace aqmesh::authority {

// A seed is 32 bytes in every suite, and so is a key: Ed25519Key is that of any.
using SuiteSeed = Secret<32>;

struct SignatureSuite {
  Suite id{};
  std::string_view name;
  size_t key_bytes = 0;
  size_t signature_bytes = 0;  // 0: it cannot sign, and the functions are nullptr
  std::string_view profile;    // what a verifier accepts
  Ed25519Key (*public_of)(const SuiteSeed& seed) = nullptr;
  Bytes (*sign)(const SuiteSeed& seed, ByteView message) = nullptr;
  // `signature` may have any length.
  bool (*verify)(const Ed25519Key& key, ByteView message, ByteView signature) = nullptr;
  // What verify says of one key, made ready for many signatures; nullptr: nothing is gained.
  std::function<bool(ByteView, ByteView)> (*prepare)(const Ed25519Key& key) = nullptr;
};

const SignatureSuite* FindSuite(Suite id);
std::vector<const SignatureSuite*> AllSuites();  // ascending

// Rows beside the registry's own, after them in order. A program has none: suites_linked.cc says
// so, and is linked unless another object defines this, as only tests/support/large_suite.cc does.
std::span<const SignatureSuite> LinkedSuites();

// Bytes of a signature; 0 for a suite that cannot sign or that this program lacks.
size_t SignatureSize(Suite suite);
Ed25519Key PublicOf(Suite suite, const SuiteSeed& seed);  // of a suite that signs
Bytes SignBy(Suite suite, const SuiteSeed& seed, ByteView message);
[[nodiscard]] bool VerifyBy(Suite suite,
                            const Ed25519Key& key,
                            ByteView message,
                            ByteView signature);

// Says what VerifyBy says of one key, for who will verify by it again.
class KeyVerifier {
 public:
  KeyVerifier(Suite suite, const Ed25519Key& key);
  Suite suite() const { return suite_; }
  const Ed25519Key& key() const { return key_; }
  [[nodiscard]] bool Verify(ByteView message, ByteView signature) const;

 private:
  Suite suite_;
  Ed25519Key key_;
  std::function<bool(ByteView, ByteView)> prepared_;  // empty: VerifyBy
};

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_SUITES_H_
