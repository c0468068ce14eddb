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
    from_start_.push_back(choose({0, last}, room).time);
  }
  reverse(model_.whole(), room);
  return std::move(actions_);
}

bool ChainSchedule::fits(ChainSegment segment, std::int64_t room) const {
  return least_(segment) <= room;
}

std::int64_t ChainSchedule::time(ChainSegment segment, std::int64_t room) const {
  const auto known = segment.first == 0 ? from_start_[segment.last] : times_.time(segment, room);
  return known < kNever ? known : kUnknown;
}

ChainSchedule::Choice ChainSchedule::choose(ChainSegment segment, std::int64_t room) const {
  Choice best;
  const auto take_if_better = [&best](Choice choice) {
    if (choice.time < best.time) best = choice;
  };
  for (const auto& option : model_.options[segment.first]) {
    const auto left = room - option.saved;
    if (model_.save_bytes(option, segment.last) > room) continue;
    if (segment.stages() == 1) {
      take_if_better({option.time, &option, 0});
    } else if (const auto rest = segment.without_first(); fits(rest, left)) {
      take_if_better({capped(option.time + time(rest, left)), &option, 0});
    }
  }
  for_each_run(model_, segment, [&](const ChainRun& run) {
    const auto left = room - model_.activation[run.to];
    const auto inner = segment.from(run.to);
    const auto then = segment.before(run.to);
    if (run.bytes > room || !fits(inner, left) || !fits(then, room)) return;
    const auto parts = capped(time(inner, left) + time(then, room));
    take_if_better({capped(run.time + parts), nullptr, run.to});
  });
  return best;
}

// Keeps the input only.
void ChainSchedule::run(ChainSegment segment) {
  actions_.emplace_back(CheckpointStage{static_cast<std::int64_t>(segment.first)});
  for (auto k = segment.first + 1; k <= segment.last; ++k) {
    actions_.emplace_back(PassStage{static_cast<std::int64_t>(k)});
  }
}

void ChainSchedule::reverse(ChainSegment segment, std::int64_t room) {
  for (;;) {
    const auto choice = choose(segment, room);
    REMAT_ASSERT(choice.time <= kNever);
    if (choice.option != nullptr) {
      const auto stage = static_cast<std::int64_t>(segment.first);
      actions_.emplace_back(SaveStage{stage, choice.option->place});
      if (segment.stages() > 1) reverse(segment.without_first(), room - choice.option->saved);
      actions_.emplace_back(BackwardStage{stage});
      return;
    }
    run(segment.before(choice.to));
    reverse(segment.from(choice.to), room - model_.activation[choice.to]);
    segment = segment.before(choice.to);
  }
}

}  // namespace remat::plan
