#include "core/authority/signed.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "core/wire/reader.h"
#include "core/wire/refusal.h"
#include "core/wire/writer.h"

namespace aqmesh::authority {

namespace {

using wire::Reader;
using wire::WireType;

struct Kind {
  Ctx ctx;
  std::string_view name;
  size_t bytes_max;            // of the Signed, in suite 1
  bool only_by_value = false;  // ... and in any other: it has to fit a bundle
};
constexpr Kind kKinds[] = {
    {Ctx::kCharter, "charter", 16'384},
    {Ctx::kGrant, "grant", 1'280},
    {Ctx::kFragment, "fragment", 16'384},
    {Ctx::kKeybind, "keybind", 256},
    {Ctx::kRotate, "rotate", 320},
    {Ctx::kAttest, "attest", 320},
    {Ctx::kRevoke, "revoke", 256},
    {Ctx::kCosign, "cosign", 256},
    {Ctx::kObserve, "observe", 4'096},
    {Ctx::kTreaty, "treaty", 8'192},
    {Ctx::kPardon, "pardon", 320},
    {Ctx::kPresentation, "presentation", 432, true},
    {Ctx::kInvite, "invite", 592, true},
    {Ctx::kRequest, "request", 432, true},
    {Ctx::kApprove, "approve", 256},
    {Ctx::kAnnounce, "announce", 512},
    {Ctx::kPolicy, "policy", 16'384},
    {Ctx::kRetention, "retention", 1'024},
};

const Kind* KindOf(uint64_t ctx) {
  const auto found = std::find_if(std::begin(kKinds), std::end(kKinds), [ctx](const Kind& k) {
    return static_cast<uint64_t>(k.ctx) == ctx;
  });
  return found == std::end(kKinds) ? nullptr : found;
}

std::array<uint8_t, 2> BE16(Suite suite) {
  std::array<uint8_t, 2> out;
  StoreBe(out.data(), static_cast<uint16_t>(suite));
  return out;
}

// The five fields of an envelope, in order and all required; the first broken rule ends it.
class EnvelopeReader {
 public:
  explicit EnvelopeReader(ByteView bytes) : bytes_(bytes), reader_(bytes) {}

  uint64_t Number(uint32_t number, std::string_view name) {
    if (!Enter(number, name, WireType::kVarint)) return 0;
    return Take(reader_.Number());
  }
  ByteView String(uint32_t number, std::string_view name, size_t size_max) {
    if (!Enter(number, name, WireType::kBytes)) return {};
    const ByteView out = Take(reader_.String());
    if (out.size() > size_max) Refuse(Join(out.size(), " bytes, at most ", size_max));
    return out;
  }
  void Finish() {
    name_ = "";
    start_ = reader_.at();
    if (!refusal_ && !reader_.done()) Refuse("bytes after the last field");
  }
  // About the field read last.
  void Require(bool holds, std::string_view rule) {
    if (!holds) Refuse(std::string(rule));
  }
  const std::optional<wire::Refusal>& refusal() const { return refusal_; }

 private:
  bool Enter(uint32_t number, std::string_view name, WireType type) {
    if (refusal_) return false;
    number_ = number;
    name_ = name;
    start_ = reader_.at();
    if (reader_.done()) {
      Refuse("required, but absent");
      return false;
    }
    const wire::Tag tag = Take(reader_.PeekTag());
    if (refusal_) return false;
    if (tag != wire::Tag{number, type}) {
      Refuse(tag.number > number   ? "required, but absent"
             : tag.number < number ? "a field doubled, or out of ascending order, stands before it"
                                   : "wrong wire type");
      return false;
    }
    reader_.SkipTag();
    return true;
  }
  template <class T>
  T Take(Reader::Result<T> read) {
    if (const auto* fault = std::get_if<Reader::Fault>(&read)) {
      start_ = fault->byte;
      Refuse(fault->rule);
      return T{};
    }
    return std::get<T>(read);
  }
  void Refuse(std::string rule) {
    if (refusal_) return;
    std::string field = name_.empty() ? "" : Join("field ", number_, " ", name_);
    refusal_ = wire::Refusal{"envelope", std::move(field), start_, std::move(rule), 1};
  }

  ByteView bytes_;
  Reader reader_;
  uint32_t number_ = 0;
  std::string_view name_;
  size_t start_ = 0;
  std::optional<wire::Refusal> refusal_;
};

Bytes EncodeEnvelope(Ctx ctx, Suite suite, const Kid& kid, ByteView body, ByteView sig) {
  wire::Writer w;
  w.Number(1, static_cast<uint64_t>(ctx));
  w.Number(2, static_cast<uint64_t>(suite));
  w.String(3, kid);
  w.String(4, body);
  w.String(5, sig);
  return w.Take();
}

Bytes PaeOf(Ctx ctx, Suite suite, const Kid& kid, ByteView body) {
  return Pae(Join("aqmesh/1/", CtxName(ctx)), suite, kid, body);
}

}  // namespace

std::string_view CtxName(Ctx ctx) {
  const Kind* kind = KindOf(static_cast<uint64_t>(ctx));
  AQ_CHECK(kind != nullptr);
  return kind->name;
}

std::optional<Ctx> CtxNamed(std::string_view name) {
  const auto same = [name](const Kind& k) {
    return std::equal(
        name.begin(), name.end(), k.name.begin(), k.name.end(), [](char given, char lower) {
          return given == lower || (given >= 'A' && given <= 'Z' && given - 'A' + 'a' == lower);
        });
  };
  const auto found = std::find_if(std::begin(kKinds), std::end(kKinds), same);
  if (found == std::end(kKinds)) return std::nullopt;
  return found->ctx;
}

Kid KidOf(Suite suite, ByteView public_key) {
  return Kid{crypto::H128({AsBytes("aqmesh/1/kid"), BE16(suite), public_key})};
}
Digest NextKeyOf(Suite suite, ByteView public_key) {
  return Digest{crypto::H256({AsBytes("aqmesh/1/next"), BE16(suite), public_key})};
}
ScopeId ScopeOf(ByteView genesis_body) {
  return ScopeId{crypto::H128({AsBytes("aqmesh/1/scope"), genesis_body})};
}

size_t SignedSize(size_t body_size, Suite suite) {
  const size_t sig = SignatureSize(suite);
  return 2 + 1 + wire::VarintSize(static_cast<uint64_t>(suite)) + 2 + Kid::kSize + 1 +
         wire::VarintSize(body_size) + body_size + 1 + wire::VarintSize(sig) + sig;
}

size_t SignedBytesMax(Ctx ctx, Suite suite) {
  const Kind* kind = KindOf(static_cast<uint64_t>(ctx));
  AQ_CHECK(kind != nullptr);
  if (kind->only_by_value) return kind->bytes_max;
  const size_t on_top = SignedSize(1, suite) - SignedSize(1, Suite::kEd25519);
  return std::min(kObjectBytesMax, kind->bytes_max + on_top);
}

bool SignsPresentations(Suite suite) {
  return SignatureSize(suite) != 0 && SignedSize(1, suite) <= SignedSize(1, Suite::kEd25519);
}

Bytes Pae(std::string_view ctx_label, Suite suite, const Kid& kid, ByteView body) {
  AQ_CHECK(ctx_label.size() < 256);
  Bytes out;
  Append(out, AsBytes("AQ1"));
  out.push_back(static_cast<uint8_t>(ctx_label.size()));
  Append(out, AsBytes(ctx_label));
  AppendBe(out, static_cast<uint16_t>(suite));
  Append(out, kid);
  AppendBe(out, static_cast<uint32_t>(body.size()));
  Append(out, body);
  return out;
}

absl::StatusOr<Signed> Signed::Parse(ByteView bytes) {
  // spec: objects#1 rule 5: the total first.
  if (bytes.empty() || bytes.size() > kObjectBytesMax) {
    return wire::Refusal{"envelope", "", 0, Join(bytes.size(), " bytes, not 1..", kObjectBytesMax)}
        .ToStatus();
  }
  EnvelopeReader r(bytes);
  const uint64_t ctx = r.Number(1, "ctx");
  r.Require(KindOf(ctx) != nullptr, "unknown kind of object");
  const uint64_t suite = r.Number(2, "suite");
  r.Require(suite <= UINT16_MAX && SignatureSize(static_cast<Suite>(suite)) != 0,
            "not a suite that signs");
  const ByteView kid = r.String(3, "kid", Kid::kSize);
  r.Require(kid.size() == Kid::kSize, "not 16 bytes");
  const ByteView body = r.String(4, "body", kBodyBytesMax);
  const ByteView sig = r.String(5, "sig", kSigBytesMax);
  r.Require(sig.size() == SignatureSize(static_cast<Suite>(suite)),
            "not the size of the suite's signatures");
  r.Finish();
  if (r.refusal()) return r.refusal()->ToStatus();

  Signed s;
  s.ctx_ = static_cast<Ctx>(ctx);
  s.suite_ = static_cast<Suite>(suite);
  s.kid_ = *Kid::From(kid);
  s.body_at_ = static_cast<size_t>(body.data() - bytes.data());
  s.body_size_ = body.size();
  s.sig_at_ = static_cast<size_t>(sig.data() - bytes.data());
  s.sig_size_ = sig.size();
  s.bytes_.assign(bytes.begin(), bytes.end());
  // spec: objects#1 rule 4. The reader leaves no second encoding; the comparison is the proof.
  if (EncodeEnvelope(s.ctx_, s.suite_, s.kid_, body, sig) != s.bytes_) {
    return wire::Refusal{"envelope", "", 0, "encodes differently when written again"}.ToStatus();
  }
  s.oid_ = Oid{crypto::Blake2bPersonal("aqmesh-oid-v1", {PaeOf(s.ctx_, s.suite_, s.kid_, body)})};
  return s;
}

namespace {

Bytes SignedOver(const Signed& s) { return PaeOf(s.ctx(), s.suite(), s.kid(), s.body()); }

// Asks `sign` for the signature of suite and key over PAE.
template <class F>
Signed SignAs(Ctx ctx, ByteView body, Suite suite, const Ed25519Key& key, F sign) {
  const Kid kid = KidOf(suite, key);
  const Bytes envelope = EncodeEnvelope(ctx, suite, kid, body, sign(PaeOf(ctx, suite, kid, body)));
  absl::StatusOr<Signed> out = Signed::Parse(envelope);
  AQ_CHECK(out.ok());
  return *std::move(out);
}

}  // namespace

bool VerifySignature(const Signed& s, const Ed25519Key& key) {
  return KidOf(s.suite(), key) == s.kid() && VerifyBy(s.suite(), key, SignedOver(s), s.sig());
}

bool VerifySignature(const Signed& s, const KeyVerifier& key) {
  return s.suite() == key.suite() && KidOf(s.suite(), key.key()) == s.kid() &&
         key.Verify(SignedOver(s), s.sig());
}

Signed Sign(Ctx ctx, ByteView body, const SuiteKey& key) {
  return SignAs(ctx, body, key.suite, PublicOf(key.suite, key.seed), [&key](const Bytes& pae) {
    return SignBy(key.suite, key.seed, pae);
  });
}

Signed Sign(Ctx ctx, ByteView body, const crypto::Ed25519Seed& seed) {
  return Sign(ctx, body, crypto::Ed25519Pair(seed));
}

Signed Sign(Ctx ctx, ByteView body, const crypto::Ed25519Pair& pair) {
  return SignAs(ctx, body, Suite::kEd25519, pair.public_key(), [&pair](const Bytes& pae) {
    return pair.Sign(pae);
  });
}

}  // namespace aqmesh::authority
