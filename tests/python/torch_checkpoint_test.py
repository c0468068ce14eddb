"""torch.utils.checkpoint(use_reentrant=False) beside, around and inside remat's regions (Rule 13)."""

import unittest

import torch
from torch.utils.checkpoint import checkpoint

from probe import TestCase, leaf, ops


class Counted:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def dropout(x):
    return torch.nn.functional.dropout(x, 0.3)


class TorchCheckpoint(TestCase):
    def test_before_and_after_a_region(self):
        before = Counted(lambda x: dropout(x.sin()).exp())
        after = Counted(lambda y: dropout(y.cos()).tanh())

        def step(region, x, w):
            y = region(checkpoint(before, x, use_reentrant=False), w, 0.3)
            return checkpoint(after, y, use_reentrant=False).square().sum()

        self.assert_trains_like_plain(step)
        self.assertEqual((before.calls, after.calls), (4, 4), "twice in each of two steps")

    # The outer recomputation calls the region anew; the region's own repeats its function once more.
    def test_around_a_region(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        outer = Counted(lambda x, w: dropout(ops.region(dropout(x.sin()), w, 0.3).cos()))
        torch.manual_seed(3)
        checkpoint(outer, x, w, use_reentrant=False).square().sum().backward()
        self.assertEqual(outer.calls, 2)
        self.assert_counts(calls=2, recomputations=1)

        x_plain, w_plain = leaf(6, 4), leaf(4, 4, seed=2)
        torch.manual_seed(3)
        dropout(ops.plain(dropout(x_plain.sin()), w_plain, 0.3).cos()).square().sum().backward()
        self.assert_same_bits(x.grad, x_plain.grad)
        self.assert_same_bits(w.grad, w_plain.grad)

    # A region owns what a checkpoint inside it saves: that one never recomputes.
    def test_inside_a_region(self):
        inner = Counted(lambda x: dropout(x.sin()).exp())
        library = torch.library.Library("remat_checkpoint_test", "DEF")
        library.define("checkpointed(Tensor x) -> Tensor")
        library.impl("checkpointed", lambda x: checkpoint(inner, x, use_reentrant=False).cos(),
                     "CompositeImplicitAutograd")
        x, x_plain = leaf(6, 4), leaf(6, 4)
        torch.manual_seed(3)
        ops.region_of_operator("remat_checkpoint_test::checkpointed", x).sum().backward()
        self.assert_counts(calls=1, recomputations=1)
        self.assertEqual(inner.calls, 2, "the region's forward and its recomputation")
        torch.manual_seed(3)
        (dropout(x_plain.sin()).exp()).cos().sum().backward()
        self.assert_same_bits(x.grad, x_plain.grad)

    # The reentrant form runs its forward without gradient mode and calls the region in its backward.
    def test_reentrant_around_a_region(self):
        def step(region, x, w):
            outer = lambda x, w: region(x, w, 0.3).cos()
            return checkpoint(outer, x, w, use_reentrant=True).square().sum()

        self.assert_trains_like_plain(step, calls=2, recomputations=1)


if __name__ == "__main__":
    unittest.main()
