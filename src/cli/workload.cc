#include "cli/workload.h"

#include <chrono>
#include <memory>
#include <type_traits>
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

// LibTorch 1.13 keys the optimizer's state by the address as text, 2.x by the address.
template <class States>
auto key_of(const States& /*states*/, const torch::Tensor& parameter) {
  using Key = typename States::key_type;
  auto* address = parameter.unsafeGetTensorImpl();
  if constexpr (std::is_same_v<Key, std::string>) {
    return c10::guts::to_string(address);
  } else {
    return static_cast<Key>(address);
  }
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

std::vector<std::pair<std::string, torch::Tensor>> Workload::named_parameters() const {
  std::vector<std::pair<std::string, torch::Tensor>> parameters;
  for (const auto& item : model_->named_parameters()) {
    parameters.emplace_back(item.key(), item.value());
  }
  return parameters;
}

torch::optim::AdamWParamState* Workload::optimizer_state_of(const torch::Tensor& parameter) {
  auto& states = optimizer_.state();
  const auto found = states.find(key_of(states, parameter));
  return found == states.end() ? nullptr
                               : static_cast<torch::optim::AdamWParamState*>(found->second.get());
}

void Workload::set_optimizer_state(const torch::Tensor& parameter, std::int64_t step,
                                   torch::Tensor exp_avg, torch::Tensor exp_avg_sq) {
  auto state = std::make_unique<torch::optim::AdamWParamState>();
  state->step(step);
  state->exp_avg(std::move(exp_avg));
  state->exp_avg_sq(std::move(exp_avg_sq));
  auto& states = optimizer_.state();
  states[key_of(states, parameter)] = std::move(state);
}

std::int64_t Workload::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& parameter : model_->parameters()) count += parameter.numel();
  return count;
}

}  // namespace remat::cli
