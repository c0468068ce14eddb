#!/usr/bin/env python3
"""Shows that each lint rule passes a good tree, and fails on a bad one and on one it cannot read."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import folders
import layers
import quiet
import sizes


class RuleTest(unittest.TestCase):
    """A small good tree, which each test then spoils."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        for i in range(50):
            self.write(f"src/base/file{i}.cc", "#include <string>\n" + "int f(int x) {\n  x;\n}\n" * 5)
            self.write(f"src/torch_bridge/file{i}.h", '#include <torch/library.h>\n#include "base/a.h"\n')
            self.write(f"include/remat/header{i}.h", "#include <string>\n")
        for folder in ("plan", "graph", "report", "cli"):
            self.write(f"src/{folder}/a.cc", '#include "base/a.h"\n')
        self.write("src/README.md", "\n".join(
            f"**`{name}`** is one." for name in
            ("", "base", "torch_bridge", "plan", "graph", "report", "cli")))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def assert_breach(self, check, fragment):
        problems = check(self.root)
        self.assertTrue(any(fragment in p for p in problems), f"{fragment!r} not in {problems}")

    def assert_reads_something(self, check):
        self.assertEqual(check(self.root), [])
        with tempfile.TemporaryDirectory() as empty:
            self.assertNotEqual(check(Path(empty)), [])


class Layers(RuleTest):
    def test_passes_a_good_tree_but_not_an_empty_one(self):
        self.assert_reads_something(layers.check)

    def test_upward_include(self):
        self.write("src/base/bad.cc", '#include "plan/planner.h"\n')
        self.assert_breach(layers.check, "bad.cc:1: base may not include plan")

    def test_sideways_include(self):
        self.write("src/plan/bad.cc", '\n#include "report/table.h"\n')
        self.assert_breach(layers.check, "bad.cc:2: plan may not include report")

    def test_unknown_folder(self):
        self.write("src/util/misc.cc", "int x;\n")
        self.assert_breach(layers.check, "util has no rank")

    def test_include_that_names_no_folder(self):
        self.write("src/plan/bad.cc", '#include "planner.h"\n')
        self.assert_breach(layers.check, 'is not "folder/file.h"')

    def test_libtorch_in_the_torch_free_half(self):
        for name in ("torch/torch.h", "ATen/ATen.h", "c10/util/Exception.h", "remat/checkpoint.h"):
            self.write("src/plan/bad.cc", f"#include <{name}>\n")
            self.assert_breach(layers.check, f"plan is torch-free, but includes <{name}>")

    def test_libtorch_in_a_torch_free_public_header(self):
        self.write("include/remat/bytes.h", "#include <c10/core/Device.h>\n")
        self.assert_breach(layers.check, "bytes.h is torch-free")

    def test_public_header_that_includes_src(self):
        self.write("include/remat/bad.h", '#include "base/check.h"\n')
        self.assert_breach(layers.check, "a public header may not include src/")


class Seams(RuleTest):
    def test_passes_a_good_tree_but_not_an_empty_one(self):
        self.assert_reads_something(layers.check_seams)

    def test_inner_header_outside_the_bridge(self):
        self.write("src/checkpoint/bad.cc", "#include <torch/csrc/autograd/engine.h>\n")
        self.assert_breach(layers.check_seams, "only src/torch_bridge may include")

    def test_version_switch_outside_the_bridge(self):
        self.write("src/cli/bad.cc", "#if TORCH_VERSION_MAJOR < 2\n#endif\n")
        self.assert_breach(layers.check_seams, "bad.cc:1: `#if` on LibTorch's version")


class Folders(RuleTest):
    def test_passes_a_good_tree_but_not_an_empty_one(self):
        self.assert_reads_something(folders.check)

    def test_folder_without_a_paragraph(self):
        self.write("src/storage/disk.cc", "int x;\n")
        self.assert_breach(folders.check, "**`storage`**")


class QuietSources(RuleTest):
    def test_passes_a_good_tree_but_not_an_empty_one(self):
        self.assert_reads_something(quiet.check_sources)

    def test_output_and_exits(self):
        for line in ("std::cout << 1;", "fprintf(stderr, x);", "std::abort();", "exit(1);",
                     'std::getenv("HOME");', "fmt::print(x);", "assert(x);"):
            self.write("src/base/bad.cc", f"int y;\nvoid f() {{ {line} }}\n")
            self.assert_breach(quiet.check_sources, "bad.cc:2: the library uses")

    def test_words_in_comments_and_strings_are_no_breach(self):
        self.write("src/base/good.cc", '// exit(1)\n/* abort() */ auto s = "printf(\\"x\\")";\n')
        self.assertEqual(quiet.check_sources(self.root), [])

    def test_the_program_may_print(self):
        self.write("src/cli/good.cc", "void f() { std::cout << 1; }\n")
        self.assertEqual(quiet.check_sources(self.root), [])


class QuietArchives(RuleTest):
    def archive_of(self, body):
        self.write("a.cc", "#include <cstdio>\n#include <cstdlib>\n#include <iostream>\n"
                   + "".join(f"int g{i}() {{ return {i}; }}\n" for i in range(quiet.MIN_SYMBOLS))
                   + f"void f() {{ {body} }}\n")
        archive = self.root / "liba.a"
        subprocess.run(["c++", "-O2", "-c", "a.cc", "-o", "a.o"], cwd=self.root, check=True)
        subprocess.run(["ar", "rcs", archive, "a.o"], cwd=self.root, check=True)
        return archive

    def test_output_and_exits(self):
        for body in ("std::cerr << 1;", 'std::printf("%d", 1);', 'std::puts("");', "std::abort();",
                     "std::exit(1);", 'std::getenv("HOME");'):
            self.assertNotEqual(quiet.check_archives([self.archive_of(body)]), [], body)

    def test_passes_an_archive_that_is_quiet(self):
        self.write("a.cc", "".join(f"int g{i}() {{ return {i}; }}\n" for i in range(30)))
        subprocess.run(["c++", "-c", "a.cc", "-o", "a.o"], cwd=self.root, check=True)
        subprocess.run(["ar", "rcs", "liba.a", "a.o"], cwd=self.root, check=True)
        self.assertEqual(quiet.check_archives([self.root / "liba.a"]), [])

    def test_fails_without_an_archive_or_without_symbols(self):
        self.assertNotEqual(quiet.check_archives([]), [])
        self.assertNotEqual(quiet.check_archives([self.root / "missing.a"]), [])
        subprocess.run(["ar", "rcs", "empty.a"], cwd=self.root, check=True)
        self.assertNotEqual(quiet.check_archives([self.root / "empty.a"]), [])


class Sizes(RuleTest):
    def test_passes_a_good_tree_but_not_an_empty_one(self):
        self.assert_reads_something(sizes.check)

    def test_finds_functions(self):
        self.write("src/plan/a.cc", "int f(int x) {\n  if (x) {\n  }\n  return 1;\n}\n")
        path = self.root / "src/plan/a.cc"
        self.assertEqual(list(sizes._functions(path)), [(5, path, 1)])


if __name__ == "__main__":
    sys.exit(unittest.main())
