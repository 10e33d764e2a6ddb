#include "node/heads/public_witnesses.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "lineage/tlog/text.h"
#include "lineage/tlog/witness.h"

namespace aqmesh::node {

using tlog::WitnessStatus;

namespace {

constexpr size_t kWhyBytesMax = 200;  // of what a stranger's program says about itself

// What a status that is no cosignature means here, in the words of who has to mend it.
std::string WhyOf(uint16_t status, const tlog::SignedCheckpoint& head) {
  const std::string& origin = head.checkpoint.origin;
  switch (static_cast<WitnessStatus>(status)) {
    case WitnessStatus::kUnknownOrigin:
      return Join("404: it does not know the log ",
                  origin,
                  "; give its operator the log's key, which `aqmesh lineage verify` shows");
    case WitnessStatus::kNotSigned:
      return Join("403: it has another key for the log ",
                  origin,
                  "; give its operator the one that `aqmesh lineage verify` shows");
    case WitnessStatus::kMalformed: return "400: it takes the request for malformed";
    case WitnessStatus::kRefused:
      return Join("422: it has cosigned another history of this log than the one up to ",
                  head.checkpoint.size,
                  " records here; if this disk was restored from a backup, that is why");
    case WitnessStatus::kNoClock: return "503: it cannot cosign now";
    default: break;
  }
  if (status == 429) return "429: it was asked too often";
  return Join(status, ": no answer of a witness; is the URL in witnesses.policy right?");
}

// A no that only a person can turn into a yes.
bool IsFinal(uint16_t status) {
  return status >= 300 && status < 500 && status != 429 && status != 408;
}

}  // namespace

PublicWitnesses::PublicWitnesses(std::vector<PublicWitness> witnesses, Rng rng)
    : rng_(std::move(rng)) {
  AQ_CHECK(witnesses.size() <= kWitnessesMax);
  for (PublicWitness& w : witnesses) rows_.push_back({.who = std::move(w)});
}

void PublicWitnesses::Forget() {
  for (Row& row : rows_) row = {.who = std::move(row.who)};
  asks_.clear();
}

std::vector<WitnessView> PublicWitnesses::Views() const {
  std::vector<WitnessView> out;
  for (const Row& row : rows_) out.push_back({row.who.name, row.cosigned, row.time, row.trouble});
  return out;
}

void PublicWitnesses::Gather(Now now,
                             const tlog::SignedCheckpoint& bare,
                             const tlog::Note& gathered,
                             Prove prove) {
  for (size_t i = 0; i < rows_.size(); ++i) {
    Row& row = rows_[i];
    if (row.asked && now.mono - row.asked->sent >= kPatience) {
      row.asked.reset();
      Pause(row, now, kPauseMin, Join("no answer within ", kPatience.count(), " s"));
    }
    if (row.asked || row.cosigned == bare.checkpoint.size) continue;
    // Of an earlier life: it lies in the note.
    for (const tlog::NoteLine& line : gathered.lines) {
      if (line.name != row.who.key.name || line.key_id != row.who.key.id()) continue;
      const auto time = tlog::VerifyLine(row.who.key, gathered.text, line);
      if (!time.ok()) continue;
      row.cosigned = row.known = bare.checkpoint.size;
      row.time = *time;
    }
    if (row.cosigned == bare.checkpoint.size || now.mono < row.due) continue;
    Ask(now, i, bare, prove);
  }
}

void PublicWitnesses::Ask(Now now, size_t i, const tlog::SignedCheckpoint& bare, Prove prove) {
  Row& row = rows_[i];
  tlog::AddCheckpoint add{std::min(row.known, bare.checkpoint.size), {}, bare};
  if (add.old_size != 0) {
    auto proof = prove(add.old_size);
    if (!proof.ok()) return Pause(row, now, kPauseMin, Text(proof.status()));
    add.proof = *std::move(proof);
  }
  row.asked = {rng_.U32(), add.old_size, bare, now.mono};
  asks_.push_back({i, row.asked->request, add.Text()});
}

bool PublicWitnesses::OnReply(Now now, const WitnessReply& reply, tlog::SignedCheckpoint& head) {
  if (reply.witness >= rows_.size()) return false;
  Row& row = rows_[reply.witness];
  if (!row.asked || row.asked->request != reply.request) return false;
  const UnderWay asked = *std::exchange(row.asked, std::nullopt);
  if (reply.status == static_cast<uint16_t>(WitnessStatus::kCosigned))
    return Take(row, asked, reply, now, head);
  if (reply.status == static_cast<uint16_t>(WitnessStatus::kConflict)) {
    OnConflict(row, asked, reply, now);
  } else if (reply.status == 0) {
    Pause(row, now, kPauseMin, reply.body.substr(0, kWhyBytesMax));
  } else {
    Pause(row,
          now,
          IsFinal(reply.status) ? kRefusedPauseMin : kPauseMin,
          WhyOf(reply.status, asked.head));
  }
  return false;
}

bool PublicWitnesses::Take(Row& row,
                           const UnderWay& asked,
                           const WitnessReply& reply,
                           Now now,
                           tlog::SignedCheckpoint& head) {
  tlog::SignedCheckpoint cosigned = asked.head;
  absl::StatusOr<size_t> taken =
      reply.body.size() > kReplyBytesMax
          ? InvalidArgument("its answer is larger than ", kReplyBytesMax, " bytes")
          : tlog::TakeCosignatures(reply.body, {&row.who.key, 1}, cosigned);
  if (taken.ok() && *taken == 0)
    taken = Unauthenticated("no line of the key that witnesses.policy names for it");
  if (!taken.ok()) {
    Pause(row, now, kRefusedPauseMin, Join("200 without its cosignature: ", Text(taken.status())));
    return false;
  }
  row.known = row.cosigned = asked.head.checkpoint.size;
  row.time = *tlog::VerifyLine(row.who.key, cosigned.note.text, cosigned.note.lines.back());
  Mended(row);
  // An older head than the newest is not stored again: what was gathered for it would be lost.
  if (head.note.text != cosigned.note.text) return false;
  return tlog::TakeCosignatures(reply.body, {&row.who.key, 1}, head).value_or(0) > 0;
}

void PublicWitnesses::OnConflict(Row& row,
                                 const UnderWay& asked,
                                 const WitnessReply& reply,
                                 Now now) {
  std::string_view text = reply.body;
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto size = tlog::ParseDecimal(text);
  if (!size) return Pause(row, now, kRefusedPauseMin, "409 without a size: no answer of a witness");
  if (*size > asked.head.checkpoint.size) {
    return Pause(row,
                 now,
                 kRefusedPauseMin,
                 Join("409: it has cosigned ",
                      *size,
                      " records of this log, and here are ",
                      asked.head.checkpoint.size,
                      "; this disk is older than what it saw"));
  }
  if (*size == asked.old_size || ++row.again > kAgainMax) {
    row.again = 0;
    return Pause(row, now, kPauseMin, Join("409 with ", *size, " again and again"));
  }
  row.known = *size;
  row.due = now.mono;
}

void PublicWitnesses::Pause(Row& row, Now now, std::chrono::seconds least, std::string why) {
  row.pause = std::clamp(row.pause * 2, least, kPauseMax);
  // Apart from each other by up to a quarter, so that many do not knock together.
  const auto quarter = static_cast<uint64_t>(std::chrono::milliseconds(row.pause).count() / 4);
  row.due = now.mono + row.pause - std::chrono::milliseconds(rng_.Below(quarter + 1));
  for (char& c : why) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (row.trouble != why) news_.push_back({row.who.name, why});
  row.trouble = std::move(why);
}

void PublicWitnesses::Mended(Row& row) {
  row.pause = std::chrono::seconds(0);
  row.again = 0;
  if (!row.trouble.empty()) news_.push_back({row.who.name, ""});
  row.trouble.clear();
}

}  // namespace aqmesh::node
