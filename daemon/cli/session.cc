#include "daemon/cli/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/authority/armour.h"
#include "daemon/cli/lineage_source.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

constexpr size_t kPassphraseMax = 1'024;

template <class T>
absl::Status CheckBodyAs(const authority::Signed& object) {
  return authority::ParseObject<T>(object).status();
}

}  // namespace

absl::Status CheckBody(const authority::Signed& object) {
  using authority::Ctx;
  switch (object.ctx()) {
    case Ctx::kCharter: return CheckBodyAs<authority::Charter>(object);
    case Ctx::kGrant: return CheckBodyAs<authority::Grant>(object);
    case Ctx::kFragment: return CheckBodyAs<authority::Fragment>(object);
    case Ctx::kKeybind: return CheckBodyAs<authority::Keybind>(object);
    case Ctx::kRotate: return CheckBodyAs<authority::Rotate>(object);
    case Ctx::kRevoke: return CheckBodyAs<authority::Revoke>(object);
    case Ctx::kCosign: return CheckBodyAs<authority::Cosign>(object);
    case Ctx::kObserve: return CheckBodyAs<authority::Observe>(object);
    case Ctx::kTreaty: return CheckBodyAs<authority::Treaty>(object);
    case Ctx::kPardon: return CheckBodyAs<authority::Pardon>(object);
    case Ctx::kPresentation: return CheckBodyAs<authority::Presentation>(object);
    case Ctx::kInvite: return CheckBodyAs<authority::Invite>(object);
    case Ctx::kRequest: return CheckBodyAs<authority::Request>(object);
    case Ctx::kApprove: return CheckBodyAs<authority::Approve>(object);
    case Ctx::kAnnounce: return CheckBodyAs<authority::Announce>(object);
    case Ctx::kRetention: return CheckBodyAs<authority::Retention>(object);
    case Ctx::kAttest: return CheckBodyAs<authority::Attest>(object);
    case Ctx::kPolicy: break;  // carried, not read, by this build
  }
  return absl::OkStatus();
}

std::string ShortId(ByteView id) { return ToHex(id.first(std::min<size_t>(id.size(), 4))); }

std::string ArmourAll(std::span<const SignedPtr> objects) {
  std::string out;
  for (const SignedPtr& o : objects) out += authority::Armour(*o);
  return out;
}

std::vector<std::string> AddressesOf(const authority::Grant& grant) {
  std::vector<std::string> v4, v6;
  for (const Prefix& p : grant.prefixes) {
    const bool host = p.length == p.address.bits();
    (p.address.is_v6() ? v6 : v4).push_back(host ? p.address.ToString() : p.ToString());
  }
  v4.insert(v4.end(), v6.begin(), v6.end());
  return v4;
}

absl::Status Session::Usage(std::string_view what) {
  usage_ = true;
  return InvalidArgument(what);
}

absl::StatusOr<std::string> Session::ReadFile(const std::string& path, size_t bytes_max) {
  if (path == "-") return env_.read_stdin(bytes_max);
  const os::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return os::ErrnoStatus(errno, path);
  std::string out;
  char chunk[16'384];
  while (true) {
    const ssize_t n = read(fd.get(), chunk, sizeof chunk);
    if (n < 0) return os::ErrnoStatus(errno, path);
    if (n == 0) return out;
    out.append(chunk, static_cast<size_t>(n));
    if (out.size() > bytes_max)
      return ResourceExhausted(path, ": larger than the ", bytes_max, " bytes read here");
  }
}

absl::Status Session::WriteFile(const std::string& path, std::string_view text) {
  if (path == "-") {
    Out(text);
    return absl::OkStatus();
  }
  const os::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return os::ErrnoStatus(errno,
                           Join("writing ", path),
                           errno == EEXIST ? "name another file, or remove that one" : "");
  }
  while (!text.empty()) {
    const ssize_t n = write(fd.get(), text.data(), text.size());
    if (n < 0) return os::ErrnoStatus(errno, Join("writing ", path));
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SignedPtr>> Session::ReadObjects(const std::string& path) {
  AQ_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, authority::kArmourTextMax));
  std::vector<SignedPtr> out;
  if (authority::LooksLikeArmour(text)) {
    auto objects = authority::ParseArmour(text);
    if (!objects.ok()) return Annotate(objects.status(), path);
    for (authority::Signed& o : *objects)
      out.push_back(std::make_shared<const authority::Signed>(std::move(o)));
    return out;
  }
  auto one = authority::Signed::Parse(AsBytes(text));
  if (!one.ok())
    return Annotate(one.status(), Join(path, ": neither armoured text nor a signed object"));
  out.push_back(std::make_shared<const authority::Signed>(*std::move(one)));
  return out;
}

absl::StatusOr<std::optional<Kid>> Session::OwnerOf(const lineage::Store& lineage,
                                                    const KnownObjects& known) {
  if (from.empty()) {
    AQ_ASSIGN_OR_RETURN(const StateDir state, State());
    AQ_ASSIGN_OR_RETURN(const Kid own, state.KidOfKey(kIdentityKey));
    return own;
  }
  AQ_ASSIGN_OR_RETURN(const std::optional<Kid> log_kid, LogKidOf(lineage));
  authority::Keybind bound;
  const SignedPtr* keybind = log_kid ? KeybindOf(known, *log_kid, bound) : nullptr;
  return keybind ? std::optional<Kid>((*keybind)->kid()) : std::nullopt;
}

absl::StatusOr<std::unique_ptr<lineage::Store>> Session::Lineage() {
  if (!from.empty()) return OpenLineageAt(from, log);
  AQ_ASSIGN_OR_RETURN(const StateDir state, State());
  return OpenLineageOf(state, log);
}

absl::StatusOr<KnownObjects> Session::Known(const StateDir& state) {
  AQ_ASSIGN_OR_RETURN(const auto store, state.ReadStore());
  return LoadObjects(*store);
}

absl::StatusOr<std::unique_ptr<Pen>> Session::TakePen(const StateDir& state,
                                                      bool root,
                                                      const PassphraseFlags& flags) {
  AQ_ASSIGN_OR_RETURN(issuing::KeyStore keys, state.Keys());
  AQ_ASSIGN_OR_RETURN(KnownObjects known, Known(state));
  if (!known.charter())
    return FailedPrecondition(
        "no mesh in ", state.path(), " yet; `aqmesh import FILE` what a member signed");
  const std::string mesh = known.charter()->body.name;
  auto pen = std::make_unique<Pen>(std::move(keys), std::move(known));
  const std::string_view name = root ? kRootKey : kIdentityKey;
  if (root && !pen->keys_.Has(kRootKey)) {
    return FailedPrecondition("cannot sign: the root key of ",
                              mesh,
                              " is not on this machine (",
                              state.keys_path(),
                              "); run this where `aqmesh init ",
                              mesh,
                              "` was run");
  }
  AQ_ASSIGN_OR_RETURN(const issuing::KeyStore::Info info, pen->keys_.Look(name));
  issuing::SecretText passphrase;
  if (info.sealed) {
    AQ_ASSIGN_OR_RETURN(passphrase, Passphrase(flags, name));
  }
  AQ_ASSIGN_OR_RETURN(pen->signer_, issuing::FileSigner::Open(pen->keys_, name, passphrase.view()));
  if (root) return pen;
  pen->grant_ = pen->known_.GrantOf(pen->signer().kid(), authority::Class::kEnroller, now());
  if (!pen->grant_) {
    return PermissionDenied(
        "cannot sign: this machine holds no ENROLLER grant in date; sign on one that does",
        pen->keys_.Has(kRootKey) ? ", or here with --root" : "");
  }
  return pen;
}

absl::Status Session::Keep(const StateDir& state, std::span<const SignedPtr> objects) {
  if (objects.empty()) return absl::OkStatus();  // nothing new: nothing to tell the daemon
  auto store = state.OpenStore();
  if (store.ok()) return StoreObjects(**store, objects);
  if (!absl::IsUnavailable(store.status())) return store.status();
  return Live()->Call({.verb = "import", .payload = ArmourAll(objects)}).status();
}

absl::StatusOr<issuing::SecretText> Session::NewPassphrase(const PassphraseFlags& flags) {
  if (flags.none) return issuing::SecretText();
  if (!flags.file.empty()) return Passphrase(flags, "");
  auto first = env_.ask_secret("Passphrase for the root key: ");
  if (!first.ok())
    return Usage(
        "no terminal to ask for a passphrase; give --passphrase-file FILE or --no-passphrase");
  if (first->view().empty())
    return Usage("an empty passphrase seals nothing; say --no-passphrase if that is what you want");
  AQ_ASSIGN_OR_RETURN(const issuing::SecretText again, env_.ask_secret("The same again: "));
  if (again.view() != first->view())
    return InvalidArgument("the two passphrases differ; nothing was made");
  return *std::move(first);
}

absl::StatusOr<issuing::SecretText> Session::Passphrase(const PassphraseFlags& flags,
                                                        std::string_view key_name) {
  if (flags.file.empty()) {
    auto answer = env_.ask_secret(Join("Passphrase for key `", key_name, "`: "));
    if (answer.ok()) return answer;
    return FailedPrecondition(
        "key `",
        key_name,
        "` is sealed and there is no terminal to ask on; give --passphrase-file FILE");
  }
  AQ_ASSIGN_OR_RETURN(std::string text, ReadFile(flags.file, kPassphraseMax));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) return InvalidArgument(flags.file, ": holds no passphrase");
  return issuing::SecretText(std::move(text));
}

}  // namespace aqmesh::cli
