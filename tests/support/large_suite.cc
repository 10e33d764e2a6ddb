// Suite 65281, for tests of size: suite 1 and then 2,356 bytes 5a. Whoever links this object has it
// beside the registry's rows; no program does (tests/no_test_suite.sh).
#include <algorithm>

#include "core/authority/suites.h"

namespace aqmesh::authority {

namespace {

constexpr size_t kSigned = 64, kFill = 2'356;
constexpr uint8_t kFilledWith = 0x5a;

Bytes Sign(const SuiteSeed& seed, ByteView message) {
  Bytes out = SignBy(Suite::kEd25519, seed, message);
  out.resize(kSigned + kFill, kFilledWith);
  return out;
}

bool Verify(const Ed25519Key& key, ByteView message, ByteView signature) {
  return signature.size() == kSigned + kFill &&
         std::ranges::all_of(signature.subspan(kSigned),
                             [](uint8_t b) { return b == kFilledWith; }) &&
         VerifyBy(Suite::kEd25519, key, message, signature.first(kSigned));
}

constexpr SignatureSuite kLarge[] = {
    {.id = Suite::kLargeTest,
     .name = "aqmesh-large-test-suite",
     .key_bytes = 32,
     .signature_bytes = kSigned + kFill,
     .profile = "suite 1, then 2,356 bytes 5a; for tests alone",
     .public_of = crypto::Ed25519Public,
     .sign = Sign,
     .verify = Verify},
};

}  // namespace

std::span<const SignatureSuite> LinkedSuites() { return kLarge; }

}  // namespace aqmesh::authority
