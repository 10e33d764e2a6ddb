// The passkey of each stage of the closed chain. A token's constructor takes the Passkey of the
// stage that may mint it; a stage is named here and defined in exactly one room, which alone can
// make its passkey.
// Spec: spec/admission.md §1 (the tokens).
#ifndef AQMESH_CORE_AUTHORITY_STAGES_H_
#define AQMESH_CORE_AUTHORITY_STAGES_H_

namespace aqmesh::authority {

template <class Stage>
class Passkey {
  friend Stage;
  Passkey() = default;

 public:
  Passkey(const Passkey&) = delete;
  Passkey& operator=(const Passkey&) = delete;
  Passkey(Passkey&&) = default;
};

struct Authenticating;  // core/authority/chain.cc  mints Verified
struct Weighing;        // trust/weigh.cc           mints Weighed
struct Deciding;        // admission/gate.cc        mints Decision
struct Recording;       // node/actuator.h          mints Recorded: the decision is durable
struct Actuating;       // node/actuator.cc         mints Actuation
struct Confirming;      // node/actuator.cc        mints Outcome

}  // namespace aqmesh::authority

#endif  // AQMESH_CORE_AUTHORITY_STAGES_H_
