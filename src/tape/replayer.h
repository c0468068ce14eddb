// Makes values again.
#pragma once

#include <set>
#include <unordered_map>
#include <vector>

#include "tape/records.h"

namespace remat::tape {

/// What the replayer asks of its surroundings.
class ReplayEvents {
 public:
  virtual ~ReplayEvents() = default;
  /// The storage of `value` if it can be had without running an operator, otherwise an empty one.
  virtual c10::Storage resident(ValueIndex value) = 0;
  virtual bool is_resident(ValueIndex value) = 0;
  /// `value` was made again in `storage`; whether it is to stay.
  virtual bool replayed(ValueIndex value, const c10::Storage& storage) = 0;
};

/// Runs recipes, of any depth without recursion, in the order in which the operators ran first: so it needs no
/// more memory on the way than the forward did. What it makes on the way, and nobody wants to stay, lives only
/// until it has been read.
class Replayer {
 public:
  Replayer(StepRecord& record, ReplayEvents& events) : record_(record), events_(events) {}

  /// Errors: Error if `value`, or a leaf that its recipe reads, is gone.
  c10::Storage materialise(ValueIndex value);

 private:
  // What one call of materialise() has at hand.
  struct Work {
    std::set<OpIndex> todo;
    std::unordered_map<std::int32_t, c10::Storage> at_hand;
    std::unordered_map<std::int32_t, std::int32_t> waiting;  // readers that have yet to run
    ValueIndex target = ValueIndex::kNone;
  };

  template <class Visit>
  void for_each_read(const Op& op, Visit&& visit) const {
    for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
      const TensorArgument& argument = record_.arguments[i];
      if (argument.value != ValueIndex::kNone && !argument.overwritten) visit(argument.value);
    }
  }

  void add_makers(ValueIndex value, Work& work);
  bool fetch_arguments(OpIndex op, Work& work);
  void finish(const Op& op, Work& work);
  void check_recipe(ValueIndex value) const;

  void run_with(const Op& op, Work& work);
  torch::jit::Stack arguments_of(const Op& op, Work& work,
                                 std::unordered_map<std::int32_t, c10::Storage>& written);
  c10::Storage base_of(const TensorArgument& argument, Work& work,
                       std::unordered_map<std::int32_t, c10::Storage>& written) const;
  c10::Storage result_of(const Op& op, const Output& output,
                         const torch::jit::Stack& results) const;

  StepRecord& record_;
  ReplayEvents& events_;
};

}  // namespace remat::tape
