"""remat is loaded, and has run a region, before `import torch` brings Python's engine (Rule 13)."""

import ctypes
import os
import sys
import unittest

# The order of these lines is the test.
assert "torch" not in sys.modules
library = ctypes.CDLL(os.environ["REMAT_PROBE"])
recomputations_before_python = library.remat_probe_train_without_python()

import torch

plain_hooks_packed = []
with torch.autograd.graph.saved_tensors_hooks(lambda t: plain_hooks_packed.append(t), lambda p: p):
    torch.ones(3, requires_grad=True).sin()

from probe import Counting, TestCase, leaf, ops


class LoadOrder(TestCase):
    def test_regions_run_before_the_import(self):
        self.assertEqual(recomputations_before_python, 1)

    def test_pythons_hooks_work_before_the_first_region_after_the_import(self):
        self.assertEqual(len(plain_hooks_packed), 1)

    def test_regions_train_like_plain_after_the_import(self):
        def step(region, x, w):
            with Counting().hooks():
                return region(x.sin(), w, 0.3).square().sum()

        self.assert_trains_like_plain(step)

    def test_pythons_hooks_receive_the_arguments_of_a_region(self):
        hooks = Counting()
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        with hooks.hooks():
            y = ops.region(x, w, 0.0)
        self.assertEqual(hooks.packed, [x.data_ptr(), w.data_ptr()])
        y.sum().backward()
        self.assertEqual(hooks.unpacked, 2)
        self.assert_counts(calls=1, recomputations=1)

    def test_cpp_still_trains_regions(self):
        self.assertEqual(library.remat_probe_train_without_python(), 1)


if __name__ == "__main__":
    unittest.main()
