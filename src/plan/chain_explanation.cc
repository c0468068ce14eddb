// explain() and kept_bytes() for chains.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include <remat/error.h>
#include <remat/simulator.h>

#include "base/check.h"
#include "base/text.h"
#include "plan/explanation.h"

namespace remat::plan {
namespace {

using std::chrono::nanoseconds;

// What is there as a valid plan goes on (docs/formats.md, remat.chain_plan/1).
class ChainResidency {
 public:
  explicit ChainResidency(const Chain& chain)
      : chain_(chain),
        alone_(chain.stages.size() + 1),
        gradient_(chain.stages.size()),
        saved_(chain.stages.size()) {
    alone_[0] = true;
  }

  void operator()(CheckpointStage action) { run_saving_nothing(place(action.stage)); }
  void operator()(PassStage action) {
    run_saving_nothing(place(action.stage));
    alone_[place(action.stage)] = false;
  }
  void operator()(SaveStage action) {
    saved_[place(action.stage)] = place(action.option);
    alone_[place(action.stage) + 1] = false;
  }
  void operator()(BackwardStage action) {
    gradient_ = place(action.stage);
    saved_[place(action.stage)].reset();
    alone_[place(action.stage)] = false;
  }

  Bytes saved_bytes(std::size_t stage) const {
    return saved_[stage] ? chain_.stages[stage].options[*saved_[stage]].saved : Bytes();
  }
  Bytes alone_bytes(std::size_t activation) const {
    if (!alone_[activation]) return {};
    return activation == 0 ? chain_.input : chain_.stages[activation - 1].output;
  }
  std::optional<std::size_t> saved(std::size_t stage) const { return saved_[stage]; }
  bool alone(std::size_t activation) const { return alone_[activation]; }

  // None before the first backward: the loss makes its own.
  Bytes gradient_bytes() const {
    if (gradient_ == chain_.stages.size()) return {};
    if (gradient_ == 0) return chain_.input_gradient;
    const auto& stage = chain_.stages[gradient_ - 1];
    return stage.output_gradient.value_or(stage.output);
  }

 private:
  static std::size_t place(std::int64_t number) { return static_cast<std::size_t>(number); }

  void run_saving_nothing(std::size_t stage) {
    if (!saved_[stage]) alone_[stage + 1] = true;
  }

  const Chain& chain_;
  std::vector<bool> alone_;
  std::size_t gradient_;
  std::vector<std::optional<std::size_t>> saved_;
};

std::size_t stage_of(const ChainAction& action) {
  return static_cast<std::size_t>(std::visit([](auto it) { return it.stage; }, action));
}

class ChainExplainer {
 public:
  ChainExplainer(const Chain& chain, const ChainPlan& plan)
      : chain_(chain), plan_(plan), simulation_(simulate(chain, plan)) {
    REMAT_CHECK(simulation_.valid(), InvalidArgument,
                "explain: the plan is not one for chain {}: action {}: {}; give a plan that was made "
                "for it",
                quote(chain.name), simulation_.fault->action, simulation_.fault->what);
  }

  Explanation run() const { return {kept(), replayed(), binding()}; }

  std::vector<KeptGroup> kept() const {
    const auto residency = before(first_backward());
    KeptGroup saved{"stages, saved", 0, {}, {}};
    KeptGroup alone{"activations to run from", 0, {}, {}};
    for (std::size_t i = 0; i < chain_.stages.size(); ++i) {
      const auto again = chain_.stages[i].forward_time;
      if (residency.saved(i)) count(saved, residency.saved_bytes(i), again);
      if (residency.alone(i + 1)) count(alone, residency.alone_bytes(i + 1), again);
    }
    std::vector<KeptGroup> groups;
    for (const auto& group : {saved, alone}) {
      if (group.values > 0) groups.push_back(group);
    }
    return groups;
  }

 private:
  static void count(KeptGroup& group, Bytes bytes, nanoseconds again) {
    ++group.values;
    group.bytes += bytes;
    group.replay_time += again;
  }

  std::size_t first_backward() const {
    const auto is_backward = [](const auto& action) {
      return std::holds_alternative<BackwardStage>(action);
    };
    return static_cast<std::size_t>(
        std::find_if(plan_.actions.begin(), plan_.actions.end(), is_backward) -
        plan_.actions.begin());
  }

  ChainResidency before(std::size_t action) const {
    ChainResidency residency(chain_);
    for (std::size_t i = 0; i < action; ++i) std::visit(residency, plan_.actions[i]);
    return residency;
  }

  // The stages that take longer than in the plain step, the largest first.
  std::vector<ReplayedGroup> replayed() const {
    std::vector<ReplayedGroup> stages(chain_.stages.size());
    for (std::size_t i = 0; i < stages.size(); ++i) {
      stages[i].made_by = chain_.stages[i].name;
      stages[i].values = 1;
      stages[i].replays = -1;  // the first run is none
      stages[i].time = -plain_time(chain_.stages[i]);
    }
    std::vector<std::size_t> option(stages.size());
    for (const auto& action : plan_.actions) add(action, stages, option);
    const auto not_replayed = [](const auto& it) {
      return it.replays == 0 && it.time.count() == 0;
    };
    stages.erase(std::remove_if(stages.begin(), stages.end(), not_replayed), stages.end());
    std::stable_sort(stages.begin(), stages.end(),
                     [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    return stages;
  }

  void add(const ChainAction& action, std::vector<ReplayedGroup>& stages,
           std::vector<std::size_t>& option) const {
    const auto place = stage_of(action);
    const auto& stage = chain_.stages[place];
    auto& group = stages[place];
    if (const auto* save = std::get_if<SaveStage>(&action)) {
      option[place] = static_cast<std::size_t>(save->option);
      group.bytes = stage.options[option[place]].saved;
    }
    if (std::holds_alternative<BackwardStage>(action)) {
      group.time += stage.options[option[place]].backward_time;
      return;
    }
    ++group.replays;
    group.time += std::holds_alternative<SaveStage>(action)
                      ? stage.options[option[place]].forward_time
                      : stage.forward_time;
  }

  static nanoseconds plain_time(const Stage& stage) {
    auto least = nanoseconds::max();
    for (const auto& option : stage.options) {
      least = std::min(least, option.forward_time + option.backward_time);
    }
    return least;
  }

  BindingMoment binding() const {
    BindingMoment moment;
    moment.live = simulation_.peak;
    const auto peak = static_cast<std::size_t>(std::max<std::int64_t>(simulation_.peak_action, 0));
    if (simulation_.peak_action >= 0) {
      const auto stage = stage_of(plan_.actions[peak]);
      moment.op = fmt::format("{} (stage {})", printable(chain_.stages[stage].name), stage);
      moment.backward = peak >= first_backward();
      moment.replay =
          moment.backward && !std::holds_alternative<BackwardStage>(plan_.actions[peak]);
    }
    moment.groups = live_before(before(peak));
    Bytes rest = moment.live;
    for (const auto& group : moment.groups) rest -= group.bytes;
    moment.groups.push_back({"added by it, and workspace", 0, rest});
    const auto nothing = [](const auto& group) { return group.bytes == Bytes(); };
    moment.groups.erase(std::remove_if(moment.groups.begin(), moment.groups.end(), nothing),
                        moment.groups.end());
    std::stable_sort(moment.groups.begin(), moment.groups.end(),
                     [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    return moment;
  }

  std::vector<LiveGroup> live_before(const ChainResidency& residency) const {
    LiveGroup saved{"stages, saved", 0, {}};
    LiveGroup alone{"activations to run from", 0, {}};
    for (std::size_t i = 0; i <= chain_.stages.size(); ++i) {
      if (residency.alone(i)) ++alone.values;
      alone.bytes += residency.alone_bytes(i);
      if (i == chain_.stages.size() || !residency.saved(i)) continue;
      ++saved.values;
      saved.bytes += residency.saved_bytes(i);
    }
    return {saved, alone, {"fixed", 0, chain_.fixed}, {"gradient", 0, residency.gradient_bytes()}};
  }

  const Chain& chain_;
  const ChainPlan& plan_;
  const Simulation simulation_;
};

}  // namespace

Explanation explain(const Chain& chain, const ChainPlan& plan) {
  return ChainExplainer(chain, plan).run();
}

Bytes kept_bytes(const Chain& chain, const ChainPlan& plan) {
  Bytes bytes;
  for (const auto& group : ChainExplainer(chain, plan).kept()) bytes += group.bytes;
  return bytes;
}

}  // namespace remat::plan
