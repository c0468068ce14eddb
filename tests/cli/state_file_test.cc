#include "cli/state_file.h"

#include <chrono>
#include <csignal>
#include <random>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/error.h>

#include "tests/testing/temporary_file.h"

namespace remat::cli {
namespace {

using ::remat::testing::content_of;
using ::remat::testing::TemporaryFile;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string error_of_reading(const std::string& content) {
  const TemporaryFile file(content);
  try {
    read_state_file(file.path());
  } catch (const Error& error) {
    EXPECT_EQ(dynamic_cast<const InvalidArgument*>(&error), nullptr) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("--resume " + file.path()));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "read";
}

class StateFiles : public ::testing::Test {
 protected:
  // A small state as bytes.
  std::string valid() const {
    write_state_file(file_.path(), {{"step", 7}}, {{"a", torch::arange(12).to(torch::kFloat)}});
    return content_of(file_.path());
  }

  TemporaryFile file_{""};
};

TEST_F(StateFiles, ReadBackWhatWasWritten) {
  const auto matrix = torch::randn({3, 4});
  const auto scalar = torch::tensor(-0.0F);
  const auto transposed = torch::randn({4, 3}).t();
  const auto bytes = torch::arange(5).to(torch::kByte);
  const auto half = torch::randn({3}).to(torch::kBFloat16);
  const nlohmann::json state = {{"step", 7}, {"rate", 0.1}};
  write_state_file(file_.path(), state,
                   {{"m", matrix},
                    {"s", scalar},
                    {"t", transposed},
                    {"b", bytes},
                    {"none", torch::empty({0})},
                    {"h", half}});
  const auto read = read_state_file(file_.path());
  EXPECT_EQ(read.state, state);
  ASSERT_NE(read.find("m"), nullptr);
  EXPECT_TRUE(torch::equal(*read.find("m"), matrix));
  EXPECT_TRUE(std::signbit(read.find("s")->item<float>()));
  EXPECT_TRUE(torch::equal(*read.find("t"), transposed));
  EXPECT_TRUE(torch::equal(*read.find("b"), bytes));
  EXPECT_EQ(read.find("none")->numel(), 0);
  EXPECT_TRUE(torch::equal(*read.find("h"), half));
  EXPECT_EQ(read.find("x"), nullptr);
}

TEST_F(StateFiles, AreTheSameBytesForTheSameState) { EXPECT_EQ(valid(), valid()); }

TEST_F(StateFiles, AreRefusedAtEveryShorterLength) {
  const auto bytes = valid();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THAT(error_of_reading(bytes.substr(0, length)),
                AnyOf(HasSubstr("is empty"), HasSubstr("is truncated")))
        << length;
  }
  EXPECT_THAT(error_of_reading(bytes + "x"), HasSubstr("is damaged"));
}

TEST_F(StateFiles, AreRefusedWithAnyBitFlipped) {
  const auto bytes = valid();
  std::mt19937 random(1);
  constexpr std::size_t kPrefixBits = 8 * 32;  // all of them; then one of each byte
  for (std::size_t bit = 0; bit < 8 * bytes.size();
       bit = bit < kPrefixBits ? bit + 1 : (bit / 8 + 1) * 8 + random() % 8) {
    auto damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(error_of_reading(damaged), "read") << bit;
  }
}

TEST_F(StateFiles, SayWhatIsWrongWithThem) {
  EXPECT_THAT(error_of_reading("Dear diary, today I trained a model. It was fun."),
              AllOf(HasSubstr("is not a training state of remat"), HasSubstr("train anew")));
  auto bytes = valid();
  bytes[8] = 9;
  EXPECT_THAT(error_of_reading(bytes), HasSubstr("is of version 9, this program reads version 2"));
  bytes = valid();
  bytes[bytes.size() - 10] ^= 1;
  EXPECT_THAT(error_of_reading(bytes), HasSubstr("its checksum does not hold"));
  try {
    read_state_file("/no/such/file");
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("--resume /no/such/file"), HasSubstr("No such file")));
  }
}

TEST_F(StateFiles, ReplaceNothingThatIsNotOne) {
  const TemporaryFile diary("Dear diary");
  EXPECT_THROW(check_save_path(diary.path()), InvalidArgument);
  EXPECT_EQ(content_of(diary.path()), "Dear diary");
  const auto bytes = valid();
  check_save_path(file_.path());
  EXPECT_EQ(content_of(file_.path()), bytes);
  EXPECT_NE(access((file_.path() + ".tmp").c_str(), F_OK), 0);
}

TEST_F(StateFiles, KeepWhatTheyHeldWhenTheyCannotBeWritten) {
  for (const char* path : {"/no/such/folder/run.remat", "/tmp", "/dev/null"}) {
    try {
      write_state_file(path, {}, {});
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(),
                  AllOf(HasSubstr(std::string("--save ") + path), HasSubstr("name a")));
    }
  }
  const auto before = valid();
  EXPECT_ANY_THROW(write_state_file(
      file_.path(), {}, {{"a", torch::randn({2})}, {"complex", torch::zeros({1}, torch::kLong)}}));
  EXPECT_EQ(content_of(file_.path()), before);
}

TEST_F(StateFiles, FollowLinks) {
  const auto link = file_.path() + ".link";
  ASSERT_EQ(symlink(file_.path().c_str(), link.c_str()), 0);
  write_state_file(link, {{"step", 1}}, {});
  EXPECT_EQ(read_state_file(file_.path()).state.at("step"), 1);
  unlink(link.c_str());
}

// The child writes state after state; all tensors of one hold the number of its step.
[[noreturn]] void write_for_ever(const std::string& path, const std::vector<at::Tensor>& tensors) {
  for (int step = 1;; ++step) {
    for (const auto& tensor : tensors) {
      auto* values = tensor.data_ptr<float>();
      std::fill(values, values + tensor.numel(), static_cast<float>(step));
    }
    write_state_file(path, {{"step", step}}, {{"a", tensors[0]}, {"b", tensors[1]}});
  }
}

TEST_F(StateFiles, SurviveFiftyKillsAtRandomMoments) {
  const std::vector<at::Tensor> tensors = {torch::zeros({30000}), torch::zeros({50000})};
  write_state_file(file_.path(), {{"step", 0}}, {{"a", tensors[0]}, {"b", tensors[1]}});
  std::mt19937 random(1);
  std::uniform_int_distribution<int> delay_us(500, 8000);
  int changed = 0, torn_temporaries = 0;
  auto before = content_of(file_.path());
  const auto temporary = file_.path() + ".tmp";
  for (int kill_number = 0; kill_number < 50; ++kill_number) {
    const pid_t child = fork();
    if (child == 0) write_for_ever(file_.path(), tensors);
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us(random)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended by itself";
    const auto read = read_state_file(file_.path());
    const auto step = read.state.at("step").get<float>();
    EXPECT_TRUE((*read.find("a") == step).all().item<bool>());
    EXPECT_TRUE((*read.find("b") == step).all().item<bool>());
    torn_temporaries += access(temporary.c_str(), F_OK) == 0 ? 1 : 0;
    auto after = content_of(file_.path());
    changed += after != before ? 1 : 0;
    before = std::move(after);
  }
  // The kills came while files were written, some before the first was in place, some after.
  EXPECT_GT(torn_temporaries, 0);
  EXPECT_GT(changed, 0);
  unlink(temporary.c_str());
}

}  // namespace
}  // namespace remat::cli
