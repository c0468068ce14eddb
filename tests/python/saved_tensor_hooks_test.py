"""Python's saved_tensors_hooks before, after and around remat's regions (Rules 6 and 13)."""

import unittest

import torch

from probe import Counting, TestCase, leaf, ops


class SavedTensorHooks(TestCase):
    # Breaks if: remat's engine does not ask Python's for its hooks.
    def test_before_and_after_a_region(self):
        before, after = Counting(), Counting()

        def step(region, x, w):
            with before.hooks():
                y = x.sin()
            z = region(y, w, 0.3)
            with after.hooks():
                return z.exp().sum()

        self.assert_trains_like_plain(step)
        for hooks in before, after:
            self.assertEqual((len(hooks.packed), hooks.unpacked), (2, 2), "plain's and remat's step")

    def test_around_a_region_receive_its_arguments_and_nothing_else(self):
        outer = Counting()
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        with outer.hooks():
            y = ops.region(x, w, 0.0)
        self.assertEqual(outer.packed, [x.data_ptr(), w.data_ptr()])
        self.assertEqual(outer.unpacked, 0)
        y.sum().backward()
        self.assertEqual((len(outer.packed), outer.unpacked), (2, 2))
        self.assert_counts(calls=1, recomputations=1)

    def test_around_a_region_leave_its_gradients_as_they_are(self):
        def step(region, x, w):
            with Counting().hooks():
                return region(x.sin(), w, 0.3).square().sum()

        self.assert_trains_like_plain(step)

    # Breaks if: a recomputation saves through the hooks around the backward.
    def test_around_backward_receive_nothing(self):
        hooks = Counting()
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        loss = ops.region(x, w, 0.0).sum()
        with hooks.hooks():
            loss.backward()
        self.assert_counts(calls=1, recomputations=1)
        self.assertEqual((hooks.packed, hooks.unpacked), ([], 0))

    def test_only_the_innermost_apply(self):
        outer, inner = Counting(), Counting()
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        with outer.hooks():
            with inner.hooks():
                y = ops.region(x, w, 0.0)
            self.assertEqual((len(outer.packed), len(inner.packed)), (0, 2))
            y.exp()
        self.assertEqual((len(outer.packed), len(inner.packed)), (1, 2))

    def test_yield_to_remats_own_hooks_inside_them(self):
        outer = Counting()
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        with outer.hooks():
            y = ops.hooked_region(x, w, 0.0)
        self.assertEqual((len(outer.packed), ops.packed()), (0, 2))
        y.sum().backward()
        self.assertEqual(outer.unpacked, 0)
        self.assert_counts(calls=1, recomputations=1)

    # Breaks if: a region that throws leaves its hooks in place of Python's.
    def test_work_after_a_region_that_throws(self):
        hooks = Counting()
        x = leaf(6, 4)
        with hooks.hooks():
            with self.assertRaisesRegex(RuntimeError, "cannot be multiplied"):
                ops.region(x, leaf(5, 4), 0.0)
            self.assertEqual(len(hooks.packed), 2, "the arguments")
            x.sin()
        self.assertEqual(len(hooks.packed), 3)

    def test_save_on_cpu_around_a_region(self):
        def step(region, x, w):
            with torch.autograd.graph.save_on_cpu():
                return region(x.sin(), w, 0.3).square().sum()

        self.assert_trains_like_plain(step)


if __name__ == "__main__":
    unittest.main()
