#include "tests/tape/random_program.h"

#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include <torch/torch.h>

#include "tests/tape/random_ops.h"
#include "tests/tape/zoo_making.h"

namespace remat::testing {
namespace {

constexpr int kMostRefused = 100;

// From autograd, or from a region whose argument was written to.
bool is_refusal(const std::exception& error) {
  const auto* text = error.what();
  for (const char* words :
       {"inplace operation", "in-place operation", "modified inplace", "written-to tensor"}) {
    if (std::strstr(text, words) != nullptr) return true;
  }
  return false;
}

}  // namespace

RandomProgram::RandomProgram(std::uint64_t seed, int ops) : seed_(seed), ops_(ops) {
  parameters_ = {weight({4, 8}), weight({8, 8}), weight({8}), weight({2, 4, 8})};
  for (int step = 0; step < 2; ++step) {
    inputs_.push_back({torch::randn({4, 8}), torch::randn({8, 4})});
  }
  while (!allowed()) {
    TORCH_CHECK(++refused_ < kMostRefused, "no program of this seed is allowed");
  }
}

// Of all its values one must depend on a parameter.
bool RandomProgram::allowed() {
  try {
    const auto ops = run(0);
    text_ = ops.text;
    if (!ops.loss.requires_grad()) return false;
    torch::autograd::grad({ops.loss}, parameters_, {}, {}, /*create_graph=*/false,
                          /*allow_unused=*/true);
    return true;
  } catch (const std::exception& error) {
    if (!is_refusal(error)) throw;
    return false;
  }
}

RandomOps RandomProgram::run(int step) const {
  auto leaves = parameters_;
  const auto& inputs = inputs_[static_cast<std::size_t>(step) % inputs_.size()];
  leaves.insert(leaves.end(), inputs.begin(), inputs.end());
  return run_random_ops(seed_ * kMostRefused + static_cast<std::uint64_t>(refused_), ops_, leaves);
}

at::Tensor RandomProgram::loss(int step) const { return run(step).loss; }

ZooModel random_program(std::uint64_t seed, int ops) {
  return zoo_model("Random" + std::to_string(seed), [=]() -> ZooParts {
    const auto program = std::make_shared<RandomProgram>(seed, ops);
    return {program->parameters(), [program](int step) { return program->loss(step); }};
  });
}

}  // namespace remat::testing
