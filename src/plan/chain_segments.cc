#include "plan/chain_segments.h"

#include <map>
#include <unordered_map>

namespace remat::plan {
namespace {

// Equal numbers for stages that are equal in all that the planners see.
std::vector<std::int32_t> kinds_of(const ChainModel& model) {
  std::map<std::vector<std::int64_t>, std::int32_t> known;
  std::vector<std::int32_t> kinds;
  for (std::size_t i = 0; i < model.stages(); ++i) {
    // The gradient of its input counts in its options' backward bytes.
    std::vector<std::int64_t> stage = {model.activation[i + 1], model.gradient[i + 1],
                                       model.forward[i], model.forward_workspace[i],
                                       i + 1 == model.stages() ? 1 : 0};
    for (const auto& option : model.options[i]) {
      stage.insert(stage.end(),
                   {option.saved, option.time, option.forward_bytes, option.backward_bytes});
    }
    kinds.push_back(known.emplace(stage, static_cast<std::int32_t>(known.size())).first->second);
  }
  return kinds;
}

std::uint64_t key_of(std::int32_t a, std::int32_t b) {
  return static_cast<std::uint64_t>(a) << 32 | static_cast<std::uint32_t>(b);
}

}  // namespace

// By length; longest starts first, so that a segment is seen at the chain's start last.
ChainSegments::ChainSegments(const ChainModel& model) {
  const auto count = model.stages();
  const auto kinds = kinds_of(model);
  rows_.resize(count * (count + 1) / 2);
  std::unordered_map<std::uint64_t, std::int32_t> known;
  for (std::size_t length = 1; length <= count; ++length) {
    for (auto first = count - length + 1; first-- > 0;) {
      const auto last = first + length - 1;
      const auto shorter = length == 1 ? -1 : static_cast<std::int32_t>(row(first, last - 1));
      const auto [known_one, is_new] =
          known.emplace(key_of(shorter, kinds[last]), static_cast<std::int32_t>(different_.size()));
      if (is_new) different_.push_back({first, last});
      rows_[last * (last + 1) / 2 + first] = known_one->second;
    }
  }
}

}  // namespace remat::plan
