// The operators of a random program, run once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace remat::testing {

struct RandomOps {
  at::Tensor loss;   // a scalar
  std::string text;  // a line for each value
};

/// Runs `count` operators on `leaves` and on one another's results. Which ones follows from the seed, and
/// from the shapes and dtypes of the leaves. Errors: c10::Error, from here or from a backward pass of the
/// loss, if autograd refuses a write in place.
RandomOps run_random_ops(std::uint64_t seed, int count, const std::vector<at::Tensor>& leaves);

}  // namespace remat::testing
