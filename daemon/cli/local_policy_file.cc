#include "daemon/cli/local_policy_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/crypto/hash.h"
#include "daemon/cli/toml_reader.h"
#include "issuing/rules.h"
#include "lineage/record.h"
#include "transport/os/fd.h"

namespace aqmesh::cli {

namespace {

using admission::ExtraDenial;
using admission::LocalPolicy;

void ReadRung(TomlReader& reader, std::string_view key, authority::Rung& out) {
  const std::optional<std::string> text = reader.String(key);
  if (!text) return;
  const std::optional<authority::Rung> rung = lineage::RungNamed(*text);
  if (rung && *rung != authority::Rung::kNone) {
    out = *rung;
  } else {
    reader.Fail(key, "wants REFUSE, DEFER, ESCALATE, PROBATION, CONSTRAIN or ADMIT");
  }
}

// A denial is the left half of a rule, so a rule's parser reads it: same words in both files.
absl::StatusOr<ExtraDenial> ReadDenial(const toml::table& table, std::string_view file_name) {
  TomlReader reader(table, file_name);
  const std::string src = reader.String("src").value_or("any");
  const std::string dst = reader.String("dst").value_or("any");
  const std::string service = reader.String("service").value_or("any");
  ExtraDenial out;
  out.note = reader.String("note").value_or("");
  const auto read = [&](std::string_view key,
                        std::string_view text) -> std::optional<authority::Rule> {
    auto rule = issuing::ParseRule(text);
    if (rule.ok()) return *std::move(rule);
    // The rule's own columns count in a line that nobody typed: keep what it says, not where.
    std::string why = Text(rule.status());
    if (const size_t colon = why.find(": "); why.starts_with("line ") && colon != std::string::npos)
      why.erase(0, colon + 2);
    reader.Fail(key, why);
    return std::nullopt;
  };
  if (const auto rule = read("src", Join(src, " -> any any"))) out.src = rule->src;
  if (const auto rule = read("dst", Join("any -> ", dst, " any"))) out.dst = rule->dst;
  if (service.find_first_of(" \t\n") != std::string::npos) {
    reader.Fail("service", "wants one word, such as tcp:22 or udp:53,5353");
  } else if (const auto rule = read("service", Join("any -> any ", service))) {
    out.protos = rule->protos;
    out.ports = rule->ports;
  }
  AQ_RETURN_IF_ERROR(reader.Done());
  return out;
}

}  // namespace

absl::StatusOr<LocalPolicy> ParseLocalPolicy(std::string_view text, std::string_view file_name) {
  AQ_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, file_name));
  LocalPolicy out;
  out.file_hash.bytes = crypto::H256({AsBytes(text)});
  out.text = text;
  TomlReader reader(table, file_name);
  ReadRung(reader, "default_rung", out.default_rung);
  ReadRung(reader, "plain_ceiling", out.plain_ceiling);
  for (const toml::table* denial : reader.Tables("deny", admission::kDenialsMax)) {
    AQ_ASSIGN_OR_RETURN(ExtraDenial d, ReadDenial(*denial, file_name));
    out.denials.push_back(std::move(d));
  }
  AQ_RETURN_IF_ERROR(reader.Done());
  out.readable = true;
  return out;
}

LoadedPolicy LoadLocalPolicy(const std::string& path) {
  LoadedPolicy out;
  const os::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    out.status =
        os::ErrnoStatus(errno,
                        Join(path, ": the local policy cannot be read, so nothing is allowed"),
                        "write default_rung = \"ADMIT\" into it");
    return out;
  }
  std::string text;
  char chunk[8'192];
  ssize_t n = 0;
  while (text.size() <= kPolicyFileMax && (n = read(fd.get(), chunk, sizeof chunk)) > 0) {
    text.append(chunk, static_cast<size_t>(n));
  }
  if (n < 0 || text.size() > kPolicyFileMax) {
    out.status = n < 0 ? os::ErrnoStatus(errno, path)
                       : ResourceExhausted(path, ": larger than ", kPolicyFileMax, " bytes");
    return out;
  }
  auto policy = ParseLocalPolicy(text, path);
  if (policy.ok()) {
    out.policy = *std::move(policy);
  } else {
    out.policy.file_hash.bytes = crypto::H256({AsBytes(text)});
    out.policy.text = std::move(text);
    out.status = policy.status();
  }
  return out;
}

absl::StatusOr<LocalPolicy> KeptPolicy(const Digest& hash, const std::optional<Bytes>& text) {
  if (hash.is_zero()) return LocalPolicy{};
  if (!text) return DataLoss("the local policy ", ToHex(hash), " is not kept");
  if (crypto::H256({*text}) != hash.bytes)
    return DataLoss("the local policy ", ToHex(hash), " is not what its name says");
  const auto policy = ParseLocalPolicy(AsText(*text), "policy.toml");
  return policy.ok() ? *policy : LocalPolicy{};
}

std::string DefaultPolicyText() {
  return "# What this machine's owner allows, whatever the mesh says. It can only narrow. Without "
         "this file, or with an\n"
         "# error in it, nothing is allowed.\n"
         "default_rung = \"ADMIT\"        # ceiling for peers that carry authority\n"
         "plain_ceiling = \"CONSTRAIN\"   # ceiling for plain WireGuard devices\n"
         "\n"
         "# [[deny]]\n"
         "# src = \"tag:guest\"            # any | tag:a.b | node:KID | ADDRESS[/LEN]\n"
         "# dst = \"any\"\n"
         "# service = \"tcp:22\"           # as in a rule\n"
         "# note = \"no shells for guests\"\n";
}

}  // namespace aqmesh::cli
