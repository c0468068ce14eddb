#include "cli/step_planner.h"

#include <remat/error.h>

#include "base/check.h"
#include "cli/chain_step_planner.h"
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
  REMAT_CHECK(choice.kind != Kind::kGraph, InvalidArgument,
              "--planner graph is for op graphs, and the file has a chain: give --planner chain, "
              "every:K, segments:N, sqrt or revolve:S");
  return make_chain_step_planner(std::get<Chain>(input), choice);
}

}  // namespace remat::cli
