// What must hold of the classifier for any bytes at all. The fuzzer and the plain suite ask the
// same question.
#ifndef AQMESH_TESTS_ADMISSION_CLASSIFIER_PROPERTY_H_
#define AQMESH_TESTS_ADMISSION_CLASSIFIER_PROPERTY_H_

#include "admission/packet.h"
#include "core/base/check.h"

namespace aqmesh::admission {

inline void CheckClassifier(ByteView bytes) {
  PacketInfo p;
  const Drop drop = Classify(bytes, p);
  if (drop != Drop::kNone) {
    AQ_CHECK(!p.classified && p.proto == 0);  // left as it was
    return;
  }
  AQ_CHECK(p.src.is_v6() == p.dst.is_v6());
  AQ_CHECK(bytes.size() >= (p.is_v6() ? 40u : 20u));
  if (!p.classified) {
    AQ_CHECK(p.part == Part::kOpensOnly && p.sport == 0 && p.dport == 0 && !p.about);
  } else {
    AQ_CHECK(!p.fragment);
  }
  const Flow f = p.flow();
  AQ_CHECK(f.Reversed().Reversed() == f);
  const PacketInfo opener = OpenerOf(f);
  AQ_CHECK(opener.flow() == f);
  AQ_CHECK(opener.classified == p.classified && opener.src == p.src && opener.dst == p.dst &&
           opener.dport == p.dport);
  if (p.about) {
    AQ_CHECK(p.part == Part::kError);
    AQ_CHECK(p.about->bytes[0] == f.bytes[0]);
    AQ_CHECK(OpenerOf(*p.about).flow() == *p.about);
  }
}

}  // namespace aqmesh::admission

#endif  // AQMESH_TESTS_ADMISSION_CLASSIFIER_PROPERTY_H_
