// The measurement of `remat verify`.
//
// Every measured step starts from the same bits (parameters, buffers, optimizer state, generator) and
// the same live memory: gradients and optimizer state are made once, before, and kept. What the
// comparison needs is copied out of LibTorch's memory (Snapshot), so that each contender's peak is
// what it would be in training. The contenders take turns, in alternating order, so that a machine
// that grows slower treats all of them alike. Budgets, of which a process can have one at a time, take turns
// with plain steps of their own, one budget after another.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <torch/utils.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/budget_floor.h"
#include "cli/budget_run.h"
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

/// Who takes turns with plain, and what plain's steps among theirs took.
struct Contenders {
  std::vector<PolicyRun*> runs;
  Budget* budget = nullptr;  // of the one run that there is then
  Measurement plain;
};

void add(Measurement& measured, const StepRecord& step) {
  REMAT_CHECK(step.recomputed_calls == measured.recomputed_calls, Error,
              "{} calls were recomputed in one step, {} in another of the same policy",
              step.recomputed_calls, measured.recomputed_calls);
  measured.forward_ns.push_back(step.forward_ns);
  measured.step_ns.push_back(step.step_ns);
  measured.peak = std::max(measured.peak, step.peak);
}

void add(std::optional<BudgetReport>& reported, const BudgetReport& step) {
  REMAT_CHECK(is_settled(step), Error,
              "a step left the plan that steps like it had followed within {}: {}",
              step.memory.to_string(), why_unsettled(step));
  const Bytes peak = reported ? reported->tracked_peak : Bytes(0);
  reported = step;
  reported->tracked_peak = std::max(peak, step.tracked_peak);
}

class Verifier {
 public:
  Verifier(Workload& workload, const VerifyOptions& options)
      : workload_(workload),
        options_(options),
        batch_(workload.next_batch()),
        start_(Start::after_first_step(workload, batch_, options.run.seed)) {
    result_.fixed = workload.live_bytes();
    for (const auto& policy : options.policies) {
      result_.runs.emplace_back();
      result_.runs.back().policy = policy;
    }
  }

  Verification run() {
    compare_placements();
    for (auto& run : result_.runs) {
      if (run.policy.budget() != nullptr) compare_budget(run);
    }
    return std::move(result_);
  }

 private:
  // Of budgets alone, one plain step is measured here: some are shares of its peak.
  void compare_placements() {
    Contenders contenders;
    for (auto& run : result_.runs) {
      if (run.policy.placement() != nullptr) contenders.runs.push_back(&run);
    }
    const auto warm_up = turn(contenders, 0);
    for (std::size_t i = 0; i < contenders.runs.size(); ++i) {
      contenders.runs[i]->measured.recomputed_calls = warm_up[i + 1].recomputed_calls;
    }
    measure(contenders, contenders.runs.empty() ? 1 : options_.repeat);
  }

  void compare_budget(PolicyRun& run) {
    const auto memory = run.policy.budget()->bytes([this] {
      return PlainMemory{result_.fixed, result_.plain.peak};
    });
    const auto text = run.policy.to_string();
    const auto asked = budget_options(options_.run, memory, options_.effort);
    try {
      Budget budget(asked);
      settle(budget, [&] { step_of_settling(text, run, budget); });
      Contenders contenders{{&run}, &budget, {}};
      measure(contenders, options_.repeat);
      return;
    } catch (const BudgetError&) {
    }
    const auto works = smallest_working_budget(asked, [&](Budget& budget) {
      step_of_settling(text + " does not fit, searching what does", run, budget);
    });
    fail<BudgetError>(
        "{} is {}, which a step does not fit: the smallest budget known to work is {} ({} bytes); give "
        "--memory {} or more, or make --batch or --seq smaller",
        text, memory.to_string(), works.to_string(), works.count(), works.count());
  }

  void step_of_settling(const std::string& doing, PolicyRun& run, Budget& budget) {
    if (progress_.due()) progress_.show({doing, "recording and planning"});
    step_of(run, &budget);
  }

  // Element 0 is plain's.
  std::vector<StepRecord> turn(const Contenders& contenders, std::int64_t number) {
    const auto count = contenders.runs.size() + 1;
    std::vector<StepRecord> steps(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto contender = number % 2 == 0 ? i : count - 1 - i;
      auto* run = contender == 0 ? nullptr : contenders.runs[contender - 1];
      show_progress(run, number);
      steps[contender] = run == nullptr ? plain_step() : step_of(*run, contenders.budget);
    }
    return steps;
  }

  void measure(Contenders& contenders, std::int64_t repeats) {
    for (std::int64_t repeat = 1; repeat <= repeats; ++repeat) {
      const auto steps = turn(contenders, repeat);
      add(contenders.plain, steps[0]);
      add(result_.plain, steps[0]);
      for (std::size_t i = 0; i < contenders.runs.size(); ++i) {
        add(contenders.runs[i]->measured, steps[i + 1]);
        if (contenders.budget != nullptr) {
          add(contenders.runs[i]->budget, contenders.budget->report());
        }
      }
    }
    for (auto* run : contenders.runs) run->plain = contenders.plain;
  }

  StepRecord plain_step() {
    prepare();
    const auto step = workload_.plain_step(batch_);
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
    return step;
  }

  StepRecord step_of(PolicyRun& run, Budget* budget) {
    prepare();
    const auto step = budget != nullptr ? workload_.step_within(batch_, *budget)
                                        : workload_.step(batch_, *run.policy.placement());
    const Outcome outcome(workload_, step);
    run.loss_identical &= outcome.same_loss(*reference_);
    run.gradients_identical &= outcome.same_gradients(*reference_);
    run.buffers_identical &= outcome.same_buffers(*reference_);
    return step;
  }

  void prepare() {
    start_.restore(workload_);
    const auto live = workload_.live_bytes();
    REMAT_CHECK(live == result_.fixed, Error,
                "{} bytes are live before a step, {} before the first: a step leaks memory",
                live.count(), result_.fixed.count());
  }

  void show_progress(const PolicyRun* run, std::int64_t number) {
    if (!progress_.due()) return;
    progress_.show(
        {run == nullptr ? "plain" : run->policy.to_string(),
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
