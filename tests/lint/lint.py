#!/usr/bin/env python3
"""The rules of the tree that a compiler does not check.

lint.py RULE ROOT [ARCHIVE...]: prints each breach as path:line: message, and exits 1 if there is one
or if the rule read fewer files than this tree has had from the start: a rule that looks in the wrong
place must not pass. `lint.py --help` lists the rules; self_test.py shows each of them failing.
"""

import argparse
import sys
from pathlib import Path

import folders
import layers
import quiet
import sizes

RULES = {
    "layers": layers.check,
    "seams": layers.check_seams,
    "folders": folders.check,
    "quiet_sources": quiet.check_sources,
    "quiet_archives": quiet.check_archives,
    "sizes": sizes.check,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rule", choices=RULES)
    parser.add_argument("root", type=Path, help="the repository")
    parser.add_argument("archives", type=Path, nargs="*", help="for quiet_archives")
    arguments = parser.parse_args()
    rule = RULES[arguments.rule]
    takes_archives = arguments.rule == "quiet_archives"
    problems = rule(arguments.archives if takes_archives else arguments.root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
