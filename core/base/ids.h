// The names of keys, objects and scopes, each a type of its own.
// Spec: spec/objects.md §1 (kid, oid, scope id).
#ifndef AQMESH_CORE_BASE_IDS_H_
#define AQMESH_CORE_BASE_IDS_H_

#include "core/base/bytes.h"

namespace aqmesh {

using Kid = FixedBytes<16, struct KidTag>;           // which signing or static key
using ScopeId = FixedBytes<16, struct ScopeTag>;     // which mesh: hash of its genesis charter
using Oid = FixedBytes<32, struct OidTag>;           // which signed object
using Ref16 = FixedBytes<16, struct Ref16Tag>;       // first half of an oid, as wires cite it
using Digest = FixedBytes<32, struct DigestTag>;     // any other 32-byte hash
using X25519Key = FixedBytes<32, struct X25519Tag>;  // a WireGuard public key
using Ed25519Key =
    FixedBytes<32, struct Ed25519Tag>;  // a public key that signs, of any suite: all have 32 bytes
using Signature = FixedBytes<64, struct SignatureTag>;

inline Ref16 RefOf(const Oid& oid) { return *Ref16::From(ByteView(oid.bytes).first(16)); }

}  // namespace aqmesh

#endif  // AQMESH_CORE_BASE_IDS_H_
