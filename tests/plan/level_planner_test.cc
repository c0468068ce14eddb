#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include <remat/chain_planner.h>

#include "tests/testing/choices.h"
#include "tests/testing/error_text.h"

namespace remat {
namespace {

using std::chrono::nanoseconds;
using testing::complaint_of;
using testing::RandomChoices;

StepTimes step_times(int forward, int reverse) {
  StepTimes times;
  times.forward = nanoseconds(forward);
  times.reverse = nanoseconds(reverse);
  return times;
}

StorageLevel level(std::int64_t slots, int write, int read) {
  StorageLevel level;
  level.slots = slots;
  level.write = nanoseconds(write);
  level.read = nanoseconds(read);
  return level;
}

// Runs a plan on paper and expects it to keep its own rules.
class LevelExecution {
 public:
  LevelExecution(std::int64_t steps, const StepTimes& times,
                 const std::vector<StorageLevel>& levels)
      : left_(steps), times_(times), levels_(levels), kept_(levels.size()) {}

  nanoseconds run(const LevelPlan& plan) {
    for (const auto& action : plan.actions) std::visit(*this, action);
    EXPECT_EQ(left_, 0);
    for (const auto& kept : kept_) EXPECT_TRUE(kept.empty());
    return time_;
  }

  void operator()(AdvanceSteps action) {
    EXPECT_EQ(at_hand_, action.first);
    EXPECT_LT(action.first, action.end);
    EXPECT_LT(action.end, left_);
    at_hand_ = action.end;
    time_ += times_.forward * (action.end - action.first);
  }
  void operator()(WriteState action) {
    EXPECT_EQ(at_hand_, action.state);
    auto& kept = kept_[static_cast<std::size_t>(action.level)];
    EXPECT_TRUE(kept.insert(action.state).second);
    EXPECT_LE(static_cast<std::int64_t>(kept.size()), of(action.level).slots);
    time_ += of(action.level).write;
  }
  void operator()(ReadState action) {
    auto& kept = kept_[static_cast<std::size_t>(action.level)];
    EXPECT_EQ(kept.count(action.state), 1U);
    at_hand_ = action.state;
    time_ += of(action.level).read;
    if (action.last) kept.erase(action.state);
  }
  void operator()(FreeState action) {
    EXPECT_EQ(kept_[static_cast<std::size_t>(action.level)].erase(action.state), 1U);
  }
  void operator()(ReverseStep action) {
    EXPECT_EQ(at_hand_, action.step);
    EXPECT_EQ(action.step, left_ - 1);
    --left_;
    at_hand_ = -1;
    time_ += times_.reverse;
  }

 private:
  const StorageLevel& of(std::int64_t level) const {
    return levels_[static_cast<std::size_t>(level)];
  }

  std::int64_t left_;
  StepTimes times_;
  std::vector<StorageLevel> levels_;
  std::vector<std::set<std::int64_t>> kept_;
  std::int64_t at_hand_ = 0;
  nanoseconds time_{0};
};

TEST(LevelPlanner, IsRevolveOnOneLevelWithoutPrices) {
  for (std::int64_t steps = 1; steps < 40; ++steps) {
    for (std::int64_t slots = 1; slots < 8; ++slots) {
      const auto plan = plan_levels(steps, step_times(3, 5), {level(slots, 0, 0)});
      EXPECT_EQ(plan.time.count(), 3 * revolve_extra_steps({steps, slots}) + 5 * steps);
    }
  }
}

TEST(LevelPlanner, PlansTakeWhatTheySayWithinTheirSlots) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    RandomChoices choices(seed);
    std::vector<StorageLevel> levels;
    const auto count = choices.between(1, 3);
    for (std::int64_t k = 0; k < count; ++k) {
      levels.push_back(level(choices.between(k == 0 ? 1 : 0, 4),
                             static_cast<int>(choices.below(10)),
                             static_cast<int>(choices.below(10))));
    }
    const auto steps = choices.between(1, 30);
    const auto times =
        step_times(static_cast<int>(choices.below(8)), static_cast<int>(choices.below(8)));
    const auto plan = plan_levels(steps, times, levels);
    EXPECT_EQ(LevelExecution(steps, times, levels).run(plan), plan.time) << "seed " << seed;
  }
}

// Disk-Revolve: planners.md 2.4. Memory is free; as many slots on disk as wanted; times in forwards.
class DiskRevolve {
 public:
  DiskRevolve(std::int64_t steps, std::int64_t slots, std::int64_t write, std::int64_t read) {
    const auto in_memory = [&](std::int64_t n) { return revolve_extra_steps({n, slots}); };
    from_disk_.assign(static_cast<std::size_t>(steps) + 1, 0);
    fresh_ = from_disk_;
    for (std::int64_t n = 1; n <= steps; ++n) {
      auto& from_disk = from_disk_[static_cast<std::size_t>(n)];
      auto& fresh = fresh_[static_cast<std::size_t>(n)];
      from_disk = fresh = in_memory(n);
      for (std::int64_t j = 1; j < n; ++j) {
        const auto then = read + from_disk_[static_cast<std::size_t>(j)];
        from_disk = std::min(from_disk, j + in_memory(n - j) + then);
        fresh = std::min(fresh, write + j + fresh_[static_cast<std::size_t>(n - j)] + then);
      }
    }
  }
  std::int64_t time(std::int64_t steps) const { return fresh_[static_cast<std::size_t>(steps)]; }

 private:
  std::vector<std::int64_t> from_disk_;
  std::vector<std::int64_t> fresh_;
};

TEST(LevelPlanner, IsDiskRevolveWithADiskWithoutEnd) {
  for (const int price : {0, 1, 3, 10}) {
    const DiskRevolve oracle(50, 3, price, price + 1);
    for (std::int64_t steps = 1; steps <= 50; ++steps) {
      const auto plan =
          plan_levels(steps, step_times(1, 0), {level(3, 0, 0), level(steps, price, price + 1)});
      EXPECT_EQ(plan.time.count(), oracle.time(steps)) << steps << " steps, price " << price;
    }
  }
}

// checkpoint_schedules hands forward and reverse times over in the wrong order.
TEST(LevelPlanner, CountsTheReversalOfEachStepOnce) {
  const std::vector<StorageLevel> levels = {level(2, 0, 0), level(2, 5, 4)};
  const auto cheap = plan_levels(20, step_times(7, 0), levels);
  const auto dear = plan_levels(20, step_times(7, 1000), levels);
  EXPECT_EQ(dear.time - cheap.time, nanoseconds(20 * 1000));
  EXPECT_GT(plan_levels(20, step_times(8, 0), levels).time - cheap.time, nanoseconds(19));
}

TEST(LevelPlanner, UsesADiskOnlyWhereItPays) {
  const auto writes_to = [](const LevelPlan& plan, std::int64_t level) {
    return std::count_if(plan.actions.begin(), plan.actions.end(), [&](const LevelAction& action) {
      const auto* write = std::get_if<WriteState>(&action);
      return write != nullptr && write->level == level;
    });
  };
  const auto with = [](int price) {
    return plan_levels(40, step_times(10, 20), {level(2, 0, 0), level(40, price, price)});
  };
  EXPECT_EQ(writes_to(with(1'000'000), 1), 0);
  EXPECT_GT(writes_to(with(5), 1), 5);
}

TEST(LevelPlanner, RefusesWhatCannotBe) {
  const auto times = step_times(1, 1);
  EXPECT_EQ(complaint_of([&] { plan_levels(0, times, {level(1, 0, 0)}); }),
            "plan_levels: expected at least 1 step, got 0");
  EXPECT_EQ(
      complaint_of([&] { plan_levels(3, times, {}); }),
      "plan_levels: the first level needs at least 1 slot, to keep the input of step 0; got 0");
  EXPECT_EQ(
      complaint_of([&] {
        plan_levels(3, times, {level(1, 0, 0), level(2, 3, -4)});
      }),
      "plan_levels: level 1: expected numbers of 0 or more, got 2 slots, write 3 ns, read -4 ns");
  EXPECT_EQ(complaint_of([&] { plan_levels(3, step_times(-1, 0), {level(1, 0, 0)}); }),
            "plan_levels: expected times of 0 or more, got forward -1 ns and reverse 0 ns");
  EXPECT_EQ(complaint_of([&] { plan_levels(100'000, times, {level(5000, 0, 0)}); }),
            "plan_levels: levels, steps and slots make 500100000 table entries, expected at most "
            "100000000: join steps, or give fewer slots");
}

}  // namespace
}  // namespace remat
