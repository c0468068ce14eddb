#include "region_overhead/chain.h"

#include <any>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include <remat/saved_tensor_hooks.h>

namespace remat::benchmarks {
namespace {

// Saves nothing.
at::Tensor add(const at::Tensor& x, const at::Tensor& weight) { return at::add(x, weight); }

// Saves both factors.
at::Tensor mul(const at::Tensor& x, const at::Tensor& weight) { return at::mul(x, weight); }

// A composite operator: two below it are seen by autograd, and two tensors are saved.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight) { return at::linear(x, weight); }

at::Tensor tiny_parameter() { return at::full({8, 8}, 0.125F).requires_grad_(); }

}  // namespace

Chain::Chain(std::string name, Op op, std::int64_t length)
    : name_(std::move(name)),
      op_(op),
      length_(length),
      input_(tiny_parameter()),
      weight_(tiny_parameter()) {}

at::Tensor Chain::forward(at::Tensor x) const {
  for (std::int64_t i = 0; i < length_; ++i) {
    x = op_(x, weight_);
  }
  return x;
}

std::int64_t Chain::saved_tensors() const {
  std::int64_t saved = 0;
  const auto count = [&saved](const at::Tensor& tensor) -> std::any {
    ++saved;
    return tensor;
  };
  const SavedTensorHooks hooks(
      count, [](const std::any& packed) { return std::any_cast<at::Tensor>(packed); });
  forward(input_);
  return saved;
}

std::vector<Chain> all_chains() {
  std::vector<Chain> chains;
  for (const std::int64_t length : {1, 16, 256}) {
    chains.emplace_back("add", add, length);
    chains.emplace_back("mul", mul, length);
    chains.emplace_back("linear", linear, length);
  }
  return chains;
}

std::string title(const std::string& contender, const Chain& chain) {
  return contender + "/" + chain.name() + "/" + std::to_string(chain.length());
}

}  // namespace remat::benchmarks
