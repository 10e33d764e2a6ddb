// Control: the node's one deciding thread. Start here.
//   a1/a2 -> cheap checks -> unseal -> parse -> authenticate (core) -> weigh (trust) -> decide
//   (gate)
//         -> record -> [durable] -> actuate -> confirm -> record
// and, inside tunnels, the control messages that move signed objects between members.
// Spec:   spec/life-of-an-authority.md; spec/objects.md §4, §6; spec/authority.md B.3, E, F.
// Bounds: Config::peers_max peers; every list named below. Nothing is kept for a stranger.
// Thread: one owner; data threads may use datapath() beside it (Config::lanes), and what they
// cannot
//         settle comes here by OnNews and OnHandshakes. No I/O, no clock, no entropy of its own.
// Errors: packets: counted drops; orders: absl::Status.
#ifndef AQMESH_NODE_CONTROL_H_
#define AQMESH_NODE_CONTROL_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "issuing/issue.h"
#include "issuing/line.h"
#include "lineage/content.h"
#include "lineage/inputs.h"
#include "node/actuator.h"
#include "node/approval.h"
#include "node/attestations.h"
#include "node/clock_watch.h"
#include "node/datapath.h"
#include "node/escalations.h"
#include "node/explain.h"
#include "node/heads/cosigner.h"
#include "node/heads/notary.h"
#include "node/mesh.h"
#include "node/outbox.h"
#include "node/peer.h"
#include "node/recorder.h"
#include "node/trust_book.h"
#include "transport/frame/envelope.h"
#include "transport/frame/notice.h"
#include "transport/wireguard/device.h"

namespace aqmesh::node {

struct Config {
  crypto::Ed25519Seed identity;
  crypto::X25519Private static_key;
  crypto::Ed25519Seed log;                // signs the heads of this machine's log, and nothing else
  const lineage::Store* store = nullptr;  // to read from; without it no head is signed
  std::string name;                       // lab, of this machine
  admission::LocalPolicy policy;
  std::vector<Endpoint> endpoints;  // where others may find us
  uint16_t mtu = 1380;
  size_t peers_max = 1 << 14;
  uint32_t lanes = 0;  // data threads beside this one: 0, 1, 2, 4, 8 or 16 (datapath())
  issuing::SeqSource* seqs = nullptr;  // numbers of what this machine signs; outlives the node
  // Set while this machine has no grant yet: the invitation that it redeems.
  std::optional<issuing::Invitation> invitation;
  // That are asked to cosign this log's heads; at most PublicWitnesses::kWitnessesMax.
  std::vector<PublicWitness> witnesses = {};
};

// One row of `status` and `peers`.
struct PeerView {
  PeerId id = wireguard::kNoPeer;
  std::vector<std::string> tags;
  std::string name;
  Kid kid;
  X25519Key static_key;
  std::vector<Prefix> addresses;
  std::optional<Endpoint> endpoint;
  authority::Rung rung{};
  authority::Reason reason{};
  authority::Gate setter{};
  std::array<authority::GateResult, authority::kGateCount> gates{};
  uint32_t ladm = 0;
  bool committed = false;
  WallTime last_handshake;
  uint64_t rx_bytes = 0, tx_bytes = 0, grant_end = 0;
  std::optional<Digest> authority;  // AuthDigest of what was decided on last
  std::string join_words;           // not empty: waits for an answer
};

// How the corroboration gate sees one subject just now.
struct CorroborationView {
  admission::Corroboration sum;
  admission::Gate::Needed needed;
  std::vector<Voice> voices;  // that count, and that do not
};

class Control {
 public:
  Control(Config config, const Image& image, Rng rng, Now start);
  ~Control();

  // ---- input; effects are in `out`, which the caller cleared ----
  void OnDatagram(
      Now now, MutableBytes bytes, const Endpoint& from, const wireguard::Source& at, Outbox& out);
  // What came together, in order: frames that follow one another are opened together. Packets for
  // the TUN are left in the datagrams: they must outlive what is done with `out`.
  void OnDatagrams(Now now, std::span<const InFrame> in, Outbox& out);
  // The same for what came by a queue of its own that holds no data but by mistake. Known peers'
  // addresses are heard first, and all of them; of strangers kStrangersMax a call, the others are
  // dropped (source-rate).
  static constexpr size_t kStrangersMax = 64;
  static constexpr size_t kInputsKeptMax = 4'096;
  static constexpr size_t kHeardMax = 64;
  void OnHandshakes(Now now, std::span<const InFrame> in, Outbox& out);
  void OnTunPackets(Now now, std::span<const wireguard::TunPacket> packets, Outbox& out);
  // What data threads came by: control packets; and whatever the Datapath saw meanwhile.
  void OnNews(Now now, std::span<const ControlPacket> control, Outbox& out);
  void OnDurable(Now now, Ticket up_to, Outbox& out);
  void OnWake(Now now, Outbox& out);
  Instant NextWake() const;
  void SetUp(Now now, bool up, Outbox& out);
  // A change of the kernel's tables (os_tables.cc): ARMED with its undo, and in out.os once that is
  // durable. The driver carries it out, looks again through another socket, and tells the edges
  // that it went through.
  void ArmOs(Now now, OsAction action, Outbox& out);
  void OnOsOutcome(Now now,
                   const OsAction& action,
                   std::span<const authority::RecordKind> edges,
                   Outbox& out);
  void OnWitnessReply(Now now, const WitnessReply& reply, Outbox& out);  // to one of Outbox::asks

  // ---- orders of this machine's owner ----
  // A signed object from a file or the CLI: charter, vote, grant, fragment, revocation. Kept, and
  // spread as its kind is.
  absl::Status Import(Now now, ByteView bytes, Outbox& out);
  absl::Status AnswerJoin(Now now, const Kid& joiner, bool yes, Outbox& out);
  void SetEndpoints(Now now, std::vector<Endpoint> endpoints, Outbox& out);
  void SetPolicy(Now now, admission::LocalPolicy policy, Outbox& out);  // judges everyone again
  // Signs with this machine's enroller grant.
  absl::StatusOr<Held<authority::Invite>> Invite(Now now, issuing::InviteTerms terms, Outbox& out);
  absl::Status Revoke(Now now, const issuing::RevokeTerms& terms, Outbox& out);
  // After Event::Kind::kLogBehind: goes on under another log key, which is durable (spec:
  // lineage#7.6). All sessions end in the old log and are decided anew in this. FailedPrecondition:
  // nobody holds a head that this log does not lead to.
  absl::Status BeginLog(Now now, const crypto::Ed25519Seed& log, Outbox& out);
  // Throws away the key of all that records committed to about `subject` (spec: lineage#11); what
  // comes is under another. NotFound: there is none.
  absl::Status Redact(Now now, const Kid& subject, Outbox& out);
  // What the driver is about to do to the log itself (a pruning): its record, and in the same batch
  // a state name that keeps it from being forgotten half done; and that it is done.
  void NoteDeed(Now now, authority::Observe record, lineage::StatePut mark, Outbox& out);
  void DropMark(Now now, std::string name, Outbox& out);
  // Answers an escalation with this machine's enroller grant; kept, and spread. PermissionDenied:
  // its grant is not above the subject's.
  absl::StatusOr<Held<authority::Approve>> Approve(Now now,
                                                   const issuing::ApproveTerms& terms,
                                                   Outbox& out);
  // Publishes the terminal self-revocation that `subject` deposited here.
  absl::Status ReleaseDeposit(Now now, const Kid& subject, Outbox& out);

  // ---- questions ----
  const Mesh& mesh() const { return mesh_; }
  std::vector<PeerView> Peers() const;
  const Datapath& datapath() const { return datapath_; }
  // For data threads, whose calls it takes beside those of this class.
  Datapath& datapath() { return datapath_; }
  const Recorder& recorder() const { return recorder_; }
  const Notary& notary() const { return notary_; }
  const Escalations& escalations() const { return escalations_; }
  // What was last said about a subject, in date or not; nullptr: nothing.
  using Answers = authority::Answers;
  const Held<authority::Approve>* ApprovalOf(const Kid& subject,
                                             Answers what = Answers::kStanding) const;
  using Approvals = std::map<std::pair<Kid, Answers>, Held<authority::Approve>>;
  const Approvals& approvals() const { return approvals_; }
  // Dry: why a peer stands where it does, and every rule with what a flow fails on. nullopt: the
  // peer is too low for any flow.
  ExplainedPeer ExplainPeer(PeerId id, Now now) const;
  std::optional<admission::Explanation> ExplainFlow(PeerId id,
                                                    admission::Direction opened,
                                                    const admission::Question& question,
                                                    Now now) const;
  const Attestations& attestations() const { return attestations_; }
  // nullopt: the charter asks for no attestations.
  std::optional<CorroborationView> CorroborationOf(const Kid& subject, Now now);
  std::optional<IpAddress> address6() const;
  std::vector<Prefix> own_addresses() const;
  // Both directions between us and the peer, in words.
  std::vector<Endpoint> HintsOf(
      const X25519Key& static_key) const;  // endpoints of a third machine known here

 private:
  struct Turn {
    Now now;
    Outbox& out;
  };
  struct PendingInitiation {
    PeerId peer = wireguard::kNoPeer;
    Oid first_item;
    uint32_t rx_handle = 0;
    crypto::Mac16 mac1{};
    Secret<32> k_pre;
    bool request = false;
    authority::Nonce16 nonce;  // of a request: its words
  };
  struct Joining {  // joiner: the session over which the words go
    PeerId sponsor = wireguard::kNoPeer;
    authority::Nonce16 nonce;
    Digest final_h;
    bool said = false;
  };
  struct Presented {  // a presentation that opened and parsed, on its way through the corridor
    Held<authority::Presentation> presentation;
    std::vector<SignedPtr> items;
    X25519Key static_key;
  };
  struct Basis {  // what a decision is made from, on its way into its record
    lineage::Inputs inputs;
    std::vector<SignedPtr> objects;  // what inputs.oids name, beside the charter
  };
  struct Ready {  // a durable decision that waits for the session to be confirmed
    Recorded recorded;
    PeerPlan plan;
  };
  struct Answer {  // what a response to an accepted initiation must say
    Oid answers;
    uint32_t tx_handle = 0;
  };
  struct SessionEnds {  // what either end named, of a session that is about to be installed
    PeerId peer = wireguard::kNoPeer;
    frame::Direction ours = frame::Direction::kFromInitiator;  // of what we send
    uint32_t local_index = 0, rx_handle = 0, tx_handle = 0;
    Oid our_first, their_first;
  };

  // turns (control.cc)
  void EndTurn(Turn& t);
  void Settle(Turn& t);
  void InstallSession(Turn& t, const wireguard::SessionEvent& e);
  void SettleHandshakes(Turn& t);
  void OnSessionEvent(Turn& t, const wireguard::SessionEvent& e);
  void Confirm(Turn& t, PeerId id);
  void Tick(Turn& t);
  void RecordCounts(Turn& t);
  void WatchClock(Turn& t);
  void CommitTo(authority::Observe& o, const lineage::Attempts& attempts);
  bool Silent(const Peer& peer, Now now) const;
  void CountDrop(uint16_t reason) { ++drops_[reason]; }
  frame::Drop Dropped(frame::Drop d) {
    CountDrop(static_cast<uint16_t>(d));
    return d;
  }
  void Say(Turn& t, Event::Kind kind, const Kid& subject, std::string name, std::string text);

  // handshakes (handshake.cc)
  frame::Drop OnInitiation(Turn& t,
                           ByteView datagram,
                           const Endpoint& from,
                           const wireguard::Source& at);
  frame::Drop OnResponse(Turn& t,
                         ByteView datagram,
                         const Endpoint& from,
                         const wireguard::Source& at);
  frame::Drop OnCookie(Turn& t, ByteView datagram);
  frame::Drop OnBefore(Turn& t, ByteView datagram);
  bool MustProveAddress(Turn& t,
                        ByteView datagram,
                        const Endpoint& from,
                        const wireguard::Source& at,
                        frame::Drop& why);
  frame::Drop OnPresentation(Turn& t,
                             wireguard::ConsumedInitiation consumed,
                             Presented presented,
                             const Endpoint& from,
                             const wireguard::Source& at);
  std::optional<Presented> ParsePresented(const frame::Bundle& bundle,
                                          const X25519Key& static_key,
                                          frame::Drop& why);
  void WrapInitiation(Turn& t, const wireguard::GovernedHandshake& h);
  void WrapResponse(Turn& t, const wireguard::GovernedHandshake& h);
  void SendEnvelope(Turn& t,
                    const wireguard::GovernedHandshake& h,
                    const frame::Envelope& envelope);
  void Prepare(const SessionEnds& ends, ByteView ck);
  void Accept(Turn& t,
              PeerId id,
              const Answer& answer,
              const wireguard::ConsumedInitiation& consumed,
              const Endpoint& from);
  frame::Drop OnAnswer(Turn& t,
                       wireguard::Handshaker::PeekedResponse response,
                       Presented presented,
                       const Endpoint& from);
  void AcceptAnswer(Turn& t,
                    const SessionEnds& ends,
                    const wireguard::Handshaker::PeekedResponse& response,
                    const Endpoint& from);
  bool SameAsDecided(const Peer& peer,
                     const authority::Decision& decision,
                     const Presented& presented) const;
  // The newest timestamp that a verified presentation of this static key carried.
  wireguard::Tai64n FloorOf(const X25519Key& static_key) const;
  bool RaiseFloor(const wireguard::ConsumedInitiation& consumed);  // false: the table is full
  bool NoticesLeft(Turn& t);
  void SendNotice(Turn& t,
                  const wireguard::ConsumedInitiation& refused,
                  authority::Reason reason,
                  const Ref16& about,
                  const Endpoint& to,
                  const wireguard::Source& at);
  authority::Presentation NewPresentation(const Digest& h,
                                          uint8_t role,
                                          uint32_t rx_handle,
                                          std::span<const SignedPtr> words) const;

  // what was seen of whom (observe.cc)
  admission::TrustMemory MemoryFor(const Peer* peer, const Kid& subject) const;
  void RememberRung(const Kid& subject, const admission::TrustMemory& memory);
  void CreditSession(Turn& t, Peer& peer);
  void FollowIssuer(Turn& t, const Kid& kid);
  // True: it is a proof, and was not known.
  bool NoteOverreach(Turn& t, const authority::AuthReport& report, const authority::Chain& chain);
  void ExamineGrant(Turn& t, const SignedPtr& object, const Peer* from);
  void NoteHeard(const authority::AuthReport& report);
  void SpreadProof(Turn& t, const authority::Equivocation& e);
  void NoteEquivocation(Turn& t, const authority::Equivocation& e);
  void NoteTurn(Turn& t, const SignedPtr& restriction);
  void NoteMismatch(Turn& t, const Peer& peer);
  void NoteMalformed(Turn& t, const Peer& peer, ByteView bytes);
  TrustBook::Ground TrustGround() const;
  void SettleTrust(Turn& t);
  void JudgeStandings(Turn& t);

  // what waits for a person, and what was said (approve.cc)
  ApprovalGround GroundForApprovals(Now now) const;
  authority::Chain ChainHeld(const Kid& kid) const;
  bool OpenItem(Turn& t, const Kid& subject, authority::Cause cause, const Escalation& about);
  void Escalate(Turn& t, const Kid& subject, authority::Cause cause, const Escalation& about);
  void EscalateDecision(Turn& t, const authority::Decision& d, bool approved, bool slept);
  bool DropLapsedApproval(Turn& t);
  absl::Status TakeApproval(Turn& t, const SignedPtr& object, const Peer* from);

  // what third parties say (attest.cc)
  bool Asks() const { return mesh_.has_charter() && gate_.AsksForVotes(); }
  std::vector<SignedPtr> WordsFor(Now now, const std::optional<Kid>& reader) const;
  std::vector<ByteView> ItemsBeside(const authority::Signed& first,
                                    frame::Handshake kind,
                                    std::span<const SignedPtr> words) const;
  std::vector<SignedPtr> ChainBehind(Now now, const Kid& kid);
  std::optional<uint32_t> LevelOfChain(const authority::Chain& chain) const;
  std::vector<Voice> VoicesAbout(const Kid& subject, Now now);
  void Corroborate(Turn& t, const Kid& subject, Basis& basis, admission::GateContext& context);
  bool Lends(Now now, std::span<const SignedPtr> grants);
  bool TakeWord(Turn& t, const SignedPtr& object);
  void TakeStapled(Turn& t, const Kid& subject, std::span<const SignedPtr> items);
  bool TakeAttestation(Turn& t, const SignedPtr& object, Peer& from);
  void RecordAttested(Turn& t, const Held<authority::Attest>& attest);
  bool SpeakFor(Turn& t, Peer& peer);
  void NoteSeen(Turn& t, Peer& peer);
  void OfferWords(Turn& t, Peer& peer);
  bool RefreshEligible(Now now);
  uint32_t EligibleFor(const Kid& subject) const;
  bool HangsOn(const Peer& peer, std::span<const Kid> keys) const;
  void JudgeWords(Turn& t);
  void EscalateWords(Turn& t, const authority::Decision& d, bool approved, bool stands);
  void TickAttestations(Turn& t);

  // the next charter (vote.cc)
  absl::Status TakeCharter(Turn& t, const SignedPtr& object, const Peer* from);
  absl::Status TakeVote(Turn& t, const SignedPtr& object, const Peer* from);
  void SettleCharters(Turn& t, const Peer* from);
  void OfferToAll(Turn& t, std::vector<Ref16> refs, const Peer* from);
  void OnCharterChanged(Turn& t);
  void RecordCharter(Turn& t,
                     const Held<authority::Charter>& charter,
                     std::span<const SignedPtr> objects);
  void OfferCharters(Turn& t, Peer& peer);

  // admission (admit.cc)
  authority::Decision Decide(Turn& t,
                             authority::Verified verified,
                             Peer* peer,
                             const authority::Presentation& presentation,
                             admission::TrustMemory& memory,
                             Basis& basis);
  static Basis BasisOf(const authority::AuthReport& report,
                       SignedPtr presented,
                       std::span<const SignedPtr> items);
  Oid StoreInputs(Turn& t, const authority::Presentation& p, Basis basis);
  void KeepInput(const SignedPtr& object);
  // The leaf by which others cite the record.
  Digest RecordDecision(Turn& t,
                        authority::RecordKind kind,
                        const authority::Decision& decision,
                        const Digest& auth_digest,
                        const Oid& inputs);
  void TakeDecision(Turn& t,
                    Peer& peer,
                    const authority::Decision& decision,
                    const Presented& presented);
  PeerPlan PlanFor(Turn& t, Peer& peer, const authority::Decision& decision);
  std::shared_ptr<const admission::Policies> CompilePolicies(Turn& t,
                                                             Peer& peer,
                                                             uint16_t obligations) const;
  // Under a new epoch, which voids every cached ruling.
  std::shared_ptr<const admission::Verdict> VerdictFor(Turn& t,
                                                       Peer& peer,
                                                       const authority::Decision& decision);
  // Until when (wall seconds) its flows pass that rules hold for a person; 0: they wait.
  uint64_t FlowsReleased(const Kid& subject, Now now) const;
  // What the rules between us and a peer are compiled from. Borrows both.
  struct PolicyGround {
    PolicyGround(const Control& control,
                 const Peer& of,
                 uint16_t duties_of_all,
                 uint16_t duties_of_peer);
    admission::Policy::Inputs Inputs(admission::Direction opened, WallTime now) const;
    const Peer& peer;
    const admission::LocalPolicy& local;
    admission::Party us;
    std::vector<Held<authority::Fragment>> ours;
    std::vector<authority::Svc> probation;
    uint16_t duties, peer_duties;  // of all flows; of those that the peer opens as well
  };
  uint16_t FirstUseDuty(const Peer& peer, uint16_t obligations) const;
  void HoldFlow(Turn& t, const Peer& peer);
  void RefreshVerdict(Turn& t, Peer& peer, PeerPlan& plan, const authority::Decision& decision);
  // Keeps a durable decision for the session's confirmation; false: its peer is gone.
  bool MakeReady(Turn& t, PeerId id, Recorded recorded, PeerPlan plan);
  void DropReady(Turn& t, PeerId id);
  void RouteControl(const Peer& peer);
  void Commit(Turn& t, PeerId id);
  void Redecide(Turn& t, Peer& peer);
  void RedecideAll(Turn& t);
  void Close(Turn& t, Peer& peer, authority::Reason reason);
  // Says that what was in force for the peer ends, where no refusal in the log does.
  void RecordEnd(Turn& t, const Peer& peer);
  void Forget(Turn& t, PeerId id);
  Peer* EnsurePeer(Turn& t, const X25519Key& static_key);
  // Where a machine was found, kept so that a restart can look there again.
  void KeepHint(const X25519Key& static_key, const Kid& kid, const Endpoint& endpoint);
  void LoadHint(Turn& t, const X25519Key& static_key, ByteView value);
  void LoadState(Turn& t, std::string_view name, ByteView value);
  void LoadTrust(Now start);
  void TryHints(Turn& t, Peer& peer);
  void TrySoon(Turn& t, Peer& peer);

  // stock WireGuard devices (plain.cc)
  void RefreshPlain(Turn& t);
  void ServePlain(Turn& t, const Held<authority::Grant>& grant);
  std::optional<authority::Decision> JudgePlain(Turn& t,
                                                const Held<authority::Grant>& grant,
                                                Peer* peer,
                                                Digest& recorded);
  void TakePlainDecision(Turn& t, Peer& peer, const authority::Decision& decision);
  void CommitPlain(Turn& t, PeerId id, Recorded recorded, PeerPlan plan);
  void RedecidePlain(Turn& t, Peer& peer);
  void OnFrames(Turn& t, std::span<const InFrame> frames);
  void HearControl(Turn& t, std::span<const ControlPacket> control);
  bool HasSession(PeerId id) const;
  void OnOther(Turn& t, const InFrame& in);
  void OnBareData(Turn& t, std::span<const InFrame> messages);

  // inside the tunnel (messages.cc)
  void OnControl(Turn& t, const ControlPacket& packet);
  void OnMessage(Turn& t, Peer& peer, const frame::Message& m);
  bool MayPull(const Peer& peer, const frame::Message& m) const;
  void OnPull(Turn& t, Peer& peer, const frame::Message& m);
  void OnOffer(Turn& t, Peer& peer, const frame::Message& m);
  void OnObject(Turn& t, Peer& peer, const frame::Message& m);
  void OnVector(Turn& t, Peer& peer, const frame::Message& m);
  void TakeObject(Turn& t, Peer& peer, const SignedPtr& object);
  void SendControl(
      Turn& t, const Peer& peer, frame::Control kind, ByteView body, uint32_t request = 0);
  void SendVector(Turn& t, const Peer& peer);
  void SendObject(Turn& t, const Peer& peer, const authority::Signed& object);
  void SendRefs(Turn& t, const Peer& peer, frame::Control kind, std::span<const Ref16> refs);
  void Pull(Turn& t, Peer& peer, std::span<const Ref16> refs);
  void Greet(Turn& t, Peer& peer);
  void OfferAnnounces(Turn& t, const Peer& peer);
  void NoticePeer(Turn& t,
                  Peer& peer,
                  authority::Reason reason,
                  const std::optional<frame::Flow>& flow);
  absl::Status OnRestriction(Turn& t, const SignedPtr& object, const Peer* from);
  void OnRestrictionTaken(Turn& t, const SignedPtr& object, const Peer* from);
  void RecordRestriction(Turn& t, const SignedPtr& object);
  void TakeLate(Turn& t);
  void SendRestrictions(Turn& t, Peer& peer, std::span<const SignedPtr> objects);
  void Offer(Turn& t, Peer& peer, std::span<const Ref16> refs);
  void NoteOwnChain(Turn& t);
  void Spread(Turn& t, const SignedPtr& object, const Peer* except);
  void TakeAnnounce(Turn& t, const SignedPtr& object);
  void RenewAnnounce(Turn& t);

  // joining and renewing (join.cc)
  absl::StatusOr<Held<authority::Request>> LiveRequest(Turn& t,
                                                       const Digest& h,
                                                       uint32_t rx_handle,
                                                       const authority::Nonce16& nonce);
  frame::Drop OnSponsorResponse(Turn& t,
                                wireguard::Handshaker::PeekedResponse response,
                                Presented presented,
                                const Endpoint& from);
  frame::Drop OnRequest(Turn& t,
                        wireguard::ConsumedInitiation consumed,
                        const SignedPtr& object,
                        const SignedPtr& invite_object,
                        const Endpoint& from,
                        const wireguard::Source& at);
  // Why the invitation does not let this joiner in here; kNone if it does.
  authority::Reason WhyNotInvited(const Held<authority::Invite>& invite, const Kid& joiner) const;
  void AwaitWords(Peer& peer,
                  const authority::Decision& decision,
                  Held<authority::Request> request,
                  Held<authority::Invite> invite);
  void OnWords(Turn& t, Peer& peer, const frame::Message& m);
  void GrantJoin(Turn& t, Peer& peer);
  void OnOwnObjects(Turn& t);
  void SayWords(Turn& t, Peer& sponsor);
  void RepeatFloor(Turn& t, const SignedPtr& object);
  void RecordIssued(Turn& t, const Kid& subject, const Oid& grant);
  bool Taken(const IpAddress& a) const;
  void StartJoin(Turn& t);
  void SendDeposit(Turn& t, Peer& peer);
  void OnDeposit(Turn& t, Peer& peer, const frame::Message& m);
  void AskRenewal(Turn& t);
  void OnRenewalRequest(Turn& t, Peer& peer, const SignedPtr& object);

  // the log's heads (log_heads.cc)
  std::vector<Fellow> Fellows() const;
  void OnHeads(Turn& t, const Peer& peer, const frame::Message& m);
  void TickHeads(Turn& t);
  void SettleHeads(Turn& t);
  void NoteFork(Turn& t, const Cosigner::Fork& fork);
  void RecordRestrictions(Turn& t);

  Peer* PeerOf(PeerId id);
  template <class F>
  std::vector<PeerId> PeersWhere(F f) const {
    std::vector<PeerId> ids;  // because what is done to one peer may end another
    for (const auto& [id, peer] : peers_) {
      if (f(peer)) ids.push_back(id);
    }
    return ids;
  }
  const Peer* PeerOf(PeerId id) const;
  bool joining() const { return mesh_.leaf() == nullptr && config_.invitation.has_value(); }
  ScopeId ScopeForControl() const;
  IpAddress Address6Of(const Kid& kid) const;

  Config config_;
  Rng rng_;
  Mesh mesh_;
  Recorder recorder_;
  TrustBook trust_;
  Escalations escalations_;
  Attestations attestations_;
  // Of each issuing group some that may attest and are known long enough: as many as can count.
  std::map<std::string, std::vector<Kid>> eligible_;
  uint64_t words_epoch_ = 0;            // in which all words were last weighed
  std::optional<PeerId> words_from_{};  // whose are to be weighed again next, and all after it
  Letters letters_;
  Notary notary_;
  Cosigner cosigner_;
  std::optional<tlog::SignedCheckpoint> beyond_;  // a head of ours that our disk does not lead to
  wireguard::Device device_;
  Datapath datapath_;
  Lane lane_;  // of what this thread itself seals and opens
  Actuator actuator_;
  admission::Gate gate_;
  frame::StaticKeys own_keys_;
  crypto::Ed25519Pair signing_;  // of config_.identity
  wireguard::CookieChecker cookies_;
  wireguard::RateLimiter limiter_;
  wireguard::LoadMeter load_;
  frame::ObjectAssembler assembler_;

  std::map<PeerId, Peer> peers_;
  std::map<uint32_t, PendingInitiation> pending_;  // by our local index; one a peer
  std::map<PeerId, Answer> answering_;  // between accepting an initiation and wrapping its response
  std::map<PeerId, SessionOrder> installing_;  // keys ready, WireGuard's session event awaited
  std::map<PeerId, Ready> ready_;
  std::map<PeerId, wireguard::CookieKeeper> keepers_;
  std::map<X25519Key, Instant> noticed_;   // static keys that got a NOTICE lately
  std::map<PeerId, uint32_t> live_index_;  // newest session's local index
  std::map<Kid, lineage::ContentKey> content_keys_;
  std::map<X25519Key, wireguard::Tai64n> floors_;  // persisted timestamp floors
  std::map<X25519Key, Kid> proved_;                // statics that a verified presentation proved
  std::map<Kid, bool> committed_before_;
  Approvals approvals_;  // the newest of each subject and question
  std::deque<std::pair<SignedPtr, uint64_t>>
      heard_;                      // statements that others brought, with their numbers
  std::map<Kid, Bytes> deposits_;  // terminal self-revocations kept for others
  std::map<Oid, std::vector<Kid>> invite_uses_;  // for whom; of limited ones alone
  std::map<X25519Key, Endpoint> kept_hints_;     // on disk: where a peer was last
  std::map<Kid, std::pair<SignedPtr, authority::Announce>> announces_;
  std::map<Ref16, Kid> announce_refs_;
  std::map<Ref16, PeerId> pulled_;                             // asked for, of whom
  std::map<std::pair<X25519Key, Ref16>, Instant> negative_;    // (static, leaf) refused lately
  authority::FifoMap<Oid, bool> inputs_kept_{kInputsKeptMax};  // on their shelf already
  std::map<Oid, Instant> plain_refused_;                       // PLAIN grants, until when
  std::map<uint16_t, uint64_t> drops_;                         // since the last DROPS record
  std::optional<Joining> join_;
  std::vector<SignedPtr> received_;  // pulled, not yet persisted
  std::map<Kid, bool> deposited_;    // custodians of our self-revocation
  std::map<Kid, Bytes> repeats_;     // subjects renewed here: the issuers whose floors we repeat
  std::map<Kid, Instant> renewed_at_;
  Instant renew_at_{};
  std::vector<Ref16> join_refs_;  // joiner: what the sponsor offered
  uint64_t synced_wall_ = 0;      // seconds: when restrictions were last level with someone
  uint32_t epoch_ = 0;
  uint32_t policy_generation_ = 0;  // rises when what policies are compiled from changes
  Instant next_tick_{};
  ClockWatch clock_;
  Instant notice_second_{};
  int notices_this_second_ = 0;
  bool up_ = false;
  Turn* turn_ = nullptr;  // set while durable work runs
};

}  // namespace aqmesh::node

#endif  // AQMESH_NODE_CONTROL_H_
