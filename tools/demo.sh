#!/usr/bin/env bash
# The program at work on a text that Debian ships: demo.sh BUILD_FOLDER. See ./dev --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/common.sh

# Writes the text to train on: the Debian Reference, or the licences where that is not installed.
write_text() {
  local reference=/usr/share/debian-reference/debian-reference.en.txt
  if [[ -r $reference.gz ]]; then
    zcat "$reference.gz"
  elif [[ -r $reference ]]; then
    cat "$reference"
  else
    find /usr/share/common-licenses -type f -print0 | sort -z | xargs -0 cat
  fi
}

# Shows a command, then runs it.
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

build=$1
text=$build/demo.txt
write_text >"$text"
[[ -s $text ]] || fail "found no text: neither debian-reference-en nor /usr/share/common-licenses"
echo "The text: $text, $(wc -c <"$text") bytes"

show "$build/remat" verify --text "$text" --policy full --policy sqrt --policy budget:50%
show "$build/remat" train --text "$text" --memory 50%
