// Arguments of any type: a recomputation gets what the forward got.
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
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

const Leaves kTwo = {leaf({2, 3}, 1), leaf({2, 3}, 2)};

/// Expects a region of `fn` to equal the plain call, both on the arguments that `make_arguments` makes
/// of the leaves.
template <class F, class MakeArguments>
void expect_same_region(const F& fn, const MakeArguments& make_arguments) {
  expect_same_call(
      kTwo, [&](const Leaves& l) { return std::apply(fn, make_arguments(l)); },
      [&](const Leaves& l) {
        return std::apply(
            [&fn](auto&&... args) { return checkpoint(fn, std::forward<decltype(args)>(args)...); },
            make_arguments(l));
      });
}

TEST(Arguments, PlainValues) {
  const auto fn = [](const at::Tensor& x, int power, double scale, bool negate) {
    const at::Tensor y = (x.pow(power) * scale).sin();
    return negate ? -y.sin() : y;
  };
  expect_same_region(fn, [](const Leaves& l) { return std::make_tuple(l[0], 3, 0.5, true); });
}

TEST(Arguments, Lists) {
  const auto fn = [](const std::vector<at::Tensor>& list, const std::vector<double>& weights) {
    return (list[0] * list[1] * weights[1]).sin();
  };
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(std::vector<at::Tensor>{l[0], l[1]}, std::vector<double>{1, 2});
  });
}

TEST(Arguments, Optionals) {
  const auto fn = [](const at::Tensor& x, const std::optional<at::Tensor>& mask,
                     const c10::optional<at::Tensor>& bias, const std::optional<double>& none) {
    return (x * mask.value_or(x) + bias.value() + none.value_or(2)).sin();
  };
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(l[0], std::optional<at::Tensor>(l[1]), c10::optional<at::Tensor>(l[1]),
                           std::optional<double>());
  });
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(l[0], std::optional<at::Tensor>(), c10::optional<at::Tensor>(l[1]),
                           std::optional<double>(3));
  });
}

TEST(Arguments, UndefinedTensors) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& mask) {
    return (mask.defined() ? x * mask : x.sin()).sin();
  };
  expect_same_region(fn, [](const Leaves& l) { return std::make_tuple(l[0], at::Tensor()); });
}

TEST(Arguments, TuplesPairsArraysVariantsAndMaps) {
  using Tensors = std::tuple<at::Tensor, std::pair<int, at::Tensor>>;
  using Either = std::variant<int, at::Tensor>;
  using Named = std::map<std::string, at::Tensor>;
  const auto fn = [](const Tensors& tuple, const std::array<at::Tensor, 2>& array,
                     const Either& either, const Named& named) {
    const auto& [first, pair] = tuple;
    return (first * pair.second * array[0] + array[1].sin() * std::get<at::Tensor>(either) +
            named.at("b") * pair.first)
        .sin();
  };
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(Tensors{l[0], {2, l[1]}}, std::array<at::Tensor, 2>{l[1], l[0]},
                           Either(l[0]), Named{{"a", l[0]}, {"b", l[1]}});
  });
}

TEST(Arguments, ListsInsideLists) {
  using Nested = std::vector<std::vector<std::optional<at::Tensor>>>;
  const auto fn = [](const Nested& nested) { return (*nested[0][1] * *nested[1][0]).sin(); };
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(Nested{{std::nullopt, l[0]}, {l[1]}});
  });
}

struct Batch {
  at::Tensor x;
  at::Tensor y;
  int id = 0;
};

TEST(Arguments, Structs) {
  const auto fn = [](const Batch& batch) { return (batch.x * batch.y * batch.id).sin(); };
  expect_same_region(fn, [](const Leaves& l) { return std::make_tuple(Batch{l[0], l[1], 3}); });
}

TEST(Arguments, StringsAndNothingAtAll) {
  const at::Tensor x = leaf({3});
  const auto fn = [x](const std::string& mode) { return mode == "sin" ? x.sin().sin() : x.cos(); };
  const auto literal = torch::autograd::grad({checkpoint(fn, "sin").sum()}, {x})[0];
  const auto expected = torch::autograd::grad({x.sin().sin().sum()}, {x})[0];
  const auto without = [x] { return x.sin().sin(); };
  const auto nothing = torch::autograd::grad({checkpoint(without).sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(literal, expected));
  EXPECT_TRUE(bit_identical(nothing, expected));
}

// What only refers to its elements is kept with them.
// Breaks if: the reference is kept (reads freed memory).
TEST(Arguments, ArrayRefsAndStringViewsOwnTheirElements) {
  const auto fn = [](at::TensorList tensors, at::IntArrayRef sizes, std::string_view mode) {
    const at::Tensor y = (tensors[0] * tensors[1]).view(sizes);
    return mode == "a mode with a name too long for small strings" ? y.sin() : y;
  };
  const at::Tensor x = leaf({2, 3}, 1), w = leaf({2, 3}, 2);
  at::Tensor y;
  {
    std::vector<at::Tensor> tensors = {x, w};
    std::vector<std::int64_t> sizes = {3, 2};
    std::string mode = "a mode with a name too long for small strings";
    y = checkpoint(fn, at::TensorList(tensors), at::IntArrayRef(sizes), std::string_view(mode));
    sizes = {6, 1};
    mode.assign(mode.size(), 'x');
    tensors.clear();
  }
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(
      bit_identical(found, torch::autograd::grad({(x * w).view({3, 2}).sin().sum()}, {x})[0]));
}

// ---- ways of passing -------------------------------------------------------------------------------

TEST(Arguments, ByValueReferenceConstReferenceAndRvalue) {
  const auto fn = [](at::Tensor a, at::Tensor& b, const at::Tensor& c, at::Tensor&& d) {
    const at::Tensor taken = std::move(d);
    a = a * b;
    return (a * c * taken).sin();
  };
  expect_same_call(
      kTwo,
      [&](const Leaves& l) {
        at::Tensor b = l[1];
        return fn(l[0], b, l[0], at::Tensor(l[1]));
      },
      [&](const Leaves& l) {
        at::Tensor b = l[1];
        return checkpoint(fn, l[0], b, l[0], at::Tensor(l[1]));
      });
}

// Breaks if: the first call gets copies.
TEST(Arguments, OutputParametersAreSetByTheFirstCallOnly) {
  const at::Tensor x = leaf({3});
  at::Tensor y;
  int calls = 0;
  checkpoint(
      [](const at::Tensor& in, at::Tensor& out, int& count) {
        out = in.sin().sin();
        ++count;
      },
      x, y, calls);
  ASSERT_TRUE(y.defined());
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({x.sin().sin().sum()}, {x})[0]));
  EXPECT_EQ(calls, 1);
}

// Breaks if: arguments are kept by reference.
TEST(Arguments, ChangedAfterTheCallDoNotReachTheRecomputation) {
  const at::Tensor x = leaf({3}, 1), w = leaf({3}, 2), other = leaf({3}, 3);
  std::vector<at::Tensor> list = {x, w};
  double scale = 2;
  const at::Tensor y =
      checkpoint([](const std::vector<at::Tensor>& tensors,
                    const double& by) { return (tensors[0] * tensors[1] * by).sin().sin(); },
                 list, scale);
  list[1] = other;
  list.push_back(other);
  scale = -1;
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(
      bit_identical(found, torch::autograd::grad({(x * w * 2.0).sin().sin().sum()}, {x})[0]));
}

// The kept copies themselves must be as good as new for a second recomputation.
TEST(Arguments, ChangedByTheFunctionAreTheSameAgainInEveryRecomputation) {
  const at::Tensor x = leaf({3}, 1), w = leaf({3}, 2);
  const auto fn = [](std::vector<at::Tensor> list, int n) {
    at::Tensor y = list.back() * n;
    list.pop_back();
    n += 1;
    return (y * list.back()).sin();
  };
  const at::Tensor y = checkpoint(fn, std::vector<at::Tensor>{x, w}, 2);
  const auto first = torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true)[0];
  const auto second = torch::autograd::grad({y.sum()}, {x})[0];
  const auto plain = torch::autograd::grad({fn({x, w}, 2).sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(first, plain));
  EXPECT_TRUE(bit_identical(second, plain));
}

TEST(Arguments, MovedFromByTheFunction) {
  const at::Tensor x = leaf({3});
  const auto fn = [](std::vector<at::Tensor>&& list) {
    const std::vector<at::Tensor> taken = std::move(list);
    return taken[0].sin().sin();
  };
  const at::Tensor y = checkpoint(fn, std::vector<at::Tensor>{x});
  torch::autograd::grad({y.sum()}, {x}, {}, /*retain_graph=*/true);
  const auto found = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({x.sin().sin().sum()}, {x})[0]));
}

TEST(Arguments, StdRefKeepsTheObjectItself) {
  struct Counter {
    int calls = 0;
    Counter() = default;
    Counter(const Counter&) = delete;
  } counter;
  const at::Tensor x = leaf({3});
  const at::Tensor y = checkpoint(
      [](const at::Tensor& t, Counter& c) {
        ++c.calls;
        return t.sin().sin();
      },
      x, std::ref(counter));
  y.sum().backward();
  EXPECT_EQ(counter.calls, 2);
}

// ---- tensors that share --------------------------------------------------------------------------

TEST(Arguments, TheSameTensorTwice) {
  const auto fn = [](const at::Tensor& a, const at::Tensor& b) { return (a * b).sin(); };
  expect_same_region(fn, [](const Leaves& l) { return std::make_tuple(l[0], l[0]); });
}

TEST(Arguments, ViewsOfOneTensor) {
  const auto fn = [](const at::Tensor& a, const at::Tensor& b) { return (a * b).sin(); };
  expect_same_region(fn, [](const Leaves& l) {
    const at::Tensor base = l[0] * l[1];
    return std::make_tuple(base.narrow(1, 0, 2), base.narrow(1, 1, 2));
  });
}

TEST(Arguments, StridedAndExpandedViews) {
  const auto fn = [](const at::Tensor& a, const at::Tensor& b) {
    return (a * b).sin() + a.as_strided({2, 2}, {1, 2}).sum();
  };
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(l[0].t(), l[1].narrow(0, 0, 1).expand({2, 3}).t());
  });
}

// They have no storage of their own, which is what outside tensors are known by.
TEST(Arguments, SparseTensors) {
  const auto fn = [](const at::Tensor& sparse, const at::Tensor& x) {
    return torch::mm(sparse, x.t()).sin().sin();
  };
  expect_same_region(
      fn, [](const Leaves& l) { return std::make_tuple(torch::eye(3).to_sparse(), l[0] * l[1]); });
}

TEST(Arguments, IntegersBooleansAndDoubles) {
  const auto fn = [](const at::Tensor& x, const at::Tensor& index, const at::Tensor& mask) {
    return x.index_select(0, index).masked_fill(mask, 0.5).to(at::kDouble).sin().sin();
  };
  expect_same_region(fn, [](const Leaves& l) {
    return std::make_tuple(l[0] * l[1], torch::tensor({1, 0, 1}),
                           torch::tensor({true, false, true}).view({3, 1}));
  });
}

}  // namespace
}  // namespace remat
