# Installs the libraries, the headers and the program, and makes them findable: the install tree, and
# the build tree too (-Dremat_ROOT=build/dev).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(remat_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/remat")

foreach(component plan torch)
  install(
    TARGETS remat_${component}
    EXPORT remat-${component}-targets
    FILE_SET HEADERS)
  install(
    EXPORT remat-${component}-targets
    NAMESPACE remat::
    DESTINATION "${remat_package_dir}")
  export(
    EXPORT remat-${component}-targets
    NAMESPACE remat::
    FILE "${PROJECT_BINARY_DIR}/remat-${component}-targets.cmake")
endforeach()

if(TARGET remat)
  install(TARGETS remat)
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/remat-config.cmake.in" "${PROJECT_BINARY_DIR}/remat-config.cmake"
  INSTALL_DESTINATION "${remat_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/remat-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/remat-config.cmake"
              "${PROJECT_BINARY_DIR}/remat-config-version.cmake"
        DESTINATION "${remat_package_dir}")
