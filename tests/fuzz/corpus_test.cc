// The fuzzer's seeds, what it once found, and changes of both, through the same targets in the ordinary build.
#include "tests/fuzz/corpus.h"

#include <gtest/gtest.h>

#include "tests/fuzz/targets.h"

namespace remat::fuzz {
namespace {

TEST(FuzzCorpus, OfTheOpGraphReader) { feed_corpus(op_graph_reader, "op_graph_reader"); }

TEST(FuzzCorpus, OfTheChainReader) { feed_corpus(chain_reader, "chain_reader"); }

TEST(FuzzCorpus, OfThePlanSimulator) { feed_corpus(plan_simulator, "plan_simulator"); }

TEST(FuzzCorpus, ChangedForTheReaders) {
  feed_changes(op_graph_reader, "op_graph_reader", 200);
  feed_changes(chain_reader, "chain_reader", 200);
}

TEST(FuzzCorpus, IsFedToTargetsThatNoticeABrokenPromise) {
  EXPECT_THROW(require(false, "a promise"), Broken);
}

}  // namespace
}  // namespace remat::fuzz
