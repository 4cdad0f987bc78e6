// python/tests/test_io_npy.py exchanges files with NumPy and tries broken ones.
#include "treadle/io/npy.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/views.h"

namespace treadle {
namespace {

TEST(Npy, BringsArraysBack) {
  const std::string path = testing::TempDir() + "/npy_test.npy";
  for (Dtype dtype :
       {bool_, uint8, int64, float16, bfloat16, float32, float64, complex64}) {
    array x = astype(reshape(arange(6), {2, 3}), dtype);
    save_npy(path, transpose(x));
    array y = load_npy(path);
    EXPECT_EQ(y.spec(), (Spec{{3, 2}, dtype}));
    EXPECT_EQ(astype(y, float32).to_vector<float>(),
              astype(transpose(x), float32).to_vector<float>());
  }
  std::filesystem::remove(path);
}

TEST(Npy, SaysWhatIsWrongWithAFile) {
  EXPECT_THROW(load_npy("/no/such/file.npy"), std::runtime_error);
  EXPECT_THROW(save_npy("/no/such/folder/a.npy", ones({2})),
               std::runtime_error);
  std::string good = npy_to_bytes(ones({2, 3}));
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_THROW(npy_from_bytes(std::span(good.data(), n), "cut"),
                 std::runtime_error)
        << n;
  }
}

}  // namespace
}  // namespace treadle
