#!/usr/bin/env bash
# lint.sh [FILE...|--all|--format]: the lint tests, clang-format and clang-tidy; see ./dev --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/common.sh

sources() { find src include tests benchmarks \( -name '*.cc' -o -name '*.h' \) -print; }

# What differs from the last commit, or everything where there is none.
changed() {
  if git rev-parse --verify --quiet HEAD >/dev/null; then
    git ls-files --modified --others --exclude-standard -- '*.cc' '*.h'
  else
    sources
  fi
}

# find_tool NAME: the pinned version where it is there; other versions format and judge differently.
find_tool() { command -v "$1-14" || command -v "$1" || true; }

check_format() {
  local tool
  tool=$(find_tool clang-format)
  if [[ -z $tool ]]; then
    echo "dev: clang-format is not installed: formatting was not checked" >&2
    return
  fi
  echo "-- clang-format"
  sources | xargs "$tool" --dry-run --Werror
}

# clang cannot read g++'s precompiled header: it gets a build folder without one, in which nothing is
# ever built.
tidy_dir() {
  local dir
  dir=$(build_dir tidy)
  cmake --preset dev -B "$dir" -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null
  echo "$dir"
}

# Headers are judged with the sources that include them.
check_tidy() {
  local tool dir files
  tool=$(find_tool clang-tidy)
  if [[ -z $tool ]]; then
    echo "dev: clang-tidy is not installed: it was left out" >&2
    return
  fi
  files=$(printf '%s\n' "$@" | grep '^\(\./\)\?src/.*\.cc$' || true)
  [[ -n $files ]] || return 0
  dir=$(tidy_dir)
  echo "-- clang-tidy on $(wc -l <<<"$files") sources"
  xargs -n 1 -P "$(jobs)" "$tool" -p "$dir" --quiet <<<"$files"
}

lint_tests() {
  local dir
  dir=$(configure dev)
  compile "$dir" remat_plan remat_torch
  run_ctest "$dir" -L lint
}

case ${1:-} in
  --format)
    tool=$(find_tool clang-format)
    [[ -n $tool ]] || fail "clang-format is not installed (sudo apt-get install clang-format)"
    sources | xargs "$tool" -i
    exit 0
    ;;
  --all) mapfile -t files < <(sources) ;;
  '') mapfile -t files < <(changed) ;;
  -*) usage_error "lint: unknown option '$1'" ;;
  *)
    files=("$@")
    for file in "${files[@]}"; do
      [[ -f $file ]] || fail "lint: no such file: $file"
    done
    ;;
esac

lint_tests
check_format
check_tidy ${files[@]+"${files[@]}"}
