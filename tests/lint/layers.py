"""Which folder of src/ may include which, and who may touch LibTorch's inner seams."""

import re

from source_files import (MIN_PUBLIC_HEADERS, MIN_SOURCES, code_files, code_lines, includes, too_few)

# Each folder and what it may include beside itself: always folders of a lower rank. Keep it equal to
# the table in src/README.md.
MAY_INCLUDE = {
    "base": set(),
    "graph": {"base"},
    "plan": {"graph", "base"},
    "report": {"graph", "base"},
    "torch_bridge": {"base"},
    "storage": {"torch_bridge", "base"},
    "checkpoint": {"storage", "torch_bridge", "base"},
    "tape": {"storage", "torch_bridge", "graph", "plan", "base"},
    "nn": {"checkpoint", "plan", "graph", "base"},
    "distributed": {"storage", "checkpoint", "tape", "base"},
}
TOP_FOLDERS = {"models", "cli"}  # may include everything, the other one too

TORCH_FREE_FOLDERS = {"base", "graph", "plan", "report"}
TORCH_FREE_HEADERS = {"version.h", "error.h", "bytes.h", "chain_planner.h", "graph.h", "placement.h",
                      "planner.h", "simulator.h"}
TORCH = re.compile(r"^(torch|ATen|c10|caffe2)/")

# Headers of LibTorch that only src/torch_bridge includes: they change between versions.
SEAMS = re.compile(
    r"^(torch/csrc/autograd/(engine|saved_variable_hooks)\.h"
    r"|torch/library\.h|ATen/core/dispatch/.*|ATen/SavedTensorHooks\.h|ATen/autocast_mode\.h"
    r"|c10/core/impl/LocalDispatchKeySet\.h|c10/util/ThreadLocalDebugInfo\.h)$")
VERSION_SWITCH = re.compile(r"^\s*#\s*(if|elif|ifdef|ifndef)\b.*\b(TORCH_VERSION|REMAT_TORCH)")


def check(root):
    """Includes go down the ranks; the torch-free half includes no LibTorch."""
    sources = code_files(root / "src")
    headers = code_files(root / "include" / "remat")
    problems = too_few(sources, MIN_SOURCES, "sources")
    problems += too_few(headers, MIN_PUBLIC_HEADERS, "public headers")
    for path in sources:
        folder = path.relative_to(root / "src").parts[0]
        problems += [f"{path}:{n}: {what}" for n, what in _source_problems(path, folder)]
    for path in headers:
        problems += [f"{path}:{n}: {what}" for n, what in _header_problems(path)]
    return problems


def _source_problems(path, folder):
    if folder not in MAY_INCLUDE and folder not in TOP_FOLDERS:
        yield 1, f"the folder {folder} has no rank: give it one in tests/lint/layers.py"
        return
    for number, name, quoted in includes(path):
        if quoted:
            yield from _rank_problems(number, name, folder)
        elif folder in TORCH_FREE_FOLDERS and _needs_torch(name):
            yield number, f"{folder} is torch-free, but includes <{name}>"


def _rank_problems(number, name, folder):
    target = name.split("/")[0]
    if "/" not in name or target not in MAY_INCLUDE.keys() | TOP_FOLDERS:
        yield number, f'"{name}" is not "folder/file.h"; write public and foreign headers in <>'
    elif target == folder or folder in TOP_FOLDERS:
        return
    elif target not in MAY_INCLUDE[folder]:
        yield number, f"{folder} may not include {target} (ranks: src/README.md)"


def _needs_torch(name):
    if name.startswith("remat/"):
        return name.removeprefix("remat/") not in TORCH_FREE_HEADERS
    return bool(TORCH.match(name))


def _header_problems(path):
    for number, name, quoted in includes(path):
        if quoted:
            yield number, f'a public header may not include src/ ("{name}")'
        elif path.name in TORCH_FREE_HEADERS and _needs_torch(name):
            yield number, f"{path.name} is torch-free, but includes <{name}>"


def check_seams(root):
    """Only src/torch_bridge knows LibTorch's inner headers and versions."""
    files = [p for top in ("src", "include") for p in code_files(root / top)]
    bridge = root / "src" / "torch_bridge"
    problems = too_few([p for p in files if bridge in p.parents], 10, "files of src/torch_bridge")
    outside = [p for p in files if bridge not in p.parents]
    problems += too_few(outside, MIN_SOURCES, "other files")
    for path in outside:
        for number, name, _ in includes(path):
            if SEAMS.match(name):
                problems.append(f"{path}:{number}: only src/torch_bridge may include <{name}>")
        for number, line in code_lines(path):
            if VERSION_SWITCH.match(line):
                problems.append(f"{path}:{number}: `#if` on LibTorch's version outside src/torch_bridge")
    return problems
