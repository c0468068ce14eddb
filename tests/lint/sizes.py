"""Reports the sizes of files and functions. A habit, not a gate: it fails only if it reads nothing."""

import re
import statistics

from source_files import MIN_SOURCES, code_files, code_lines, too_few

# A function's head at the left margin (or inside a class, by two spaces), as .clang-format leaves it.
HEAD = re.compile(r"^( {0,2})[\w:~<].*[^;]\{$")
NOT_A_FUNCTION = re.compile(r"^\s*(namespace|class|struct|union|enum|extern|public|private|template)\b|=\s*\{$")


def check(root):
    files = [p for top in ("src", "include", "tests") for p in code_files(root / top)]
    problems = too_few(files, MIN_SOURCES, "sources")
    functions = [entry for path in files for entry in _functions(path)]
    problems += too_few(functions, 4 * MIN_SOURCES, "functions")
    if not problems:
        lengths = [(len(p.read_text().splitlines()), str(p.relative_to(root))) for p in files]
        _print_summary("files", lengths)
        _print_summary("functions", [(n, f"{p.relative_to(root)}:{line}") for n, p, line in functions])
    return problems


def _functions(path):
    """Yields (length, path, first line) of the functions whose body is more than a line."""
    head = None
    for number, line in code_lines(path):
        line = line.rstrip()
        if head is None:
            match = HEAD.match(line)
            if match and "(" in line and not NOT_A_FUNCTION.search(line):
                head = (number, match.group(1))
        elif line.startswith(head[1] + "}"):
            yield number - head[0] + 1, path, head[0]
            head = None


def _print_summary(what, lengths):
    """lengths: pairs of lines and place."""
    counts = sorted(n for n, _ in lengths)
    p90 = counts[int(0.9 * (len(counts) - 1))]
    print(f"{len(counts)} {what}: median {statistics.median(counts):.0f} lines, p90 {p90}, "
          f"longest {counts[-1]}")
    for lines, place in sorted(lengths, reverse=True)[:5]:
        print(f"  {lines:5d}  {place}")
