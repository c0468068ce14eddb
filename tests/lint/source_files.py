"""Finding and reading the sources that the lint rules look at."""

import re

# The tree had more of each from its first commit on.
MIN_SOURCES = 40
MIN_PUBLIC_HEADERS = 8


def code_files(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".cc", ".h"))


def too_few(files, minimum, what):
    """A list with one problem if a rule would pass for want of something to read."""
    if len(files) >= minimum:
        return []
    return [f"read only {len(files)} {what}, expected at least {minimum}: is the folder right?"]


def includes(path):
    """Yields (line number, included name, True if in quotes)."""
    pattern = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = pattern.match(line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def code_lines(path):
    """Yields (line number, line) with comments and the text of string literals blanked."""
    text = path.read_text()
    token = re.compile(r'R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
    blanked = token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    yield from enumerate(blanked.splitlines(), 1)
