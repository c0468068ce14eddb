#include "plan/max_flow.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "tests/testing/choices.h"

namespace remat::plan {
namespace {

struct Network {
  MaxFlow::Node nodes = 2;
  std::vector<MaxFlow::Ends> edges;
  std::vector<std::int64_t> capacities;

  MaxFlow flow() const {
    MaxFlow result(nodes, edges);
    for (std::size_t i = 0; i < edges.size(); ++i) {
      result.set({static_cast<MaxFlow::Edge>(i), capacities[i]});
    }
    return result;
  }

  // What crosses from these nodes (bits) to the others.
  std::int64_t cut(unsigned side) const {
    const auto has = [side](MaxFlow::Node node) { return ((side >> node) & 1) != 0; };
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      if (has(edges[i].from) && !has(edges[i].to)) sum += capacities[i];
    }
    return sum;
  }

  std::int64_t least_cut() const {
    auto least = cut(1);
    for (unsigned side = 0; side < (1U << nodes); ++side) {
      if ((side & 1) != 0 && (side & 2) == 0) least = std::min(least, cut(side));
    }
    return least;
  }
};

Network random_network(std::uint64_t seed) {
  testing::RandomChoices choices(seed);
  Network network;
  network.nodes = static_cast<MaxFlow::Node>(choices.between(2, 8));
  for (auto left = choices.between(0, 24); left > 0; --left) {
    network.edges.push_back({static_cast<MaxFlow::Node>(choices.below(network.nodes)),
                             static_cast<MaxFlow::Node>(choices.below(network.nodes))});
    network.capacities.push_back(choices.between(0, 9));
  }
  return network;
}

TEST(MaxFlow, IsTheLeastCutAndKnowsIt) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const auto network = random_network(seed);
    auto flow = network.flow();
    const auto least = network.least_cut();
    ASSERT_EQ(flow.run(1'000'000), least) << seed;
    EXPECT_TRUE(flow.is_largest());
    unsigned side = 0;
    for (MaxFlow::Node node = 0; node < network.nodes; ++node) {
      side |= flow.reached(node) ? 1U << node : 0U;
    }
    ASSERT_EQ(network.cut(side), least) << seed;
    ASSERT_EQ(flow.run(1'000'000), least) << "a second time, " << seed;
  }
}

TEST(MaxFlow, IsNeverTooLargeWhereItsWorkRunsOut) {
  int cut_short = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const auto network = random_network(seed);
    auto flow = network.flow();
    ASSERT_LE(flow.run(static_cast<std::int64_t>(seed % 40)), network.least_cut()) << seed;
    cut_short += flow.is_largest() ? 0 : 1;
  }
  EXPECT_GT(cut_short, 50);
}

TEST(MaxFlow, SaysThatNothingLimitsIt) {
  const Network network{3, {{0, 2}, {2, 1}}, {MaxFlow::kUnlimited, MaxFlow::kUnlimited}};
  EXPECT_GE(network.flow().run(1000), MaxFlow::kUnlimited);
}

}  // namespace
}  // namespace remat::plan
