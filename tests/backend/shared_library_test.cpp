// Libraries that are loaded when they are first called.
#include "treadle/backend/cpu/shared_library.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace treadle::backend::cpu {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(SharedLibrary, CallsAFunctionOfTheLibrary) {
  SharedLibrary library("libm", "libm.so.6");
  const Imported<double(double)> cube_root(library, "cbrt");
  EXPECT_EQ(cube_root(27.0), std::cbrt(27.0));
  EXPECT_EQ(cube_root(8.0), std::cbrt(8.0));
}

TEST(SharedLibrary, NamesTheProductAndTheFileThatIsMissing) {
  SharedLibrary library("oneDNN", "libno_such_library.so.3");
  const Imported<int()> call(library, "f");
  EXPECT_THAT([&] { call(); },
              ThrowsMessage<std::runtime_error>(
                  AllOf(HasSubstr("[oneDNN] cannot be loaded"),
                        HasSubstr("libno_such_library.so.3"))));
}

TEST(SharedLibrary, NamesTheFunctionThatIsMissing) {
  SharedLibrary library("libm", "libm.so.6");
  const Imported<int()> call(library, "no_such_function");
  EXPECT_THAT([&] { call(); },
              ThrowsMessage<std::runtime_error>(HasSubstr("no_such_function")));
}

}  // namespace
}  // namespace treadle::backend::cpu
