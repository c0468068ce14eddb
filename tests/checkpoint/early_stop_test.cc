// Early stop: a recomputation ends once the last tensor that backward can ask for has been saved.
#include <functional>
#include <map>
#include <string>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"
#include "torch_bridge/op_interceptor.h"

namespace remat {
namespace {

using testing::Calls;
using testing::expect_same_call;
using testing::leaf;
using testing::Leaves;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

CheckpointOptions running_to_the_end() {
  CheckpointOptions options;
  options.early_stop = false;
  return options;
}

/// tanh saves its result; the additions after it save nothing.
struct SavesEarly {
  Calls& after_save;
  Calls& at_end;
  at::Tensor operator()(const at::Tensor& x) const {
    const at::Tensor y = x.cos().tanh();
    after_save.count();
    const at::Tensor z = y + 1;
    at_end.count();
    return z + 2;
  }
};

// Breaks if: the stop waits for the end of the function.
TEST(EarlyStop, DoesNotRunWhatFollowsTheLastSavedTensor) {
  Calls after_save, at_end;
  checkpoint(SavesEarly{after_save, at_end}, leaf({4})).sum().backward();
  EXPECT_EQ(after_save.recomputed, 1);
  EXPECT_EQ(at_end.recomputed, 0);
  EXPECT_EQ(at_end.forward, 1);
}

// Breaks if: the recomputation goes on to the last tensor that the forward saved.
TEST(EarlyStop, DoesNotRunForAResultThatIsGone) {
  Calls first, second;
  auto [y, z] = checkpoint(
      [&](const at::Tensor& t) {
        const at::Tensor a = t.sin().tanh();
        first.count();
        const at::Tensor b = t.cos().cos();
        second.count();
        return std::make_pair(a, b);
      },
      leaf({4}));
  z.reset();
  y.sum().backward();
  EXPECT_EQ(first.recomputed, 1);
  EXPECT_EQ(second.recomputed, 0);
}

/// Kernels that run on this thread while it lives, by operator.
class Kernels final : public torch_bridge::OpInterceptor {
 public:
  int runs_of(const std::string& op) { return runs_[op]; }
  void intercept(torch_bridge::OpCall& call) override {
    ++runs_[call.op().schema().name()];
    call.proceed();
  }

 private:
  std::map<std::string, int> runs_;
  torch_bridge::InterceptorScope scope_{torch_bridge::OpLevel::kBelowAutograd, *this};
};

/// Runs of `op`'s kernel in the recomputation of `fn`, whose backward runs none of them.
int recomputed_kernels(const std::string& op,
                       const std::function<at::Tensor(const at::Tensor&)>& fn,
                       const CheckpointOptions& options = {}) {
  const at::Tensor y = checkpoint(options, fn, leaf({4, 4}));
  Kernels kernels;
  y.sum().backward();
  return kernels.runs_of(op);
}

// Breaks if: the operator that saves the last tensor is computed, though only its arguments are needed.
TEST(EarlyStop, DoesNotRunTheKernelOfTheOperatorThatSavesLast) {
  const at::Tensor weight = leaf({4, 4}, 2), bias = leaf({4}, 3);
  const auto fn = [&](const at::Tensor& x) {
    return torch::linear(x.exp(), weight, bias) +
           1;  // saves x.exp() for the weight, the weight for x
  };
  EXPECT_EQ(recomputed_kernels("aten::exp", fn), 1);
  EXPECT_EQ(recomputed_kernels("aten::addmm", fn), 0);
  EXPECT_EQ(recomputed_kernels("aten::addmm", fn, running_to_the_end()), 1);
}

TEST(EarlyStop, RunsEarlierKernelsOfTheOperatorThatSavesLast) {
  const at::Tensor weight = leaf({4, 4}, 2), bias = leaf({4}, 3);
  const auto fn = [&](const at::Tensor& x) {
    return torch::linear(torch::linear(x, weight, bias), weight, bias);
  };
  EXPECT_EQ(recomputed_kernels("aten::addmm", fn), 1);
}

// What backward reads of these is there only after the kernel: a result, or an argument that it fills.
TEST(EarlyStop, RunsTheKernelThatMakesWhatIsSavedLast) {
  EXPECT_EQ(recomputed_kernels("aten::tanh", [](const at::Tensor& x) { return x.tanh() + 1; }), 1);
  EXPECT_EQ(recomputed_kernels("aten::rrelu_with_noise",
                               [](const at::Tensor& x) {
                                 return torch::rrelu(x.sin(), 0.1, 0.9, /*training=*/true);
                               }),
            1);
}

TEST(EarlyStop, OffRunsToTheEnd) {
  Calls after_save, at_end;
  checkpoint(running_to_the_end(), SavesEarly{after_save, at_end}, leaf({4})).sum().backward();
  EXPECT_EQ(after_save.recomputed, 1);
  EXPECT_EQ(at_end.recomputed, 1);
}

TEST(EarlyStop, GivesThePlainGradients) {
  Calls ignored;
  const SavesEarly fn{ignored, ignored};
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

// What the last op saves must be complete: each of these writes it, or hands it over, in a way of its
// own. rrelu saves its noise before the kernel fills it.
struct LastOp {
  const char* name;
  at::Tensor (*run)(const at::Tensor& x);
};

void PrintTo(const LastOp& op, std::ostream* out) { *out << op.name; }

/// y = 2x, and keeps its own output for backward.
struct SavesItsOutput : torch::autograd::Function<SavesItsOutput> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    at::Tensor y = x * 2;
    context->save_for_backward({x, y});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    return {gradients[0] * saved[1] / saved[0]};
  }
};

at::Tensor rrelu(const at::Tensor& x) { return torch::rrelu(x, 0.1, 0.9, /*training=*/true); }
at::Tensor rrelu_in_place(const at::Tensor& x) {
  at::Tensor y = x + 1;
  torch::rrelu_(y, 0.1, 0.9, /*training=*/true);
  return y;
}
at::Tensor dropout(const at::Tensor& x) { return torch::dropout(x, 0.5, /*train=*/true); }
at::Tensor batch_norm(const at::Tensor& x) {
  return torch::batch_norm(x.view({10, 30}), {}, {}, {}, {}, /*training=*/true, 0.1, 1e-5, false);
}
at::Tensor layer_norm(const at::Tensor& x) { return torch::layer_norm(x.view({10, 30}), {30}); }
at::Tensor tanh(const at::Tensor& x) { return x.tanh(); }
at::Tensor relu_in_place(const at::Tensor& x) {
  at::Tensor y = x * 1;
  return y.relu_();
}
at::Tensor maximum(const at::Tensor& x) { return std::get<0>(x.view({10, 30}).max(1)); }
at::Tensor sort(const at::Tensor& x) { return std::get<0>(x.sort()); }
at::Tensor custom_function(const at::Tensor& x) { return SavesItsOutput::apply(x); }
at::Tensor linear(const at::Tensor& x) {
  const at::Tensor y = x.view({10, 30});
  return torch::linear(y, y, y.sum(1));
}
at::Tensor written_then_saved(const at::Tensor& x) {
  at::Tensor y = torch::empty_like(x);
  y.copy_(x);
  y.mul_(3);
  return y * y;
}

class LastSavingOp : public ::testing::TestWithParam<LastOp> {};

TEST_P(LastSavingOp, WithNothingAfterIt) {
  const auto fn = [](const at::Tensor& x) { return GetParam().run(x.sin()); };
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

// Breaks if: the stop is raised where the tensor is saved rather than at the next op.
TEST_P(LastSavingOp, WithMoreOpsAfterIt) {
  const auto fn = [](const at::Tensor& x) { return GetParam().run(x.sin()) + 1; };
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST_P(LastSavingOp, AndTheWholeRegion) {
  const auto fn = GetParam().run;
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

TEST_P(LastSavingOp, WithoutEarlyStop) {
  const auto fn = [](const at::Tensor& x) { return GetParam().run(x.sin()) + 1; };
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(running_to_the_end(), fn, l[0]); });
}

// Breaks if: values are hashed where they are saved: unwritten memory differs from pass to pass.
TEST_P(LastSavingOp, UnderValueChecks) {
  CheckpointOptions options;
  options.determinism = Determinism::kValues;
  const auto fn = [](const at::Tensor& x) { return GetParam().run(x.sin()) + 1; };
  expect_same_call(
      {leaf({300})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(options, fn, l[0]); });
}

INSTANTIATE_TEST_SUITE_P(
    EarlyStop, LastSavingOp,
    ::testing::Values(LastOp{"Rrelu", rrelu}, LastOp{"RreluInPlace", rrelu_in_place},
                      LastOp{"Dropout", dropout}, LastOp{"BatchNorm", batch_norm},
                      LastOp{"LayerNorm", layer_norm}, LastOp{"Tanh", tanh},
                      LastOp{"ReluInPlace", relu_in_place}, LastOp{"Maximum", maximum},
                      LastOp{"Sort", sort}, LastOp{"CustomFunction", custom_function},
                      LastOp{"Linear", linear}, LastOp{"WrittenThenSaved", written_then_saved}),
    [](const auto& test) { return test.param.name; });

/// Whether a training step that checkpoints `fn` lets go of its input.
bool frees_its_input(const std::function<at::Tensor(const at::Tensor&)>& fn) {
  bool freed = false;
  auto* memory = new float[64]();
  {
    const at::Tensor x = torch::from_blob(memory, {64}, [&freed](void* data) {
                           freed = true;
                           delete[] static_cast<float*>(data);
                         }).requires_grad_();
    checkpoint(fn, x).sum().backward();
  }
  return freed;
}

// Breaks if: the stop unwinds through the middle of the custom function's node, which then leaks.
TEST(EarlyStop, ACustomFunctionLastFreesItsInput) {
  EXPECT_TRUE(
      frees_its_input([](const at::Tensor& t) { return SavesItsOutput::apply(t.cos()) + 1; }));
}

TEST(EarlyStop, AnOperatorStoppedBeforeItsKernelFreesItsInput) {
  EXPECT_TRUE(frees_its_input([](const at::Tensor& t) { return t * t; }));
}

// A function that catches everything, the stop included.
struct CatchesEverything {
  int& caught;
  Calls& afterwards;
  at::Tensor operator()(const at::Tensor& x) const {
    at::Tensor y = x.sin();
    try {
      y = y.sin() + 1;
      y = y + 2;
    } catch (...) {
      ++caught;
    }
    y = y + 3;
    afterwards.count();
    return y + 4;
  }
};

// Breaks if: the stop is thrown once only, and the function goes on with a wrong y.
TEST(EarlyStop, SurvivesAFunctionThatCatchesEverything) {
  int caught = 0;
  Calls afterwards;
  const CatchesEverything fn{caught, afterwards};
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
  EXPECT_EQ(caught, 1) << "in the recomputation only";
  EXPECT_EQ(afterwards.recomputed, 0);
}

TEST(EarlyStop, SurvivesAFunctionThatCatchesEverythingInALoop) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = x.sin().sin();
    for (int i = 0; i < 5; ++i) {
      try {
        y = y + 1;
      } catch (...) {
        y = x;
      }
    }
    return y;
  };
  expect_same_call(
      {leaf({4})}, [&](const Leaves& l) { return fn(l[0]); },
      [&](const Leaves& l) { return checkpoint(fn, l[0]); });
}

// Breaks if: the stop is a std::exception, or state survives a swallowed stop.
TEST(EarlyStop, IsNotSeenByHandlersOfStdException) {
  int caught = 0;
  const auto fn = [&caught](const at::Tensor& x) {
    at::Tensor y = x.sin();
    try {
      y = y + 1;
    } catch (const std::exception&) {
      ++caught;
    }
    return y + 2;
  };
  checkpoint(fn, leaf({4})).sum().backward();
  EXPECT_EQ(caught, 0);
}

TEST(EarlyStop, RunsDestructorsOfTheFunction) {
  int entered = 0, left = 0;
  struct Scope {
    explicit Scope(int& on_exit) : on_exit_(on_exit) {}
    ~Scope() { ++on_exit_; }
    int& on_exit_;
  };
  const auto fn = [&](const at::Tensor& x) {
    ++entered;
    const Scope scope(left);
    return x.sin() + 1;
  };
  checkpoint(fn, leaf({4})).sum().backward();
  EXPECT_EQ(entered, 2);
  EXPECT_EQ(left, 2);
}

// Breaks if: a scope of the function's own outlives the stop that unwinds it.
TEST(EarlyStop, LeavesGradModeAsItWas) {
  const auto fn = [](const at::Tensor& x) {
    at::Tensor y = x.sin();
    const at::NoGradGuard no_grad;
    y.add(1);
    return y;
  };
  checkpoint(fn, leaf({4})).sum().backward();
  EXPECT_TRUE(c10::GradMode::is_enabled());
}

}  // namespace
}  // namespace remat
