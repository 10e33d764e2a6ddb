#include "daemon/net/net_protocol.h"

#include <algorithm>
#include <optional>

#include "core/base/status.h"

namespace aqmesh::daemon {

using namespace net;  // NOLINT(google-build-using-namespace): the messages of this very protocol

namespace {

enum Kind : uint8_t {
  kOpenTun = 1,
  kSetUp,
  kAddAddress,
  kRemoveAddress,
  kAddRoute,
  kRemoveRoute,
  kReadBack,
  kMachineAddresses,
  kDone = 65,
  kFailed,
  kTun,
  kState,
  kAddresses,
};
constexpr size_t kNameMax = 15;
constexpr size_t kTextMax = 1024;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// ---- writing ----

void Put(Bytes& out, const IpAddress& a) {
  out.push_back(static_cast<uint8_t>(a.size()));
  Append(out, a.bytes());
}
void Put(Bytes& out, const Prefix& p) {
  Put(out, p.address);
  out.push_back(p.length);
}
void Put(Bytes& out, std::string_view text, size_t max) {
  text = text.substr(0, max);
  AppendBe(out, static_cast<uint16_t>(text.size()));
  Append(out, AsBytes(text));
}
template <class T>
void Put(Bytes& out, const std::vector<T>& list, size_t max) {
  const size_t count = std::min(list.size(), max);
  AppendBe(out, static_cast<uint16_t>(count));
  for (size_t i = 0; i < count; ++i) Put(out, list[i]);
}

// ---- reading: after the first fault everything reads as empty, and End() says no ----

class Cursor {
 public:
  explicit Cursor(ByteView bytes) : rest_(bytes) {}

  template <class T>
  T Number() {
    if (!Need(sizeof(T))) return 0;
    const T value = LoadBe<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  bool Flag() {
    const uint8_t value = Number<uint8_t>();
    good_ = good_ && value <= 1;
    return value == 1;
  }
  IpAddress Address() {
    const size_t size = Number<uint8_t>();
    if ((size != 4 && size != 16) || !Need(size)) {
      good_ = false;
      return {};
    }
    const auto address = IpAddress::From(rest_.first(size));
    rest_ = rest_.subspan(size);
    // A v4-mapped address would have two encodings.
    good_ = good_ && address && address->size() == size;
    return address.value_or(IpAddress());
  }
  Prefix ReadPrefix() {
    const IpAddress address = Address();
    const uint8_t length = Number<uint8_t>();
    const auto prefix = Prefix::Make(address, length);
    good_ = good_ && prefix && prefix->address == address;  // host bits must be zero
    return prefix.value_or(Prefix());
  }
  std::string Text(size_t max) {
    const size_t size = Number<uint16_t>();
    if (size > max || !Need(size)) {
      good_ = false;
      return {};
    }
    std::string text(AsText(rest_.first(size)));
    rest_ = rest_.subspan(size);
    return text;
  }
  template <class T, class F>
  std::vector<T> List(size_t max, F read) {
    const size_t count = Number<uint16_t>();
    good_ = good_ && count <= max;
    std::vector<T> out;
    for (size_t i = 0; good_ && i < count; ++i) out.push_back(read(*this));
    return out;
  }
  bool End() const { return good_ && rest_.empty(); }

 private:
  bool Need(size_t n) {
    good_ = good_ && rest_.size() >= n;
    return good_;
  }
  ByteView rest_;
  bool good_ = true;
};

bool IsInterfaceName(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == '.' || c == '%';
         });
}

}  // namespace

Bytes Encode(const Request& request) {
  Bytes out;
  std::visit(Overloaded{
                 [&](const OpenTun& m) {
                   out.push_back(kOpenTun);
                   AppendBe(out, m.mtu);
                   out.push_back(m.queues);
                   Put(out, m.name, kNameMax);
                 },
                 [&](const SetUp& m) { out = {kSetUp, static_cast<uint8_t>(m.up ? 1 : 0)}; },
                 [&](const AddAddress& m) {
                   out.push_back(kAddAddress);
                   Put(out, m.address);
                 },
                 [&](const RemoveAddress& m) {
                   out.push_back(kRemoveAddress);
                   Put(out, m.address);
                 },
                 [&](const AddRoute& m) {
                   out.push_back(kAddRoute);
                   Put(out, m.prefix);
                 },
                 [&](const RemoveRoute& m) {
                   out.push_back(kRemoveRoute);
                   Put(out, m.prefix);
                 },
                 [&](const ReadBack&) { out.push_back(kReadBack); },
                 [&](const MachineAddresses&) { out.push_back(kMachineAddresses); },
             },
             request);
  return out;
}

Bytes Encode(const Reply& reply) {
  Bytes out;
  std::visit(Overloaded{
                 [&](const Done&) { out.push_back(kDone); },
                 [&](const Failed& m) {
                   out = {kFailed, static_cast<uint8_t>(m.code)};
                   Put(out, m.text, kTextMax);
                 },
                 [&](const TunOpened& m) {
                   out.push_back(kTun);
                   AppendBe(out, m.ifindex);
                   Put(out, m.name, kNameMax);
                 },
                 [&](const State& m) {
                   out = {kState, static_cast<uint8_t>(m.up ? 1 : 0)};
                   AppendBe(out, m.mtu);
                   Put(out, m.addresses, kAddressesMax);
                   Put(out, m.routes, kRoutesMax);
                 },
                 [&](const Addresses& m) {
                   out.push_back(kAddresses);
                   Put(out, m.list, kMachineAddressesMax);
                 },
             },
             reply);
  return out;
}

absl::StatusOr<Request> ParseRequest(ByteView bytes) {
  Cursor in(bytes);
  const uint8_t kind = in.Number<uint8_t>();
  std::optional<Request> out;
  switch (kind) {
    case kOpenTun: {
      OpenTun m;
      m.mtu = in.Number<uint32_t>();
      m.queues = in.Number<uint8_t>();
      m.name = in.Text(kNameMax);
      if (m.queues == 0 || m.queues > kQueuesMax) break;
      if (m.mtu < kMtuMin || m.mtu > kMtuMax || !IsInterfaceName(m.name)) break;
      out = m;
      break;
    }
    case kSetUp: out = SetUp{in.Flag()}; break;
    case kAddAddress: out = AddAddress{in.Address()}; break;
    case kRemoveAddress: out = RemoveAddress{in.Address()}; break;
    case kAddRoute: out = AddRoute{in.ReadPrefix()}; break;
    case kRemoveRoute: out = RemoveRoute{in.ReadPrefix()}; break;
    case kReadBack: out = ReadBack{}; break;
    case kMachineAddresses: out = MachineAddresses{}; break;
    default:
      return InvalidArgument(
          "request of kind ", static_cast<unsigned>(kind), ": there is no such kind");
  }
  if (!out || !in.End()) {
    return InvalidArgument(
        "request of kind ", static_cast<unsigned>(kind), ": cut, too long or out of range");
  }
  return *std::move(out);
}

absl::StatusOr<Reply> ParseReply(ByteView bytes) {
  Cursor in(bytes);
  const uint8_t kind = in.Number<uint8_t>();
  std::optional<Reply> out;
  switch (kind) {
    case kDone: out = Done{}; break;
    case kFailed: {
      const uint8_t code = in.Number<uint8_t>();
      std::string text = in.Text(kTextMax);
      if (code == 0 || code > static_cast<uint8_t>(absl::StatusCode::kUnauthenticated)) break;
      out = Failed{static_cast<absl::StatusCode>(code), std::move(text)};
      break;
    }
    case kTun: {
      const uint32_t ifindex = in.Number<uint32_t>();
      out = TunOpened{ifindex, in.Text(kNameMax)};
      break;
    }
    case kState: {
      State m;
      m.up = in.Flag();
      m.mtu = in.Number<uint32_t>();
      m.addresses = in.List<Prefix>(kAddressesMax, [](Cursor& c) { return c.ReadPrefix(); });
      m.routes = in.List<Prefix>(kRoutesMax, [](Cursor& c) { return c.ReadPrefix(); });
      out = std::move(m);
      break;
    }
    case kAddresses:
      out = Addresses{
          in.List<IpAddress>(kMachineAddressesMax, [](Cursor& c) { return c.Address(); })};
      break;
    default:
      return InvalidArgument(
          "reply of kind ", static_cast<unsigned>(kind), ": there is no such kind");
  }
  if (!out || !in.End()) {
    return InvalidArgument(
        "reply of kind ", static_cast<unsigned>(kind), ": cut, too long or out of range");
  }
  return *std::move(out);
}

bool IsReachableAddress(const IpAddress& address) {
  const ByteView b = address.bytes();
  if (!address.is_v6()) {
    return b[0] != 0 && b[0] != 127 && b[0] < 224 && !(b[0] == 169 && b[1] == 254);
  }
  const bool link_local = b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
  // ::/8 holds the unspecified address, loopback and the mapped ones.
  return b[0] != 0 && b[0] != 0xff && !link_local;
}

bool MayRoute(const Prefix& prefix) {
  return prefix.length >= (prefix.address.is_v6() ? 16 : 8) && IsReachableAddress(prefix.address);
}

const char* NetOrder::Admit(const Request& request) {
  if (std::holds_alternative<MachineAddresses>(request)) return nullptr;
  if (std::holds_alternative<OpenTun>(request)) {
    if (opened_) return "the interface is opened once";
    opened_ = true;
    return nullptr;
  }
  return opened_ ? nullptr : "the interface comes first";
}

}  // namespace aqmesh::daemon
