#!/usr/bin/env python3
"""Runs the independent checker of plans on many cases.

run_checker.py CHECK_PLAN.PY CASES: each line of CASES is {"graph": ..., "plan": ...}, the graph an op
graph or a chain. Prints a line for each: "valid PEAK TIME PLAIN_TIME RECOMPUTED" or "invalid ACTION",
where ACTION is "end" if all actions are good and the end is too early, and "?" if the checker did not
say which: it has no message for an option that a stage does not have.
"""

import importlib.util
import json
import re
import sys


def load(path):
    spec = importlib.util.spec_from_file_location("check_plan", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict(checker, graph, plan):
    execute = checker.execute if graph["format"].startswith("remat.opgraph") else checker.execute_chain
    try:
        result = execute(graph, plan)
    except checker.Invalid as fault:
        action = re.match(r"action (\d+):", str(fault))
        return f"invalid {action.group(1) if action else 'end'}"
    except IndexError:
        return "invalid ?"
    return "valid {peak_bytes} {time_ns} {plain_time_ns} {recomputed_ops}".format(**result)


def main():
    checker = load(sys.argv[1])
    with open(sys.argv[2]) as cases:
        for line in cases:
            case = json.loads(line)
            print(verdict(checker, case["graph"], case["plan"]))


if __name__ == "__main__":
    main()
