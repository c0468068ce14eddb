# What every target of remat shares. All of it is PRIVATE: a consumer inherits no flags.

set(remat_warnings
    -Wall
    -Wextra
    -Wshadow
    -Wnon-virtual-dtor
    -Wold-style-cast
    -Woverloaded-virtual
    -Wnull-dereference
    -Wvla)

# remat_target(<target> STANDARD <17|20>): language level, warnings and sanitizers.
function(remat_target target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "STANDARD" "")
  set_target_properties(
    ${target}
    PROPERTIES CXX_STANDARD ${arg_STANDARD}
               CXX_STANDARD_REQUIRED ON
               CXX_EXTENSIONS OFF)
  # -fPIC also for programs, where CMake's property would say -fPIE: the precompiled header serves both.
  target_compile_options(${target} PRIVATE -fPIC ${remat_warnings}
                                           $<$<BOOL:${REMAT_WERROR}>:-Werror>)
  if(REMAT_SANITIZE)
    list(JOIN REMAT_SANITIZE "," sanitizers)
    # Among instrumented code g++ loses track of what is initialised (in LibTorch's headers).
    target_compile_options(
      ${target} PRIVATE -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer
                        $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(${target} PRIVATE -fsanitize=${sanitizers})
  endif()
endfunction()

# remat_folder_sources(<variable> <folder>...): the sources of these folders of src/. A folder that
# does not exist (yet) has none.
function(remat_folder_sources variable)
  list(TRANSFORM ARGN REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/src/\\1/*.cc" OUTPUT_VARIABLE patterns)
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# remat_library(<target> NAME <name> FOLDERS <folder>... HEADERS <header>...): a library that is
# installed as remat::<name>. The headers are public; consumers need C++17 for them.
function(remat_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAME" "FOLDERS;HEADERS")
  remat_folder_sources(sources ${arg_FOLDERS})
  target_sources(${target} PRIVATE ${sources})
  list(TRANSFORM arg_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/remat/")
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES
                                  ${arg_HEADERS})
  remat_target(${target} STANDARD 17)
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O2>)
  target_compile_features(${target} PUBLIC cxx_std_17)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${arg_NAME})
  add_library(remat::${arg_NAME} ALIAS ${target})
endfunction()
