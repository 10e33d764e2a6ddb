#include <gtest/gtest.h>

#include "core/base/status.h"
#include "core/wire/json.h"
#include "core/wire/reader.h"
#include "core/wire/refusal.h"
#include "core/wire/writer.h"

namespace aqmesh::wire {
namespace {

TEST(ReaderTest, ReadsWhatTheWriterWrote) {
  for (uint64_t value :
       {uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{16'384}, ~uint64_t{0}}) {
    Writer w;
    w.Number(1, value);
    w.String(31, Bytes(3, 7));
    Reader r(w.bytes());
    EXPECT_EQ(std::get<Tag>(r.PeekTag()), (Tag{1, WireType::kVarint}));
    r.SkipTag();
    EXPECT_EQ(std::get<uint64_t>(r.Number()), value);
    EXPECT_EQ(std::get<Tag>(r.PeekTag()), (Tag{31, WireType::kBytes}));
    r.SkipTag();
    EXPECT_TRUE(Equal(std::get<ByteView>(r.String()), Bytes(3, 7)));
    EXPECT_TRUE(r.done());
    Bytes varint;
    AppendVarint(varint, value);
    EXPECT_EQ(varint.size(), VarintSize(value));
  }
}

TEST(ReaderTest, ZeroAndEmptyAreWrittenByAbsence) {
  Writer w;
  w.Number(1, 0);
  w.String(2, {});
  EXPECT_TRUE(w.bytes().empty());
}

// spec: objects#1 rules 2 and 3.
TEST(ReaderTest, RefusesNumbersWithASecondEncoding) {
  for (const char* hex :
       {"00", "8000", "8100", "ff", "", "ffffffffffffffffff02", "ffffffffffffffffffff01"}) {
    const Bytes bytes = *FromHex(hex);
    Reader r(bytes);
    EXPECT_TRUE(std::holds_alternative<Reader::Fault>(r.Number())) << hex;
  }
}

TEST(ReaderTest, RefusesLengthsPastTheEndAndStrangeTags) {
  for (const char* hex : {"00", "0201", "ffffffffffffffffff01"}) {
    const Bytes bytes = *FromHex(hex);
    Reader r(bytes);
    EXPECT_TRUE(std::holds_alternative<Reader::Fault>(r.String())) << hex;
  }
  for (const char* hex : {"09", "0b", "0d", "00", "8800", "8080808010", "88"}) {
    const Bytes bytes = *FromHex(hex);
    Reader r(bytes);
    EXPECT_TRUE(std::holds_alternative<Reader::Fault>(r.PeekTag())) << hex;
  }
}

TEST(RefusalTest, KeepsItsByteThroughAnnotation) {
  const Refusal refusal{"grant", "field 2 suite", 17, "wrong", 2};
  EXPECT_EQ(Text(refusal.ToStatus()),
            "grant: field 2 suite at byte 17: wrong (spec/objects.md §2)");
  EXPECT_EQ(RefusedByte(Annotate(refusal.ToStatus(), "reading a.grant")), 17u);
  EXPECT_EQ(RefusedByte(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(RefusedByte(InvalidArgument("no such flag")), std::nullopt);
}

TEST(JsonWriterTest, PutsCommasAndEscapes) {
  JsonWriter w;
  w.Object()
      .Field("a", 1)
      .Field("b", "q\"\\\n\x01\x7f")
      .Key("c")
      .Array()
      .Value(true)
      .Null()
      .Value(-1.5)
      .Object()
      .End()
      .End();
  w.Field("n", ~uint64_t{0}).End();
  EXPECT_EQ(
      w.Take(),
      R"({"a":1,"b":"q\"\\\n\u0001\u007f","c":[true,null,-1.5,{}],"n":18446744073709551615})");
  w.Array().End();
  EXPECT_EQ(w.Take(), "[]");
}

TEST(JsonWriterTest, BytesThatAreNotUtf8AreReplaced) {
  JsonWriter w;
  w.Value(std::string_view("\xc3\xa9\xff\xc0\x80\xed\xa0\x80\xf0\x9f\x98\x80"));
  EXPECT_EQ(w.Take(),
            "\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0"
            "\x9f\x98\x80\"");
}

TEST(JsonWriterDeathTest, AValueWithoutItsKeyIsOurMistake) {
  JsonWriter w;
  w.Object();
  EXPECT_DEATH(w.Value(1), "invariant");
}

}  // namespace
}  // namespace aqmesh::wire
