"""Contenders as processes that take turns, a step each."""

import json
import os
import statistics
import subprocess
import sys

LIBRARIES = "/usr/lib/x86_64-linux-gnu/"


def _status(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def _faults(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as line:
        return int(line.read().rsplit(")", 1)[1].split()[7])


def threads_of_blas(threads):
    """For a BLAS that has threads of its own and does not hear of LibTorch's number."""
    return {"OPENBLAS_NUM_THREADS": threads}


class Contender:
    """A process; what its steps took, by `clock`: "wall" or "cpu", the processor time of all threads."""

    def __init__(self, command, environment=None, clock="wall"):
        self.suffix = "_ns" if clock == "wall" else "_cpu_ns"
        self.process = subprocess.Popen(
            command, env={**os.environ, "OMP_WAIT_POLICY": "passive", **(environment or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.command = command
        self.steps = []

    def wait_until_ready(self):
        if self.process.stdout.readline() != "ready\n":
            sys.exit(f"{self.command} did not start")
        self.before = _status(self.process.pid, "VmRSS")

    def step(self, measured=True):
        faults = _faults(self.process.pid)
        print("step", file=self.process.stdin, flush=True)
        step = json.loads(self.process.stdout.readline())
        step["faults"] = _faults(self.process.pid) - faults
        if measured:
            self.steps.append(step)

    def end(self):
        self.resident = _status(self.process.pid, "VmHWM") - self.before
        self.process.stdin.close()
        self.process.wait()

    def median(self, key):
        return statistics.median(step[key] for step in self.steps)

    def step_ms(self):
        return f"{self.median('step' + self.suffix) / 1e6:.1f} ms"

    def ratio(self, other, what="step"):
        """Self / other, of pairs of one round: see middle_of."""
        key = what + self.suffix
        return middle_of([mine[key] / its[key] for mine, its in zip(self.steps, other.steps)])

    def extra_forwards(self, other):
        """The time that a step takes longer than the other's, in forward passes of the other."""
        step, forward = "step" + self.suffix, "forward" + self.suffix
        return middle_of([(mine[step] - its[step]) / its[forward]
                          for mine, its in zip(self.steps, other.steps)])

    @property
    def peak(self):
        return max(step["peak_bytes"] for step in self.steps)


def middle_of(ratios):
    """Their median, and half the distance of their quartiles."""
    if len(ratios) < 2:
        return ratios[0], 0.0
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, (high - low) / 2


def take_turns(contenders, rounds):
    """Two steps to warm up, then `rounds` of each, in alternating order."""
    everybody = list(contenders.values())
    for contender in everybody:
        contender.wait_until_ready()
    for contender in everybody:
        contender.step(measured=False)
        contender.step(measured=False)
    for number in range(rounds):
        for contender in everybody if number % 2 == 0 else reversed(everybody):
            contender.step()
    for contender in everybody:
        contender.end()
