// Revolve: the reversal of equal steps with a number of slots for states, without tables.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include <remat/chain_planner.h>

#include "base/check.h"
#include "base/text.h"
#include "base/wide_sum.h"
#include "graph/chain_check.h"
#include "plan/chain_model.h"
#include "plan/described_chain_plan.h"

namespace remat {
namespace plan {
namespace {

// beta(s, r) = C(s + r, s): the steps that s slots reverse with each run at most r extra times.
class Binomials {
 public:
  // The smallest r with beta(slots, r) >= steps.
  explicit Binomials(EqualSteps problem) : slots_(problem.slots) {
    while (at_ < problem.steps) {
      before_ = at_;
      ++repetitions_;
      at_ = at_ * (WideSum{slots_} + repetitions_) / repetitions_;
    }
  }

  std::int64_t repetitions() const { return repetitions_; }

  // These are of the r below: they are at most beta(s, r - 1) < steps, or not much above it.
  WideSum with_slots() const { return before_; }  // beta(s, r - 1)
  WideSum with_one_more() const {                 // beta(s + 1, r - 1)
    return before_ * (WideSum{slots_} + repetitions_) / (WideSum{slots_} + 1);
  }
  WideSum with_one_less() const {  // beta(s - 1, r - 1)
    return before_ * slots_ / (WideSum{slots_} + repetitions_ - 1);
  }
  WideSum with_two_less() const {  // beta(s - 2, r - 1)
    return with_one_less() * (slots_ - 1) / (WideSum{slots_} + repetitions_ - 2);
  }
  WideSum before_that() const {  // beta(s, r - 2)
    return before_ * (repetitions_ - 1) / (WideSum{slots_} + repetitions_ - 1);
  }

 private:
  std::int64_t slots_;
  std::int64_t repetitions_ = 0;
  WideSum at_ = 1;
  WideSum before_ = 0;
};

// Stages [first, end), to be reversed.
struct Part {
  std::int64_t first = 0;
  std::int64_t end = 0;
  std::int64_t slots = 0;
};

void run_to(std::int64_t kept, const Part& part, std::vector<ChainAction>& actions) {
  actions.emplace_back(CheckpointStage{part.first});
  for (auto i = part.first + 1; i < kept; ++i) actions.emplace_back(PassStage{i});
}

std::vector<ChainAction> revolve_actions(const ChainModel& model, std::int64_t slots) {
  std::vector<ChainAction> actions;
  std::vector<Part> left = {{0, static_cast<std::int64_t>(model.stages()), slots}};
  while (!left.empty()) {
    const auto part = left.back();
    left.pop_back();
    if (part.end - part.first == 1) {
      const auto option = model.fastest[static_cast<std::size_t>(part.first)];
      actions.emplace_back(SaveStage{part.first, option});
      actions.emplace_back(BackwardStage{part.first});
      continue;
    }
    const auto kept = part.first + revolve_advance({part.end - part.first, part.slots});
    run_to(kept, part, actions);
    left.push_back({part.first, kept, part.slots});
    left.push_back({kept, part.end, part.slots - 1});
  }
  return actions;
}

}  // namespace
}  // namespace plan

std::int64_t revolve_extra_steps(EqualSteps problem) {
  const auto [steps, slots] = problem;
  REMAT_CHECK(steps >= 1 && slots >= 1, InvalidArgument,
              "revolve_extra_steps: expected at least 1 step and 1 slot, got {} and {}", steps, slots);
  WideSum extra = 0;
  if (slots == 1) {
    extra = WideSum{steps} * (steps - 1) / 2;
  } else if (steps > 1) {
    const plan::Binomials beta({steps, slots});
    extra = WideSum{beta.repetitions()} * steps - beta.with_one_more();
  }
  REMAT_CHECK(fits(extra), InvalidArgument,
              "revolve_extra_steps: {} steps with {} slots take 2^63 steps or more; expected fewer "
              "steps or more slots",
              steps, slots);
  return static_cast<std::int64_t>(extra);
}

std::int64_t revolve_advance(EqualSteps left) {
  const auto [steps, slots] = left;
  REMAT_CHECK(steps >= 2 && slots >= 1, InvalidArgument,
              "revolve_advance: expected at least 2 steps and 1 slot, got {} and {}", steps, slots);
  if (slots == 1) return steps - 1;
  if (slots >= steps - 1) return 1;
  const plan::Binomials beta({steps, slots});
  const auto middle = beta.with_slots() + beta.with_two_less();
  if (steps <= middle) return static_cast<std::int64_t>(beta.before_that());
  if (steps < middle + beta.with_one_less()) {
    return static_cast<std::int64_t>(steps - beta.with_one_less() - beta.with_two_less());
  }
  return static_cast<std::int64_t>(beta.with_slots());
}

ChainPlan plan_chain_revolve(const Chain& chain, std::int64_t slots) {
  graph::check_chain(chain, fmt::format("plan_chain_revolve: chain {}", quote(chain.name)));
  REMAT_CHECK(slots >= 1, InvalidArgument,
              "plan_chain_revolve: chain {} needs at least 1 slot, for its input; got {}",
              quote(chain.name), slots);
  const plan::ChainModel model(chain);
  return plan::described_plan(chain, plan::revolve_actions(model, slots),
                              fmt::format("revolve:{}", slots));
}

}  // namespace remat
