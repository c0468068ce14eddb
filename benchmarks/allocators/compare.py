#!/usr/bin/env -S python3 -B
"""Which allocator under LibTorch: resident growth, page faults, step time, interleaved.

compare.py BUILD_FOLDER [MODEL...] [--rounds N] [--threads N] [--call plain|remat] [--clock wall|cpu]
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checkpoint_overhead"))

from contender import (  # pylint: disable=wrong-import-position
    LIBRARIES, Contender, take_turns, threads_of_blas)

ALLOCATORS = {
    "glibc": ([], {}),
    "glibc, hugetlb=1": ([], {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
    "jemalloc": ([], {"LD_PRELOAD": LIBRARIES + "libjemalloc.so.2"}),
    "jemalloc, thp:always": ([], {"LD_PRELOAD": LIBRARIES + "libjemalloc.so.2",
                                  "MALLOC_CONF": "thp:always"}),
    "mimalloc": ([], {"LD_PRELOAD": LIBRARIES + "libmimalloc.so.2"}),
    "mimalloc, large pages": ([], {"LD_PRELOAD": LIBRARIES + "libmimalloc.so.2",
                                   "MIMALLOC_ALLOW_LARGE_OS_PAGES": "1"}),
    "tcmalloc": ([], {"LD_PRELOAD": LIBRARIES + "libtcmalloc_minimal.so.4"}),
    "use_huge_page_allocator()": (["--huge-pages"], {}),
}


def row(name, it, glibc):
    ratio, spread = it.ratio(glibc)
    return [name, f"{it.resident / 2**20:.0f} MiB", f"{it.resident / it.peak:.2f}",
            f"{it.median('faults'):.0f}", it.step_ms(),
            f"{ratio:.3f} ±{spread:.3f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", default=["demo", "resnet"])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--call", default="plain")
    options = parser.parse_args()
    program = pathlib.Path(options.build) / "benchmarks" / "checkpoint_overhead"
    for model in options.models:
        them = {name: Contender([program, model, options.call, options.threads, *flags], {**environment, **threads_of_blas(options.threads)},
                             options.clock)
                for name, (flags, environment) in ALLOCATORS.items()}
        take_turns(them, options.rounds)
        print(f"\n{model}, {options.call}: tracked peak {them['glibc'].peak / 2**20:.0f} MiB\n\n"
              "| allocator | resident growth | / peak | faults of a step | step | / glibc |\n"
              "|---|--:|--:|--:|--:|--:|")
        for name, it in them.items():
            print("| " + " | ".join(row(name, it, them["glibc"])) + " |", flush=True)


main()
