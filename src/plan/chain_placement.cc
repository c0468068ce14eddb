// Chen's plans: segments of a chain that run again from their input.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <remat/chain_planner.h>

#include "base/text.h"
#include "graph/chain_check.h"
#include "plan/chain_model.h"
#include "plan/described_chain_plan.h"

namespace remat {
namespace plan {
namespace {

void save(const ChainModel& model, const Segment& segment, std::vector<ChainAction>& actions) {
  for (auto i = segment.begin; i < segment.end; ++i) {
    actions.emplace_back(SaveStage{i, model.fastest[static_cast<std::size_t>(i)]});
  }
}

std::vector<ChainAction> actions_of(const ChainModel& model, const std::vector<Segment>& segments) {
  std::vector<ChainAction> actions;
  for (const auto& segment : segments) {
    if (!segment.checkpointed) {
      save(model, segment, actions);
      continue;
    }
    actions.emplace_back(CheckpointStage{segment.begin});
    for (auto i = segment.begin + 1; i < segment.end; ++i) actions.emplace_back(PassStage{i});
  }
  std::for_each(segments.rbegin(), segments.rend(), [&](const Segment& segment) {
    if (segment.checkpointed) save(model, segment, actions);
    for (auto i = segment.end; i-- > segment.begin;) actions.emplace_back(BackwardStage{i});
  });
  return actions;
}

// Algorithm 3 of Chen et al.: a segment ends with the stage whose savings make it exceed the limit.
class GreedySegments {
 public:
  explicit GreedySegments(const ChainModel& model) {
    for (std::size_t i = 0; i < model.stages(); ++i) {
      saved_.push_back(model.options[i][static_cast<std::size_t>(model.fastest[i])].saved);
      kept_.push_back(model.activation[i + 1]);
    }
  }

  // x and y of the paper.
  struct Estimate {
    double kept = 0;
    double largest = 0;
  };

  std::vector<Segment> within(double limit, Estimate& estimate) const {
    std::vector<Segment> segments;
    const auto count = static_cast<std::int64_t>(saved_.size());
    double sum = 0;
    estimate = {};
    for (std::int64_t i = 0, begin = 0; i < count; ++i) {
      const auto stage = static_cast<std::size_t>(i);
      sum += static_cast<double>(saved_[stage]);
      if (sum <= limit && i + 1 < count) continue;
      segments.push_back({begin, i + 1, i + 1 < count});
      if (i + 1 < count) estimate.kept += static_cast<double>(kept_[stage]);
      estimate.largest = std::max(estimate.largest, sum);
      begin = i + 1;
      sum = 0;
    }
    return segments;
  }

  // First that of segments of about sqrt(n) stages; then, as the paper has it, sqrt(x y) of what came out.
  double middle_limit() const {
    double sum = 0;
    for (const auto bytes : saved_) sum += static_cast<double>(bytes);
    Estimate estimate;
    within(sum / std::sqrt(static_cast<double>(saved_.size())), estimate);
    return std::sqrt(estimate.kept * estimate.largest);
  }

 private:
  std::vector<std::int64_t> saved_;
  std::vector<std::int64_t> kept_;
};

// Whether one plan is to be had rather than another.
class BetterWithin {
 public:
  explicit BetterWithin(Bytes memory) : memory_(memory) {}

  bool operator()(const ChainPlan& a, const ChainPlan& b) const {
    const bool a_fits = a.predicted_peak <= memory_;
    const bool b_fits = b.predicted_peak <= memory_;
    if (a_fits != b_fits) return a_fits;
    if (a_fits && a.predicted_time != b.predicted_time) return a.predicted_time < b.predicted_time;
    return a.predicted_peak < b.predicted_peak;
  }

 private:
  Bytes memory_;
};

// Limits from a quarter of the middle one to four times as much, eight in each doubling: 2^(1/8) apart, which
// no two machines may round differently.
constexpr int kLimits = 33;
constexpr double kApart = 1.0905077326652577;

}  // namespace
}  // namespace plan

ChainPlan plan_chain_segments(const Chain& chain, const Placement& placement) {
  graph::check_chain(chain, fmt::format("plan_chain_segments: chain {}", quote(chain.name)));
  const plan::ChainModel model(chain);
  const auto segments = placement.segments(static_cast<std::int64_t>(model.stages()));
  return plan::described_plan(chain, plan::actions_of(model, segments), placement.to_string());
}

ChainPlan plan_chain_greedy(const Chain& chain, Bytes memory) {
  graph::check_chain(chain, fmt::format("plan_chain_greedy: chain {}", quote(chain.name)));
  const plan::ChainModel model(chain);
  const plan::GreedySegments greedy(model);
  const plan::BetterWithin better(memory);
  std::optional<ChainPlan> best;
  auto limit = greedy.middle_limit() / 4;
  for (int i = 0; i < plan::kLimits; ++i, limit *= plan::kApart) {
    plan::GreedySegments::Estimate estimate;
    const auto segments = greedy.within(limit, estimate);
    auto plan = plan::described_plan(chain, plan::actions_of(model, segments), "greedy");
    if (!best || better(plan, *best)) best = std::move(plan);
  }
  best->budget = memory;
  return *best;
}

}  // namespace remat
