// Results of any type: the caller gets what the function returned.
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;

at::Tensor gradient(const at::Tensor& y, const at::Tensor& x) {
  return torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true)[0];
}

TEST(Results, TuplesOfTensorsAndPlainValues) {
  const at::Tensor x = leaf({3});
  const auto fn = [](const at::Tensor& t) {
    return std::make_tuple(t.sin().sin(), 7, t.cos().cos());
  };
  const auto [a, seven, b] = checkpoint(fn, x);
  EXPECT_EQ(seven, 7);
  EXPECT_TRUE(bit_identical(gradient(a + b, x), gradient(x.sin().sin() + x.cos().cos(), x)));
}

struct Losses {
  at::Tensor total;
  std::vector<at::Tensor> parts;
  double weight = 0;
};

TEST(Results, Structs) {
  const at::Tensor x = leaf({3});
  const Losses losses = checkpoint(
      [](const at::Tensor& t) {
        return Losses{t.sin().sin(), {t.cos().cos(), t.tanh().tanh()}, 0.25};
      },
      x);
  EXPECT_EQ(losses.weight, 0.25);
  EXPECT_TRUE(bit_identical(gradient(losses.total * losses.parts[1], x),
                            gradient(x.sin().sin() * x.tanh().tanh(), x)));
}

TEST(Results, NoneAndUndefined) {
  const at::Tensor x = leaf({3});
  const auto fn = [](const at::Tensor& t) {
    return std::make_tuple(std::optional<at::Tensor>(), at::Tensor(), t.sin().sin());
  };
  const auto [none, undefined, y] = checkpoint(fn, x);
  EXPECT_FALSE(none.has_value());
  EXPECT_FALSE(undefined.defined());
  EXPECT_TRUE(bit_identical(gradient(y, x), gradient(x.sin().sin(), x)));
}

TEST(Results, PlainValuesOnly) {
  EXPECT_EQ(checkpoint([](const at::Tensor& t) { return t.numel(); }, leaf({3})), 3);
}

TEST(Results, Nothing) {
  at::Tensor y;
  const at::Tensor x = leaf({3});
  checkpoint(
      [&y](const at::Tensor& t) {
        if (!is_recomputing()) {
          y = t.sin().sin();
        } else {
          t.sin().sin();
        }
      },
      x);
  EXPECT_TRUE(bit_identical(gradient(y, x), gradient(x.sin().sin(), x)));
}

TEST(Results, ThatCannotBeCopied) {
  const at::Tensor x = leaf({3});
  const std::unique_ptr<at::Tensor> y = checkpoint(
      [](const at::Tensor& t) { return std::make_unique<at::Tensor>(t.sin().sin()); }, x);
  EXPECT_TRUE(bit_identical(gradient(*y, x), gradient(x.sin().sin(), x)));
}

// Breaks if: a returned reference is turned into a copy.
TEST(Results, References) {
  std::vector<at::Tensor> cache = {at::Tensor()};
  const at::Tensor x = leaf({3});
  at::Tensor& y = checkpoint(
      [&cache](const at::Tensor& t) -> at::Tensor& {
        at::Tensor value = t.sin().sin();
        if (!is_recomputing()) {
          cache[0] = value;
        }
        return cache[0];
      },
      x);
  EXPECT_EQ(&y, &cache[0]);
  EXPECT_TRUE(bit_identical(gradient(y, x), gradient(x.sin().sin(), x)));
}

TEST(Results, TheArgumentItself) {
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint([](const at::Tensor& t) { return t; }, x);
  EXPECT_TRUE(y.is_same(x));
}

// ---- views -----------------------------------------------------------------------------------------

TEST(Results, ViewsOfTheArgument) {
  const auto fn = [](const at::Tensor& x) { return x.sin().sin().t().narrow(0, 1, 2); };
  const auto view = [](const at::Tensor& x) { return x.t(); };
  expect_same_call(
      {leaf({2, 3})}, [&](const Leaves& l) { return view(fn(l[0])).sin(); },
      [&](const Leaves& l) { return checkpoint(view, checkpoint(fn, l[0])).sin(); });
}

// A re-entrant checkpoint loses this gradient without a word.
TEST(Results, AViewWrittenInPlace) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = x.sin();
    y.narrow(0, 0, 1).mul_(3);
    y[1].exp_();
    return y.t();
  };
  expect_same_call(
      {leaf({2, 3})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST(Results, WrittenInPlaceOutside) {
  const auto fn = [](const at::Tensor& x) { return x.sin().sin() + 1; };
  expect_same_call(
      {leaf({2, 3})}, [&](const Leaves& l) { return fn(l[0]).mul_(2).sin(); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]).mul_(2).sin(); });
}

// tanh saves its own result. Plainly this is an error; a recomputation does not see the change.
TEST(Results, SavedByTheRegionAndWrittenInPlaceOutside) {
  const at::Tensor x = leaf({4});
  at::Tensor y = checkpoint([](const at::Tensor& t) { return t.tanh(); }, x);
  y.mul_(2);
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({(x.tanh() * 2).sum()}, {x})[0]));
}

TEST(Results, ThatRequireNoGradAmongThoseThatDo) {
  const at::Tensor x = leaf({4});
  const auto [y, index] = checkpoint(
      [](const at::Tensor& t) {
        const auto sorted = t.sin().sort();
        return std::make_pair(std::get<0>(sorted).sin(), std::get<1>(sorted));
      },
      x);
  EXPECT_FALSE(index.requires_grad());
  EXPECT_TRUE(bit_identical(gradient(y, x), gradient(std::get<0>(x.sin().sort()).sin(), x)));
}

}  // namespace
}  // namespace remat
