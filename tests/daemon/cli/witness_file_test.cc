#include "daemon/cli/witness_file.h"

#include <gtest/gtest.h>

#include "core/base/status.h"

namespace aqmesh::cli {
namespace {

std::string Vkey(uint8_t n) {
  return tlog::NoteSigner(Join("example.com/w", int{n}),
                          tlog::KeyType::kCosignature,
                          crypto::Ed25519Seed(Bytes(32, n)))
      .key()
      .Vkey();
}

TEST(WitnessFileTest, WhoHasAUrlIsAsked) {
  const auto policy = ParseWitnesses(Join("witness rome ",
                                          Vkey(1),
                                          " https://rome.example/prefix/\nwitness oslo ",
                                          Vkey(2),
                                          "\ngroup both all rome oslo\nquorum both\n"),
                                     "witnesses.policy");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->witnesses().size(), 2u);
  const auto asked = Asked(*policy);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].name, "rome");
  EXPECT_EQ(asked[0].key.Vkey(), Vkey(1));
  EXPECT_EQ(asked[0].url, "https://rome.example/prefix/");
}

TEST(WitnessFileTest, AWrongFileIsNamedWithItsPlace) {
  const auto wrong = [](std::string_view text) {
    return Text(ParseWitnesses(text, "witnesses.policy").status());
  };
  EXPECT_NE(wrong("witness rome\n").find("witnesses.policy: line 1"), std::string::npos);
  EXPECT_NE(wrong(Join("witness rome ", Vkey(1), " ftp://rome.example\nquorum rome\n"))
                .find("witness rome: the URL ftp://rome.example"),
            std::string::npos);
  std::string many;
  for (uint8_t n = 1; n <= 17; ++n)
    many += Join("witness w", int{n}, " ", Vkey(n), " http://w.example\n");
  EXPECT_NE(wrong(many + "quorum none\n").find("17 witnesses have a URL"), std::string::npos);
  EXPECT_TRUE(absl::IsNotFound(LoadWitnesses("/no/such/file").status()));
}

TEST(WitnessFileTest, UrlsAreReadStrictly) {
  struct Case {
    const char* url;
    const char* host;  // null: refused
    uint16_t port;
    bool tls;
  };
  const Case cases[] = {{"https://w.example", "w.example", 443, true},
                        {"http://w.example/", "w.example", 80, false},
                        {"http://127.0.0.1:8080/a/b", "127.0.0.1", 8080, false},
                        {"https://[2001:db8::1]:444/x", "2001:db8::1", 444, true},
                        {"https://[2001:db8::1]", "2001:db8::1", 443, true},
                        {"", nullptr, 0, false},
                        {"w.example", nullptr, 0, false},
                        {"https://", nullptr, 0, false},
                        {"https:///x", nullptr, 0, false},
                        {"https://user:pw@w.example/", nullptr, 0, false},
                        {"https://w.example:0/", nullptr, 0, false},
                        {"https://w.example:65536/", nullptr, 0, false},
                        {"https://w.example:8o/", nullptr, 0, false},
                        {"https://w.example/?q", nullptr, 0, false},
                        {"https://w.example/#f", nullptr, 0, false},
                        {"file:///etc/passwd", nullptr, 0, false},
                        {"https://w.example/\x01", nullptr, 0, false}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.url);
    const auto url = ParseWitnessUrl(c.url);
    ASSERT_EQ(url.ok(), c.host != nullptr) << url.status();
    if (!url.ok()) continue;
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->tls, c.tls);
  }
  EXPECT_FALSE(ParseWitnessUrl("https://" + std::string(kUrlBytesMax, 'a')).ok());
}

}  // namespace
}  // namespace aqmesh::cli
