// Whatever an admitted peer says inside the tunnel: what a parser takes, its encoder gives back.
#include <optional>

#include "core/base/check.h"
#include "transport/frame/assembler.h"
#include "transport/frame/control.h"

using namespace aqmesh;         // NOLINT: one file, one entry
using namespace aqmesh::frame;  // NOLINT

namespace {

void FuzzBody(ByteView body, ObjectAssembler& objects) {
  Refs refs;
  if (ParseRefs(body, refs) == Drop::kNone) AQ_CHECK(Equal(EncodeRefs(refs.view()), body));
  FlowNotice notice;
  if (ParseFlowNotice(body, notice) == Drop::kNone) AQ_CHECK(Equal(EncodeFlowNotice(notice), body));
  VectorPart part;
  if (ParseVectorPart(body, part) == Drop::kNone) {
    Bytes again = {part.part, part.parts};
    for (const Row& row : part.view()) Append(again, EncodeRow(row));
    AQ_CHECK(Equal(again, body));
    VectorAssembler vector;
    AQ_CHECK(vector.Add(1, part) == Drop::kNone);
    if (vector.complete()) (void)RowsRoot(vector.Rows());
  }
  Piece piece;
  std::optional<Bytes> finished;
  if (ParseObjectPiece(body, piece) == Drop::kNone)
    (void)objects.Add(Instant{}, {}, piece, finished);
  AQ_CHECK(objects.bytes() <= size_t{64} << 10);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView in(data, size);
  ObjectAssembler objects({});
  FuzzBody(in, objects);
  Messages messages;
  if (ParseMessages(in, messages) == Drop::kNone) {
    for (const Message& m : messages) FuzzBody(m.body, objects);
  }
  if (size >= 40) {  // addresses as the packet says, so that the other checks are reached
    const auto from = IpAddress::From(in.subspan(8, 16));
    const auto to = IpAddress::From(in.subspan(24, 16));
    if (from && to && ParsePacket(in, *from, *to, messages) == Drop::kNone &&
        messages.unknown == 0) {
      PacketWriter writer;
      for (const Message& m : messages) AQ_CHECK(writer.Add(m.kind, m.request, m.body));
      AQ_CHECK(Equal(writer.Finish(*from, *to), in));
    }
  }
  return 0;
}
