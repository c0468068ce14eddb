# Run by ctest, through a file that remat_register_suites wrote: adds a test for each suite of
# ${remat_test_program}.

if(NOT EXISTS "${remat_test_program}")
  add_test("${remat_test_target}_NOT_BUILT" "${remat_test_program}")
  return()
endif()

# Asking costs a start of the program: only after it was built anew.
set(remat_suite_list "${remat_test_program}.suites")
if("${remat_test_program}" IS_NEWER_THAN "${remat_suite_list}")
  execute_process(
    COMMAND "${remat_test_program}" --gtest_list_tests
    OUTPUT_FILE "${remat_suite_list}"
    RESULT_VARIABLE remat_list_failed)
  if(remat_list_failed)
    file(REMOVE "${remat_suite_list}")
    add_test("${remat_test_target}_CANNOT_LIST_ITS_TESTS" "${remat_test_program}" --gtest_list_tests)
    return()
  endif()
endif()

# A suite's line ends in a dot, with "# TypeParam = ..." after it for a typed one; its tests' lines
# are indented.
file(STRINGS "${remat_suite_list}" remat_suite_lines REGEX "^[^ ].*\\.( |$)")
foreach(remat_line IN LISTS remat_suite_lines)
  string(REGEX MATCH "^[^ ]+\\." remat_suite "${remat_line}")
  string(REGEX REPLACE "\\.$" "" remat_name "${remat_suite}")
  add_test("${remat_name}" "${remat_test_program}" "--gtest_filter=${remat_suite}*")
  set_tests_properties(
    "${remat_name}" PROPERTIES LABELS "${remat_test_label}" TIMEOUT 600
                               ENVIRONMENT "${remat_test_environment}")
endforeach()
if(NOT remat_suite_lines)
  add_test("${remat_test_target}_HAS_NO_TESTS" "${remat_test_program}_HAS_NO_TESTS")
endif()
