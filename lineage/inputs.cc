#include "lineage/inputs.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/crypto/hash.h"
#include "core/wire/refusal.h"
#include "core/wire/writer.h"
#include "lineage/field_scan.h"

namespace aqmesh::lineage {
namespace {

constexpr std::string_view kPersonal = "aqmesh-inp-v1";
constexpr unsigned kSection = 7;  // of spec/objects.md

// Field n is row n-1.
constexpr FieldRow kInputFields[] = {{"oids", kBytesField, kInputOidsMax},
                                     {"policy", kBytesField},
                                     {"slopes", kBytesField, kInputSlopesMax},
                                     {"age", kNumberField},
                                     {"wall", kNumberField},
                                     {"mono", kNumberField},
                                     {"prev_rung", kNumberField},
                                     {"h", kBytesField},
                                     {"action", kNumberField},
                                     {"since", kNumberField},
                                     {"epochs", kNumberField},
                                     {"flags", kNumberField},
                                     {"held", kNumberField},
                                     {"restricted", kNumberField},
                                     {"granted", kBytesField, kInputGrantedMax},
                                     {"issuer", kBytesField},
                                     {"last_use", kNumberField},
                                     {"epoch", kNumberField},
                                     {"weighed", kBytesField},
                                     {"voices", kBytesField, kInputVoicesMax},
                                     {"eligible", kNumberField}};
constexpr FieldRow kVoiceFields[] = {{"kid", kBytesField}, {"ladm", kNumberField}};
constexpr FieldRow kWeighedFields[] = {
    {"r", kNumberField}, {"s", kNumberField}, {"u", kNumberField}, {"equivocation", kNumberField}};
constexpr FieldRow kSlopeFields[] = {{"kid", kBytesField},
                                     {"a", kNumberField},
                                     {"R_f", kNumberField},
                                     {"S_f", kNumberField},
                                     {"U", kNumberField},
                                     {"R_s", kNumberField},
                                     {"S_s", kNumberField},
                                     {"J", kNumberField},
                                     {"X", kNumberField},
                                     {"kap", kNumberField},
                                     {"last", kNumberField},
                                     {"col", kNumberField},
                                     {"e_pos", kNumberField}};

Bytes EncodeSlope(const SlopeInput& s) {
  wire::Writer w;
  w.String(1, s.kid);
  w.Number(2, s.a);
  w.Number(3, s.r_f);
  w.Number(4, s.s_f);
  w.Number(5, s.u);
  w.Number(6, s.r_s);
  w.Number(7, s.s_s);
  w.Number(8, s.j);
  w.Number(9, s.x);
  w.Number(10, s.kap);
  w.Number(11, s.last);
  w.Number(12, s.col);
  w.Number(13, s.e_pos);
  return w.Take();
}

absl::StatusOr<SlopeInput> ParseSlope(ByteView bytes) {
  FieldScan scan(bytes, kSlopeFields, "slope", kSection);
  SlopeInput s;
  bool has_kid = false;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1:
        s.kid = scan.Bytes<Kid>();
        has_kid = true;
        break;
      case 2: s.a = scan.Integer<uint32_t>(); break;
      case 3: s.r_f = scan.Integer<uint32_t>(); break;
      case 4: s.s_f = scan.Integer<uint32_t>(); break;
      case 5: s.u = scan.Integer<uint32_t>(); break;
      case 6: s.r_s = scan.Integer<uint32_t>(); break;
      case 7: s.s_s = scan.Integer<uint32_t>(); break;
      case 8: s.j = scan.Integer<uint32_t>(); break;
      case 9: s.x = scan.Integer<uint32_t>(); break;
      case 10: s.kap = scan.Integer<uint8_t>(); break;
      case 11: s.last = scan.Integer<uint64_t>(); break;
      case 12: s.col = scan.Integer<uint8_t>(); break;
      case 13: s.e_pos = scan.Integer<uint64_t>(); break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  scan.Must(has_kid, "kid is missing");
  if (!scan.status().ok()) return scan.status();
  return s;
}

Bytes EncodeWeighed(const WeighedInput& e) {
  wire::Writer w;
  w.Number(1, e.r);
  w.Number(2, e.s);
  w.Number(3, e.u);
  w.Number(4, e.equivocation ? 1 : 0);
  return w.Take();
}

absl::StatusOr<WeighedInput> ParseWeighed(ByteView bytes) {
  FieldScan scan(bytes, kWeighedFields, "weighed", kSection);
  WeighedInput e;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: e.r = scan.Integer<uint32_t>(); break;
      case 2: e.s = scan.Integer<uint32_t>(); break;
      case 3: e.u = scan.Integer<uint32_t>(); break;
      case 4: e.equivocation = scan.Number(1) == 1; break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  if (!scan.status().ok()) return scan.status();
  return e;
}

Bytes EncodeVoice(const VoiceInput& v) {
  wire::Writer w;
  w.String(1, v.kid);
  w.Number(2, v.ladm);
  return w.Take();
}

absl::StatusOr<VoiceInput> ParseVoice(ByteView bytes) {
  FieldScan scan(bytes, kVoiceFields, "voice", kSection);
  VoiceInput v;
  bool has_kid = false;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1:
        v.kid = scan.Bytes<Kid>();
        has_kid = true;
        break;
      case 2: v.ladm = scan.Integer<uint32_t>(); break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  scan.Must(has_kid, "kid is missing");
  if (!scan.status().ok()) return scan.status();
  return v;
}

Bytes Encode(const Inputs& in) {
  wire::Writer w;
  for (const Oid& oid : in.oids) w.String(1, oid);
  w.String(2, in.policy);
  for (const SlopeInput& slope : in.slopes) w.String(3, EncodeSlope(slope));
  w.Number(4, in.age);
  w.Number(5, in.wall_millis);
  w.Number(6, in.mono_nanos);
  w.Number(7, static_cast<uint64_t>(in.prev_rung));
  if (in.h) w.String(8, *in.h);
  w.Number(9, in.action);
  w.Number(10, in.since);
  w.Number(11, in.epochs);
  w.Number(12, in.flags);
  w.Number(13, in.held);
  w.Number(14, in.restricted);
  for (const GrantedPair& pair : in.granted) w.String(15, pair);
  if (in.issuer) w.String(16, *in.issuer);
  w.Number(17, in.last_use);
  w.Number(18, in.epoch);
  if (in.weighed) w.String(19, EncodeWeighed(*in.weighed));
  for (const VoiceInput& voice : in.voices) w.String(20, EncodeVoice(voice));
  w.Number(21, in.eligible);
  return w.Take();
}

template <class T, class Less>
void SortUnique(std::vector<T>& list, Less less) {
  std::sort(list.begin(), list.end(), less);
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

Bytes EncodeInputs(Inputs in) {
  SortUnique(in.oids, std::less<>());
  SortUnique(in.slopes, [](const SlopeInput& x, const SlopeInput& y) {
    return EncodeSlope(x) < EncodeSlope(y);
  });
  SortUnique(in.granted, std::less<>());
  SortUnique(in.voices, [](const VoiceInput& x, const VoiceInput& y) {
    return EncodeVoice(x) < EncodeVoice(y);
  });
  AQ_CHECK(in.oids.size() <= kInputOidsMax);
  AQ_CHECK(in.granted.size() <= kInputGrantedMax);
  AQ_CHECK(in.slopes.size() <= kInputSlopesMax);
  AQ_CHECK(in.voices.size() <= kInputVoicesMax);
  AQ_CHECK(in.wall_millis != 0);
  AQ_CHECK(in.mono_nanos != 0);
  AQ_CHECK(!in.weighed || *in.weighed != WeighedInput{});
  Bytes out = Encode(in);
  AQ_CHECK(out.size() <= kInputsBytesMax);
  return out;
}

absl::StatusOr<Inputs> ParseInputs(ByteView bytes) {
  if (bytes.size() > kInputsBytesMax) {
    return wire::Refusal{"inputs", "", kInputsBytesMax, "too large", kSection}.ToStatus();
  }
  FieldScan scan(bytes, kInputFields, "inputs", kSection);
  Inputs in;
  bool has_policy = false;
  while (const uint32_t field = scan.Next()) {
    switch (field) {
      case 1: in.oids.push_back(scan.Bytes<Oid>()); break;
      case 2:
        in.policy = scan.Bytes<Digest>();
        has_policy = true;
        break;
      case 3: {
        auto slope = ParseSlope(scan.String());
        if (slope.ok()) in.slopes.push_back(*slope);
        scan.Adopt(slope.status());
        break;
      }
      case 4: in.age = scan.Integer<uint64_t>(); break;
      case 5: in.wall_millis = scan.Integer<uint64_t>(); break;
      case 6: in.mono_nanos = scan.Integer<uint64_t>(); break;
      case 7: in.prev_rung = static_cast<authority::Rung>(scan.Number(6)); break;
      case 8: in.h = scan.Bytes<Digest>(); break;
      case 9: in.action = scan.Integer<uint16_t>(); break;
      case 10: in.since = scan.Integer<uint64_t>(); break;
      case 11: in.epochs = scan.Integer<uint32_t>(); break;
      case 12: in.flags = static_cast<uint16_t>(scan.Number(kInputFlagsAll)); break;
      case 13: in.held = scan.Integer<uint64_t>(); break;
      case 14: in.restricted = scan.Integer<uint64_t>(); break;
      case 15: in.granted.push_back(scan.Bytes<GrantedPair>()); break;
      case 16: in.issuer = scan.Bytes<Ed25519Key>(); break;
      case 17: in.last_use = scan.Integer<uint64_t>(); break;
      case 18: in.epoch = scan.Integer<uint64_t>(); break;
      case 19: {
        auto weighed = ParseWeighed(scan.String());
        if (weighed.ok()) in.weighed = *weighed;
        scan.Adopt(weighed.status());
        break;
      }
      case 20: {
        auto voice = ParseVoice(scan.String());
        if (voice.ok()) in.voices.push_back(*voice);
        scan.Adopt(voice.status());
        break;
      }
      case 21: in.eligible = scan.Integer<uint32_t>(); break;
      default: break;  // Next() refuses what is not in the table
    }
  }
  scan.Must(has_policy, "policy is missing");
  scan.Must(in.wall_millis != 0, "wall is missing");
  scan.Must(in.mono_nanos != 0, "mono is missing");
  if (!scan.status().ok()) return scan.status();
  // spec: objects#1 rule 4: one encoding a value, held by comparing.
  if (Encode(in) != Bytes(bytes.begin(), bytes.end())) {
    return wire::Refusal{"inputs", "", 0, "not the one encoding of its value", kSection}.ToStatus();
  }
  return in;
}

Oid InputsId(ByteView encoded) { return Oid{crypto::Blake2bPersonal(kPersonal, {encoded})}; }

}  // namespace aqmesh::lineage
