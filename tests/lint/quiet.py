"""The library never prints, ends the process or reads the environment: that is the program's to do."""

import re
import subprocess

from source_files import MIN_SOURCES, code_files, code_lines, too_few

PROGRAM_FOLDERS = {"models", "cli"}
FORBIDDEN_IN_SOURCES = re.compile(
    r"std::(cout|cerr|clog)\b|#\s*include\s*<(iostream|cassert)>"
    r"|\b(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror)\s*\("
    r"|\bfmt::print\w*\s*\("
    r"|\b(abort|exit|_exit|_Exit|quick_exit|terminate|assert|getenv|secure_getenv)\s*\(")

# Much the same as symbols that an object refers to; mangled, as nm prints them. LibTorch's headers
# include <iostream>, and its destructors are noexcept: ios_base::Init and terminate are everywhere.
FORBIDDEN_SYMBOLS = re.compile(
    r"^(_ZSt4cout|_ZSt4cerr|_ZSt4clog"
    r"|(__)?v?f?printf(_chk)?|f?puts|putchar|perror"
    r"|abort|_?exit|_Exit|quick_exit|__assert_fail|(secure_)?getenv)(@.*)?$")
# Each library has more than this many symbols; an archive that was not built has none.
MIN_SYMBOLS = 20


def check_sources(root):
    files = [p for p in code_files(root / "src")
             if p.relative_to(root / "src").parts[0] not in PROGRAM_FOLDERS]
    files += code_files(root / "include")
    problems = too_few(files, MIN_SOURCES, "sources of the library")
    for path in files:
        for number, line in code_lines(path):
            match = FORBIDDEN_IN_SOURCES.search(line)
            if match:
                problems.append(f"{path}:{number}: the library uses {match.group().rstrip('( ')}")
    return problems


def check_archives(archives):
    if not archives:
        return ["no archives were named"]
    return [problem for archive in archives for problem in _archive_problems(archive)]


def _archive_problems(archive):
    if not archive.is_file():
        return [f"{archive}: is missing"]
    listing = subprocess.run(["nm", "--print-file-name", archive], capture_output=True, text=True,
                             check=False)
    if listing.returncode != 0:
        return [f"{archive}: nm failed: {listing.stderr.strip()}"]
    symbols = [line.rsplit(maxsplit=2) for line in listing.stdout.splitlines()]
    symbols = [(where.split(":")[1], name) for where, _, name in (s for s in symbols if len(s) == 3)]
    if len(symbols) < MIN_SYMBOLS:
        return [f"{archive}: read only {len(symbols)} symbols, expected at least {MIN_SYMBOLS}"]
    return [f"{archive}({member}): refers to {name}"
            for member, name in sorted(set(symbols)) if FORBIDDEN_SYMBOLS.match(name)]
