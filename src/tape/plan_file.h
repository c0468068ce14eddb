// What a Budget knows of the steps that it has seen, as a file: remat.plans/1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tape/step_plan.h"

namespace remat::tape {

struct KnownSteps {
  std::vector<std::shared_ptr<StepPlan>> plans;  ///< the latest first
  /// Operators whose results are not made again, by the signature of the step up to them.
  std::unordered_map<std::uint64_t, std::string> pinned;
};

/// Source: docs/formats.md
std::string to_json(const KnownSteps& known);

/// `source` is what messages call the text. Every plan is executed on paper before it is taken.
/// Errors: InvalidArgument that names source, place, what was expected and what was found: as read_op_graph;
///         if it was written with another LibTorch; if a plan is none for its graph or does not do what it says;
///         if a number stands for nothing.
KnownSteps read_known_steps(const std::string& json, const std::string& source);

}  // namespace remat::tape
