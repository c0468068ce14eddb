#include "cli/policy.h"

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"

namespace remat::cli {
namespace {

const std::string kBudget = "budget:";

}  // namespace

Policy Policy::parse(const std::string& text) {
  if (text.rfind(kBudget, 0) == 0) return MemoryChoice::parse(text.substr(kBudget.size()));
  try {
    return Placement::parse(text);
  } catch (const InvalidArgument& error) {
    fail<InvalidArgument>("{}, or {}SIZE, or {}PERCENT", error.what(), kBudget, kBudget);
  }
}

std::string Policy::forms() {
  return fmt::format(
      "{}; or {}SIZE, all included, or {}PERCENT of the plain step's activations, as in {}50%",
      Placement::forms(), kBudget, kBudget, kBudget);
}

std::string Policy::to_string() const {
  return placement() != nullptr ? placement()->to_string() : kBudget + budget()->to_string();
}

}  // namespace remat::cli
