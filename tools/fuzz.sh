#!/usr/bin/env bash
# Runs every fuzz target for a while: fuzz.sh BUILD_FOLDER SECONDS. See ./dev --help.
#
# What it makes up is kept in the build folder, so that the next run goes on from there. The seeds in
# tests/fuzz/corpus stay as they are; a finding is put beside the corpus in the build folder, and belongs
# into the seeds once it is fixed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/common.sh

fuzz() {
  local target=$1 found=$build/fuzz_corpus/$1
  mkdir -p "$found"
  echo "-- $target, $seconds s"
  "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -max_len=8192 \
    -dict=tests/fuzz/formats.dict -artifact_prefix="$build/fuzz_corpus/$target-" \
    -print_final_stats=1 -verbosity=0 "$found" "tests/fuzz/corpus/$target" 2>&1 |
    grep -E 'ERROR|BINGO|SUMMARY|Test unit|Broken|what\(\)|stat::(number_of_executed_units|average_exec)' || true
  return "${PIPESTATUS[0]}"
}

build=$1 seconds=$2
failed=
for target in op_graph_reader chain_reader plan_simulator plans_reader; do
  fuzz "$target" || failed+=" $target"
done
[[ -z $failed ]] || fail "findings in$failed; the inputs are in $build/fuzz_corpus"
