# Language level and compile flags.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Release has no debug information, to keep builds small. Debug is for checks first, for stepping second: -Og, and
# line numbers in backtraces.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1")

find_program(TREADLE_CCACHE ccache)
if(TREADLE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TREADLE_CCACHE})
endif()

# No -march: kernels choose their instruction set at run time. No contraction: a fused multiply-add happens only where
# the source writes one, so results do not depend on the compiler's mood. No interposition: calls inside the shared
# library may be inlined.
add_compile_options(-ffp-contract=off -fno-semantic-interposition)

if(TREADLE_SANITIZE STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(TREADLE_SANITIZE STREQUAL "thread")
  set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
elseif(TREADLE_SANITIZE)
  message(FATAL_ERROR "TREADLE_SANITIZE is '${TREADLE_SANITIZE}'; expected empty, address or thread")
endif()
add_compile_options(${sanitize})
add_link_options(${sanitize})

# Warnings are for our own sources, so they are a target that these link to.
add_library(treadle_warnings INTERFACE)
target_compile_options(treadle_warnings INTERFACE -Wall -Wextra -Werror)
