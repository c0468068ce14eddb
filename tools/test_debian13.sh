#!/usr/bin/env bash
# Runs `./dev test` in a Debian 13 system, made on first use; see ./dev --help.
#
# The system and its build folder are kept outside the repository, in ~/.cache/remat. The repository is
# mounted in it, read-only. All mounts are in a namespace of their own: they go with the last process,
# however that ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/common.sh

root=${XDG_CACHE_HOME:-$HOME/.cache}/remat/debian13

make_root() {
  command -v debootstrap >/dev/null ||
    { apt-get update -qq && apt-get install -qq --yes --no-install-recommends debootstrap; } >&2 ||
    fail "debootstrap is missing and could not be installed (apt-get install debootstrap)"
  # debootstrap removes its own folder when it is done: one that is there was interrupted.
  if [[ -e $root/debootstrap || ! -e $root/etc/debian_version ]]; then
    echo "dev: making a Debian 13 system in $root" >&2
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase trixie "$root" >&2
  fi
  mkdir -p "$root/remat" "$root/build"
  # How this machine reaches the network.
  cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
}

# Runs in the namespace. Without /proc LibTorch does not see AVX, and nproc no cores.
enter() {
  mount --bind "$PWD" "$root/remat"
  mount -o remount,bind,ro "$root/remat"
  mount -t proc proc "$root/proc"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"  # tests open a terminal
  exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin REMAT_BUILD_ROOT=/build REMAT_JOBS="${REMAT_JOBS:-}" \
    /remat/dev test "$@"
}

if [[ ${1:-} == --inside ]]; then
  shift
  enter "$@"
fi
if [[ $(id -u) -ne 0 ]]; then
  sudo -n true 2>/dev/null ||
    fail "test-debian13 mounts and changes root: run sudo ./dev test-debian13"
  exec sudo -n env "XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}" "$PWD/tools/test_debian13.sh" "$@"
fi
make_root
exec unshare --mount --propagation private "$PWD/tools/test_debian13.sh" --inside "$@"
