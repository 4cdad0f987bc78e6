#include "treadle/io/safetensors.h"

#include <cstdint>
#include <cstring>
#include <string>

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

#include "tests/support/temp_file.h"

namespace treadle {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class SafetensorsTest : public testing::Test {
 protected:
  // A file with this header text and this many bytes of data.
  void write(const std::string& header, size_t data_bytes = 0) {
    uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    file_.write(bytes + header + std::string(data_bytes, '\1'));
  }
  std::string error() const {
    try {
      load_safetensors(path_);
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  }

  const test::TempFile file_{"test.safetensors"};
  const std::string path_ = file_.path();
};

TEST_F(SafetensorsTest, BringsEveryDtypeBack) {
  std::vector<std::pair<std::string, array>> saved;
  for (int t = 0; t < kNumDtypes; ++t) {
    array x = astype(array({0, 1, 1, 0, 1, 1}, {2, 3}), Dtype(t));
    saved.emplace_back(std::string(name_of(Dtype(t))), x);
  }
  save_safetensors(
      path_, saved, {{"format", "mlx"}, {"note", "ünï \"quoted\""}});
  Safetensors loaded = load_safetensors(path_);
  ASSERT_EQ(loaded.tensors.size(), saved.size());
  for (size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(loaded.tensors[i].first, saved[i].first);
    EXPECT_EQ(loaded.tensors[i].second.spec(), saved[i].second.spec());
    EXPECT_THAT(loaded.tensors[i].second.to_vector<int>(),
                ElementsAre(0, 1, 1, 0, 1, 1));
  }
  EXPECT_EQ(loaded.metadata.at("format"), "mlx");
  EXPECT_EQ(loaded.metadata.at("note"), "ünï \"quoted\"");
}

TEST_F(SafetensorsTest, WritesViewsScalarsAndEmptyArraysInRowOrder) {
  array x = reshape(arange(6, float32), {2, 3});
  save_safetensors(path_,
                   {{"t", transpose(x)},
                    {"one", array(7.5f)},
                    {"none", zeros({0, 4})},
                    {"wide", broadcast_to(array(2), {3})}});
  auto t = load_safetensors(path_).tensors;
  EXPECT_EQ(t[0].second.shape(), (Shape{3, 2}));
  EXPECT_THAT(t[0].second.to_vector<float>(), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(t[1].second.ndim(), 0);
  EXPECT_EQ(t[1].second.item<float>(), 7.5f);
  EXPECT_EQ(t[2].second.shape(), (Shape{0, 4}));
  EXPECT_THAT(t[3].second.to_vector<int>(), ElementsAre(2, 2, 2));
}

TEST_F(SafetensorsTest, ReplacesAFileThatIsInUse) {
  save_safetensors(path_, {{"x", arange(4, float32)}});
  array x = load_safetensors(path_).tensors[0].second;
  save_safetensors(path_, {{"x", x + 1}});
  save_safetensors(path_,
                   {{"x", load_safetensors(path_).tensors[0].second * 2}});
  EXPECT_THAT(load_safetensors(path_).tensors[0].second.to_vector<float>(),
              ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(0, 1, 2, 3));
}

TEST_F(SafetensorsTest, KeepsTheOldFileWhenSavingFails) {
  save_safetensors(path_, {{"x", array(1)}});
  EXPECT_THROW(save_safetensors(path_, {{"x", array(2)}, {"x", array(3)}}),
               std::invalid_argument);
  EXPECT_THROW(save_safetensors(path_, {{"__metadata__", array(2)}}),
               std::invalid_argument);
  EXPECT_THROW(save_safetensors(path_, {{"\xff", array(2)}}),
               std::invalid_argument);
  EXPECT_EQ(load_safetensors(path_).tensors[0].second.item<int>(), 1);
  EXPECT_THROW(save_safetensors("/nonexistent/folder/x", {{"x", array(1)}}),
               std::runtime_error);
}

TEST_F(SafetensorsTest, LoadedArraysAreNeverWrittenInPlace) {
  save_safetensors(path_, {{"x", zeros({64})}});
  array x = load_safetensors(path_).tensors[0].second;
  for (int i = 0; i < 3; ++i) {
    x = x + 1;
    x.eval();
  }
  EXPECT_EQ(load_safetensors(path_).tensors[0].second.to_vector<float>()[0], 0);
}

TEST_F(SafetensorsTest, TakesTensorsAtOddOffsets) {
  std::string header =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},)"
      R"("c":{"dtype":"BOOL","shape":[3],"data_offsets":[9,12]}})";
  write(header, 12);
  std::string bytes = file_.read();
  float values[] = {1.5f, -2.5f};
  std::memcpy(&bytes[bytes.size() - 11], values, sizeof values);
  bytes[bytes.size() - 2] = 77;
  bytes[bytes.size() - 1] = 0;
  file_.write(bytes);
  auto t = load_safetensors(path_).tensors;
  EXPECT_THAT(t[1].second.to_vector<float>(), ElementsAre(1.5f, -2.5f));
  EXPECT_THAT(t[2].second.to_vector<int>(), ElementsAre(1, 1, 0));
}

TEST_F(SafetensorsTest, AcceptsAnEmptyObjectAndPaddedHeaders) {
  write("{}      ");
  EXPECT_TRUE(load_safetensors(path_).tensors.empty());
}

TEST_F(SafetensorsTest, AcceptsTheNullThatMlxWritesForNoMetadata) {
  write(R"({"__metadata__":null})");
  EXPECT_TRUE(load_safetensors(path_).metadata.empty());
}

TEST_F(SafetensorsTest, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(
      error(),
      AllOf(HasSubstr(path_), HasSubstr("cannot be opened: No such file")));
  file_.write("");
  EXPECT_THAT(error(),
              HasSubstr("has 0 bytes; a safetensors file has at least 8."));
  file_.write("1234567");
  EXPECT_THAT(error(), HasSubstr("has 7 bytes"));
  file_.write(std::string(8, '\xff'));
  EXPECT_THAT(error(),
              HasSubstr("says that its header has 18446744073709551615 bytes"));
  file_.write(std::string("\x09\0\0\0\0\0\0\0{}", 10));
  EXPECT_THAT(error(),
              HasSubstr("says that its header has 9 bytes; the file has 10."));
  file_.write(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10));
  EXPECT_THAT(error(), HasSubstr("headers at most 100000000"));
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNotTensors) {
  for (std::string header : {"",
                             "[]",
                             "{",
                             "nonsense",
                             "{\"a\":}",
                             "\"a\"",
                             "3",
                             "{\"\xff\":1}",
                             "{} {}",
                             "{\"a\":1e999}"}) {
    write(header, 4);
    EXPECT_THAT(error(),
                testing::AnyOf(HasSubstr("header that is not a JSON object"),
                               HasSubstr("describes tensor 'a' wrongly")))
        << header;
  }
  write(std::string("{}\0", 3));
  EXPECT_THAT(error(), HasSubstr("not a JSON object"));
  write(std::string(1'000'000, '['));
  EXPECT_THAT(error(), HasSubstr("not a JSON object"));
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  write(nested);
  EXPECT_THAT(error(), HasSubstr("not a JSON object"));
  write(R"({"__metadata__":[]})");
  EXPECT_THAT(error(), HasSubstr("metadata that is not a JSON object"));
  write(R"({"__metadata__":{"a":1}})");
  EXPECT_THAT(error(), HasSubstr("has metadata 'a' that is not text"));
  write(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
        R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
        2);
  EXPECT_THAT(error(), HasSubstr("names 'a' twice"));
}

TEST_F(SafetensorsTest, RefusesTensorsThatDoNotFitTheFile) {
  struct {
    const char *entry, *message;
  } cases[] = {
      {R"(1)", "expected dtype, shape and data_offsets."},
      {R"({"dtype":"F32","shape":[1]})",
       "expected dtype, shape and data_offsets."},
      {R"({"dtype":"F99","shape":[1],"data_offsets":[0,4]})",
       "dtype \"F99\" is not known."},
      {R"({"dtype":7,"shape":[1],"data_offsets":[0,4]})",
       "dtype 7 is not known."},
      {R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})",
       "the shape is not a list."},
      {R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})",
       "-1 is no length"},
      {R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})",
       "1.5 is no length"},
      {R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})",
       "no length"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0]})",
       "not two positions"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})",
       "not two positions"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})",
       "it lies at [4, 0)"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[8,12]})",
       "the file holds 8 bytes"},
      {R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})",
       "does not have the 8 bytes"},
      {R"({"dtype":"F32","shape":[],"data_offsets":[0,8]})",
       "does not have the 8 bytes"},
      {R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})",
       "does not have the 0 bytes"},
      {R"({"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]})",
       "does not have the 0 bytes"},
  };
  for (auto& c : cases) {
    write(std::string("{\"t\":") + c.entry + "}", 8);
    EXPECT_THAT(
        error(),
        AllOf(HasSubstr("describes tensor 't' wrongly"), HasSubstr(c.message)))
        << c.entry;
  }
  write(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
        R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
        8);
  EXPECT_THAT(error(), HasSubstr("has overlapping tensors 'a' and 'b'."));
}

TEST_F(SafetensorsTest, NoTruncationOrChangedByteCrashes) {
  save_safetensors(path_,
                   {{"weight", ones({3, 2})}, {"bias", ones({2}, float16)}},
                   {{"k", "v"}});
  const std::string good = file_.read();
  for (size_t n = 0; n < good.size(); ++n) {
    file_.write(good.substr(0, n));
    EXPECT_NE(error(), "") << "cut to " << n << " bytes";
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (char c : {'\0', '"', '9', '-', '[', '}', '\xff'}) {
      std::string bad = good;
      bad[i] = c;
      file_.write(bad);
      error();  // either loads or says why not
    }
  }
}

}  // namespace
}  // namespace treadle
