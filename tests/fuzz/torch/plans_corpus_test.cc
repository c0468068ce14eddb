// As corpus_test.cc, for the target that needs LibTorch.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/torch/targets.h"

namespace remat::fuzz {
namespace {

TEST(FuzzPlans, OfTheCorpus) { feed_corpus(plans_reader, "plans_reader"); }

TEST(FuzzPlans, OfTheCorpusChanged) { feed_changes(plans_reader, "plans_reader", 150); }

}  // namespace
}  // namespace remat::fuzz
