#include "plan/replay_bound.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "plan/replay_cut.h"
#include "plan/replay_problem.h"
#include "tests/testing/choices.h"

namespace remat::plan {
namespace {

constexpr std::int64_t kPlenty = 1'000'000'000;

ReplayProblem random_problem(std::uint64_t seed) {
  testing::RandomChoices choices(seed);
  ReplayProblem problem;
  const auto ops = choices.between(1, 9);
  for (std::int64_t op = 0; op < ops; ++op) {
    problem.ops.push_back({0, choices.between(0, 20), {}});
    for (auto left = choices.between(0, 2); left > 0 && !problem.values.empty(); --left) {
      const auto count = static_cast<std::int64_t>(problem.values.size());
      problem.ops.back().reads.push_back(static_cast<Place>(choices.below(count)));
    }
    for (auto left = choices.between(1, 2); left > 0; --left) {
      problem.values.push_back(
          {choices.between(0, 20), static_cast<Place>(op), choices.one_in(2), false});
      problem.values.back().gone = choices.one_in(12);
      if (choices.one_in(12)) problem.values.back() = {choices.between(0, 20), -1, false, false};
    }
  }
  problem.room = choices.between(0, 60);
  return problem;
}

// What these replays (bits) leave resident; empty if they are not all that is needed.
std::optional<std::int64_t> resident(const ReplayProblem& problem, unsigned replays) {
  const auto replayed = [replays](Place op) { return op >= 0 && ((replays >> op) & 1) != 0; };
  std::vector<bool> wanted;
  for (const auto& value : problem.values) wanted.push_back(value.needed);
  for (std::size_t op = 0; op < problem.ops.size(); ++op) {
    if (!replayed(static_cast<Place>(op))) continue;
    for (const auto value : problem.ops[op].reads) wanted[static_cast<std::size_t>(value)] = true;
  }
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i] || replayed(problem.values[i].op)) continue;
    if (problem.values[i].gone) return std::nullopt;
    bytes += problem.values[i].bytes;
  }
  return bytes;
}

struct Best {
  std::optional<std::int64_t> time;
  std::int64_t least_bytes = std::numeric_limits<std::int64_t>::max();
};

Best best_of(const ReplayProblem& problem) {
  Best best;
  for (unsigned replays = 0; replays < (1U << problem.ops.size()); ++replays) {
    const auto bytes = resident(problem, replays);
    if (!bytes) continue;
    best.least_bytes = std::min(best.least_bytes, *bytes);
    if (*bytes > problem.room) continue;
    std::int64_t time = 0;
    for (std::size_t op = 0; op < problem.ops.size(); ++op) {
      if ((replays >> op) & 1) time += problem.ops[op].time;
    }
    best.time = std::min(best.time.value_or(time), time);
  }
  return best;
}

constexpr int kShift = 20;
std::int64_t rounded_up(std::int64_t units) { return (units + (1 << kShift) - 1) >> kShift; }

TEST(ReplayBound, IsTheLeastTimeWhereTheWorkAllows) {
  int replaying = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const auto problem = random_problem(seed);
    const auto best = best_of(problem);
    ReplayCuts cuts(problem, kShift);
    cuts.limit_work(kPlenty);
    const auto root = bound_at_best_price(cuts, 0);
    ASSERT_EQ(root.has_value(), best.time.has_value()) << seed;
    if (!root) continue;
    ASSERT_LE(rounded_up(root->bound), *best.time) << seed;
    const auto branched = bound_by_branching(cuts, *root);
    EXPECT_EQ(rounded_up(branched.bound), *best.time) << seed;
    EXPECT_EQ(rounded_up(branched.fitting.time), *best.time) << seed;
    EXPECT_LE(branched.fitting.bytes, cuts.room()) << seed;
    replaying += *best.time > 0 ? 1 : 0;
  }
  EXPECT_GT(replaying, 1000);
}

TEST(ReplayBound, IsNeverTooHighWhereTheWorkRunsOut) {
  int unfinished = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const auto problem = random_problem(seed);
    const auto best = best_of(problem);
    ReplayCuts cuts(problem, kShift);
    cuts.limit_work(static_cast<std::int64_t>(seed));
    const auto root = bound_at_best_price(cuts, 0);
    if (!best.time) continue;
    ASSERT_TRUE(root.has_value()) << seed;
    const auto bound = bound_by_branching(cuts, *root);
    ASSERT_LE(rounded_up(bound.bound), *best.time) << seed;
    unfinished += rounded_up(bound.bound) < *best.time ? 1 : 0;
  }
  EXPECT_GT(unfinished, 300);
}

TEST(ReplayCuts, BoundTheTimeAtEachPrice) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const auto problem = random_problem(seed);
    const auto best = best_of(problem);
    ReplayCuts cuts(problem, kShift);
    cuts.limit_work(kPlenty);
    for (const double price : {0.0, 1e3, 1e5, 1e6, 3e6, 1e7, 1e9, 1e12}) {
      const auto cut = cuts.at_price(price);
      if (!best.time) continue;
      ASSERT_TRUE(cut.has_value()) << seed;
      ASSERT_LE(rounded_up(cut->bound), *best.time) << seed << " " << price;
    }
  }
}

TEST(ReplayCuts, FindTheFewestBytes) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const auto problem = random_problem(seed);
    const auto best = best_of(problem);
    if (best.least_bytes == std::numeric_limits<std::int64_t>::max()) continue;
    ReplayCuts cuts(problem, kShift);
    cuts.limit_work(kPlenty);
    EXPECT_EQ(cuts.least_bytes(), best.least_bytes) << seed;
    EXPECT_EQ(cuts.of_least_bytes()->bytes, best.least_bytes) << seed;
    cuts.limit_work(static_cast<std::int64_t>(seed % 50));
    EXPECT_LE(cuts.least_bytes(), best.least_bytes) << seed;
  }
}

}  // namespace
}  // namespace remat::plan
