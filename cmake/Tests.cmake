# One executable and one ctest entry per folder of tests/: every .cpp below tests/<folder> goes into <folder>_test.
# tests/support holds helpers that all of them share.

find_package(GTest REQUIRED)

file(GLOB_RECURSE support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cpp)
add_library(treadle_test_support INTERFACE)
if(support)
  add_library(treadle_test_helpers OBJECT ${support})
  target_link_libraries(treadle_test_helpers PRIVATE treadle treadle_warnings GTest::gtest GTest::gmock)
  target_sources(treadle_test_support INTERFACE $<TARGET_OBJECTS:treadle_test_helpers>)
endif()

# Generated CUDA source is compiled, not run, so this needs NVRTC but no GPU.
if(TREADLE_CUDA_CHECK)
  find_package(CUDAToolkit QUIET)
endif()

function(treadle_add_test name target)
  add_test(NAME ${name} COMMAND ${target} ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900)
  if(TREADLE_SANITIZE STREQUAL "address")
    # The search for leaks of g++ 12 now and then dies when it reads the thread-local memory of libraries that were
    # loaded late: it takes a block that happens to lie 16 bytes into a page for one with a header of glibc 2.19 and
    # reads an address from it. Without this record of where that memory is, it leaves it out.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT ASAN_OPTIONS=intercept_tls_get_addr=0)
  endif()
endfunction()

file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true RELATIVE ${PROJECT_SOURCE_DIR}/tests
  ${PROJECT_SOURCE_DIR}/tests/*)
foreach(folder IN LISTS folders)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.cpp)
  if(NOT sources OR folder STREQUAL "support")
    continue()
  endif()
  if(TREADLE_SANITIZE AND folder MATCHES "^(large|cuda_check)$")
    continue()  # sanitizers need several times the memory
  endif()
  if(folder STREQUAL "cuda_check" AND NOT TARGET CUDA::nvrtc)
    message(STATUS "NVRTC was not found: tests/cuda_check is left out")
    continue()
  endif()

  set(target ${folder}_test)
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE
    treadle treadle_warnings treadle_test_support fmt::fmt GTest::gtest_main GTest::gmock)
  if(folder STREQUAL "cuda_check")
    # By path: the target CUDA::nvrtc would bring libcuda, which only a machine with a driver has.
    target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    target_link_libraries(${target} PRIVATE ${CUDA_nvrtc_LIBRARY})
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  treadle_add_test(${folder} ${target} --gtest_brief=1)
endforeach()

# The C++ programs of these pages, as they stand: a page's blocks are one program.
foreach(page README.md docs/training-patterns.md)
  file(READ ${PROJECT_SOURCE_DIR}/${page} text)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  set(program)
  string(FIND "${text}" "```cpp\n" begin)
  while(begin GREATER -1)
    math(EXPR begin "${begin} + 7")
    string(SUBSTRING "${text}" ${begin} -1 text)
    string(FIND "${text}" "```" end)
    string(SUBSTRING "${text}" 0 ${end} block)
    string(APPEND program "${block}\n")
    string(FIND "${text}" "```cpp\n" begin)
  endwhile()
  cmake_path(GET page STEM LAST_ONLY name)
  string(TOLOWER ${name} name)
  string(REPLACE "-" "_" name ${name})
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/tests/${name}.cpp CONTENT "${program}" @ONLY)
  add_executable(${name}_test ${PROJECT_BINARY_DIR}/tests/${name}.cpp)
  target_link_libraries(${name}_test PRIVATE treadle)
  treadle_add_test(${name} ${name}_test)
endforeach()
