# Finds what Treadle links. Also run by TreadleConfig.cmake of a static build, whose users link the same libraries.
#
# oneDNN, OpenBLAS and nanobind come as Python wheels. They are looked for in every prefix on the Python path, which
# finds them in .venv and in pip's isolated build environments alike.

if(NOT Python_EXECUTABLE AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
  set(Python_EXECUTABLE ${PROJECT_SOURCE_DIR}/.venv/bin/python)
endif()
find_package(Python 3.10 COMPONENTS Interpreter OPTIONAL_COMPONENTS Development.Module)

set(treadle_site_packages)
set(treadle_prefixes)
if(Python_FOUND)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import sys; print(';'.join(p for p in sys.path if p.endswith('-packages')))"
    OUTPUT_VARIABLE treadle_site_packages OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  foreach(site IN LISTS treadle_site_packages)
    cmake_path(SET prefix NORMALIZE "${site}/../../..")
    list(APPEND treadle_prefixes ${prefix})
  endforeach()
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(hwy REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)

if(NOT TREADLE_THREADS MATCHES "^(openmp|std)$")
  message(FATAL_ERROR "TREADLE_THREADS is '${TREADLE_THREADS}'; expected openmp or std")
endif()

if(TREADLE_ONEDNN)
  find_package(dnnl CONFIG HINTS ${treadle_prefixes})
  if(NOT dnnl_FOUND)
    message(FATAL_ERROR "oneDNN was not found. Run ./dev setup (it installs the wheel onednn-devel-cpu-gomp), "
                        "or configure with -DTREADLE_ONEDNN=OFF.")
  endif()
endif()

if(TREADLE_OPENBLAS AND NOT TARGET Treadle::openblas)
  find_path(TREADLE_OPENBLAS_INCLUDE cblas.h
    PATHS ${treadle_site_packages} PATH_SUFFIXES scipy_openblas32/include NO_DEFAULT_PATH)
  find_library(TREADLE_OPENBLAS_LIBRARY scipy_openblas
    PATHS ${treadle_site_packages} PATH_SUFFIXES scipy_openblas32/lib NO_DEFAULT_PATH)
  if(NOT TREADLE_OPENBLAS_INCLUDE OR NOT TREADLE_OPENBLAS_LIBRARY)
    message(FATAL_ERROR "OpenBLAS was not found. Run ./dev setup (it installs the wheel scipy-openblas32), "
                        "or configure with -DTREADLE_OPENBLAS=OFF.")
  endif()
  add_library(Treadle::openblas SHARED IMPORTED)
  # Every name of this build starts with scipy_ (scipy_cblas_dgemm), so that it never meets another BLAS of the process.
  set_target_properties(Treadle::openblas PROPERTIES
    IMPORTED_LOCATION ${TREADLE_OPENBLAS_LIBRARY}
    IMPORTED_SONAME libscipy_openblas.so
    INTERFACE_INCLUDE_DIRECTORIES ${TREADLE_OPENBLAS_INCLUDE})
endif()

# What the finished library links, and where it finds what it loads later.
set(treadle_libraries fmt::fmt ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS})
set(treadle_library_folders)
# Loading Highway's library takes a quarter of the time to import Treadle (backend/cpu/simd_dispatch.cpp).
get_target_property(type hwy::hwy_contrib TYPE)
if(type STREQUAL "SHARED_LIBRARY" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(treadle_loads_highway ON)
  get_target_property(file hwy::hwy_contrib LOCATION)
  cmake_path(GET file PARENT_PATH folder)
  if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    list(APPEND treadle_library_folders ${folder})
  endif()
else()
  set(treadle_loads_highway OFF)
  list(APPEND treadle_libraries hwy::hwy hwy::hwy_contrib)
endif()
if(TREADLE_ONEDNN)
  list(APPEND treadle_library_folders $<TARGET_FILE_DIR:DNNL::dnnl>)
endif()
if(TREADLE_OPENBLAS)
  list(APPEND treadle_library_folders $<TARGET_FILE_DIR:Treadle::openblas>)
endif()
# Programs that link a static Treadle load them too.
list(APPEND CMAKE_BUILD_RPATH ${treadle_library_folders})
