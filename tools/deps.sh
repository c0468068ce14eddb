#!/usr/bin/env bash
# Installs the Debian packages of packages/debian.txt that are missing; see ./dev --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/common.sh

# True if CMAKE_PREFIX_PATH names a LibTorch.
brings_own_torch() {
  local prefixes prefix
  IFS=':;' read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in ${prefixes[@]+"${prefixes[@]}"}; do
    if compgen -G "$prefix/share/cmake/Torch/TorchConfig.cmake" >/dev/null ||
      compgen -G "$prefix/lib*/cmake/Torch/TorchConfig.cmake" >/dev/null; then
      return 0
    fi
  done
  return 1
}

wanted() {
  local packages
  packages=$(sed 's/#.*//' packages/debian.txt | awk 'NF {print $1}')
  [[ -n $packages ]] || fail "packages/debian.txt names no packages"
  if brings_own_torch; then
    packages=$(grep -vxE 'libtorch-dev|python3-torch' <<<"$packages")
  fi
  echo "$packages"
}

missing() {
  local package
  for package in $(wanted); do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] ||
      echo "$package"
  done
}

# run_as_root COMMAND...: false if that cannot be done without asking for a password.
run_as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

may_be_root() { [[ $(id -u) -eq 0 ]] || sudo -n true 2>/dev/null; }

if ! command -v dpkg-query >/dev/null; then
  echo "dev: not a Debian system: the equivalents of packages/debian.txt must be there" >&2
  exit 0
fi
names=$(missing)
[[ -n $names ]] || exit 0
mapfile -t packages <<<"$names"

if ! may_be_root; then
  fail "these packages are missing, and this user may not install them. Run:
  sudo apt-get install --no-install-recommends ${packages[*]}"
fi
echo "dev: installing ${packages[*]}" >&2
# Old lists may still do where the archive cannot be reached.
run_as_root apt-get update -qq >&2 || echo "dev: apt-get update failed; trying without" >&2
run_as_root apt-get install -qq -o Dpkg::Use-Pty=0 --yes --no-install-recommends "${packages[@]}" >&2
