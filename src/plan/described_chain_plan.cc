#include "plan/described_chain_plan.h"

#include <utility>

#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "plan/simulation_record.h"

namespace remat::plan {

ChainPlan described_plan(const Chain& chain, std::vector<ChainAction> actions,
                         std::string planner) {
  ChainPlan plan;
  plan.chain = chain.name;
  plan.planner = std::move(planner);
  plan.actions = std::move(actions);
  const auto simulation = simulate(chain, plan);
  if (simulation.fault) {
    REMAT_ASSERT(simulation.fault->what == kTimeTooLong);
    fail<InvalidArgument>("plan {}: chain {}: {}; expected times that a step can take",
                          plan.planner, quote(chain.name), simulation.fault->what);
  }
  plan.predicted_peak = simulation.peak;
  plan.predicted_time = simulation.time;
  plan.budget = simulation.peak;
  return plan;
}

}  // namespace remat::plan
