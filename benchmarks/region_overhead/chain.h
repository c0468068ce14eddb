// The work that all contenders do: a chain of tiny operators, where nothing but overhead takes time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace remat::benchmarks {

/// x -> op(x, w) -> op(..., w) -> ..., `length` times. All tensors require gradients.
class Chain {
 public:
  using Op = at::Tensor (*)(const at::Tensor& x, const at::Tensor& weight);

  /// Shapes: x (8, 8), weight (8, 8): 256 bytes each.
  Chain(std::string name, Op op, std::int64_t length);

  at::Tensor forward(at::Tensor x) const;

  const std::string& name() const { return name_; }
  std::int64_t length() const { return length_; }
  const at::Tensor& input() const { return input_; }

  /// Tensors that autograd saves during one forward.
  std::int64_t saved_tensors() const;

 private:
  std::string name_;
  Op op_;
  std::int64_t length_;
  at::Tensor input_;
  at::Tensor weight_;
};

/// Every chain of the comparison: each operator at each length.
std::vector<Chain> all_chains();

/// What Google Benchmark knows one contender's runs of a chain as: "region/mul/16".
std::string title(const std::string& contender, const Chain& chain);

/// What a contender is: one forward of a chain, its graph in the result.
using Forward = at::Tensor (*)(const Chain& chain);

at::Tensor plain_forward(const Chain& chain);
at::Tensor region_forward(const Chain& chain);

}  // namespace remat::benchmarks
