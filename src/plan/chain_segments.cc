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

// A segment by that of one stage less, and the kind of its last stage.
struct Grown {
  std::int32_t shorter = -1;  // its row; -1: of no stage
  std::int32_t last_kind = 0;

  std::uint64_t key() const {
    return static_cast<std::uint64_t>(shorter) << 32 | static_cast<std::uint32_t>(last_kind);
  }
};

}  // namespace

// By length; longest starts first, so that a segment is seen at the chain's start last.
ChainSegments::ChainSegments(const ChainModel& model) {
  const auto count = model.stages();
  const auto kinds = kinds_of(model);
  rows_.resize(count * (count + 1) / 2);
  std::unordered_map<std::uint64_t, std::int32_t> known;
  for (std::size_t length = 1; length <= count; ++length) {
    for (auto first = count - length + 1; first-- > 0;) {
      const ChainSegment segment = {first, first + length - 1};
      const auto shorter =
          length == 1 ? -1 : static_cast<std::int32_t>(row(segment.before(segment.last)));
      const Grown grown = {shorter, kinds[segment.last]};
      const auto [known_one, is_new] =
          known.emplace(grown.key(), static_cast<std::int32_t>(different_.size()));
      if (is_new) different_.push_back(segment);
      rows_[entry(segment)] = known_one->second;
    }
  }
}

}  // namespace remat::plan
