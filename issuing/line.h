// Secrets that people carry by hand, as text: the invitation line, and the paper key.
// Spec:   spec/objects.md §5, invitation line.
// Wire:   p = Signed invite || Ed25519 seed 32 of the one-time key; text = "aq1-" + Crockford
// base32 (high
//         bits first, zero fill) of p || H256("aqmesh/1/line" || p)[0..4), in groups of five.
//         Paper: "aqp1-" + the same of seed 32 || H256("aqmesh/1/paper" || seed)[0..4).
// Bounds: kLineTextMax characters are read, with blanks and dashes.
// Errors: InvalidArgument naming the character, counted from 1 as typed, where one can be blamed.
// Thread: all functions are pure.
#ifndef AQMESH_ISSUING_LINE_H_
#define AQMESH_ISSUING_LINE_H_

#include <string>
#include <string_view>

#include "core/authority/signed.h"

namespace aqmesh::issuing {

inline constexpr size_t kLineTextMax = 4'096;

struct Invitation {
  authority::Held<authority::Invite>
      invite;                // its signer's key is not known here: the signature is unchecked
  crypto::Ed25519Seed seed;  // of invite.body.key
};

// AQ_CHECKs that `seed` is that of invite.key.
std::string LineOf(const authority::Held<authority::Invite>& invite,
                   const crypto::Ed25519Seed& seed);

// Ignores case, '-' and white space, takes O as 0, I and L as 1. Refuses U and all else that is no
// digit, a non-zero fill, a wrong check, another object, another key's seed.
absl::StatusOr<Invitation> ParseLine(std::string_view text);

// The key that takes over when its next_key digest is rotated to; on paper, never on the machine.
std::string PaperOf(const crypto::Ed25519Seed& seed);
absl::StatusOr<crypto::Ed25519Seed> ParsePaper(std::string_view text);

}  // namespace aqmesh::issuing

#endif  // AQMESH_ISSUING_LINE_H_
