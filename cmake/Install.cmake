# Installing, and find_package(Treadle CONFIG) for installed trees and for build folders.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Treadle)
install(TARGETS treadle EXPORT TreadleTargets COMPONENT treadle)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/treadle DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT treadle
  FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
install(EXPORT TreadleTargets NAMESPACE Treadle:: DESTINATION ${package_dir} COMPONENT treadle)
export(EXPORT TreadleTargets NAMESPACE Treadle:: FILE ${PROJECT_BINARY_DIR}/TreadleTargets.cmake)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/TreadleConfig.cmake.in
  ${PROJECT_BINARY_DIR}/TreadleConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TreadleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(${PROJECT_SOURCE_DIR}/cmake/Dependencies.cmake ${PROJECT_BINARY_DIR}/TreadleDependencies.cmake COPYONLY)
install(FILES
  ${PROJECT_BINARY_DIR}/TreadleConfig.cmake ${PROJECT_BINARY_DIR}/TreadleConfigVersion.cmake
  ${PROJECT_BINARY_DIR}/TreadleDependencies.cmake
  DESTINATION ${package_dir} COMPONENT treadle)
