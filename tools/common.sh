# shellcheck shell=bash
# Shared by ./dev and tools/*.sh, which source it from the repository's root.

fail() {
  printf 'dev: %s\n' "$*" >&2
  exit 1
}

usage_error() {
  printf 'dev: %s\nSee ./dev --help.\n' "$*" >&2
  exit 2
}

# A compiler that reads LibTorch takes up to 1.5 GiB, a sanitized one 2.
jobs() {
  if [[ -n ${REMAT_JOBS:-} ]]; then
    echo "$REMAT_JOBS"
    return
  fi
  local cores by_memory
  cores=$(nproc)
  by_memory=$(awk '/^MemAvailable:/ {print int($2 / (2 * 1024 * 1024))}' /proc/meminfo)
  echo $((by_memory < 1 ? 1 : by_memory < cores ? by_memory : cores))
}

# The build folder of a preset. Another LibTorch gets another folder: CMake keeps what it found.
build_dir() {
  local dir=${REMAT_BUILD_ROOT:-build}/$1
  if [[ -n ${CMAKE_PREFIX_PATH:-} ]]; then
    dir+=-$(printf '%s' "$CMAKE_PREFIX_PATH" | cksum | cut -d ' ' -f 1)
  fi
  echo "$dir"
}

# Prints the folder on stdout; CMake's own words appear only when it fails.
configure() {
  local preset=$1 dir log
  dir=$(build_dir "$preset")
  mkdir -p "$dir"
  log=$dir/configure.log
  if ! cmake --preset "$preset" -B "$dir" >"$log" 2>&1; then
    cat "$log" >&2
    fail "CMake could not configure $dir"
  fi
  echo "$dir"
}

compile() {
  local dir=$1
  shift
  ninja -C "$dir" -j "$(jobs)" "$@"
}

run_ctest() {
  local dir=$1
  shift
  ctest --test-dir "$dir" --output-on-failure --parallel "$(jobs)" "$@"
}
