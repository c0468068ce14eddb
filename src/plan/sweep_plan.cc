#include "plan/sweep_plan.h"

#include <algorithm>

namespace remat::plan {

SweepPlan::SweepPlan(const ChainModel& model)
    : model_(model), alone_(model.stages() + 1), saved_(model.stages()) {}

bool SweepPlan::execute(SweepWays& ways, Limits limits) {
  runs_.clear();
  std::fill(alone_.begin(), alone_.end(), std::uint8_t{0});
  std::fill(saved_.begin(), saved_.end(), kNotSaved);
  alone_[0] = 1;
  live_ = 0;
  time_ = 0;
  limits_ = limits;
  for (auto target = model_.stages(); target-- > 0;) {
    while (!ready(target)) {
      if (!sweep(ways, target)) return false;
    }
    if (!run_backward(target)) return false;
  }
  return true;
}

// From the last activation that is there, until the target is saved and has its input, or is only saved.
bool SweepPlan::sweep(SweepWays& ways, std::size_t target) {
  auto stage = target;
  while (!there(stage)) --stage;
  for (const bool again = is_saved(target); stage <= target && !ready(target); ++stage) {
    const SweepRun next = {static_cast<std::uint16_t>(target), static_cast<std::uint16_t>(stage),
                           again};
    if (!run(next, way_of(ways, next))) return false;
  }
  return true;
}

Way SweepPlan::way_of(SweepWays& ways, SweepRun run) const {
  const auto way = ways.of(run);
  if (run.stage == run.target && way < 0) return static_cast<Way>(model_.fastest[run.stage]);
  if (run.stage > 0) return way;
  // The chain's input cannot be made again.
  const auto options = options_of(0);
  if (way >= options) return static_cast<Way>(way - options);
  return way == kPass ? kCheckpoint : way;
}

bool SweepPlan::run(SweepRun run, Way way) {
  runs_.push_back(run);
  const std::size_t stage = run.stage;
  if (way == kPass) return pass_on(stage);
  if (way == kCheckpoint) return run_saving_nothing(stage);
  const auto& options = model_.options[stage];
  const auto place = static_cast<std::size_t>(way);
  if (place < options.size()) return save(stage, options[place]);
  return save(stage, options[place - options.size()]) && pass_on(stage);
}

bool SweepPlan::save(std::size_t stage, const ModelOption& option) {
  // Backward's time counts already: a saved stage stays saved until then.
  if (!fits({option.forward_bytes, option.time})) return false;
  saved_[stage] = static_cast<Way>(option.place);
  live_ += option.saved;
  free_alone(stage + 1);
  return true;
}

bool SweepPlan::pass_on(std::size_t stage) {
  if (!run_saving_nothing(stage)) return false;
  free_alone(stage);
  return true;
}

bool SweepPlan::run_saving_nothing(std::size_t stage) {
  const bool adds = !there(stage + 1);
  const auto added = adds ? model_.activation[stage + 1] : 0;
  if (!fits({added + model_.forward_workspace[stage], model_.forward[stage]})) return false;
  live_ += added;
  if (adds) alone_[stage + 1] = 1;
  return true;
}

bool SweepPlan::run_backward(std::size_t stage) {
  const auto& option = model_.options[stage][static_cast<std::size_t>(saved_[stage])];
  // The option's bytes hold what it saved, and both gradients: of these, saved bytes and, but for the loss, that
  // of its output are live already.
  const auto held = model_.held_gradient(stage);
  if (!fits({option.backward_bytes - option.saved - held, 0})) return false;
  live_ += model_.gradient[stage] - held - option.saved;
  saved_[stage] = kNotSaved;
  if (stage > 0) free_alone(stage);
  return true;
}

bool SweepPlan::fits(Cost cost) {
  time_ = capped(time_ + cost.time);
  return live_ + cost.bytes <= limits_.room && time_ <= limits_.time;
}

void SweepPlan::free_alone(std::size_t activation) {
  if (alone_[activation] == 0) return;
  alone_[activation] = 0;
  live_ -= model_.activation[activation];
}

std::vector<ChainAction> SweepPlan::actions(SweepWays& ways) const {
  std::vector<ChainAction> actions;
  auto next = runs_.begin();
  for (auto target = model_.stages(); target-- > 0;) {
    for (; next != runs_.end() && next->target == target; ++next) {
      const auto way = way_of(ways, *next);
      const auto options = options_of(next->stage);
      if (way >= 0) actions.emplace_back(SaveStage{next->stage, way % options});
      if (way == kCheckpoint) actions.emplace_back(CheckpointStage{next->stage});
      if (way == kPass || way >= options) actions.emplace_back(PassStage{next->stage});
    }
    actions.emplace_back(BackwardStage{static_cast<std::int64_t>(target)});
  }
  return actions;
}

}  // namespace remat::plan
