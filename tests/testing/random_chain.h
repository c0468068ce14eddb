// Small chains and plans for them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include <remat/graph.h>

#include "tests/testing/choices.h"

namespace remat::testing {

struct ChainLimits {
  std::int64_t stages = 6;
  std::int64_t size = 100;  ///< largest bytes and nanoseconds
  std::int64_t options = 3;
};

inline Chain random_chain(Choices& choices, ChainLimits limits = {}) {
  const auto size = [&] { return Bytes(choices.between(0, limits.size)); };
  const auto time = [&] { return std::chrono::nanoseconds(choices.between(0, limits.size)); };
  Chain chain;
  chain.name = "random";
  chain.device = "none";
  chain.fixed = size();
  chain.input = size();
  chain.input_gradient = choices.one_in(2) ? Bytes() : size();
  const auto stages = choices.between(1, limits.stages);
  for (std::int64_t i = 0; i < stages; ++i) {
    Stage stage;
    stage.name = "stage" + std::to_string(i);
    stage.output = size();
    if (choices.one_in(3)) stage.output_gradient = size();
    stage.forward_time = time();
    stage.forward_workspace = size();
    const auto options = choices.between(1, limits.options);
    for (std::int64_t k = 0; k < options; ++k) {
      stage.options.push_back(
          {"option" + std::to_string(k), stage.output + size(), time(), size(), time(), size()});
    }
    chain.stages.push_back(stage);
  }
  return chain;
}

/// A plan that is valid: before each backward, stages run again from the last activation that is there,
/// keeping at random.
class RandomChainPlan {
 public:
  RandomChainPlan(const Chain& chain, Choices& choices) : chain_(chain), choices_(choices) {}

  ChainPlan make() {
    plan_.chain = chain_.name;
    for (auto stage = stages() - 1; stage >= 0; --stage) {
      while (saved_.count(stage) == 0 || !has(stage)) run_towards(stage);
      plan_.actions.emplace_back(BackwardStage{stage});
      saved_.erase(stage);
      alone_.erase(stage);
      alone_.erase(stage + 1);
    }
    return std::move(plan_);
  }

 private:
  std::int64_t stages() const { return static_cast<std::int64_t>(chain_.stages.size()); }

  bool has(std::int64_t activation) const {
    return alone_.count(activation) > 0 || saved_.count(activation - 1) > 0;
  }

  // Runs the stage behind the last activation that is there, up to `stage`.
  void run_towards(std::int64_t stage) {
    auto next = stage;
    while (!has(next)) --next;
    const auto kind = choices_.below(3);
    if (next == stage || (kind == 0 && saved_.count(next) == 0)) {
      save(next);
    } else if (kind == 1 && next > 0) {
      plan_.actions.emplace_back(PassStage{next});
      alone_.erase(next);
      alone_.insert(next + 1);
    } else {
      plan_.actions.emplace_back(CheckpointStage{next});
      alone_.insert(next + 1);
    }
  }

  void save(std::int64_t stage) {
    const auto& options = chain_.stages[static_cast<std::size_t>(stage)].options;
    const auto option = choices_.below(static_cast<std::int64_t>(options.size()));
    plan_.actions.emplace_back(SaveStage{stage, option});
    saved_.insert(stage);
    alone_.erase(stage + 1);
  }

  const Chain& chain_;
  Choices& choices_;
  ChainPlan plan_;
  std::set<std::int64_t> alone_ = {0};
  std::set<std::int64_t> saved_;
};

inline ChainPlan random_chain_plan(const Chain& chain, Choices& choices) {
  return RandomChainPlan(chain, choices).make();
}

/// An action on a stage that the chain has, seldom on one that it has not.
inline ChainAction random_chain_action(const Chain& chain, Choices& choices) {
  const auto stages = static_cast<std::int64_t>(chain.stages.size());
  const auto stage = choices.one_in(12) ? stages : choices.below(stages);
  const auto kind = choices.below(4);
  if (kind == 0) return CheckpointStage{stage};
  if (kind == 1) return PassStage{stage};
  if (kind == 2) return SaveStage{stage, choices.below(4)};
  return BackwardStage{stage};
}

}  // namespace remat::testing
