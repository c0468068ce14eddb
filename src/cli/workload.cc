#include "cli/workload.h"

#include <chrono>
#include <utility>

#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <remat/checkpoint.h>

namespace remat::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t ns_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

void zero_in_place(std::vector<torch::Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  for (auto& gradient : gradients) gradient.zero_();
}

std::shared_ptr<models::Decoder> make_model(const RunOptions& options) {
  at::set_num_threads(static_cast<int>(options.threads));
  torch::manual_seed(options.seed);
  return models::make_decoder(options.model);
}

}  // namespace

Workload::Workload(const RunOptions& options)
    : text_(models::ByteText::read(options.text, options.model.seq, options.seed)),
      batch_(options.batch),
      seq_(options.model.seq),
      model_(make_model(options)),
      optimizer_(model_->parameters(), torch::optim::AdamWOptions(options.lr)) {
  model_->observe_blocks([this] {
    if (is_recomputing()) ++recomputed_calls_;
  });
}

template <class Forward>
StepRecord Workload::measure(const models::Batch& batch, Forward forward) {
  zero_in_place(gradients());
  recomputed_calls_ = 0;
  tracker_.reset_peak();
  StepRecord record;
  const auto start = Clock::now();
  {
    const auto loss = models::next_token_loss(forward(batch.inputs), batch.targets);
    record.forward_ns = ns_since(start);
    loss.backward();
    record.loss = loss.template item<float>();
  }
  optimizer_.step();
  record.step_ns = ns_since(start);
  record.peak = tracker_.peak_bytes();
  record.recomputed_calls = recomputed_calls_;
  return record;
}

StepRecord Workload::plain_step(const models::Batch& batch) {
  return measure(batch, [this](const torch::Tensor& tokens) { return model_->forward(tokens); });
}

StepRecord Workload::step(const models::Batch& batch, const Placement& placement) {
  return measure(batch, [this, &placement](const torch::Tensor& tokens) {
    return model_->forward(tokens, placement);
  });
}

std::vector<torch::Tensor> Workload::gradients() const {
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : model_->parameters()) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  return gradients;
}

std::vector<torch::optim::AdamWParamState*> Workload::optimizer_state() {
  std::vector<torch::optim::AdamWParamState*> states;
  for (const auto& [key, state] : optimizer_.state()) {
    states.push_back(static_cast<torch::optim::AdamWParamState*>(state.get()));
  }
  return states;
}

std::int64_t Workload::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& parameter : model_->parameters()) count += parameter.numel();
  return count;
}

}  // namespace remat::cli
