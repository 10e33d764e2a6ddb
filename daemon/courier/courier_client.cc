#include "daemon/courier/courier_client.h"

#include "core/base/status.h"
#include "transport/os/unix_socket.h"

namespace aqmesh::daemon {

absl::StatusOr<CourierClient> CourierClient::Take(os::Fd fd) {
  AQ_RETURN_IF_ERROR(os::SetNonBlocking(fd.get()));
  return CourierClient(std::move(fd));
}

absl::Status CourierClient::Send(const Errand& errand) {
  const Bytes message = Encode(errand);
  if (message.size() > kCourierMessageMax)
    return InvalidArgument("a request of ", message.size(), " bytes is too large to be carried");
  return os::SendMessage(fd_.get(), message);
}

absl::Status CourierClient::Receive(std::vector<Outcome>& out) {
  for (size_t i = 0; i < kOutcomesATime; ++i) {
    const auto message = os::ReceiveMessage(fd_.get());
    if (absl::IsUnavailable(message.status())) break;
    if (absl::IsInvalidArgument(message.status())) continue;  // longer than any that it sends
    AQ_RETURN_IF_ERROR(message.status());
    if (auto outcome = ParseOutcome(message->bytes)) out.push_back(*std::move(outcome));
  }
  return absl::OkStatus();
}

}  // namespace aqmesh::daemon
