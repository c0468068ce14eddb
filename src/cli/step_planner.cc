#include "cli/step_planner.h"

#include <algorithm>
#include <utility>

#include <remat/error.h>
#include <remat/planner.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "cli/graph_step_planner.h"

namespace remat::cli {
namespace {

using Kind = PlannerChoice::Kind;

}  // namespace

std::unique_ptr<StepPlanner> make_step_planner(const PlanInput& input, const PlannerChoice& choice,
                                               const SearchLimits& limits) {
  if (const auto* graph = std::get_if<OpGraph>(&input)) {
    REMAT_CHECK(choice.kind != Kind::kChain && choice.kind != Kind::kRevolve, InvalidArgument,
                "--planner {} is for chains, and the file has an op graph: give --planner graph, "
                "every:K, segments:N or sqrt",
                choice.to_string());
    return make_graph_step_planner(*graph, choice, limits);
  }
  fail<InvalidArgument>("chains cannot be planned for yet: name an op graph (remat.opgraph/1)");
}

}  // namespace remat::cli
