#include "tests/tape/budget_harness.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <remat/memory.h>

namespace remat::testing {
namespace {

// ---- recording -------------------------------------------------------------------------------------

std::string bits_of(const at::Tensor& tensor) {
  if (tensor.is_sparse()) return bits_of(tensor._indices()) + bits_of(tensor._values());
  const auto dense = tensor.resolve_conj().resolve_neg().contiguous();
  return std::string(static_cast<const char*>(dense.data_ptr()), dense.nbytes());
}

RecordedTensor recorded(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::NoGradGuard no_grad;
  return {true, tensor.scalar_type(), tensor.sizes().vec(), bits_of(tensor.detach())};
}

std::vector<RecordedTensor> recorded(const std::vector<at::Tensor>& tensors) {
  std::vector<RecordedTensor> all;
  for (const auto& tensor : tensors) all.push_back(recorded(tensor));
  return all;
}

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters) gradients.push_back(parameter.grad());
  return gradients;
}

// ---- training --------------------------------------------------------------------------------------

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const std::vector<at::Tensor>& parameters,
                                                        ZooOptimizer optimizer) {
  if (optimizer == ZooOptimizer::kAdamW) {
    return std::make_unique<torch::optim::AdamW>(parameters, torch::optim::AdamWOptions(1e-2));
  }
  return std::make_unique<torch::optim::SGD>(parameters,
                                             torch::optim::SGDOptions(0.05).momentum(0.9));
}

void clear_gradients(const std::vector<at::Tensor>& parameters, bool release) {
  for (const auto& parameter : parameters) {
    auto& gradient = parameter.mutable_grad();
    if (!gradient.defined()) continue;
    if (release) {
      gradient.reset();
    } else {
      gradient.detach_().zero_();
    }
  }
}

// One model in training; the tracker comes first, so that it counts all of the model.
class Trainer {
 public:
  Trainer(const ZooModel& model, const TrainingOptions& options)
      : options_(options),
        model_(model.make()),
        parameters_(model_->parameters()),
        optimizer_(make_optimizer(parameters_, options.optimizer)) {}

  RecordedStep step(int number, const RunStep& run_step) {
    clear_gradients(parameters_, options_.release_gradients);
    RecordedStep record;
    at::Tensor loss_value;
    record.fixed = tracker_.live_bytes();
    tracker_.reset_peak();
    run_step([&] {
      const auto loss = model_->loss(number);
      loss.backward();
      record.backward_peak = tracker_.peak_bytes();
      optimizer_->step();
      loss_value = loss.detach();
    });
    record.peak = tracker_.peak_bytes();
    record.loss = recorded(loss_value);
    record.generator = recorded(at::detail::getDefaultCPUGenerator().get_state());
    record.gradients = recorded(gradients_of(parameters_));
    record.parameters = recorded(parameters_);
    record.buffers = recorded(model_->buffers());
    return record;
  }

 private:
  MemoryTracker tracker_;
  TrainingOptions options_;
  std::unique_ptr<ZooStep> model_;
  std::vector<at::Tensor> parameters_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

// ---- comparison ------------------------------------------------------------------------------------

// The tensor that was recorded; dense ones only.
at::Tensor tensor_of(const RecordedTensor& recorded) {
  const auto tensor = torch::empty(recorded.sizes, recorded.dtype);
  if (!recorded.bits.empty()) {
    std::memcpy(tensor.data_ptr(), recorded.bits.data(), recorded.bits.size());
  }
  return tensor.flatten();
}

std::string number_at(const at::Tensor& flat, std::int64_t element) {
  const auto value = flat[element].item();
  if (value.isComplex()) {
    const auto z = value.toComplexDouble();
    return fmt::format("{}+{}i", z.real(), z.imag());
  }
  return fmt::format("{}", value.toDouble());
}

std::string difference_of_content(const RecordedTensor& expected, const RecordedTensor& found) {
  const auto pair = std::mismatch(expected.bits.begin(), expected.bits.end(), found.bits.begin());
  const auto byte = pair.first - expected.bits.begin();
  const auto element = byte / static_cast<std::ptrdiff_t>(c10::elementSize(expected.dtype));
  const auto wanted = tensor_of(expected), got = tensor_of(found);
  return fmt::format("element {} of {} is {}, expected {}", element, wanted.numel(),
                     number_at(got, element), number_at(wanted, element));
}

// Empty if there is none.
std::string difference(const RecordedTensor& expected, const RecordedTensor& found) {
  if (expected.defined != found.defined) {
    return found.defined ? "is defined, expected an undefined one" : "is undefined";
  }
  if (expected.sizes != found.sizes || expected.dtype != found.dtype) {
    return fmt::format("is ({}) {}, expected ({}) {}", fmt::join(found.sizes, ", "),
                       c10::toString(found.dtype), fmt::join(expected.sizes, ", "),
                       c10::toString(expected.dtype));
  }
  if (expected.bits == found.bits) return "";
  const auto dense = c10::elementSize(expected.dtype) *
                     static_cast<std::size_t>(c10::multiply_integers(expected.sizes));
  if (expected.bits.size() != found.bits.size() || expected.bits.size() != dense) {
    return "is sparse, with other indices or values";
  }
  return difference_of_content(expected, found);
}

std::string difference(const char* what, const std::vector<RecordedTensor>& expected,
                       const std::vector<RecordedTensor>& found) {
  if (expected.size() != found.size()) {
    return fmt::format("{} {}s, expected {}", found.size(), what, expected.size());
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto text = difference(expected[i], found[i]);
    if (text.empty()) continue;
    return fmt::format("{} {} of {} ({}): {}", what, i, expected.size(),
                       fmt::join(expected[i].sizes, ", "), text);
  }
  return "";
}

// Losses and gradients first: the rest follows from them.
std::string difference(const RecordedStep& expected, const RecordedStep& found) {
  for (const auto& text : {difference("loss", {expected.loss}, {found.loss}),
                           difference("gradient", expected.gradients, found.gradients),
                           difference("buffer", expected.buffers, found.buffers),
                           difference("parameter", expected.parameters, found.parameters),
                           difference("generator", {expected.generator}, {found.generator})}) {
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, ZooOptimizer optimizer) {
  return out << (optimizer == ZooOptimizer::kAdamW ? "AdamW" : "SGD with momentum");
}

std::vector<ZooOptimizer> optimizers_for(const ZooModel& model) {
  if (model.sparse_gradients) return {ZooOptimizer::kSgdMomentum};
  return {ZooOptimizer::kSgdMomentum, ZooOptimizer::kAdamW};
}

Training train(const ZooModel& model, const TrainingOptions& options, const RunStep& run_step) {
  Trainer trainer(model, options);
  Training training;
  for (int step = 0; step < options.steps; ++step) training.push_back(trainer.step(step, run_step));
  return training;
}

Bytes activation_peak(const Training& training) {
  Bytes peak;
  for (std::size_t i = 1; i < training.size(); ++i) {
    peak = std::max(peak, training[i].activation_peak());
  }
  return peak;
}

Bytes budget_of(const Training& training, double share) {
  Bytes budget;
  for (std::size_t i = 1; i < training.size(); ++i) {
    const auto activations = static_cast<double>(training[i].activation_peak().count());
    const auto part = Bytes(static_cast<std::int64_t>(share * activations));
    budget = std::max(budget, training[i].fixed + part);
  }
  return budget;
}

std::string first_difference(const Training& expected, const Training& found) {
  if (expected.size() != found.size()) {
    return fmt::format("{} steps, expected {}", found.size(), expected.size());
  }
  for (std::size_t step = 0; step < expected.size(); ++step) {
    const auto text = difference(expected[step], found[step]);
    if (!text.empty()) return fmt::format("step {}, {}", step, text);
  }
  return "";
}

void expect_equal(const Training& plain, const Training& other) {
  EXPECT_EQ(first_difference(plain, other), "");
}

}  // namespace remat::testing
