// Tests that need a CUDA device. Where there is none they are skipped, and say so.
#pragma once

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/cuda.h>

#include "tests/testing/trace.h"

namespace remat::testing {

inline const c10::Device kFirstCuda(c10::kCUDA, 0);

/// As `leaf`, on the first CUDA device.
inline at::Tensor cuda_leaf(at::IntArrayRef sizes, std::uint64_t seed = 1) {
  return values(sizes, seed).to(kFirstCuda).requires_grad_();
}

/// `Base` with kernels that give the same bits twice, so that plain and checkpointed can be compared.
template <class Base>
class OnCuda : public Base {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "LibTorch finds no CUDA device here";
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
    at::globalContext().setDeterministicCuDNN(true);
    at::ones({1}, kFirstCuda);  // a device first used inside of a region is an error (Rule 10)
  }
  void TearDown() override {
    at::globalContext().setDeterministicAlgorithms(false, false);
    at::globalContext().setDeterministicCuDNN(false);
  }
};

}  // namespace remat::testing
