// docs/formats.md shows a file of each format: they are read, and its plans are executed.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <remat/simulator.h>

namespace remat {
namespace {

const std::string kPage = REMAT_SOURCE_DIR "/docs/formats.md";

class FormatsPage : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ostringstream text_of_page;
    text_of_page << std::ifstream(kPage).rdbuf();
    const auto page = text_of_page.str();
    const std::string fence = "```json\n";
    for (auto begin = page.find(fence); begin != std::string::npos;
         begin = page.find(fence, begin + 1)) {
      const auto text = begin + fence.size();
      examples_.push_back(page.substr(text, page.find("```", text) - text));
    }
    ASSERT_EQ(examples_.size(), 4U) << kPage;
  }

  std::vector<std::string> examples_;
};

TEST_F(FormatsPage, ShowsAGraphAndAPlanThatDoesWhatItSays) {
  const auto graph = read_op_graph(examples_[0], kPage);
  const auto plan = read_plan(examples_[1], kPage);
  EXPECT_EQ(plan.graph, graph.name);
  const auto simulation = simulate(graph, plan);
  EXPECT_TRUE(simulation.valid()) << simulation.fault->what;
  EXPECT_EQ(simulation.peak, plan.predicted_peak);
  EXPECT_LE(simulation.peak, plan.budget);
  EXPECT_EQ(simulation.time, plan.predicted_time);
  EXPECT_EQ(simulation.plain_time, plan.plain_time);
}

TEST_F(FormatsPage, ShowsAChainAndAPlanThatDoesWhatItSays) {
  const auto chain = read_chain(examples_[2], kPage);
  const auto plan = read_chain_plan(examples_[3], kPage);
  EXPECT_EQ(plan.chain, chain.name);
  const auto simulation = simulate(chain, plan);
  EXPECT_TRUE(simulation.valid()) << simulation.fault->what;
  EXPECT_EQ(simulation.peak, plan.predicted_peak);
  EXPECT_LE(simulation.peak, plan.budget);
  EXPECT_EQ(simulation.time, plan.predicted_time);
}

TEST_F(FormatsPage, ShowsWhatTheWritersWrite) {
  EXPECT_EQ(to_json(read_op_graph(examples_[0], kPage)), examples_[0]);
  EXPECT_EQ(to_json(read_plan(examples_[1], kPage)), examples_[1]);
  EXPECT_EQ(to_json(read_chain(examples_[2], kPage)), examples_[2]);
  EXPECT_EQ(to_json(read_chain_plan(examples_[3], kPage)), examples_[3]);
}

}  // namespace
}  // namespace remat
