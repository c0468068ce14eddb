#include "cli/planner_choice.h"

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"
#include "base/decimal.h"
#include "base/text.h"

namespace remat::cli {
namespace {

const std::string kRevolvePrefix = "revolve:";

[[noreturn]] void reject_planner(const std::string& text) {
  fail<InvalidArgument>("must be {}, not {}", PlannerChoice::forms(), quote(text));
}

PlannerChoice parse_placement(const std::string& text) {
  try {
    return {PlannerChoice::Kind::kPlacement, 0, Placement::parse(text)};
  } catch (const InvalidArgument&) {
    reject_planner(text);
  }
}

}  // namespace

PlannerChoice PlannerChoice::parse(const std::string& text) {
  PlannerChoice choice;
  if (text == "auto") return choice;
  if (text == "graph" || text == "chain") {
    choice.kind = text == "graph" ? Kind::kGraph : Kind::kChain;
    return choice;
  }
  if (text.rfind(kRevolvePrefix, 0) != 0) return parse_placement(text);
  const auto slots = parse_decimal(text.substr(kRevolvePrefix.size()));
  if (!slots || *slots < 1) reject_planner(text);
  choice.kind = Kind::kRevolve;
  choice.slots = *slots;
  return choice;
}

std::string PlannerChoice::forms() {
  return "auto, graph, chain, revolve:S (S at least 1), " + Placement::forms();
}

std::string PlannerChoice::to_string() const {
  switch (kind) {
    case Kind::kAuto:
      return "auto";
    case Kind::kGraph:
      return "graph";
    case Kind::kChain:
      return "chain";
    case Kind::kRevolve:
      return kRevolvePrefix + std::to_string(slots);
    case Kind::kPlacement:
      break;
  }
  return placement.to_string();
}

}  // namespace remat::cli
