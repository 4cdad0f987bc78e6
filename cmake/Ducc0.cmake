# ducc0's Fourier transforms (BSD-3-Clause OR GPL-2.0-or-later): headers that one source of backend/cpu includes. PyPI
# has them in the source distribution alone, which pip fetches once, into .venv where there is one.

set(ducc0_version 0.42.0)
set(ducc0_folder ${PROJECT_SOURCE_DIR}/.venv)
if(NOT EXISTS ${ducc0_folder})
  set(ducc0_folder ${PROJECT_BINARY_DIR})
endif()
set(ducc0_sources ${ducc0_folder}/ducc0-${ducc0_version})

if(NOT EXISTS ${ducc0_sources}/src/ducc0/fft/fft.h)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -m pip --disable-pip-version-check download --quiet --no-deps --no-binary ducc0
      --dest ${ducc0_folder} ducc0==${ducc0_version}
    RESULT_VARIABLE failed)
  if(failed OR NOT EXISTS ${ducc0_sources}.tar.gz)
    message(FATAL_ERROR "The sources of ducc0 were not found, and pip could not fetch them. Unpack ducc0 "
                        "${ducc0_version} to ${ducc0_sources}, or configure with -DTREADLE_DUCC0=OFF.")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${ducc0_sources}.tar.gz DESTINATION ${ducc0_folder}
    PATTERNS */src/ducc0/fft/* */src/ducc0/infra/* */src/ducc0/math/*)
  file(REMOVE ${ducc0_sources}.tar.gz)
endif()

add_library(Treadle::ducc0 INTERFACE IMPORTED)
target_include_directories(Treadle::ducc0 INTERFACE ${ducc0_sources}/src)
