// Regions for a Python process: operators under torch.ops.remat_probe, and a function for ctypes.
#include <atomic>

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/saved_tensor_hooks.h>

namespace {

std::atomic<std::int64_t> calls{0};
std::atomic<std::int64_t> recomputations{0};
std::atomic<std::int64_t> packed{0};

void count() { ++(remat::is_recomputing() ? recomputations : calls); }

/// What the regions do; saves the tensor inputs and a few results.
at::Tensor plain(const at::Tensor& x, const at::Tensor& w, double dropout) {
  count();
  return torch::dropout(torch::gelu(torch::matmul(x, w)), dropout, /*train=*/true).sin();
}

at::Tensor region(const at::Tensor& x, const at::Tensor& w, double dropout) {
  return remat::checkpoint(plain, x, w, dropout);
}

/// A region under remat's own hooks, which count what they are given.
at::Tensor hooked_region(const at::Tensor& x, const at::Tensor& w, double dropout) {
  const remat::SavedTensorHooks hooks(
      [](const at::Tensor& t) -> std::any {
        ++packed;
        return t.clone();
      },
      [](const std::any& a) { return std::any_cast<at::Tensor>(a); });
  return region(x, w, dropout);
}

/// The operator of that name, which may be one that Python defined.
at::Tensor call_operator(const std::string& name, const at::Tensor& x) {
  count();
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(name.c_str(), "")
      .typed<at::Tensor(const at::Tensor&)>()
      .call(x);
}

at::Tensor region_of_operator(const std::string& name, const at::Tensor& x) {
  return remat::checkpoint(call_operator, name, x);
}

void reset_counts() { calls = recomputations = packed = 0; }

TORCH_LIBRARY(remat_probe, m) {
  m.def("plain", plain);
  m.def("region", region);
  m.def("hooked_region", hooked_region);
  m.def("region_of_operator", region_of_operator);
  m.def("backward(Tensor loss) -> ()", [](const at::Tensor& loss) { loss.backward(); });
  m.def("calls", [] { return calls.load(); });
  m.def("recomputations", [] { return recomputations.load(); });
  m.def("packed", [] { return packed.load(); });
  m.def("reset_counts", reset_counts);
}

}  // namespace

/// Trains a region without Python and returns its recomputations, or -1 if the gradient is wrong.
extern "C" int remat_probe_train_without_python() {
  reset_counts();
  const at::Tensor w = torch::eye(4);
  const at::Tensor x = torch::ones({4, 4}, torch::requires_grad());
  const at::Tensor x_plain = torch::ones({4, 4}, torch::requires_grad());
  region(x, w, 0).sum().backward();
  plain(x_plain, w, 0).sum().backward();
  return torch::equal(x.grad(), x_plain.grad()) ? static_cast<int>(recomputations) : -1;
}
