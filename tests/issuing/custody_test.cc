#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/status.h"
#include "issuing/custody/file_signer.h"
#include "issuing/custody/vote_file.h"
#include "issuing/issue.h"
#include "tests/issuing/vectors.h"

namespace aqmesh::issuing {
namespace {

using vectors::Must;
using vectors::Seed;

class CustodyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/aq_custody_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    path_ = base_ + "/keys";
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  KeyStore Store() { return Must(KeyStore::Open(path_, true)); }
  std::string Slurp(const std::string& name) {
    std::ifstream in(path_ + "/" + name);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  void Spit(const std::string& name, const std::string& text) {
    std::ofstream(path_ + "/" + name) << text;
  }

  std::string base_, path_;
  Rng rng_{Rng::Seed{1}};
};

TEST_F(CustodyTest, KeysRoundTripInPrivateFiles) {
  KeyStore store = Store();
  ASSERT_TRUE(store.SaveEd25519("identity", Seed(3)).ok());
  const crypto::X25519Private key = crypto::NewX25519(rng_);
  ASSERT_TRUE(store.SaveX25519("static", key).ok());
  EXPECT_TRUE(Must(store.LoadEd25519("identity")) == Seed(3));
  EXPECT_TRUE(Must(store.LoadX25519("static")) == key);
  EXPECT_FALSE(store.LoadEd25519("static").ok());
  EXPECT_FALSE(store.LoadX25519("identity").ok());
  struct stat st{};
  ASSERT_EQ(stat((path_ + "/identity.key").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  EXPECT_EQ(store.SaveEd25519("identity", Seed(4)).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Must(store.LoadEd25519("identity")) == Seed(3));
  EXPECT_EQ(store.LoadEd25519("nobody").status().code(), absl::StatusCode::kNotFound);
  for (const char* bad : {"", "../x", "a/b", "A", "."})
    EXPECT_FALSE(store.SaveEd25519(bad, Seed(4)).ok()) << bad;
  EXPECT_TRUE(store.Remove("identity").ok());
  EXPECT_FALSE(store.Has("identity"));
}

TEST_F(CustodyTest, FilesThatOthersCouldReachAreRefusedWithTheMend) {
  KeyStore store = Store();
  ASSERT_TRUE(store.SaveEd25519("k", Seed(3)).ok());
  const std::string file = path_ + "/k.key";
  for (const mode_t mode : {0644u, 0640u, 0602u, 0601u, 0660u}) {
    ASSERT_EQ(chmod(file.c_str(), mode), 0);
    const auto loaded = store.LoadEd25519("k");
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kPermissionDenied) << mode;
    EXPECT_NE(Text(loaded.status()).find("chmod 600 " + file), std::string::npos)
        << loaded.status();
  }
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  EXPECT_TRUE(store.LoadEd25519("k").ok());

  ASSERT_EQ(link(file.c_str(), (base_ + "/copy").c_str()), 0);
  EXPECT_EQ(store.LoadEd25519("k").status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_EQ(unlink((base_ + "/copy").c_str()), 0);

  ASSERT_EQ(symlink("k.key", (path_ + "/s.key").c_str()), 0);
  EXPECT_EQ(store.LoadEd25519("s").status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_EQ(mkfifo((path_ + "/f.key").c_str(), 0600), 0);
  EXPECT_EQ(store.LoadEd25519("f").status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_EQ(mkdir((path_ + "/d.key").c_str(), 0700), 0);
  EXPECT_FALSE(store.LoadEd25519("d").ok());
  if (geteuid() == 0) {
    ASSERT_EQ(chown(file.c_str(), 12345, 12345), 0);
    EXPECT_EQ(store.LoadEd25519("k").status().code(), absl::StatusCode::kPermissionDenied);
  }
}

TEST_F(CustodyTest, DirectoryMustBePrivateAndNoLink) {
  (void)Store();
  ASSERT_EQ(chmod(path_.c_str(), 0750), 0);
  const auto open = KeyStore::Open(path_, true);
  EXPECT_EQ(open.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(Text(open.status()).find("chmod 700 " + path_), std::string::npos);
  ASSERT_EQ(chmod(path_.c_str(), 0700), 0);
  ASSERT_EQ(symlink("keys", (base_ + "/link").c_str()), 0);
  EXPECT_EQ(KeyStore::Open(base_ + "/link", false).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(KeyStore::Open(base_ + "/none", false).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CustodyTest, SealedKeyOpensUnderItsPassphraseOnly) {
  KeyStore store = Store();
  ASSERT_TRUE(
      store.SealEd25519("root", Seed(1), "correct horse", KdfCost::kInteractive, rng_).ok());
  EXPECT_TRUE(Must(store.LoadEd25519("root", "correct horse")) == Seed(1));
  EXPECT_EQ(store.LoadEd25519("root", "wrong").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(store.LoadEd25519("root").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(store.SealEd25519("other", Seed(1), "", KdfCost::kInteractive, rng_).code(),
            absl::StatusCode::kInvalidArgument);
  const auto info = Must(store.Look("root"));
  EXPECT_TRUE(info.sealed);
  EXPECT_EQ(info.public_key, crypto::Ed25519Public(Seed(1)).bytes);

  const std::string text = Slurp("root.key");
  EXPECT_EQ(text.find(ToHex(Seed(1).view())), std::string::npos);
  std::string altered = text;  // another public key over the same seal
  altered[altered.find("public ") + 7] ^= 1;
  Spit("root.key", altered);
  EXPECT_FALSE(store.LoadEd25519("root", "correct horse").ok());
  altered = text;  // a cost that would exhaust us
  altered.replace(altered.find("argon2id ") + 9, 1, "99");
  Spit("root.key", altered);
  EXPECT_EQ(store.LoadEd25519("root", "correct horse").status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(CustodyTest, EveryTruncationOfAKeyFileIsDamage) {
  KeyStore store = Store();
  ASSERT_TRUE(store.SaveEd25519("k", Seed(3)).ok());
  const std::string text = Slurp("k.key");
  for (size_t n = 0; n < text.size(); ++n) {
    Spit("k.key", text.substr(0, n));
    EXPECT_FALSE(store.LoadEd25519("k").ok()) << n;
  }
  Spit("k.key", text + "x");
  EXPECT_FALSE(store.LoadEd25519("k").ok());
  Spit("k.key", text + std::string(kKeyFileMax, 'x'));
  EXPECT_FALSE(store.LoadEd25519("k").ok());
}

TEST_F(CustodyTest, ANumberReservedBeforeACrashIsNeverUsedAgain) {
  KeyStore store = Store();
  auto first = Must(FileSigner::Create(store, "identity", rng_, {}));
  const Kid kid = first->signer().kid();
  EXPECT_EQ(Must(first->counter().ReserveExpansion(kid)), 1u);
  first.reset();  // the crash: reserved, never signed
  auto second = Must(FileSigner::Open(store, "identity"));
  EXPECT_EQ(Must(second->counter().ReserveExpansion(kid)), 2u);
}

TEST_F(CustodyTest, ARestrictionCutShortIsSignedAgainUnderItsNumber) {
  KeyStore store = Store();
  auto signer = Must(FileSigner::Create(store, "identity", rng_, {}));
  const RevokeTerms terms{.type = authority::RevokeType::kFloor, .floor = 2};
  const auto revoke = Must(MakeRevoke(signer->signer(), ScopeId{}, terms, 9));
  signer = Must(FileSigner::Open(store, "identity"));
  const auto again = Must(ResignLast(signer->signer()));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->bytes(), revoke.envelope->bytes());
  const auto next = Must(MakeRevoke(signer->signer(), ScopeId{}, terms, 10));
  EXPECT_EQ(next.body.seq, 2u);
  EXPECT_EQ(next.body.prev, revoke.oid());
}

TEST_F(CustodyTest, ACounterThatWentBackwardsOrVanishedIsRefused) {
  KeyStore store = Store();
  auto signer = Must(FileSigner::Create(store, "identity", rng_, {}));
  const Kid kid = signer->signer().kid();
  const std::string file = ToHex(kid) + ".seq";
  ASSERT_TRUE(signer->counter().ReserveExpansion(kid).ok());
  const std::string backup = Slurp(file);
  ASSERT_TRUE(signer->counter().ReserveExpansion(kid).ok());
  const std::string newest = Slurp(file);
  Spit(file, backup);
  EXPECT_EQ(signer->counter().ReserveExpansion(kid).status().code(), absl::StatusCode::kDataLoss);
  for (size_t i = 0; i < newest.size(); ++i) {
    std::string bad = newest;
    bad[i] ^= 1;
    Spit(file, bad);
    EXPECT_EQ(signer->counter().ReserveExpansion(kid).status().code(), absl::StatusCode::kDataLoss)
        << i;
  }
  ASSERT_EQ(unlink((path_ + "/" + file).c_str()), 0);
  EXPECT_EQ(signer->counter().ReserveExpansion(kid).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(FileSigner::Open(store, "identity").ok());
  EXPECT_FALSE(FileSigner::Create(store, "identity", rng_, {}).ok());
}

TEST_F(CustodyTest, APeersKnowledgeRaisesNumbersAndUnmasksARestoredDisk) {
  KeyStore store = Store();
  auto signer = Must(FileSigner::Create(store, "identity", rng_, {}));
  const Kid kid = signer->signer().kid();
  ASSERT_TRUE(signer->counter().Raise(kid, 41, {}).ok());
  ASSERT_TRUE(signer->counter().Raise(kid, 7, {}).ok());
  EXPECT_EQ(Must(signer->counter().ReserveExpansion(kid)), 42u);
  EXPECT_EQ(signer->counter().Raise(kid, 0, {.seq = 1}).code(), absl::StatusCode::kDataLoss);
}

// spec: quorum#7
TEST_F(CustodyTest, ABookOutlivesItsReaderAndRefusesASecondAnswer) {
  using authority::Permit;
  KeyStore store = Store();
  const Kid kid = authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(Seed(3)));
  const authority::Slot slot{.scope = {}, .kind = 3, .id = kid, .number = 2};
  const Oid one = *Oid::From(Bytes(32, 1)), two = *Oid::From(Bytes(32, 2));
  EXPECT_EQ(Must(VoteFile(store.dir()).Take(kid, slot, one, 5)).permit, Permit::kSign);
  const auto again = Must(VoteFile(store.dir()).Take(kid, slot, one, 6));
  EXPECT_EQ(again.permit, Permit::kSameAgain);
  EXPECT_EQ(again.time, 5u);
  EXPECT_EQ(Must(VoteFile(store.dir()).Take(kid, slot, two, 6)).permit, Permit::kRefuse);
  const std::string name = ToHex(kid) + ".votes", text = Slurp(name);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] = bad[i] == '0' ? '1' : '0';
    Spit(name, bad);
    EXPECT_FALSE(VoteFile(store.dir()).Take(kid, slot, one, 6).ok()) << i;
  }
  Spit(name, text.substr(0, text.size() / 2));
  EXPECT_FALSE(VoteFile(store.dir()).Take(kid, slot, one, 6).ok());
  Spit(name, text);
  EXPECT_TRUE(VoteFile(store.dir()).Take(kid, slot, one, 6).ok());
}

}  // namespace
}  // namespace aqmesh::issuing
