// Every persistent plan for a chain, by trying all: the oracle of the chain planners.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <remat/graph.h>

namespace remat::testing {

using ChainActions = std::vector<ChainAction>;

inline ChainActions joined(ChainActions a, const ChainActions& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// All ways to reverse stages `first` to `last` in which what was kept to run from stays until its backward:
/// either the first stage is saved, the rest reversed, and the first last of all; or stages up to some `to`
/// run, `to` and the rest are reversed, then those before.
inline std::vector<ChainActions> persistent_plans(const Chain& chain, std::int64_t first,
                                                  std::int64_t last) {
  std::vector<ChainActions> plans;
  const auto inner =
      first == last ? std::vector<ChainActions>{{}} : persistent_plans(chain, first + 1, last);
  const auto options = chain.stages[static_cast<std::size_t>(first)].options.size();
  for (std::size_t k = 0; k < options; ++k) {
    for (const auto& rest : inner) {
      plans.push_back(joined(joined({SaveStage{first, static_cast<std::int64_t>(k)}}, rest),
                             {BackwardStage{first}}));
    }
  }
  ChainActions run = {CheckpointStage{first}};
  for (auto to = first + 1; to <= last; run.emplace_back(PassStage{to++})) {
    const auto before = persistent_plans(chain, first, to - 1);
    for (const auto& rest : persistent_plans(chain, to, last)) {
      for (const auto& then : before) plans.push_back(joined(joined(run, rest), then));
    }
  }
  return plans;
}

inline std::vector<ChainActions> persistent_plans(const Chain& chain) {
  return persistent_plans(chain, 0, static_cast<std::int64_t>(chain.stages.size()) - 1);
}

}  // namespace remat::testing
