#include "plan/chain_schedule.h"

#include <utility>

#include "base/check.h"

namespace remat::plan {
namespace {

// Stands for the time of what fits only because its bytes are not rounded: more than what is known mostly
// takes (78 hours), and with 4,096 of them in a sum still less than never.
constexpr std::int64_t kUnknown = kNever >> 13;

}  // namespace

ChainSchedule::ChainSchedule(const ChainModel& model, const SegmentTimes& times,
                             const LeastRoom& least)
    : model_(model), times_(times), least_(least) {}

std::vector<ChainAction> ChainSchedule::actions(std::int64_t room) {
  from_start_.clear();
  actions_.clear();
  for (std::size_t last = 0; last < model_.stages(); ++last) {
    from_start_.push_back(choose(0, last, room).time);
  }
  reverse(0, model_.stages() - 1, room);
  return std::move(actions_);
}

bool ChainSchedule::fits(std::size_t first, std::size_t last, std::int64_t room) const {
  return least_(first, last) <= room;
}

std::int64_t ChainSchedule::time(std::size_t first, std::size_t last, std::int64_t room) const {
  const auto known = first == 0 ? from_start_[last] : times_.time(first, last, room);
  return known < kNever ? known : kUnknown;
}

ChainSchedule::Choice ChainSchedule::choose(std::size_t first, std::size_t last,
                                            std::int64_t room) const {
  Choice best;
  const auto take_if_better = [&best](Choice choice) {
    if (choice.time < best.time) best = choice;
  };
  for (const auto& option : model_.options[first]) {
    const auto left = room - option.saved;
    if (model_.save_bytes(option, last) > room) continue;
    if (first == last) take_if_better({option.time, &option, 0});
    if (first == last || !fits(first + 1, last, left)) continue;
    take_if_better({capped_sum(option.time, time(first + 1, last, left)), &option, 0});
  }
  for_each_run(model_, first, last, [&](std::size_t to, std::int64_t bytes, std::int64_t run_time) {
    const auto left = room - model_.activation[to];
    if (bytes > room || !fits(to, last, left) || !fits(first, to - 1, room)) return;
    const auto parts = capped_sum(time(to, last, left), time(first, to - 1, room));
    take_if_better({capped_sum(run_time, parts), nullptr, to});
  });
  return best;
}

void ChainSchedule::run(std::size_t first, std::size_t to) {
  actions_.emplace_back(CheckpointStage{static_cast<std::int64_t>(first)});
  for (auto k = first + 1; k < to; ++k)
    actions_.emplace_back(PassStage{static_cast<std::int64_t>(k)});
}

void ChainSchedule::reverse(std::size_t first, std::size_t last, std::int64_t room) {
  for (;;) {
    const auto choice = choose(first, last, room);
    REMAT_ASSERT(choice.time <= kNever);
    if (choice.option != nullptr) {
      const auto stage = static_cast<std::int64_t>(first);
      actions_.emplace_back(SaveStage{stage, choice.option->place});
      if (first < last) reverse(first + 1, last, room - choice.option->saved);
      actions_.emplace_back(BackwardStage{stage});
      return;
    }
    run(first, choice.to);
    reverse(choice.to, last, room - model_.activation[choice.to]);
    last = choice.to - 1;
  }
}

}  // namespace remat::plan
