// Any bytes from a TUN or out of a tunnel: the classifier reads them within bounds and keeps its
// promises.
#include "tests/admission/classifier_property.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  aqmesh::admission::CheckClassifier({data, size});
  return 0;
}
