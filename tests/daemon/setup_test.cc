// The key of a log that follows another, at each step at which its machine may crash.
#include "daemon/setup.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/authority/signed.h"
#include "core/base/rng.h"

namespace aqmesh::daemon {
namespace {

class LogKeyTest : public testing::Test {
 protected:
  LogKeyTest() {
    std::string path = (std::filesystem::temp_directory_path() / "aqmesh-setup-XXXXXX").string();
    path_ = mkdtemp(path.data());
    keys_.emplace(*issuing::KeyStore::Open(path_ + "/keys", true));
    store_ = *lineage::RocksStore::Open(path_ + "/store");
    EXPECT_TRUE(keys_->SaveEd25519(cli::kLogKey, old_).ok());
    Begin(old_, false);
  }
  ~LogKeyTest() override {
    store_.reset();
    std::filesystem::remove_all(path_);
  }
  static Kid KidOf(const crypto::Ed25519Seed& seed) {
    return authority::KidOf(authority::Suite::kEd25519, crypto::Ed25519Public(seed));
  }
  // The first record of that key's log.
  void Begin(const crypto::Ed25519Seed& key, bool another) {
    lineage::Chain chain(KidOf(key), lineage::HybridClock(another ? uint64_t{1} << 60 : 0));
    lineage::Batch batch;
    batch.begins_log = another;
    authority::Observe o;
    o.kind = another ? authority::RecordKind::kLogRestart : authority::RecordKind::kDrops;
    if (another) o.subject = KidOf(old_);
    if (!another) o.drops = {{70, 1}};
    batch.records.push_back(chain.Add(std::move(o), WallTime::FromSeconds(1'700'000'000)));
    ASSERT_TRUE(store_->Commit(batch).ok());
  }
  Kid LogKid() const { return KidOf(*keys_->LoadEd25519(cli::kLogKey)); }

  Rng rng_{Rng::Seed{3}};
  std::string path_;
  const crypto::Ed25519Seed old_ = crypto::NewEd25519(rng_), next_ = crypto::NewEd25519(rng_);
  std::optional<issuing::KeyStore> keys_;
  std::unique_ptr<lineage::RocksStore> store_;
};

TEST_F(LogKeyTest, WithoutAnotherKeyNothingIsTouched) {
  EXPECT_TRUE(SettleLogKey(*keys_, *store_).ok());
  EXPECT_EQ(LogKid(), KidOf(old_));
}

TEST_F(LogKeyTest, AKeyWhoseLogNeverBeganGoesAndTheOldOneStays) {
  ASSERT_TRUE(keys_->SaveEd25519(kNextLogKey, next_).ok());
  EXPECT_TRUE(SettleLogKey(*keys_, *store_).ok());
  EXPECT_EQ(LogKid(), KidOf(old_));
  EXPECT_FALSE(keys_->Has(kNextLogKey));
}

TEST_F(LogKeyTest, AKeyWhoseLogBeganReplacesTheOldOne) {
  ASSERT_TRUE(keys_->SaveEd25519(kNextLogKey, next_).ok());
  Begin(next_, true);
  EXPECT_TRUE(SettleLogKey(*keys_, *store_).ok());
  EXPECT_EQ(LogKid(), KidOf(next_));
  EXPECT_FALSE(keys_->Has(kNextLogKey));
}

TEST_F(LogKeyTest, ACrashBetweenItsStepsEndsTheSame) {
  ASSERT_TRUE(keys_->SaveEd25519(kNextLogKey, next_).ok());
  Begin(next_, true);
  ASSERT_TRUE(keys_->Remove(cli::kLogKey).ok());  // after the first step
  EXPECT_TRUE(SettleLogKey(*keys_, *store_).ok());
  EXPECT_EQ(LogKid(), KidOf(next_));
  ASSERT_TRUE(keys_->SaveEd25519(kNextLogKey, next_).ok());  // as it was after the second
  EXPECT_TRUE(SettleLogKey(*keys_, *store_).ok());
  EXPECT_EQ(LogKid(), KidOf(next_));
  EXPECT_FALSE(keys_->Has(kNextLogKey));
}

}  // namespace
}  // namespace aqmesh::daemon
