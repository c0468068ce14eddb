"""Python's backward through remat's regions, in every form, and Python's code around and in them."""

import unittest
import warnings

import torch

from probe import TestCase, leaf, ops


class Doubled(torch.autograd.Function):
    """Saves its input and has Python's backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class Mistake(Exception):
    """What the tests throw."""


def throw(*_):
    raise Mistake("on purpose")


class Backward(TestCase):
    def test_gives_plains_gradients(self):
        self.assert_trains_like_plain(lambda region, x, w: region(x, w, 0.3).square().sum())

    def test_of_autograd_grad_touches_no_grad(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        (found,) = torch.autograd.grad(ops.region(x, w, 0.0).sum(), x)
        self.assert_counts(calls=1, recomputations=1)
        self.assertEqual((x.grad, w.grad), (None, None))
        (expected,) = torch.autograd.grad(ops.plain(x, w, 0.0).sum(), x)
        self.assert_same_bits(found, expected)

    def test_of_a_retained_graph_recomputes_each_time(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        loss = ops.region(x, w, 0.3).square().sum()
        first = torch.autograd.grad(loss, (x, w), retain_graph=True)
        self.assert_counts(calls=1, recomputations=1)
        second = torch.autograd.grad(loss, (x, w))
        self.assert_counts(calls=1, recomputations=2)
        for a, b in zip(first, second):
            self.assert_same_bits(a, b)
        with self.assertRaisesRegex(RuntimeError, "second time"):
            loss.backward()

    # The second pass goes through the region's own nodes again, so it recomputes again.
    def test_twice_differentiates(self):
        def step(region, x, w):
            gradients = torch.autograd.grad(region(x, w, 0.3).square().sum(), (x, w),
                                            create_graph=True)
            return sum(g.square().sum() for g in gradients)

        self.assert_trains_like_plain(step, calls=1, recomputations=2)

    def test_called_by_cpp_gives_the_same(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        ops.backward(ops.region(x, w, 0.0).sum())
        self.assert_counts(calls=1, recomputations=1)
        (expected,) = torch.autograd.grad(ops.plain(x, w, 0.0).sum(), x)
        self.assert_same_bits(x.grad, expected)

    def test_passes_python_functions_before_and_after_a_region(self):
        def step(region, x, w):
            return Doubled.apply(region(Doubled.apply(x), w, 0.3)).sum()

        self.assert_trains_like_plain(step)

    def test_runs_module_and_tensor_hooks(self):
        seen = []

        def step(region, x, w):
            y = region(x, w, 0.3)
            y.register_hook(lambda gradient: seen.append("result") or gradient * 2)
            x.register_hook(lambda gradient: seen.append("argument"))
            return y.square().sum()

        self.assert_trains_like_plain(step)
        self.assertEqual(seen, ["result", "argument"] * 2, "plain's and remat's step")


class AnomalyMode(TestCase):
    def test_leaves_gradients_as_they_are(self):
        def step(region, x, w):
            return region(x, w, 0.3).square().sum()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it is slow
            with torch.autograd.detect_anomaly():
                self.assert_trains_like_plain(step)

    # Breaks if: nodes get their metadata from LibTorch's engine, which knows no line of Python.
    def test_names_the_line_that_called_the_region(self):
        x = torch.full((6, 4), float("nan"), requires_grad=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with torch.autograd.detect_anomaly():
                loss = ops.region(x, leaf(4, 4), 0.0).sum()  # the line in question
                with self.assertRaisesRegex(RuntimeError, "'SinBackward0' returned nan"):
                    loss.backward()
        self.assertIn("# the line in question", "".join(str(w.message) for w in caught))
        self.assert_counts(calls=1, recomputations=1)


class Exceptions(TestCase):
    def tearDown(self):
        with self.subTest("afterwards all works"):
            self.assert_trains_like_plain(lambda region, x, w: region(x, w, 0.3).square().sum())

    def test_of_a_tensor_hook_before_the_region_is_asked(self):
        y = ops.region(leaf(6, 4), leaf(4, 4, seed=2), 0.0)
        y.register_hook(throw)
        with self.assertRaisesRegex(Mistake, "on purpose"):
            y.sum().backward()
        self.assert_counts(calls=1, recomputations=0)

    def test_of_a_tensor_hook_after_the_region_was_recomputed(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        handle = x.register_hook(throw)
        loss = ops.region(x, w, 0.0).sum()
        with self.assertRaisesRegex(Mistake, "on purpose"):
            loss.backward(retain_graph=True)
        self.assert_counts(calls=1, recomputations=1)
        handle.remove()
        w.grad = None
        loss.backward()
        self.assert_counts(calls=1, recomputations=2)
        (expected,) = torch.autograd.grad(ops.plain(x, w, 0.0).sum(), w)
        self.assert_same_bits(w.grad, expected)

    def test_of_an_unpack_hook_around_the_region(self):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, throw):
            y = ops.region(leaf(6, 4), leaf(4, 4, seed=2), 0.0)
            plain = leaf(3).sin()
        with self.assertRaisesRegex(Exception, "on purpose") as expected:
            plain.sum().backward()
        with self.assertRaisesRegex(Exception, "on purpose") as found:
            y.sum().backward()
        # PyTorch 1.13 makes it a RuntimeError.
        self.assertIs(type(found.exception), type(expected.exception))
        self.assert_counts(calls=1, recomputations=0)

    def test_of_a_pack_hook_around_the_region(self):
        with torch.autograd.graph.saved_tensors_hooks(throw, lambda t: t):
            with self.assertRaisesRegex(Mistake, "on purpose"):
                ops.region(leaf(6, 4), leaf(4, 4, seed=2), 0.0)
        self.assert_counts(calls=0, recomputations=0)

    def test_of_remat_is_a_runtime_error(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        loss = ops.region(x, w, 0.0).sum()
        with torch.no_grad():
            w.mul_(2)
        with self.assertRaisesRegex(RuntimeError, "input 1, .*has been modified"):
            loss.backward()


class PythonInARegion(TestCase):
    """A region whose function calls an operator that Python defined. An early stop passes through it."""

    library = torch.library.Library("remat_backward_test", "DEF")
    throwing = False
    finished = 0  # how often the operator ran to its end

    @classmethod
    def setUpClass(cls):
        cls.library.define("f(Tensor x) -> Tensor")
        cls.library.impl("f", cls.f, "CompositeImplicitAutograd")

    @classmethod
    def f(cls, x):
        if cls.throwing:
            throw()
        y = Doubled.apply(x.sin()).cos().sum()
        cls.finished += 1
        return y

    def test_is_recomputed_up_to_what_is_needed(self):
        x, x_plain = leaf(6, 4), leaf(6, 4)
        PythonInARegion.finished = 0
        ops.region_of_operator("remat_backward_test::f", x).backward()
        self.assert_counts(calls=1, recomputations=1)
        self.assertEqual(PythonInARegion.finished, 1)
        self.f(x_plain).backward()
        self.assert_same_bits(x.grad, x_plain.grad)

    def test_throws_out_of_the_recomputation(self):
        x = leaf(6, 4)
        loss = ops.region_of_operator("remat_backward_test::f", x)
        PythonInARegion.throwing = True
        self.addCleanup(setattr, PythonInARegion, "throwing", False)
        with self.assertRaisesRegex(Mistake, "on purpose"):
            loss.backward(retain_graph=True)
        PythonInARegion.throwing = False
        loss.backward()
        self.assert_counts(calls=1, recomputations=2)


class NoGrad(TestCase):
    def test_makes_no_region(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        with torch.no_grad():
            y = ops.region(x, w, 0.0)
            self.assertFalse(y.requires_grad)
        with torch.inference_mode():
            ops.region(x, w, 0.0)
        x.sin().sum().backward()
        self.assert_counts(calls=2, recomputations=0)

    def test_around_backward_changes_nothing(self):
        x, w = leaf(6, 4), leaf(4, 4, seed=2)
        loss = ops.region(x, w, 0.0).sum()
        with torch.no_grad():
            loss.backward()
        self.assert_counts(calls=1, recomputations=1)
        (expected,) = torch.autograd.grad(ops.plain(x, w, 0.0).sum(), x)
        self.assert_same_bits(x.grad, expected)


if __name__ == "__main__":
    unittest.main()
