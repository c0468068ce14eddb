#include "cli/workload.h"

#include <chrono>
#include <memory>
#include <sstream>
#include <type_traits>
#include <utility>

#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/utils.h>

#include <remat/checkpoint.h>
#include <remat/error.h>

#include "base/check.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kValidationBatches = 8;
constexpr int kMaxOverflows = 40;  // from a scale of 2^16 down to 2^-24, the smallest float16

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
    std::ostringstream text;
    text << address;
    return text.str();
  } else {
    return static_cast<Key>(address);
  }
}

// AdamW's weight decay is for matrices: pulling biases and norms to zero regularises nothing.
std::vector<torch::optim::OptimizerParamGroup> parameter_groups(const torch::nn::Module& model,
                                                                const RunOptions& options) {
  const auto with_decay = [&options](double weight_decay) {
    return std::make_unique<torch::optim::AdamWOptions>(
        torch::optim::AdamWOptions(options.lr).weight_decay(weight_decay));
  };
  std::vector<torch::Tensor> matrices, others;
  for (const auto& parameter : model.parameters()) {
    (parameter.dim() >= 2 ? matrices : others).push_back(parameter);
  }
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::move(matrices), with_decay(options.step.weight_decay));
  groups.emplace_back(std::move(others), with_decay(0));
  return groups;
}

std::shared_ptr<models::Decoder> make_model(const RunOptions& options) {
  at::set_num_threads(static_cast<int>(options.threads));
  torch::manual_seed(options.seed);
  auto model = models::make_decoder(options.model);
  model->to(options.device);  // the same weights on every device
  return model;
}

}  // namespace

Workload::Workload(const RunOptions& options)
    : step_options_(options.step),
      device_(options.device),
      precision_(options.precision),
      text_(models::ByteText::read(options.text, options.model.seq, options.seed)),
      batch_(options.batch),
      seq_(options.model.seq),
      model_(make_model(options)),
      optimizer_(parameter_groups(*model_, options), torch::optim::AdamWOptions(options.lr)) {
  text_.hold_out(options.step.val_fraction);
  if (precision_ == Precision::kFp16) loss_scaler_.emplace();
  model_->observe_blocks([this] {
    if (is_recomputing()) ++recomputed_calls_;
  });
}

void Workload::finish() const {
  if (device_.is_cuda()) torch::cuda::synchronize(device_.index());
}

template <class Forward>
float Workload::accumulate_gradients(const models::Batch& batch, Forward forward,
                                     StepRecord& record) {
  const auto count = step_options_.accumulate;
  const auto inputs = batch.inputs.chunk(count), targets = batch.targets.chunk(count);
  const double factor = (loss_scaler_ ? loss_scaler_->scale() : 1.0) / static_cast<double>(count);
  float sum = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto start = Clock::now();
    const auto loss = [&] {
      const PrecisionScope scope(device_, precision_);
      return models::next_token_loss(forward(inputs[i]), targets[i]);
    }();
    finish();
    record.forward_ns += ns_since(start);
    (factor == 1.0 ? loss : loss * factor).backward();
    sum += loss.template item<float>();
  }
  return sum / static_cast<float>(inputs.size());
}

void Workload::apply_gradients(StepRecord& record) {
  const torch::NoGradGuard no_grad;  // clipping has none: a budget need not record it
  record.skipped = loss_scaler_ && !loss_scaler_->unscale(gradients());
  if (!record.skipped) {
    if (step_options_.clip > 0) {
      record.gradient_norm =
          torch::nn::utils::clip_grad_norm_(model_->parameters(), step_options_.clip);
    }
    optimizer_.step();
  }
  if (loss_scaler_) loss_scaler_->update(!record.skipped);
}

template <class Forward>
StepRecord Workload::measure(const models::Batch& batch, Forward forward, Budget* budget) {
  zero_in_place(gradients());
  recomputed_calls_ = 0;
  tracker_.reset_peak();
  StepRecord record;
  const auto start = Clock::now();
  std::optional<Step> scope;
  if (budget != nullptr) scope.emplace(*budget);
  record.loss = accumulate_gradients(batch, forward, record);
  apply_gradients(record);
  finish();
  scope.reset();
  record.step_ns = ns_since(start);
  record.peak = tracker_.peak_bytes(device_);
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

StepRecord Workload::step_within(const models::Batch& batch, Budget& budget) {
  return measure(
      batch, [this](const torch::Tensor& tokens) { return model_->forward(tokens); }, &budget);
}

void Workload::check_skipped(int steps) {
  REMAT_CHECK(steps < kMaxOverflows, Error,
              "a step's gradients overflow float16 at every loss scale; try --dtype bf16");
}

void Workload::set_learning_rate(double rate) {
  for (auto& group : optimizer_.param_groups()) {
    static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
  }
}

float Workload::validation_loss() {
  const torch::NoGradGuard no_grad;
  model_->eval();
  double sum = 0;
  for (std::int64_t i = 0; i < kValidationBatches; ++i) {
    const auto batch = on_device(text_.validation_batch(batch_, i, kValidationBatches));
    const PrecisionScope scope(device_, precision_);
    sum += models::next_token_loss(model_->forward(batch.inputs), batch.targets).item<double>();
  }
  model_->train();
  return static_cast<float>(sum / static_cast<double>(kValidationBatches));
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
