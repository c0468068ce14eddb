#!/usr/bin/env -S python3 -B
"""remat::checkpoint, the hand-written reentrant pattern and torch.utils.checkpoint side by side.

compare.py BUILD_FOLDER [MODEL...] [--rounds N] [--threads N] [--preload LIBRARY] [--clock wall|cpu]
           [--device cpu|cuda] [--dtype f32|bf16] [--python PROGRAM]
"""

import argparse
import pathlib

from contender import Contender, take_turns, threads_of_blas

MODELS = ["gpt512", "gpt2048", "llama512", "llama2048", "resnet", "lstm", "tiny"]
HERE = pathlib.Path(__file__).parent


def contenders(options, model):
    folder = pathlib.Path(options.build) / "benchmarks"
    environment = threads_of_blas(options.threads)
    if options.preload:
        environment["LD_PRELOAD"] = options.preload
    shipped = [] if options.preload or options.device != "cpu" else ["--huge-pages"]
    kind = ["--device", options.device, "--dtype", options.dtype]
    cpp = {f"C++ {call}": Contender([folder / "checkpoint_overhead", model, call, options.threads,
                                     *kind, *shipped], environment, options.clock)
           for call in ("plain", "remat", "reentrant")}
    python = {f"Python {call}": Contender(
        [options.python, "-B", HERE / "torch_checkpoint.py",
         (folder / "libtracked_peak.so").resolve(), model, call, options.threads, options.device,
         options.dtype], environment, options.clock)
              for call in ("plain", "nonreentrant", "reentrant")}
    return {**cpp, **python}


def cell(pair):
    return f"{pair[0]:.3f} ±{pair[1]:.3f}"


def row(model, them):
    plain, remat, reentrant = (them[f"C++ {call}"] for call in ("plain", "remat", "reentrant"))
    python, theirs, their_old = (them[f"Python {call}"]
                                 for call in ("plain", "nonreentrant", "reentrant"))
    losses = {f"{contender.steps[0]['loss']:.4f}" for contender in them.values()}
    return [model, plain.step_ms(), cell(remat.ratio(plain)),
            cell(remat.extra_forwards(plain)), cell(remat.ratio(plain, "forward")),
            cell(reentrant.ratio(plain)),
            cell(theirs.ratio(python)), cell(remat.ratio(theirs)), cell(remat.ratio(their_old)),
            f"{remat.peak / 2**20:.1f} MiB", f"{remat.peak / theirs.peak:.3f}",
            f"{remat.resident / remat.peak:.2f}", f"{theirs.resident / theirs.peak:.2f}",
            "yes" if len(losses) == 1 else f"NO: {losses}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--python", default="/usr/bin/python3",
                        help="the interpreter whose torch is the LibTorch that remat was built with")
    parser.add_argument("--preload", help="an allocator for all, instead of what each ships with")
    options = parser.parse_args()
    print("| model | plain step | remat / plain | extra, in forwards | its forward | reentrant C++ / plain | Python / its plain "
          "| remat / Python | remat / Python reentrant | remat's peak | / Python's "
          "| resident / peak | Python's | same loss |")
    print("|---|" + "--:|" * 12 + "---|")
    for model in options.models:
        them = contenders(options, model)
        take_turns(them, options.rounds)
        print("| " + " | ".join(row(model, them)) + " |", flush=True)


main()
