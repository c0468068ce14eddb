// Random programs of tensor operators, as models to train: what no one would think of writing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "tests/tape/model_zoo.h"
#include "tests/tape/random_ops.h"

namespace remat::testing {

/// Some 40 operators on a few parameters and inputs, and a scalar loss: arithmetic with broadcasting,
/// products, views, writes in place (through views too, and into memory that others read), random numbers,
/// lists, casts, norms, reductions, indexing, parts without gradients, regions.
///
/// The program follows from the seed and never from a value. Which writes in place autograd allows shows
/// only when they are tried: a program that it refuses is replaced by the next one of the same seed.
class RandomProgram {
 public:
  /// Parameters and inputs come from the default generator, whose state the trial changes.
  explicit RandomProgram(std::uint64_t seed, int ops = 40);

  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  at::Tensor loss(int step) const;

  /// One line for each operator.
  const std::string& text() const { return text_; }
  /// How many programs autograd refused before this one.
  int refused() const { return refused_; }

 private:
  bool allowed();
  RandomOps run(int step) const;

  std::uint64_t seed_;
  int ops_;
  int refused_ = 0;
  std::vector<at::Tensor> parameters_;
  std::vector<std::vector<at::Tensor>> inputs_;  // of each of two steps
  std::string text_;
};

/// The same as a model of the zoo, named "Random" and the seed.
ZooModel random_program(std::uint64_t seed, int ops = 40);

}  // namespace remat::testing
