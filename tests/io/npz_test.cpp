// python/tests/test_io_npy.py exchanges files with NumPy and MLX and tries
// broken ones.
#include "treadle/io/npz.h"

#include <gmock/gmock.h>

#include "treadle/nn/modules/linear.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

#include "tests/support/temp_file.h"

namespace treadle {
namespace {

using testing::HasSubstr;
using testing::Not;

class NpzTest : public testing::Test {
 protected:
  std::string error() const {
    try {
      load_npz(path_);
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  }

  const test::TempFile file_{"test.npz"};
  const std::string path_ = file_.path();
};

// numpy.savez_compressed of "layer.weight", (4, 50) of 0.5, and "bias", 0 1 2.
std::string deflated() {
  const std::string hex =
      "504b03042d0000000800000021009beb8ad4ffffffffffffffff100014006c61"
      "7965722e7765696768742e6e707901001000a003000000000000520000000000"
      "00009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9366a2aea3a09e96"
      "5f54529498179f5f94920a12774bcc294e058a17672416a402f91a263a0aa606"
      "9a3a0ab50ae4022e060606fb513c8a4731760c00504b03042d00000008000000"
      "2100b68c8653ffffffffffffffff08001400626961732e6e7079010010008c00"
      "0000000000004b000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca4"
      "6ea5a06e9366a2aea3a09e965f54529498179f5f94920a12774bcc294e058a17"
      "672416a402f91ac63a9a3a0ab50a14002e063068b007120e00504b01022d032d"
      "0000000800000021009beb8ad452000000a00300001000000000000000000000"
      "008001000000006c617965722e7765696768742e6e7079504b01022d032d0000"
      "00080000002100b68c86534b0000008c00000008000000000000000000000080"
      "0194000000626961732e6e7079504b0506000000000200020074000000190100"
      "000000";
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(char(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TEST_F(NpzTest, BringsArraysBack) {
  std::vector<std::pair<std::string, array>> saved;
  for (Dtype dtype : {bool_, int64, float16, bfloat16, float32, complex64}) {
    saved.emplace_back("of." + std::string(name_of(dtype)),
                       astype(array({0, 1, 1, 0, 1, 1}, {2, 3}), dtype));
  }
  saved.emplace_back("none", zeros({0, 4}));
  saved.emplace_back("number", array(3.0f));
  save_npz(path_, saved);
  const auto loaded = load_npz(path_);
  ASSERT_EQ(loaded.size(), saved.size());
  for (size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(loaded[i].first, saved[i].first);
    EXPECT_EQ(loaded[i].second.spec(), saved[i].second.spec());
    EXPECT_EQ(astype(loaded[i].second, float32).to_vector<float>(),
              astype(saved[i].second, float32).to_vector<float>());
  }
}

TEST_F(NpzTest, WhatIsStoredIsMapped) {
  const auto maps = [&] {
    std::ifstream in("/proc/self/maps");
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  save_npz(path_, {{"odd name", arange(9)}, {"b", ones({5, 3})}});
  auto loaded = load_npz(path_);
  EXPECT_THAT(maps(), HasSubstr(path_));
  EXPECT_EQ(loaded[0].second.to_vector<int>()[8], 8);
  loaded.clear();
  EXPECT_THAT(maps(), Not(HasSubstr(path_)));
  file_.write(deflated());
  loaded = load_npz(path_);
  EXPECT_THAT(maps(), Not(HasSubstr(path_)));
}

TEST_F(NpzTest, ReadsWhatNumPyHasDeflated) {
  file_.write(deflated());
  const auto loaded = load_npz(path_);
  ASSERT_EQ(loaded.size(), 2u);
  EXPECT_EQ(loaded[0].first, "layer.weight");
  EXPECT_EQ(loaded[0].second.shape(), (Shape{4, 50}));
  EXPECT_THAT(loaded[0].second.to_vector<float>(), testing::Each(0.5f));
  EXPECT_THAT(loaded[1].second.to_vector<float>(),
              testing::ElementsAre(0, 1, 2));
}

TEST_F(NpzTest, LayersAreSavedAndLoaded) {
  nn::Linear layer(3, 2), other(3, 2);
  layer.save_weights(path_);
  other.load_weights(path_);
  EXPECT_EQ(other.weight.to_vector<float>(), layer.weight.to_vector<float>());
  EXPECT_EQ(other.bias.to_vector<float>(), layer.bias.to_vector<float>());
  EXPECT_THROW(nn::Linear(3, 2, false).load_weights(path_),
               std::invalid_argument);
}

TEST_F(NpzTest, AnArchiveThatIsCutShortIsAnError) {
  const std::string good = deflated();
  for (size_t n = 0; n < good.size(); ++n) {
    file_.write(good.substr(0, n));
    EXPECT_NE(error(), "") << n;
  }
}

TEST_F(NpzTest, AChangedByteIsAnErrorOrChangesNoNumber) {
  const std::string good = deflated();
  for (size_t i = 0; i < good.size(); ++i) {
    for (int change : {0x01, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[i] = char(bytes[i] ^ change);
      file_.write(bytes);
      try {
        for (const auto& [name, x] : load_npz(path_)) {
          if (x.size() != 200) continue;
          EXPECT_THAT(x.to_vector<float>(), testing::Each(0.5f)) << i;
        }
      } catch (const std::runtime_error&) {
      }
    }
  }
}

TEST_F(NpzTest, SaysWhatIsWrong) {
  file_.write("PK no archive at all, though long enough");
  EXPECT_THAT(error(), HasSubstr("is no archive"));
  EXPECT_THROW(load_npz("/no/such/file.npz"), std::runtime_error);
  EXPECT_THROW(save_npz("/no/such/folder/a.npz", {{"a", ones({2})}}),
               std::runtime_error);
  EXPECT_THROW(save_npz(path_, {{"a", ones({2})}, {"a", ones({2})}}),
               std::invalid_argument);
}

}  // namespace
}  // namespace treadle
