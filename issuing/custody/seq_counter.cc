#include "issuing/custody/seq_counter.h"

#include <charconv>
#include <utility>

#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::issuing {
namespace {

constexpr std::string_view kLock = "seq.lock";

std::string FileOf(const Kid& kid) { return ToHex(kid) + ".seq"; }

std::string CheckOf(std::string_view lines) {
  return ToHex(ByteView(crypto::H256({AsBytes("aqmesh/1/seq-file"), AsBytes(lines)})).first(8));
}

// Takes `word` and what stands between it and the line's end off the front of text.
bool TakeLine(std::string_view& text, std::string_view word, std::string_view& value) {
  const size_t newline = text.find('\n');
  if (newline == std::string_view::npos || text.substr(0, word.size()) != word) return false;
  value = text.substr(word.size(), newline - word.size());
  text.remove_prefix(newline + 1);
  return true;
}

bool ParseNumber(std::string_view text, uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out < authority::kTerminalSeq;
}

std::pair<std::string_view, std::string_view> SplitBlank(std::string_view text) {
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return {text, {}};
  return {text.substr(0, blank), text.substr(blank + 1)};
}

}  // namespace

std::string SeqCounter::Print(const Kid& kid, const State& state) {
  const RestrictionHead& r = state.restriction;
  const std::string lines = Join("aqmesh-seq 1\nkid ",
                                 ToHex(kid),
                                 "\ne ",
                                 state.expansion,
                                 "\nr ",
                                 r.seq,
                                 " ",
                                 r.seq == 0 ? "-" : ToHex(r.oid),
                                 "\nlast ",
                                 r.body.empty() ? "revoke" : std::string(authority::CtxName(r.ctx)),
                                 " ",
                                 r.body.empty() ? "-" : ToHex(r.body),
                                 "\n");
  return Join(lines, "check ", CheckOf(lines), "\n");
}

absl::StatusOr<SeqCounter::State> SeqCounter::Parse(const Kid& kid, std::string_view text) {
  absl::Status damaged = DataLoss(
      FileOf(kid),
      " is damaged; what it counted is unknown, so rotate the key: aqmesh authority rotate");
  State state;
  RestrictionHead& r = state.restriction;
  std::string_view rest = text, version, name, e, head, last;
  if (!TakeLine(rest, "aqmesh-seq ", version) || version != "1" || !TakeLine(rest, "kid ", name) ||
      name != ToHex(kid) || !TakeLine(rest, "e ", e) || !ParseNumber(e, state.expansion) ||
      !TakeLine(rest, "r ", head) || !TakeLine(rest, "last ", last)) {
    return damaged;
  }
  const auto [seq, oid] = SplitBlank(head);
  if (!ParseNumber(seq, r.seq)) return damaged;
  if (r.seq > 0) {
    const std::optional<Bytes> raw = FromHex(oid);
    if (!raw.has_value() || raw->size() != Oid::kSize) return damaged;
    r.oid = *Oid::From(*raw);
  }
  const auto [ctx_name, body] = SplitBlank(last);
  const std::optional<authority::Ctx> ctx = authority::CtxNamed(ctx_name);
  if (!ctx.has_value()) return damaged;
  if (body != "-") {
    const std::optional<Bytes> raw = FromHex(body);
    if (!raw.has_value() || raw->empty()) return damaged;
    r.ctx = *ctx;
    r.body = *raw;
  }
  return text == Print(kid, state) ? absl::StatusOr<State>(std::move(state))
                                   : damaged;  // the check with it
}

absl::StatusOr<SeqCounter::State> SeqCounter::Load(const Kid& kid) {
  absl::StatusOr<SecretText> text = dir_->Read(FileOf(kid), kSeqFileMax);
  if (absl::IsNotFound(text.status())) {
    return FailedPrecondition(dir_->path(),
                              "/",
                              FileOf(kid),
                              " is missing: signing without it could use a number ",
                              "twice, which peers punish as fraud; put it back, or rotate the key");
  }
  if (!text.ok()) return text.status();
  AQ_ASSIGN_OR_RETURN(State state, Parse(kid, text->view()));
  const auto seen = seen_.find(kid);
  if (seen != seen_.end() && (state.expansion < seen->second.expansion ||
                              state.restriction.seq < seen->second.restriction.seq)) {
    return DataLoss(dir_->path(),
                    "/",
                    FileOf(kid),
                    " went backwards: was a backup restored? Do not sign with this ",
                    "key; rotate it: aqmesh authority rotate");
  }
  seen_.insert_or_assign(kid, state);
  return state;
}

absl::Status SeqCounter::Store(const Kid& kid, const State& state, PrivateDir::Replace replace) {
  const std::string text = Print(kid, state);
  if (text.size() > kSeqFileMax)
    return ResourceExhausted(FileOf(kid), ": the statement is too long to be kept");
  AQ_RETURN_IF_ERROR(dir_->Write(FileOf(kid), text, replace));
  seen_.insert_or_assign(kid, state);
  return absl::OkStatus();
}

absl::Status SeqCounter::Create(const Kid& kid) {
  AQ_ASSIGN_OR_RETURN(const Fd lock, dir_->Lock(kLock));
  return Store(kid, State{}, PrivateDir::Replace::kNever);
}

absl::StatusOr<uint64_t> SeqCounter::ReserveExpansion(const Kid& kid) {
  AQ_ASSIGN_OR_RETURN(const Fd lock, dir_->Lock(kLock));
  AQ_ASSIGN_OR_RETURN(State state, Load(kid));
  if (state.expansion + 1 >= authority::kTerminalSeq)
    return ResourceExhausted("key ", ToHex(kid), " is out of numbers; rotate it");
  ++state.expansion;
  AQ_RETURN_IF_ERROR(Store(kid, state, PrivateDir::Replace::kAlways));
  return state.expansion;
}

absl::StatusOr<RestrictionHead> SeqCounter::LastRestriction(const Kid& kid) {
  AQ_ASSIGN_OR_RETURN(const Fd lock, dir_->Lock(kLock));
  AQ_ASSIGN_OR_RETURN(State state, Load(kid));
  return std::move(state.restriction);
}

absl::Status SeqCounter::ReserveRestriction(const Kid& kid, const RestrictionHead& next) {
  AQ_ASSIGN_OR_RETURN(const Fd lock, dir_->Lock(kLock));
  AQ_ASSIGN_OR_RETURN(State state, Load(kid));
  if (next.seq != state.restriction.seq + 1 || next.seq >= authority::kTerminalSeq) {
    return FailedPrecondition("restriction ",
                              next.seq,
                              " does not follow ",
                              state.restriction.seq,
                              ": another process signed meanwhile; try again");
  }
  state.restriction = next;
  return Store(kid, state, PrivateDir::Replace::kAlways);
}

absl::Status SeqCounter::Raise(const Kid& kid,
                               uint64_t expansion,
                               const RestrictionHead& restriction) {
  AQ_ASSIGN_OR_RETURN(const Fd lock, dir_->Lock(kLock));
  AQ_ASSIGN_OR_RETURN(State state, Load(kid));
  if (restriction.seq > state.restriction.seq ||
      (restriction.seq != 0 && restriction.seq == state.restriction.seq &&
       restriction.oid != state.restriction.oid)) {
    return DataLoss("a peer holds restriction ",
                    restriction.seq,
                    " of key ",
                    ToHex(kid),
                    " where the disk knows ",
                    state.restriction.seq,
                    ": the disk was restored; rotate the key: aqmesh authority rotate");
  }
  if (expansion <= state.expansion) return absl::OkStatus();
  if (expansion >= authority::kTerminalSeq) return InvalidArgument("no such number");
  state.expansion = expansion;
  return Store(kid, state, PrivateDir::Replace::kAlways);
}

}  // namespace aqmesh::issuing
