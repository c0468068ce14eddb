// The best frontier-advancing plan of a small op graph, by Checkmate's integer program and CBC.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <remat/graph.h>

namespace remat::testing {

/// Whether there is a program `cbc` (Debian: coinor-cbc).
bool has_cbc();

struct MilpAnswer {
  bool finished = false;              ///< false: stopped by the time limit
  std::optional<std::int64_t> least;  ///< time of the best plan, in ns; empty if none fits
};

/// For graphs whose ops write one value each, none in place, none held from outside, all of forward
/// replayable. Its plans run, before each first run, each earlier op at most once and in order: it may miss
/// plans that run one twice.
///
/// Source: Jain et al. 2020, Checkmate, arXiv:1910.02653, sections 4.2 to 4.7.
MilpAnswer least_time_by_milp(const OpGraph& graph, Bytes budget, std::chrono::seconds limit);

/// The program in the LP format that CBC reads.
std::string checkmate_program(const OpGraph& graph, Bytes budget);

}  // namespace remat::testing
