# The Python package: the extension treadle._core from python/src, with stubs. In the build folder the package is
# build/<preset>/python/treadle, made of links to the sources, so PYTHONPATH=build/<preset>/python runs it in place.

file(GLOB python_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python/src/*.cpp)
if(NOT python_sources)
  return()
endif()

execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
find_package(nanobind CONFIG HINTS ${nanobind_dir})
if(NOT nanobind_FOUND)
  message(FATAL_ERROR "nanobind was not found. Run ./dev setup, or configure with -DTREADLE_PYTHON=OFF.")
endif()

set(python_package ${PROJECT_BINARY_DIR}/python/treadle)
file(MAKE_DIRECTORY ${python_package})
file(GLOB entries CONFIGURE_DEPENDS LIST_DIRECTORIES true RELATIVE ${PROJECT_SOURCE_DIR}/python/treadle
  ${PROJECT_SOURCE_DIR}/python/treadle/*)
list(REMOVE_ITEM entries __pycache__)
foreach(entry IN LISTS entries)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/python/treadle/${entry} ${python_package}/${entry} SYMBOLIC)
endforeach()

# Speed before size: an eager operation costs about as much as its binding.
nanobind_add_module(_core NB_STATIC NB_DOMAIN treadle NOMINSIZE ${python_sources})
target_link_libraries(_core PRIVATE treadle treadle_warnings)
target_compile_definitions(_core PRIVATE TREADLE_VERSION="${PROJECT_VERSION}")
set_target_properties(_core PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${python_package})

# A wheel finds oneDNN and OpenBLAS in the wheels it depends on, relative to site-packages/treadle.
set_target_properties(_core PROPERTIES
  INSTALL_RPATH "\$ORIGIN;\$ORIGIN/../../..;\$ORIGIN/../scipy_openblas32/lib")

# A sanitized extension cannot be imported by a plain interpreter, which is what writes the stubs.
if(NOT TREADLE_SANITIZE)
  set(stubs __init__ cuda fast fft linalg metal random)
  list(TRANSFORM stubs REPLACE ".+" "${python_package}/_core/\\0.pyi")
  nanobind_add_stub(_core_stub
    MODULE treadle._core
    RECURSIVE
    OUTPUT_PATH ${python_package}
    OUTPUT ${stubs}
    PATTERN_FILE ${PROJECT_SOURCE_DIR}/python/src/stubs.pat
    PYTHON_PATH ${PROJECT_BINARY_DIR}/python
    DEPENDS _core ${PROJECT_SOURCE_DIR}/python/src/stubs.pat)
  install(FILES ${stubs} DESTINATION treadle/_core COMPONENT python)
endif()
install(TARGETS _core LIBRARY DESTINATION treadle COMPONENT python)
