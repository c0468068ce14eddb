#include "plan/chain_model.h"

#include <algorithm>
#include <tuple>

namespace remat::plan {
namespace {

std::vector<ModelOption> options_of(const Stage& stage, std::int64_t both_gradients) {
  std::vector<ModelOption> options;
  for (const auto& option : stage.options) {
    options.push_back({option.saved.count(),
                       std::min((option.forward_time + option.backward_time).count(), kNever),
                       (option.saved + option.forward_workspace).count(),
                       (option.saved + option.backward_workspace).count() + both_gradients,
                       static_cast<std::int64_t>(options.size())});
  }
  return options;
}

}  // namespace

ChainModel::ChainModel(const Chain& chain)
    : fixed(chain.fixed),
      activation{chain.input.count()},
      gradient{chain.input_gradient.count()},
      forward_sum{0},
      plain_sum{0} {
  for (const auto& stage : chain.stages) {
    activation.push_back(stage.output.count());
    gradient.push_back(stage.output_gradient.value_or(stage.output).count());
    forward.push_back(std::min(stage.forward_time.count(), kNever));
    forward_workspace.push_back(stage.forward_workspace.count());
    const auto both_gradients = gradient[gradient.size() - 2] + gradient.back();
    options.push_back(options_of(stage, both_gradients));
    const auto& best = *std::min_element(
        options.back().begin(), options.back().end(), [](const auto& a, const auto& b) {
          return std::tie(a.time, a.saved) < std::tie(b.time, b.saved);
        });
    fastest.push_back(best.place);
    forward_sum.push_back(forward_sum.back() + forward.back());
    plain_sum.push_back(plain_sum.back() + best.time);
  }
}

}  // namespace remat::plan
