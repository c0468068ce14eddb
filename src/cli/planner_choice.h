// `--planner`: which planner makes the plan.
#pragma once

#include <cstdint>
#include <string>

#include <remat/placement.h>

namespace remat::cli {

struct PlannerChoice {
  enum class Kind { kAuto, kGraph, kChain, kRevolve, kPlacement };

  Kind kind = Kind::kAuto;
  std::int64_t slots = 0;                   ///< of kRevolve
  Placement placement = Placement::none();  ///< of kPlacement

  /// Errors: InvalidArgument, naming `text` and the accepted forms.
  static PlannerChoice parse(const std::string& text);

  /// What `parse` accepts, for messages and help.
  static std::string forms();

  /// The text that `parse` reads back.
  std::string to_string() const;

  /// Whether it searches within the budget: the others make one plan, whatever the budget.
  bool searches() const { return kind != Kind::kRevolve && kind != Kind::kPlacement; }
};

}  // namespace remat::cli
