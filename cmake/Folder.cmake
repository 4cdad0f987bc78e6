# treadle_folder(<folder> [NEEDS <folder>...] [LIBS <target>...])
#
# Makes the object library treadle_<folder> from treadle/<folder>/**/*.cpp and adds it to the library `treadle`.
# NEEDS are the arrows of docs/architecture.md; tools/check_layers.py holds the includes to the same arrows.
# LIBS are third-party targets that this folder alone may include. A folder without sources yet is an empty target.
function(treadle_folder folder)
  cmake_parse_arguments(arg "" "" "NEEDS;LIBS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  list(TRANSFORM arg_NEEDS REPLACE "/" "_")
  list(TRANSFORM arg_NEEDS PREPEND treadle_)

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/treadle/${folder}/*.cpp)
  if(NOT sources)
    add_library(treadle_${name} INTERFACE)
    target_link_libraries(treadle_${name} INTERFACE ${arg_NEEDS})
    return()
  endif()

  add_library(treadle_${name} OBJECT ${sources})
  target_include_directories(treadle_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(treadle_${name} PRIVATE TREADLE_VERSION="${PROJECT_VERSION}")
  target_link_libraries(treadle_${name} PUBLIC ${arg_NEEDS} PRIVATE treadle_warnings ${arg_LIBS})
  set_property(GLOBAL APPEND PROPERTY treadle_objects $<TARGET_OBJECTS:treadle_${name}>)
endfunction()
