// Plans for op graphs: what to keep, drop and replay so that a step fits a budget. Needs no LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <remat/bytes.h>
#include <remat/graph.h>

namespace remat {

/// Units: effort is counted in operators simulated; 0 means default_effort(graph).
struct GraphPlanOptions {
  Bytes memory;  ///< what the whole step may use, OpGraph::fixed included
  std::int64_t effort = 0;
  /// A safety net for slow machines: plans that it cut short may differ between runs. They are
  /// at least as good as with a hundredth of the default effort, which it does not cut.
  std::optional<std::chrono::nanoseconds> time_limit = std::nullopt;
  /// A plan for the same graph, for this or another budget. Where it fits, the result takes no longer.
  const Plan* warm_start = nullptr;
};

struct GraphPlanResult {
  bool feasible = false;
  Plan plan;           ///< the best found; of the least peak found where none fits
  Bytes min_feasible;  ///< the smallest budget for which a plan was found
  Bytes plain_peak;    ///< of the step that recomputes nothing
  std::chrono::nanoseconds solve_time{0};
};

/// What plan_graph does where no effort is named: about 2 s of one core of 2026's servers, more for graphs
/// of thousands of operators, but less than 10 s for 20,000.
std::int64_t default_effort(const OpGraph& graph);

/// Searches the plan of least time within `options.memory`: simulated annealing over how long each
/// value is kept between its uses, each step evaluated exactly. Replays are made just before they
/// are needed, any number of times for one operator, and may be let go again before their last use.
///
/// The plan is valid by simulate() and its predictions are simulate()'s. Plan::lower_bound_time is what the
/// function lower_bound_time gives, or the plain time where no plan can fit. Where the plain step fits, it is
/// the plan; a plan as fast as the bound says so ("optimal" in Plan::stopped_by).
/// Errors:  InvalidArgument if the graph cannot be (see read_op_graph), if an operator reads a value that
///          was overwritten in place and cannot be made again, or if `warm_start` is not a valid plan
///          for this graph.
/// Threads: one; a result depends on graph, memory, effort and warm_start only, not on the machine,
///          unless the time limit is reached (Plan::stopped_by).
/// Cost:    effort; memory linear in the graph.
/// Source:  the space is that of Checkmate (Jain et al. 2020, arXiv:1910.02653, section 4: frontier-
///          advancing schedules), searched over retention intervals (Bartan et al. 2023, Moccasin,
///          arXiv:2304.14463) by annealing as Imanishi et al. 2023 do over sequences.
GraphPlanResult plan_graph(const OpGraph& graph, const GraphPlanOptions& options);

/// What no plan for this graph can beat: no valid plan whose peak is at most `budget` takes less time. Empty
/// if there is none.
///
/// At the moment at which an op runs first, what later ops need is resident, or the ops behind it are
/// replayed after it; an op counts once, and its replay needs what it reads. The cheapest choice that fits is
/// bounded for the moments that matter: by minimum cuts with a price for memory, then by branch and bound.
/// Errors: InvalidArgument if the graph cannot be (see read_op_graph).
/// Cost:   hundredths of a second, a second for 20,000 ops.
/// Source: project selection (Picard 1976) under Lagrange's relaxation; own to remat.
std::optional<std::chrono::nanoseconds> lower_bound_time(const OpGraph& graph, Bytes budget);

/// No valid plan for this graph has a lower peak.
/// Errors: as lower_bound_time.
Bytes lower_bound_peak(const OpGraph& graph);

}  // namespace remat
