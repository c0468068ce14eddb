// What `remat plan` is asked to plan for.
#pragma once

#include <string>
#include <variant>

#include <remat/graph.h>

namespace remat::cli {

using PlanInput = std::variant<OpGraph, Chain>;

/// Reads an op graph or a chain; the file's "format" says which.
/// Errors: InvalidArgument that names the file, the place and what to do, if it cannot be read or is
///         neither.
PlanInput read_plan_input(const std::string& path);

}  // namespace remat::cli
