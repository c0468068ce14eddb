// Executes a plan for a chain (docs/formats.md, remat.chain_plan/1).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include <remat/simulator.h>

#include "base/text.h"
#include "graph/chain_check.h"
#include "plan/simulation_record.h"

namespace remat {
namespace {

using Fault = std::optional<std::string>;

std::chrono::nanoseconds plain_time(const Stage& stage) {
  const auto time = [](const StageOption& option) {
    return option.forward_time + option.backward_time;
  };
  const auto faster = [time](const StageOption& a, const StageOption& b) {
    return time(a) < time(b);
  };
  return time(*std::min_element(stage.options.begin(), stage.options.end(), faster));
}

class ChainExecution {
 public:
  explicit ChainExecution(const Chain& chain)
      : chain_(chain),
        alone_(chain.stages.size() + 1),
        saved_(chain.stages.size()),
        runs_(chain.stages.size()),
        next_backward_(chain.stages.size()),
        live_(chain.fixed) {
    add_alone(0);
    simulation_.peak = live_;
    simulation_.peak_action = -1;
    for (const auto& stage : chain.stages) simulation_.plain_time += plain_time(stage);
  }

  Simulation run(const ChainPlan& plan) {
    const auto count = static_cast<std::int64_t>(plan.actions.size());
    for (action_ = 0; action_ < count; ++action_) {
      const auto fault = std::visit(*this, plan.actions[static_cast<std::size_t>(action_)]);
      if (fault) return ended_by(*fault);
    }
    if (next_backward_ > 0) {
      return ended_by(
          fmt::format("the plan ends before backward of {}", name_of(next_backward_ - 1)));
    }
    return std::move(simulation_);
  }

  Fault operator()(CheckpointStage action) {
    if (auto fault = why_not_forward("checkpoint", action.stage)) return fault;
    return run_saving_nothing(static_cast<std::size_t>(action.stage));
  }

  Fault operator()(PassStage action) {
    if (auto fault = why_not_forward("pass", action.stage)) return fault;
    const auto stage = static_cast<std::size_t>(action.stage);
    if (auto fault = run_saving_nothing(stage)) return fault;
    remove_alone(stage);
    return std::nullopt;
  }

  Fault operator()(SaveStage action) {
    if (auto fault = why_not_forward("save", action.stage)) return fault;
    const auto stage = static_cast<std::size_t>(action.stage);
    const auto& options = chain_.stages[stage].options;
    const auto option = static_cast<std::size_t>(action.option);
    if (action.option < 0 || option >= options.size()) {
      return fmt::format("{} has no option {}: it has {}", name_of(stage), action.option,
                         options.size());
    }
    if (saved_[stage]) return fmt::format("{} is saved already", name_of(stage));
    const auto& kept = options[option];
    if (!note({live_ + kept.saved + kept.forward_workspace, kept.forward_time})) {
      return plan::kTimeTooLong;
    }
    count_run(stage);
    saved_[stage] = option;
    live_ += kept.saved;
    remove_alone(stage + 1);
    return std::nullopt;
  }

  Fault operator()(BackwardStage action) {
    if (auto fault = why_not_backward(action.stage)) return fault;
    const auto stage = static_cast<std::size_t>(action.stage);
    const auto& option = chain_.stages[stage].options[*saved_[stage]];
    // The loss makes its own gradient.
    if (stage + 1 == chain_.stages.size()) live_ += gradient(stage + 1);
    if (!note({live_ + gradient(stage) + option.backward_workspace, option.backward_time})) {
      return plan::kTimeTooLong;
    }
    live_ += gradient(stage) - gradient(stage + 1) - option.saved;
    saved_[stage].reset();
    remove_alone(stage);
    next_backward_ = stage;
    return std::nullopt;
  }

 private:
  Simulation ended_by(const std::string& fault) {
    simulation_.fault = PlanFault{action_, fault};
    return std::move(simulation_);
  }

  std::string name_of(std::size_t stage) const {
    return fmt::format("stage {} ({})", stage, printable(chain_.stages[stage].name));
  }

  bool has_stage(std::int64_t stage) const {
    return stage >= 0 && static_cast<std::size_t>(stage) < chain_.stages.size();
  }

  // On its own, or inside what the stage before saved.
  bool has_activation(std::size_t i) const {
    return alone_[i] || (i > 0 && saved_[i - 1].has_value());
  }

  Bytes activation(std::size_t i) const {
    return i == 0 ? chain_.input : chain_.stages[i - 1].output;
  }

  Bytes gradient(std::size_t i) const {
    if (i == 0) return chain_.input_gradient;
    return chain_.stages[i - 1].output_gradient.value_or(activation(i));
  }

  Fault why_not_forward(std::string_view verb, std::int64_t stage) const {
    if (!has_stage(stage)) return fmt::format("there is no stage {}", stage);
    const auto i = static_cast<std::size_t>(stage);
    if (has_activation(i)) return std::nullopt;
    return fmt::format("{} of {} needs its input, which is not resident", verb, name_of(i));
  }

  Fault why_not_backward(std::int64_t stage) const {
    if (!has_stage(stage)) return fmt::format("there is no stage {}", stage);
    const auto i = static_cast<std::size_t>(stage);
    if (i + 1 != next_backward_) {
      const auto next =
          next_backward_ == 0 ? "none is left" : name_of(next_backward_ - 1) + " is next";
      return fmt::format("backward of {} is out of turn: {}", name_of(i), next);
    }
    if (!saved_[i]) return fmt::format("backward of {} needs it saved", name_of(i));
    if (has_activation(i)) return std::nullopt;
    return fmt::format("backward of {} needs its input, which is not resident", name_of(i));
  }

  Fault run_saving_nothing(std::size_t i) {
    const auto& stage = chain_.stages[i];
    const bool adds = !has_activation(i + 1);
    const auto added = adds ? activation(i + 1) : Bytes();
    if (!note({live_ + added + stage.forward_workspace, stage.forward_time})) {
      return plan::kTimeTooLong;
    }
    count_run(i);
    if (adds) add_alone(i + 1);
    return std::nullopt;
  }

  // False if the time gets too long.
  bool note(plan::ActionCost cost) {
    if (!plan::time_fits(simulation_, cost.time)) return false;
    plan::record(simulation_, action_, cost);
    return true;
  }

  void count_run(std::size_t stage) {
    if (runs_[stage]++ > 0) ++simulation_.recomputed;
  }

  void add_alone(std::size_t i) {
    alone_[i] = true;
    live_ += activation(i);
  }

  void remove_alone(std::size_t i) {
    if (!alone_[i]) return;
    alone_[i] = false;
    live_ -= activation(i);
  }

  const Chain& chain_;
  std::vector<bool> alone_;  // activations that are resident outside what a stage saved
  std::vector<std::optional<std::size_t>> saved_;  // the option of each saved stage
  std::vector<std::int64_t> runs_;
  std::size_t next_backward_;  // one above the stage whose backward is next
  std::int64_t action_ = 0;
  Bytes live_;
  Simulation simulation_;
};

}  // namespace

Simulation simulate(const Chain& chain, const ChainPlan& plan) {
  graph::check_chain(chain, fmt::format("simulate: chain {}", quote(chain.name)));
  return ChainExecution(chain).run(plan);
}

}  // namespace remat
