#!/usr/bin/env -S python3 -B
"""What a process's resident growth consists of, under use_huge_page_allocator().

parts.py BUILD_FOLDER [MODEL CALL]...
"""

import collections
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checkpoint_overhead"))

from contender import Contender, threads_of_blas  # pylint: disable=wrong-import-position

PARTS = ["heap of pages", "libraries", "malloc's heap", "other (BLAS's scratch memory)"]


def part_of(name, flags):
    if name.startswith("/"):
        return "libraries"
    if name == "[heap]":
        return "malloc's heap"
    # Only PageHeap asks for huge pages.
    return "heap of pages" if "hg" in flags else "other (BLAS's scratch memory)"


def resident(pid):
    """Bytes resident, by part of the process."""
    sizes = collections.Counter()
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as lines:
        for line in lines:
            mapping = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)", line)
            if mapping:
                name = mapping.group(1)
            elif line.startswith("Rss:"):
                size = int(line.split()[1]) * 1024
            elif line.startswith("VmFlags:"):  # the last line of a mapping
                sizes[part_of(name, line.split()[1:])] += size
    return sizes


def row(program, model, call):
    it = Contender([program, model, call, "1", "--huge-pages"], threads_of_blas("1"))
    it.wait_until_ready()
    before = resident(it.process.pid)
    for _ in range(5):
        it.step()
    after = resident(it.process.pid)
    it.end()
    grown = [f"{(after[part] - before[part]) / 2**20:.1f}" for part in PARTS]
    memory = it.resident - (after["libraries"] - before["libraries"])
    return [f"{model}, {call}", f"{it.peak / 2**20:.1f}", *grown, f"{it.resident / 2**20:.1f}",
            f"{it.resident / it.peak:.2f}", f"{memory / it.peak:.2f}"]


def main():
    program = pathlib.Path(sys.argv[1]) / "benchmarks" / "checkpoint_overhead"
    cases = sys.argv[2:] or ["demo", "plain", "demo", "remat", "resnet", "plain", "gpt512", "remat",
                             "lstm", "plain", "lstm", "remat"]
    print("| step | tracked peak, MiB | " + " | ".join(PARTS)
          + " | most at any time | / peak | without libraries |\n|---|" + "--:|" * 8)
    for model, call in zip(cases[::2], cases[1::2]):
        print("| " + " | ".join(row(program, model, call)) + " |", flush=True)


main()
