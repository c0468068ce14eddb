// What `train` and `verify` run: a model, its optimizer and a text, and one measured training step.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/optim/adamw.h>

#include <remat/budget.h>
#include <remat/bytes.h>
#include <remat/memory.h>
#include <remat/placement.h>

#include "cli/loss_scaler.h"
#include "cli/run_options.h"
#include "models/byte_text.h"
#include "models/decoder.h"

namespace remat::cli {

/// What one training step did and took.
struct StepRecord {
  float loss = 0;                     ///< the mean of the micro-batches'
  double gradient_norm = 0;           ///< before clipping; 0 where nothing is clipped
  bool skipped = false;               ///< the optimizer's step: gradients overflowed
  std::int64_t forward_ns = 0;        ///< forward and loss
  std::int64_t step_ns = 0;           ///< forward, backward and optimizer
  Bytes peak;                         ///< of the step, tracked; all that is live counts
  std::int64_t recomputed_calls = 0;  ///< calls of a block made by a recomputation
};

class Workload {
 public:
  /// Reads the text, sets LibTorch's threads, seeds it and makes the model.
  /// Errors: InvalidArgument as ByteText::read and models::make_decoder.
  explicit Workload(const RunOptions& options);

  /// All micro-batches of a step.
  models::Batch next_batch() {
    return on_device(text_.next_batch(batch_ * step_options_.accumulate));
  }

  /// One step on `batch` without any part of remat. Gradients are zeroed in place first, so that they
  /// stay allocated from the first step on, whatever the LibTorch version.
  StepRecord plain_step(const models::Batch& batch);

  /// The same step with the blocks under `placement`.
  StepRecord step(const models::Batch& batch, const Placement& placement);

  /// The plain step as one step of `budget`, whose work between the operators is part of its time.
  /// Errors: BudgetError if it does not fit.
  StepRecord step_within(const models::Batch& batch, Budget& budget);

  /// Takes steps until the optimizer has taken one, after which gradients and its state exist: with fp16
  /// the first ones are skipped until the loss scale is low enough.
  /// Errors: Error if it never is.
  template <class Step>
  static void warm_up(Step step) {
    for (int skipped = 0; step().skipped; ++skipped) check_skipped(skipped);
  }

  /// Tensor bytes live now: those of the model, the optimizer and what the caller holds.
  Bytes live_bytes() const { return tracker_.live_bytes(device_); }

  std::vector<torch::Tensor> parameters() const { return model_->parameters(); }
  std::vector<torch::Tensor> buffers() const { return model_->buffers(); }
  std::vector<torch::Tensor> gradients() const;
  /// Of each parameter; empty before the first step.
  std::vector<torch::optim::AdamWParamState*> optimizer_state();

  /// By their names in the model, in its order.
  std::vector<std::pair<std::string, torch::Tensor>> named_parameters() const;
  /// nullptr before the first step.
  torch::optim::AdamWParamState* optimizer_state_of(const torch::Tensor& parameter);
  void set_optimizer_state(const torch::Tensor& parameter, std::int64_t step, torch::Tensor exp_avg,
                           torch::Tensor exp_avg_sq);
  models::ByteText& text() { return text_; }
  c10::Device device() const { return device_; }
  /// Scales the loss if there is one: with --dtype fp16.
  std::optional<LossScaler>& loss_scaler() { return loss_scaler_; }

  std::int64_t parameter_count() const;
  std::int64_t tokens_per_step() const { return batch_ * step_options_.accumulate * seq_; }

  void set_learning_rate(double rate);

  models::Decoder& model() { return *model_; }

  /// Mean loss at fixed places of what --val-fraction holds out, without dropout. Moves no generator.
  float validation_loss();

 private:
  template <class Forward>
  StepRecord measure(const models::Batch& batch, Forward forward, Budget* budget = nullptr);

  static void check_skipped(int steps);

  models::Batch on_device(const models::Batch& batch) const {
    return {batch.inputs.to(device_), batch.targets.to(device_)};
  }

  /// Waits until the device has done all that it was given, so that times are of work.
  void finish() const;

  /// The optimizer's step, unless scaled gradients overflowed.
  void apply_gradients(StepRecord& record);

  /// Gradients of the mean loss over `batch`, and that loss.
  template <class Forward>
  float accumulate_gradients(const models::Batch& batch, Forward forward, StepRecord& record);

  StepOptions step_options_;
  c10::Device device_;
  Precision precision_;
  std::optional<LossScaler> loss_scaler_;
  models::ByteText text_;
  std::int64_t batch_;
  std::int64_t seq_;
  MemoryTracker tracker_;  // before the model: it counts only blocks younger than itself
  std::shared_ptr<models::Decoder> model_;
  torch::optim::AdamW optimizer_;
  std::atomic<std::int64_t> recomputed_calls_{0};
};

}  // namespace remat::cli
