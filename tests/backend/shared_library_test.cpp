// Libraries that are loaded when they are first called.
#include "treadle/backend/cpu/shared_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace treadle::backend::cpu {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(SharedLibrary, CallsAFunctionOfTheLibrary) {
  SharedLibrary library("libm", "libm.so.6");
  const Imported<int(double)> exponent(library, "ilogb");
  EXPECT_EQ(exponent(27.0), 4);
  EXPECT_EQ(exponent(0.25), -2);
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
