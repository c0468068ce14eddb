// The measurement of `remat verify`.
//
// Every measured step starts from the same bits (parameters, buffers, optimizer state, generator) and
// the same live memory: gradients and optimizer state are made once, before, and kept. What the
// comparison needs is copied out of LibTorch's memory (Snapshot), so that each contender's peak is
// what it would be in training. The contenders take turns, in alternating order, so that a machine
// that grows slower treats all of them alike.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <torch/utils.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/verify.h"

namespace remat::cli {
namespace {

std::vector<at::Tensor> state_tensors(Workload& workload) {
  auto tensors = workload.parameters();
  for (const auto& buffer : workload.buffers()) tensors.push_back(buffer);
  for (const auto* state : workload.optimizer_state()) {
    tensors.push_back(state->exp_avg());
    tensors.push_back(state->exp_avg_sq());
  }
  return tensors;
}

// All that a training step changes, and the way back to it.
class Start {
 public:
  // The first step makes gradients and optimizer state: what is measured starts after it, and after
  // the loss scale has come down to where float16 holds the gradients.
  static Start after_first_step(Workload& workload, const models::Batch& batch,
                                std::uint64_t seed) {
    workload.warm_up([&] { return workload.plain_step(batch); });
    return {workload, seed};
  }

  void restore(Workload& workload) const {
    tensors_.restore(state_tensors(workload));
    auto steps = optimizer_steps_.begin();
    for (auto* state : workload.optimizer_state()) state->step(*steps++);
    workload.loss_scaler() = scaler_;
    torch::manual_seed(seed_);
  }

 private:
  Start(Workload& workload, std::uint64_t seed)
      : seed_(seed), tensors_(state_tensors(workload)), scaler_(workload.loss_scaler()) {
    for (const auto* state : workload.optimizer_state()) optimizer_steps_.push_back(state->step());
  }

  std::uint64_t seed_;
  Snapshot tensors_;
  std::vector<std::int64_t> optimizer_steps_;
  std::optional<LossScaler> scaler_;
};

// What a training step gave.
struct Outcome {
  Outcome(const Workload& workload, const StepRecord& step)
      : loss(step.loss),
        gradients(workload.gradients()),
        parameters(workload.parameters()),
        buffers(workload.buffers()) {}

  bool same_loss(const Outcome& other) const { return loss == other.loss; }
  bool same_gradients(const Outcome& other) const {
    return gradients == other.gradients && parameters == other.parameters;
  }
  bool same_buffers(const Outcome& other) const { return buffers == other.buffers; }

  float loss;
  Snapshot gradients;
  Snapshot parameters;
  Snapshot buffers;
};

class Verifier {
 public:
  Verifier(Workload& workload, const VerifyOptions& options)
      : workload_(workload),
        options_(options),
        batch_(workload.next_batch()),
        start_(Start::after_first_step(workload, batch_, options.run.seed)) {
    result_.fixed = workload.live_bytes();
    for (const auto& policy : options.policies) result_.runs.push_back({policy, {}});
  }

  Verification run() {
    turn(0, Turn::kWarmUp);
    for (std::int64_t repeat = 1; repeat <= options_.repeat; ++repeat)
      turn(repeat, Turn::kMeasured);
    return std::move(result_);
  }

 private:
  enum class Turn { kWarmUp, kMeasured };

  void turn(std::int64_t number, Turn kind) {
    const auto count = static_cast<std::int64_t>(result_.runs.size()) + 1;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto contender = number % 2 == 0 ? i : count - 1 - i;
      show_progress(number, i, count);
      contender == 0 ? plain(kind)
                     : policy(result_.runs[static_cast<std::size_t>(contender - 1)], kind);
    }
  }

  void plain(Turn kind) {
    prepare();
    const auto step = workload_.plain_step(batch_);
    record(result_.plain, step, kind);
    const Outcome outcome(workload_, step);
    if (!reference_) reference_.emplace(outcome);
    REMAT_CHECK(std::isfinite(outcome.loss), Error,
                "the plain step's loss is not a finite number: there is nothing to compare; try a "
                "lower --lr");
    REMAT_CHECK(outcome.same_loss(*reference_) && outcome.same_gradients(*reference_) &&
                    outcome.same_buffers(*reference_),
                Error,
                "the plain step does not repeat itself bit for bit on this machine, so nothing can "
                "be compared with it; try --threads 1");
  }

  void policy(PolicyRun& run, Turn kind) {
    prepare();
    const auto step = workload_.step(batch_, run.policy);
    record(run.measured, step, kind);
    const Outcome outcome(workload_, step);
    run.loss_identical &= outcome.same_loss(*reference_);
    run.gradients_identical &= outcome.same_gradients(*reference_);
    run.buffers_identical &= outcome.same_buffers(*reference_);
  }

  void prepare() {
    start_.restore(workload_);
    const auto live = workload_.live_bytes();
    REMAT_CHECK(live == result_.fixed, Error,
                "{} are live before a step, {} before the first: a step leaks memory",
                live.to_string(), result_.fixed.to_string());
  }

  static void record(Measurement& measured, const StepRecord& step, Turn kind) {
    if (kind == Turn::kWarmUp) {
      measured.recomputed_calls = step.recomputed_calls;
      return;
    }
    REMAT_CHECK(step.recomputed_calls == measured.recomputed_calls, Error,
                "{} calls were recomputed in one step, {} in another of the same policy",
                step.recomputed_calls, measured.recomputed_calls);
    measured.forward_ns.push_back(step.forward_ns);
    measured.step_ns.push_back(step.step_ns);
    measured.peak = std::max(measured.peak, step.peak);
  }

  void show_progress(std::int64_t number, std::int64_t done, std::int64_t count) {
    if (!progress_.due()) return;
    progress_.show(
        {fmt::format("step {}/{}", number * count + done + 1, (options_.repeat + 1) * count),
         number == 0 ? "warming up" : fmt::format("repeat {}/{}", number, options_.repeat)});
  }

  Workload& workload_;
  const VerifyOptions& options_;
  Progress progress_{Progress::Elsewhere::kNothing};
  models::Batch batch_;
  Start start_;
  std::optional<Outcome> reference_;
  Verification result_;
};

}  // namespace

Verification measure_policies(Workload& workload, const VerifyOptions& options) {
  return Verifier(workload, options).run();
}

}  // namespace remat::cli
