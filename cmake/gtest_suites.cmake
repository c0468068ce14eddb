# Registers a GoogleTest program's suites with CTest, one test for each suite.
#
# CMake's gtest_discover_tests registers single tests, each a process of its own; loading LibTorch
# takes 0.6 s, so that the processes would take longer than the tests.

set(remat_suites_script "${CMAKE_CURRENT_LIST_DIR}/gtest_suites_at_test_time.cmake")

# remat_register_suites(<target> LABEL <label> ENVIRONMENT <variable=value>...)
# The program is asked for its suites when ctest starts, so that building it does not run it.
function(remat_register_suites target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL" "ENVIRONMENT")
  set(include_file "${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake")
  file(
    GENERATE
    OUTPUT "${include_file}"
    CONTENT
      "set(remat_test_target \"${target}\")
set(remat_test_program \"$<TARGET_FILE:${target}>\")
set(remat_test_label \"${arg_LABEL}\")
set(remat_test_environment \"${arg_ENVIRONMENT}\")
include(\"${remat_suites_script}\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include_file}")
endfunction()
