// What `remat verify` compares with the plain step.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include <remat/placement.h>

#include "cli/memory_choice.h"

namespace remat::cli {

/// A placement of recomputed blocks, or a budget for the whole step.
class Policy {
 public:
  Policy(Placement placement) : choice_(placement) {}
  Policy(MemoryChoice budget) : choice_(std::move(budget)) {}

  /// Reads what Placement::parse does, or "budget:" with what MemoryChoice::parse does after it.
  /// Errors: InvalidArgument that names the text and the forms.
  static Policy parse(const std::string& text);

  /// What `parse` accepts, for messages and help.
  static std::string forms();

  /// One of them is nullptr.
  const Placement* placement() const { return std::get_if<Placement>(&choice_); }
  const MemoryChoice* budget() const { return std::get_if<MemoryChoice>(&choice_); }

  /// The text that `parse` reads back.
  std::string to_string() const;

 private:
  std::variant<Placement, MemoryChoice> choice_;
};

}  // namespace remat::cli
