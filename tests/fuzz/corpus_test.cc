// The fuzzer's seeds, and what it once found, through the same targets in the ordinary build.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/fuzz/targets.h"

namespace remat::fuzz {
namespace {

namespace fs = std::filesystem;

using Target = void (*)(const std::uint8_t* bytes, std::size_t size);

// Whole, and cut off at every byte.
void feed(Target target, const fs::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  const auto text = content.str();
  const std::basic_string<std::uint8_t> bytes(text.begin(), text.end());
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_NO_THROW(target(bytes.data(), size)) << path << ", " << size << " bytes";
  }
}

void feed_corpus(Target target, const std::string& folder) {
  std::size_t files = 0;
  for (const auto& entry :
       fs::directory_iterator(REMAT_SOURCE_DIR "/tests/fuzz/corpus/" + folder)) {
    feed(target, entry.path());
    ++files;
  }
  EXPECT_GE(files, 5U) << folder;
}

TEST(FuzzCorpus, OfTheOpGraphReader) { feed_corpus(op_graph_reader, "op_graph_reader"); }

TEST(FuzzCorpus, OfTheChainReader) { feed_corpus(chain_reader, "chain_reader"); }

TEST(FuzzCorpus, OfThePlanSimulator) { feed_corpus(plan_simulator, "plan_simulator"); }

TEST(FuzzCorpus, IsFedToTargetsThatNoticeABrokenPromise) {
  EXPECT_THROW(require(false, "a promise"), Broken);
}

}  // namespace
}  // namespace remat::fuzz
