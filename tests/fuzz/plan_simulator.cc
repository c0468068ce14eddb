#include <algorithm>
#include <cstdint>

#include <remat/error.h>
#include <remat/simulator.h>

#include "tests/fuzz/reading.h"
#include "tests/fuzz/targets.h"
#include "tests/testing/random_chain.h"
#include "tests/testing/random_op_graph.h"

namespace remat::fuzz {
namespace {

using testing::Choices;

// Now and then a number near the largest: sums of them do not fit.
std::int64_t number(Choices& choices) {
  return choices.one_in(4) ? INT64_MAX >> choices.below(8) : choices.below(1000);
}

void enlarge_one(OpGraph& graph, Choices& choices) {
  auto& op = graph.ops[static_cast<std::size_t>(
      choices.below(static_cast<std::int64_t>(graph.ops.size())))];
  op.recompute_time = std::chrono::nanoseconds(number(choices));
  op.workspace = Bytes(number(choices));
}

void enlarge_one(Chain& chain, Choices& choices) {
  auto& stage = chain.stages[static_cast<std::size_t>(
      choices.below(static_cast<std::int64_t>(chain.stages.size())))];
  stage.forward_time = std::chrono::nanoseconds(number(choices));
  stage.output_gradient = Bytes(number(choices));
}

template <class PlanOfIt>
void check(const Simulation& simulation, const PlanOfIt& plan) {
  const auto is_sound = [&](const SimulatedMoment& moment) {
    return moment.live >= Bytes() && moment.live <= simulation.peak;
  };
  require(std::all_of(simulation.timeline.begin(), simulation.timeline.end(), is_sound),
          "no moment is above the peak, and none overflows");
  require(simulation.time.count() >= 0, "times do not overflow");
  if (simulation.valid()) {
    require(simulation.time >= simulation.plain_time || simulation.recomputed > 0,
            "only shorter replays make a step shorter than plain");
  } else {
    const auto action = simulation.fault->action;
    require(action >= 0 && action <= static_cast<std::int64_t>(plan.actions.size()),
            "a fault is at an action or at the end");
    require(!simulation.fault->what.empty(), "a fault says what is broken");
  }
}

template <class Graph, class PlanOfIt>
void execute(const Graph& graph, const PlanOfIt& plan,
             PlanOfIt (*read)(const std::string&, const std::string&)) {
  try {
    const auto simulation = simulate(graph, plan);
    check(simulation, plan);
    const auto again = simulate(graph, read(to_json(plan), "plan"));
    require(again.peak == simulation.peak && again.time == simulation.time &&
                again.valid() == simulation.valid(),
            "a plan does the same after it was written and read");
  } catch (const InvalidArgument&) {
    // Sums of the graph that do not fit: nothing was executed.
  }
}

}  // namespace

void plan_simulator(const std::uint8_t* bytes, std::size_t size) {
  testing::BytesAsChoices choices(bytes, size);
  const bool is_chain = choices.one_in(3);
  const auto enlargements = choices.below(3);
  const auto changes = choices.below(4);
  if (is_chain) {
    auto chain = testing::random_chain(choices);
    for (auto left = enlargements; left > 0; --left) enlarge_one(chain, choices);
    auto plan = testing::random_chain_plan(chain, choices);
    for (auto left = changes; left > 0; --left) {
      testing::change_one(plan.actions, choices,
                          [&] { return testing::random_chain_action(chain, choices); });
    }
    execute(chain, plan, read_chain_plan);
  } else {
    auto graph = testing::random_op_graph(choices);
    for (auto left = enlargements; left > 0; --left) enlarge_one(graph, choices);
    auto plan = testing::random_plan(graph, choices);
    for (auto left = changes; left > 0; --left) {
      testing::change_one(plan.actions, choices,
                          [&] { return testing::random_action(graph, choices); });
    }
    execute(graph, plan, read_plan);
  }
}

}  // namespace remat::fuzz
