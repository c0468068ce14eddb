# What makes remat's own builds short. Included only when remat is the top-level project: a parent
# project decides these for itself.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

# Line tables and function names: enough for backtraces and sanitizers. Tests and program compile twice
# as fast with -O1; the libraries ask for -O2 themselves.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")

find_program(REMAT_CCACHE ccache)
if(REMAT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness is what ccache's manual asks for with precompiled headers. Without the folder in the
  # hash, build folders share objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_NOHASHDIR=1
      "${REMAT_CCACHE}")
endif()

find_program(REMAT_LLD ld.lld)
if(REMAT_LLD)
  add_link_options(-fuse-ld=lld)
endif()
