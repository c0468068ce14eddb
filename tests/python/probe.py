"""What the tests share: the probe's operators, leaves, and comparison with the plain step."""

import os
import unittest

import torch

LIBRARY = os.environ["REMAT_PROBE"]
torch.ops.load_library(LIBRARY)
ops = torch.ops.remat_probe


def leaf(*sizes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sizes, generator=generator).requires_grad_()


def same_bits(a, b):
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


class Counting:
    """Pack and unpack functions that note what they are given."""

    def __init__(self):
        self.packed, self.unpacked = [], 0

    def hooks(self):
        return torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack)

    def _pack(self, tensor):
        self.packed.append(tensor.data_ptr())
        return tensor.detach().clone()

    def _unpack(self, tensor):
        self.unpacked += 1
        return tensor


class TestCase(unittest.TestCase):
    def setUp(self):
        ops.reset_counts()

    def assert_counts(self, calls, recomputations):
        self.assertEqual((ops.calls(), ops.recomputations()), (calls, recomputations))

    def assert_same_bits(self, a, b):
        self.assertTrue(same_bits(a, b), f"{a} is not {b}")

    def assert_trains_like_plain(self, step, calls=1, recomputations=1):
        """step(region, x, w) makes a loss; x.grad, w.grad and the loss are plain's, bit for bit."""
        plain = self._train(step, ops.plain)
        ops.reset_counts()
        found = self._train(step, ops.region)
        self.assert_counts(calls, recomputations)
        for a, b in zip(found, plain):
            self.assert_same_bits(a, b)

    @staticmethod
    def _train(step, region):
        torch.manual_seed(3)
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        loss = step(region, x, w)
        loss.backward()
        return loss.detach(), x.grad, w.grad, torch.rand(3)
