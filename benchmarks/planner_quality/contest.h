// plan_graph at several efforts beside published plans and the lower bound.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <remat/bytes.h>
#include <remat/graph.h>

#include "planner_quality/published.h"

namespace remat::benchmarks {

/// One plan of remat's.
struct Attempt {
  double effort_factor = 1;        ///< of default_effort
  std::optional<double> overhead;  ///< in per cent; empty: no plan found
  std::chrono::nanoseconds solve_time{0};
  Bytes min_feasible;
};

struct Row {
  std::string graph;
  Bytes budget;
  std::optional<PublishedRow> published;
  std::vector<Attempt> attempts;
  std::optional<double> bound;  ///< in per cent; empty: proven that no plan fits
  std::chrono::nanoseconds bound_time{0};
};

/// What is asked of plan_graph in one row.
struct Question {
  const OpGraph* graph = nullptr;
  Bytes budget;
  std::optional<PublishedRow> published;
};

/// Checks each plan with simulate(). Errors: remat::Error if a plan is not valid or not within the budget.
Row contest(const Question& question, const std::vector<double>& effort_factors);

std::string to_table(const std::vector<Row>& rows);
std::string to_json(const std::vector<Row>& rows, const std::string& machine);

}  // namespace remat::benchmarks
