#include "models/byte_text.h"

#include <fstream>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/error.h>

#include "tests/testing/temporary_file.h"

namespace remat::models {
namespace {

using ::remat::testing::TemporaryFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t kSeq = 4;

std::string refusal(const std::string& path) {
  try {
    ByteText::read(path, kSeq, 1);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "accepted";
}

std::string every_byte() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

TEST(ByteText, GivesWindowsOfTheTextAndTheBytesThatFollow) {
  const TemporaryFile file(every_byte());
  auto text = ByteText::read(file.path(), kSeq, 1);
  EXPECT_EQ(text.size(), 256);
  const auto batch = text.next_batch(64);
  EXPECT_EQ(batch.inputs.sizes(), (std::vector<std::int64_t>{64, kSeq}));
  EXPECT_EQ(batch.inputs.scalar_type(), torch::kLong);
  EXPECT_TRUE(torch::equal(batch.inputs + 1, batch.targets));
  EXPECT_GE(batch.inputs.min().item<std::int64_t>(), 0);
  EXPECT_LE(batch.targets.max().item<std::int64_t>(), 255);
}

TEST(ByteText, ReachesTheFirstAndTheLastByte) {
  const TemporaryFile file("abcdef");
  const auto batch = ByteText::read(file.path(), kSeq, 1).next_batch(32);
  EXPECT_EQ(batch.inputs.min().item<std::int64_t>(), 'a');
  EXPECT_EQ(batch.targets.max().item<std::int64_t>(), 'f');
}

TEST(ByteText, TheShortestTextHasOneWindow) {
  const TemporaryFile file("abcde");
  const auto batch = ByteText::read(file.path(), kSeq, 1).next_batch(2);
  EXPECT_TRUE(torch::equal(batch.inputs[0], batch.inputs[1]));
}

TEST(ByteText, DrawsBySeedAlone) {
  const TemporaryFile file(every_byte());
  torch::manual_seed(5);
  const auto expected_next = torch::rand({3});
  torch::manual_seed(5);
  const auto first = ByteText::read(file.path(), kSeq, 1).next_batch(8).inputs;
  EXPECT_TRUE(torch::equal(torch::rand({3}), expected_next));
  const auto same = ByteText::read(file.path(), kSeq, 1).next_batch(8).inputs;
  const auto other = ByteText::read(file.path(), kSeq, 2).next_batch(8).inputs;
  EXPECT_TRUE(torch::equal(first, same));
  EXPECT_FALSE(torch::equal(first, other));
}

TEST(ByteText, ReadsAPipe) {
  const std::string path = ::testing::TempDir() + "remat_pipe" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&path] { std::ofstream(path) << "from a pipe"; });
  EXPECT_EQ(ByteText::read(path, kSeq, 1).size(), 11);
  writer.join();
  unlink(path.c_str());
}

TEST(ByteText, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(refusal("/no/such/file"),
              AllOf(HasSubstr("--text /no/such/file"), HasSubstr("No such file"),
                    HasSubstr("name a readable text file")));
  EXPECT_THAT(refusal("/tmp"), HasSubstr("--text /tmp: is a directory"));
  EXPECT_THAT(refusal("/dev/zero"), HasSubstr("neither a file nor a pipe"));
  const TemporaryFile empty("");
  EXPECT_THAT(refusal(empty.path()), HasSubstr("is empty"));
  const TemporaryFile short_text("abcd");
  EXPECT_THAT(refusal(short_text.path()),
              AllOf(HasSubstr("has 4 bytes, fewer than the 5 that --seq 4 needs"),
                    HasSubstr("lower --seq")));
}

TEST(ByteText, SaysThatAFileMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const TemporaryFile file("abcdef");
  ASSERT_EQ(chmod(file.path().c_str(), 0), 0);
  EXPECT_THAT(refusal(file.path()), HasSubstr("cannot be read: Permission denied"));
}

}  // namespace
}  // namespace remat::models
