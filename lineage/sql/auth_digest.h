// The digest under which records cite the presentation, or the plain grant, that opened a session.
// Spec: spec/objects.md §4 (AuthDigest), as transport/frame has it: no record holds both.
#ifndef AQMESH_LINEAGE_SQL_AUTH_DIGEST_H_
#define AQMESH_LINEAGE_SQL_AUTH_DIGEST_H_

#include "core/base/ids.h"
#include "core/crypto/hash.h"

namespace aqmesh::lineage::sql {

inline Digest AuthDigestOf(const Oid& presentation) {
  return Digest{crypto::H256({AsBytes("aqmesh/1/authdigest"), presentation})};
}

}  // namespace aqmesh::lineage::sql

#endif  // AQMESH_LINEAGE_SQL_AUTH_DIGEST_H_
