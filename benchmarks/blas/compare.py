#!/usr/bin/env -S python3 -B
"""OpenBLAS with threads of its own against OpenBLAS with OpenMP's, which are LibTorch's too.

compare.py BUILD_FOLDER [MODEL...] [--rounds N] [--clock wall|cpu]
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checkpoint_overhead"))

from contender import LIBRARIES, Contender, take_turns  # pylint: disable=wrong-import-position


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", default=["demo", "resnet", "lstm"])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    program = pathlib.Path(options.build) / "benchmarks" / "checkpoint_overhead"
    print("| model | threads | pthread | OpenMP | OpenMP / pthread |\n|---|--:|--:|--:|--:|")
    for model in options.models:
        for threads in ("1", "2"):
            them = {kind: Contender([program, model, "plain", threads, "--huge-pages"],
                                    {"LD_LIBRARY_PATH": f"{LIBRARIES}openblas-{kind}"}, options.clock)
                    for kind in ("pthread", "openmp")}
            take_turns(them, options.rounds)
            ratio, spread = them["openmp"].ratio(them["pthread"])
            print(f"| {model} | {threads} | {them['pthread'].step_ms()} | {them['openmp'].step_ms()} "
                  f"| {ratio:.3f} ±{spread:.3f} |", flush=True)


main()
