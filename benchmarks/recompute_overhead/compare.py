#!/usr/bin/env -S python3 -B
"""What recomputation costs under each policy, beside what it should cost.

compare.py BUILD_FOLDER [MODEL...] [--rounds N] [--threads N] [--clock wall|cpu] [--malloc]
           [--device cpu|cuda] [--dtype f32|bf16]
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checkpoint_overhead"))

from contender import (  # pylint: disable=wrong-import-position
    Contender, middle_of, take_turns, threads_of_blas)

MODELS = ["gpt512", "llama512", "resnet"]
POLICIES = {"none": ["none"], "full": ["full"], "full, to the end": ["full", "--no-early-stop"],
            "every:2": ["every:2"], "sqrt": ["sqrt"]}
PARTS = ["forward", "head", "backward", "head_backward", "optimizer"]


class Steps:
    """The steps of a policy beside the plain ones of the same rounds."""

    def __init__(self, policy, plain, suffix):
        self.pairs = list(zip(policy.steps, plain.steps))
        self.suffix = suffix

    def of_plain_step(self, nanoseconds):
        """The middle, over the rounds, of a time in % of the plain step of its round."""
        middle, spread = middle_of([100 * nanoseconds(mine, its) / its["step" + self.suffix]
                                    for mine, its in self.pairs])
        return f"{middle:.1f} ±{spread:.1f}"

    def more(self, part):
        return self.of_plain_step(lambda mine, its: mine[part + self.suffix] - its[part + self.suffix])

    def theory(self, mine, its):
        """Each layer as often as it was seen to run again, for as long as it takes in plain."""
        return sum(times * time for times, time in zip(mine["times_again"], its["layers" + self.suffix]))

    def again(self, mine, _):
        return sum(mine["again" + self.suffix])

    def row(self, name):
        step, backward = "step" + self.suffix, "backward" + self.suffix
        return [name, str(sum(self.pairs[-1][0]["times_again"])),
                self.of_plain_step(self.theory), self.more("step"),
                self.of_plain_step(lambda mine, its: mine[step] - its[step] - self.theory(mine, its)),
                self.of_plain_step(lambda mine, its: self.again(mine, its) - self.theory(mine, its)),
                self.more("forward"),
                self.of_plain_step(
                    lambda mine, its: mine[backward] - self.again(mine, its) - its[backward]),
                self.of_plain_step(
                    lambda mine, its: sum(mine[part + self.suffix] - its[part + self.suffix]
                                          for part in ("head", "head_backward", "optimizer")))]


def print_split(model, plain):
    """What the plain step consists of, in %."""
    its = Steps(plain, plain, plain.suffix)
    shares = [its.of_plain_step(lambda mine, _, part=part: mine[part + plain.suffix]) for part in PARTS]
    backward = middle_of([step["backward" + plain.suffix] / step["forward" + plain.suffix]
                          for step in plain.steps])
    print(f"| {model} | {plain.step_ms()} | " + " | ".join(shares)
          + f" | {backward[0]:.2f} ±{backward[1]:.2f} |", flush=True)


def print_policies(model, them):
    plain = them["none"]
    losses = {f"{it.steps[-1]['loss']:.6f}" for it in them.values()}
    same = "all losses the same" if len(losses) == 1 else f"LOSSES DIFFER: {losses}"
    print(f"\n{model}, {len(plain.steps[0]['layers_ns'])} layers; {same}:\n\n"
          "| policy | layers run again | theory | measured | difference | recomputation | forward "
          "| backward besides | head, optimizer | faults of a step | peak / plain |\n|---|"
          + "--:|" * 10)
    for name, it in them.items():
        if it is not plain:
            cells = Steps(it, plain, plain.suffix).row(name)
            print("| " + " | ".join(cells) + f" | {it.median('faults'):.0f} "
                  f"| {it.peak / plain.peak:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--malloc", action="store_true",
                        help="the C library's allocator instead of use_huge_page_allocator()")
    options = parser.parse_args()
    program = pathlib.Path(options.build) / "benchmarks" / "recompute_overhead"
    flags = ["--device", options.device, "--dtype", options.dtype]
    if options.device == "cpu" and not options.malloc:
        flags.append("--huge-pages")
    measured = {}
    print("| model | plain step | layers forward | head forward | layers backward | head backward "
          "| optimizer | backward / forward |\n|---|" + "--:|" * 7)
    for model in options.models:
        measured[model] = {
            name: Contender([program, model, policy[0], options.threads, *policy[1:], *flags],
                            threads_of_blas(options.threads), options.clock)
            for name, policy in POLICIES.items()}
        take_turns(measured[model], options.rounds)
        print_split(model, measured[model]["none"])
    for model, them in measured.items():
        print_policies(model, them)


main()
