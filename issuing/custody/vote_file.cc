#include "issuing/custody/vote_file.h"

#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace aqmesh::issuing {

using authority::Permit;
using authority::SlotBook;

namespace {

constexpr std::string_view kLock = "votes.lock";
constexpr size_t kIdsMax = SlotBook::kIdsMax, kNumbersMax = SlotBook::kNumbersMax;
// version, count; an id: slot, id, floor, n; a number: itself, target, time.
static_assert(kVoteFileMax >= 2 * (3 + kIdsMax * (26 + kNumbersMax * 48)) + 256);

std::string FileOf(const Kid& kid) { return ToHex(kid) + ".votes"; }

std::string Print(const Kid& kid, const SlotBook& book) {
  const std::string lines =
      Join("aqmesh-votes 1\nkid ", ToHex(kid), "\nbook ", ToHex(book.Encode()), "\n");
  const auto check = crypto::H256({AsBytes("aqmesh/1/vote-file"), AsBytes(lines)});
  return Join(lines, "check ", ToHex(ByteView(check).first(8)), "\n");
}

}  // namespace

absl::StatusOr<SlotBook> VoteFile::Read(const Kid& kid) const {
  const absl::StatusOr<SecretText> text = dir_->Read(FileOf(kid), kVoteFileMax);
  if (absl::IsNotFound(text.status())) return SlotBook();
  if (!text.ok()) return text.status();
  const std::string_view all = text->view(), word = "\nbook ";
  const size_t at = all.find(word), end = at == all.npos ? at : all.find('\n', at + word.size());
  const auto bytes = end == all.npos
                         ? std::nullopt
                         : FromHex(all.substr(at + word.size(), end - at - word.size()));
  absl::StatusOr<SlotBook> book =
      bytes ? SlotBook::Decode(*bytes) : absl::StatusOr<SlotBook>(InvalidArgument(""));
  if (book.ok() && Print(kid, *book) == all) return book;
  return DataLoss(dir_->path(),
                  "/",
                  FileOf(kid),
                  " is damaged: what this key voted for is unknown, and a second vote would convict"
                  " it; put the file back from a copy, or let the others vote the key out");
}

absl::StatusOr<SlotBook::Answer> VoteFile::Take(const Kid& kid,
                                                const authority::Slot& slot,
                                                const Oid& target,
                                                uint64_t time) {
  AQ_ASSIGN_OR_RETURN(const Fd lock, dir_->Lock(kLock));
  AQ_ASSIGN_OR_RETURN(SlotBook book, Read(kid));
  const SlotBook::Answer answer = book.Take(slot, target, time);
  if (answer.permit == Permit::kSign)
    AQ_RETURN_IF_ERROR(dir_->Write(FileOf(kid), Print(kid, book), PrivateDir::Replace::kAlways));
  return answer;
}

}  // namespace aqmesh::issuing
