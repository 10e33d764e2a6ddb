// A signed object in words: labelled lines for people, JSON for programs. Nothing is judged here:
// neither text says that a signature holds.
// Spec:   spec/objects.md §2 (the names of the fields); JSON schema "aqmesh.inspect/1".
// Errors: none: a body that does not parse is shown with its refusal; an object of a kind that this build only carries
//         (policy) is shown as its envelope and its body in hex.
// Thread: all functions are pure.
#ifndef AQMESH_CORE_AUTHORITY_RENDER_H_
#define AQMESH_CORE_AUTHORITY_RENDER_H_

#include "core/authority/signed.h"

namespace aqmesh::authority {

// Like `ssh-keygen -L`: one labelled line a field, lists indented, times in UTC, bits by name.
std::string Render(const Signed& object);

// {"schema":"aqmesh.inspect/1","ctx":"grant","oid":hex,"kid":hex,"suite":1,"size":n, then every
// field that is there under its name in spec/objects.md}: numbers as numbers, bytes as lower hex,
// addresses, prefixes, endpoints and selectors as text, nested messages as objects. ctx, oid, kid
// and suite are always the envelope's: a field of the body so named comes under its object's name,
// as "grant_suite", "revoke_kid". A body that does not parse gives "error" and "byte" instead of
// fields.
std::string RenderJson(const Signed& object);

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_RENDER_H_
