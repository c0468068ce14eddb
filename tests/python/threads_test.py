"""Regions and plain autograd on several threads of Python (Rules 13 and 15)."""

import threading
import unittest

import torch

from probe import Counting, TestCase, leaf, ops, same_bits

STEPS = 100
DEADLINE_S = 60


def gradient(function, *leaves):
    return torch.autograd.grad(function(*leaves).square().sum(), leaves[0])[0]


class Threads(TestCase):
    def run_together(self, *functions):
        """Calls each in a thread of its own; what one raises is raised here."""
        errors = []

        def guarded(function):
            try:
                function()
            except BaseException as error:
                errors.append(error)

        # Daemons: a deadlock must fail the test, not keep the process.
        threads = [threading.Thread(target=guarded, args=(f,), daemon=True) for f in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        self.assertFalse(any(thread.is_alive() for thread in threads), "deadlock")
        for error in errors:
            raise error

    # Breaks if: a region's hooks, or Python's, reach another thread.
    def test_one_with_regions_and_one_without(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        region = lambda x: ops.region(x, w, 0.0)
        expected = gradient(lambda x: ops.plain(x, w, 0.0), x)
        expected_plain = gradient(torch.sin, x)
        hooks = Counting()
        ops.reset_counts()

        def regions():
            for _ in range(STEPS):
                assert same_bits(gradient(region, x), expected)

        def no_regions():
            with hooks.hooks():
                for _ in range(STEPS):
                    assert same_bits(gradient(torch.sin, x), expected_plain)

        self.run_together(regions, no_regions)
        self.assert_counts(STEPS, STEPS)
        # sin and square save one tensor each.
        self.assertEqual((len(hooks.packed), hooks.unpacked), (2 * STEPS, 2 * STEPS))

    def test_backward_of_one_region_on_two(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        with Counting().hooks():
            loss = ops.region(x, w, 0.0).square().sum()
        expected = gradient(lambda x: ops.plain(x, w, 0.0), x)
        ops.reset_counts()

        def backward():
            for _ in range(STEPS):
                assert same_bits(torch.autograd.grad(loss, x, retain_graph=True)[0], expected)

        self.run_together(backward, backward)
        self.assert_counts(calls=0, recomputations=2 * STEPS)


if __name__ == "__main__":
    unittest.main()
