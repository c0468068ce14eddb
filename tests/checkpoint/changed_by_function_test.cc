// A function that writes in place what it gets, captures or makes: the right gradient, or an error;
// never a silent wrong one.
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/memory.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::leaf;
using testing::Leaves;
using testing::Trace;
using testing::trace_call;
using testing::values;

/// Expects the plain trace, or an error that is a CheckpointError.
void expect_right_or_error(const Leaves& leaves, const testing::Call& plain,
                           const testing::Call& checkpointed) {
  const Trace expected = trace_call(leaves, plain);
  Trace found;
  try {
    found = trace_call(leaves, checkpointed);
  } catch (const CheckpointError& error) {
    GTEST_LOG_(INFO) << "an error instead of the gradient: " << error.what();
    return;
  }
  testing::expect_same(expected, found);
}

// Breaks if: recomputation applies the change a second time.
TEST(ChangedByTheFunction, AnArgumentWithoutGradient) {
  const auto fn = [](at::Tensor x, const at::Tensor& w) {
    x.mul_(3);
    return (x * w).sin();
  };
  testing::expect_same_call(
      {values({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

TEST(ChangedByTheFunction, AnArgumentWithHistory) {
  const auto fn = [](at::Tensor x, const at::Tensor& w) {
    x.mul_(w);
    x.relu_();
    return (x * w).sin();
  };
  testing::expect_same_call(
      {leaf({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0].cos(), l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0].cos(), l[1]); });
}

// As a cache of keys and values does. The recomputation starts from one that requires no gradient yet.
TEST(ChangedByTheFunction, AnArgumentThatThenStartsToRequireGrad) {
  const auto fn = [](at::Tensor x, const at::Tensor& w) {
    const at::Tensor before = x.sin();
    x.add_(w);
    const at::Tensor middle = (x + 1).sin();
    x.narrow(0, 0, 2).copy_(w.narrow(0, 1, 2));
    return (x * x).sin() * before * middle;
  };
  testing::expect_same_call(
      {values({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

TEST(ChangedByTheFunction, ACapturedTensorThatThenStartsToRequireGrad) {
  const at::Tensor w = leaf({2, 3});
  const auto gradients = [&](bool checkpointed) {
    at::Tensor cache = torch::ones({4, 3});
    const auto fn = [&cache](const at::Tensor& t) {
      const at::Tensor before = cache.sin();
      cache.narrow(0, 1, 2).copy_(t);
      return (cache.sin() * before).matmul(cache.t());
    };
    const at::Tensor y = checkpointed ? checkpoint(fn, w) : fn(w);
    return torch::autograd::grad({y.sum() + cache.sum()}, {w})[0];
  };
  EXPECT_TRUE(bit_identical(gradients(true), gradients(false)));
}

TEST(ChangedByTheFunction, AnArgumentThatIsReturned) {
  const auto fn = [](at::Tensor x, const at::Tensor& w) {
    x.mul_(w);
    return x;
  };
  testing::expect_same_call(
      {leaf({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0].sin(), l[1]).sin(); },
      [&](const Leaves& l) { return checkpoint(fn, l[0].sin(), l[1]).sin(); });
}

TEST(ChangedByTheFunction, APartOfAnArgument) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    x.narrow(0, 1, 2).mul_(2);
    return (x * w).sin();
  };
  testing::expect_same_call(
      {values({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

TEST(ChangedByTheFunction, AnArgumentThroughItsAlias) {
  const auto fn = [](at::Tensor x, const at::Tensor& alias, const at::Tensor& w) {
    const at::Tensor before = (alias.sum() * w).sin();
    x.mul_(2);
    return (alias * w).sin() + before;
  };
  testing::expect_same_call(
      {values({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[0].view({4}), l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[0].view({4}), l[1]); });
}

// As in plain, where it is autograd's own error.
// Breaks if: what was recomputed is handed out without a look at its version.
TEST(ChangedByTheFunction, ATensorOfItsOwnThatAutogradHasSaved) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = x.sin();
    const at::Tensor z = y.sin();
    y.add_(1);
    return (z * y).sin();
  };
  EXPECT_THROW(fn(leaf({4})).sum().backward(), c10::Error);
  EXPECT_THROW(checkpoint(fn, leaf({4})).sum().backward(), CheckpointError);
}

// Breaks if: the pre-image is used up by the first recomputation.
TEST(ChangedByTheFunction, TwoPassesOverARetainedGraph) {
  const auto fn = [](at::Tensor x, const at::Tensor& w) {
    x.mul_(3);
    return (x * w).sin();
  };
  const at::Tensor x = values({4}), copy = x.clone(), w = leaf({4}, 2);
  const at::Tensor y = checkpoint(fn, x, w);
  const auto expected = torch::autograd::grad({fn(copy, w).sum()}, {w})[0];
  for (const bool retain : {true, false}) {
    const auto found = torch::autograd::grad({y.sum()}, {w}, {}, retain)[0];
    EXPECT_TRUE(bit_identical(found, expected));
  }
  EXPECT_TRUE(bit_identical(x, copy)) << "recomputation has changed the tensor again";
}

// Breaks if: a region keeps an input that it has itself put into its own graph.
TEST(ChangedByTheFunction, AnArgumentWithHistoryDoesNotLeak) {
  const MemoryTracker tracker;
  const at::Tensor w = leaf({1000}, 2);
  const Bytes before = tracker.live_bytes();
  for (const bool run_backward : {true, false}) {
    const at::Tensor y = checkpoint(
        [](at::Tensor x, const at::Tensor& weight) {
          x.mul_(weight);
          return x.sin();
        },
        w * 2, w);
    if (run_backward) {
      torch::autograd::grad({y.sum()}, {w});
    }
  }
  EXPECT_EQ(tracker.live_bytes(), before);
}

// A graph that is dropped without backward leaks here, as in PyTorch: semantics.md, Shortcomings.
TEST(ChangedByTheFunction, ACapturedTensorWithHistoryIsFreeAfterBackward) {
  const MemoryTracker tracker;
  const at::Tensor w = leaf({1000}, 2);
  const Bytes before = tracker.live_bytes();
  {
    const at::Tensor y = checkpoint(
        [h = w * 2](const at::Tensor& weight) mutable {
          h.mul_(weight);
          return h.sin();
        },
        w);
    torch::autograd::grad({y.sum()}, {w});
  }
  EXPECT_EQ(tracker.live_bytes(), before);
}

// ---- tensors that the function makes -----------------------------------------------------------------

struct Factory {
  const char* name;
  at::Tensor (*make)(const at::Tensor& like);
};

std::ostream& operator<<(std::ostream& out, const Factory& factory) { return out << factory.name; }

const Factory kFactories[] = {
    {"AtEmpty", [](const at::Tensor& x) { return at::empty(x.sizes()).fill_(3); }},
    {"Empty", [](const at::Tensor& x) { return torch::empty(x.sizes()).fill_(3); }},
    {"EmptyLike", [](const at::Tensor& x) { return torch::empty_like(x).fill_(3); }},
    {"Zeros", [](const at::Tensor& x) { return torch::zeros(x.sizes()); }},
    {"Ones", [](const at::Tensor& x) { return torch::ones(x.sizes()); }},
    {"Full", [](const at::Tensor& x) { return torch::full(x.sizes(), 2.0); }},
    {"Rand", [](const at::Tensor& x) { return torch::rand(x.sizes()); }},
    {"Arange", [](const at::Tensor&) { return torch::arange(4, at::kFloat); }},
    {"TensorOfNumbers",
     [](const at::Tensor&) {
       return torch::tensor({1.F, 2.F, 3.F, 4.F});
     }},
    {"NewZeros", [](const at::Tensor& x) { return x.new_zeros({4}); }},
    {"NewlyAllocated", [](const at::Tensor& x) { return x.detach().clone(); }},
};

class MadeByTheFunction : public ::testing::TestWithParam<Factory> {};

// Breaks if: a tensor made in the region is taken for an outside one, and its writes are redirected.
TEST_P(MadeByTheFunction, AndWrittenInPlace) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = GetParam().make(x);
    y.mul_(0.5);
    y.add_(x);
    y.narrow(0, 0, 2).mul_(x.narrow(0, 1, 2));
    return (y * y).sin();
  };
  testing::expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

INSTANTIATE_TEST_SUITE_P(Factories, MadeByTheFunction, ::testing::ValuesIn(kFactories),
                         [](const auto& test) { return test.param.name; });

// No operator makes this tensor: nobody can tell that it is the function's own.
TEST(ChangedByTheFunction, MemoryOfTheUser) {
  const auto fn = [](const at::Tensor& x) {
    float memory[4] = {1, 2, 3, 4};
    const at::Tensor y = torch::from_blob(memory, {4});
    y.mul_(2);
    return (y.clone() * x).sin();
  };
  expect_right_or_error(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST(ChangedByTheFunction, ItsOwnTensorsInEveryWay) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& w) {
    at::Tensor y = x.clone();
    y.mul_(w).add_(1).sin_();
    y.index_put_({torch::tensor({0, 2})}, w.narrow(0, 0, 2));
    at::Tensor z = torch::zeros_like(x);
    z.narrow(0, 0, 2).copy_(y.narrow(0, 1, 2));
    z.select(0, 3).fill_(2);
    return (z * y).sin();
  };
  testing::expect_same_call(
      {leaf({4}), leaf({4}, 2)}, [&](const Leaves& l) { return fn(l[0], l[1]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0], l[1]); });
}

}  // namespace
}  // namespace remat
