#include "cli/safetensors.h"

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <torch/torch.h>

#include <remat/error.h>

#include "cli/exit_status.h"
#include "cli/little_endian.h"
#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::content_of;
using ::remat::testing::joined;
using ::remat::testing::lines_of;
using ::remat::testing::run_here;
using ::remat::testing::TemporaryFile;
using ::remat::testing::tiny;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(std::uint64_t{header.size()}) + header + data;
}

std::string error_of_reading(const std::string& bytes) {
  const TemporaryFile file(bytes);
  try {
    read_safetensors("--init", file.path());
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--init " + file.path()));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "read";
}

// One tensor of two floats, with other offsets, shape or type.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(SafetensorsFile, ReadsBackWhatWasWritten) {
  const TemporaryFile file("");
  const auto matrix = torch::randn({3, 4}).t();
  const auto half = torch::randn({5}).to(torch::kHalf);
  const auto brain = torch::randn({3}).to(torch::kBFloat16);
  write_safetensors("--export", file.path(),
                    {{{"m", matrix},
                      {"h", half},
                      {"b", brain},
                      {"none", torch::empty({0, 7})},
                      {"s", torch::tensor(-0.0F)}},
                     {{"format", "pt"}}});
  EXPECT_EQ(number_at<std::uint64_t>(content_of(file.path()), 0) % 8, 0u);
  const auto read = read_safetensors("--init", file.path());
  ASSERT_EQ(read.tensors.size(), 5u);
  EXPECT_EQ(read.metadata.at("format"), "pt");
  EXPECT_EQ(read.tensors[0].name, "m");
  EXPECT_TRUE(torch::equal(read.tensors[0].tensor, matrix));
  EXPECT_TRUE(torch::equal(read.tensors[1].tensor, half));
  EXPECT_EQ(read.tensors[2].tensor.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(torch::equal(read.tensors[2].tensor, brain));
  EXPECT_EQ(read.tensors[3].tensor.sizes(), torch::IntArrayRef({0, 7}));
  EXPECT_TRUE(std::signbit(read.tensors[4].tensor.item<float>()));
}

// As the format's page lays it out, by hand.
TEST(SafetensorsFile, IsLaidOutAsTheFormatSays) {
  const TemporaryFile file(file_of(
      R"({"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}   )",
      std::string("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40", 12)));
  const auto read = read_safetensors("--init", file.path());
  EXPECT_TRUE(torch::equal(read.tensors[0].tensor, torch::tensor(3.0F)));
  EXPECT_TRUE(torch::equal(read.tensors[1].tensor, torch::tensor({{1.0F}, {2.0F}})));
}

TEST(SafetensorsFile, SaysWhatIsWrongWithIt) {
  struct Case {
    std::string bytes;
    const char* said;
  };
  const auto one = [](const std::string& dtype, const std::string& shape,
                      const std::string& offsets, std::size_t data = 8) {
    return file_of(R"({"a":)" + entry(dtype, shape, offsets) + "}", std::string(data, 'x'));
  };
  const auto two = [](const std::string& first, const std::string& second, std::size_t data) {
    return file_of(
        R"({"a":)" + entry("F32", "[2]", first) + R"(,"b":)" + entry("F32", "[2]", second) + "}",
        std::string(data, 'x'));
  };
  const std::vector<Case> cases = {
      {"", "it has 0 bytes"},
      {"1234567", "it has 7 bytes"},
      {std::string(8, '\0'), "does not start with {"},
      {little_endian(std::uint64_t{3}) + "{}", "header has 3 bytes, 2 follow"},
      {little_endian(~std::uint64_t{0}) + "{}", "header has 18446744073709551615 bytes"},
      {little_endian(std::uint64_t{1} << 62) + "{}", "header has 4611686018427387904 bytes"},
      {file_of("[]", ""), "does not start with {"},
      {file_of("{", ""), "the header"},
      {file_of(R"({"a":3})", ""), "\"a\" has no dtype"},
      {file_of(R"({"a":{"dtype":"F32"}})", ""), "\"a\" has no shape"},
      {file_of(R"({"a":{},"a":{}})", ""), "the header"},
      {file_of(std::string(10000, '{'), ""), "the header"},
      {file_of(R"({"__metadata__":[]})", ""), "__metadata__ is no JSON object"},
      {file_of(R"({"__metadata__":{"a":1}})", ""), "\"a\" of its __metadata__ is no text"},
      {file_of("{}", "x"), "bytes 0 to 1 belong to no tensor"},
      {one("F31", "[2]", "[0,8]"), "dtype \"F31\", known are F32"},
      {one("I64", "[1]", "[0,8]"), "dtype \"I64\", known are F32"},
      {one("F32", "[3]", "[0,8]"), "\"a\" has 8 bytes, which is not its shape (3) in F32"},
      {one("F16", "[2]", "[0,8]"), "is not its shape (2) in F16"},
      {one("F32", "[-2]", "[0,8]"), "shape of \"a\" are not whole numbers"},
      {one("F32", "2", "[0,8]"), "shape of \"a\" are not whole numbers"},
      {one("F32", "[2.0]", "[0,8]"), "shape of \"a\" are not whole numbers"},
      {one("F32", "[4611686018427387904,4]", "[0,8]"), "is not its shape"},
      {one("F32", "[2]", "[0,9]"), "do not lie in the 8 that follow"},
      {one("F32", "[2]", "[8,0]"), "do not lie in the 8"},
      {one("F32", "[2]", "[0]"), "do not lie in the 8"},
      {one("F32", "[2]", "[0,4,8]"), "do not lie in the 8"},
      {one("F32", "[2]", "[0,9223372036854775807]"), "do not lie in the 8"},
      {one("F32", "[2]", "[0,18446744073709551615]"),
       "data_offsets of \"a\" are not whole numbers"},
      {one("F32", "[2]", "[0,8]", 9), "bytes 8 to 9 belong to no tensor"},
      {two("[0,8]", "[4,12]", 12), "\"b\" overlaps another tensor"},
      {two("[0,8]", "[0,8]", 8), "overlaps another tensor"},
      {two("[0,8]", "[12,20]", 20), "bytes 8 to 12 belong to no tensor"},
  };
  for (const auto& bad : cases) EXPECT_THAT(error_of_reading(bad.bytes), HasSubstr(bad.said));
}

TEST(SafetensorsFile, IsReadOrRefusedWhateverItsBytes) {
  const auto valid =
      file_of(R"({"__metadata__":{"format":"pt"},"a":)" + entry("F32", "[2]", "[0,8]") +
                  R"(,"b":)" + entry("U8", "[3,1]", "[8,11]") + "}",
              "elevenbytes");
  ASSERT_EQ(error_of_reading(valid), "read");
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    auto bytes = valid;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const auto at = random() % bytes.size();
      if (random() % 4 == 0) {
        bytes.erase(at, 1 + random() % 4);
      } else {
        bytes[at] = static_cast<char>(random() % 256);
      }
    }
    if (!bytes.empty()) refused += error_of_reading(bytes) == "read" ? 0 : 1;
  }
  EXPECT_GT(refused, 1000);
}

class Weights : public remat::testing::SmallRuns {
 protected:
  Json train(const Arguments& more) const { return result("train", more); }

  TemporaryFile weights_{""};
};

TEST_F(Weights, GoThereAndBack) {
  for (const auto& model : remat::testing::all_models()) {
    SCOPED_TRACE(::testing::PrintToString(model));
    const TemporaryFile again("");
    train(joined(model, {"--export", weights_.path()}));
    // At a rate of next to nothing the parameters stay what they are, for float.
    train(joined(model, {"--init", weights_.path(), "--steps", "1", "--lr", "1e-30", "--seed", "9",
                         "--export", again.path()}));
    EXPECT_EQ(content_of(again.path()), content_of(weights_.path()));
  }
}

TEST_F(Weights, StartATraining) {
  const auto first = train({"--steps", "40", "--dropout", "0", "--export", weights_.path()});
  const auto second = train({"--steps", "1", "--dropout", "0", "--init", weights_.path()});
  EXPECT_NEAR(second.at("first_loss"), first.at("final_loss").get<double>(), 0.3);
  EXPECT_LT(second.at("first_loss"), 4.0);
}

TEST_F(Weights, AreSampledFrom) {
  const TemporaryFile state("");
  train({"--export", weights_.path(), "--save", state.path()});
  const auto sample = [](const std::string& path) {
    return run_here({"sample", "--load", path, "--tokens", "30"}).out;
  };
  EXPECT_EQ(sample(weights_.path()), sample(state.path()));
  EXPECT_THAT(sample(state.path()), SizeIs(31));
  write_safetensors("--export", weights_.path(), {});
  const auto run = run_here({"sample", "--load", weights_.path()});
  EXPECT_EQ(run.status, kFailed);
  EXPECT_THAT(run.err, HasSubstr("does not say which model it holds"));
}

TEST_F(Weights, AreReadInFewerBits) {
  train({"--export", weights_.path()});
  auto content = read_safetensors("--init", weights_.path());
  for (auto& named : content.tensors) named.tensor = named.tensor.to(torch::kBFloat16);
  write_safetensors("--export", weights_.path(), content);
  const TemporaryFile again("");
  train({"--init", weights_.path(), "--steps", "1", "--lr", "1e-30", "--export", again.path()});
  const auto read = read_safetensors("--init", again.path());
  for (std::size_t i = 0; i < read.tensors.size(); ++i) {
    EXPECT_TRUE(torch::equal(read.tensors[i].tensor, content.tensors[i].tensor.to(torch::kFloat)));
  }
}

TEST_F(Weights, MustBeThoseOfTheModel) {
  train({"--export", weights_.path()});
  const auto valid = read_safetensors("--init", weights_.path());
  const auto refused = [this](const Arguments& more, const std::string& said) {
    const auto run = run_here(tiny("train", text_, joined({"--init", weights_.path()}, more)));
    EXPECT_NE(run.status, kDone);
    EXPECT_THAT(lines_of(run.err), SizeIs(1)) << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr("--init " + weights_.path()), HasSubstr(said)));
  };
  refused({"--dim", "32"}, "token_embedding.weight (256, 16), this model (256, 32)");
  refused({"--layers", "2"}, "block2.");
  refused({"--layers", "5"}, "has no block4.");
  refused({"--resume", "x"}, "both --init and --resume");
  auto content = valid;
  content.tensors[0].tensor = content.tensors[0].tensor.to(torch::kDouble);
  write_safetensors("--export", weights_.path(), content);
  refused({}, "in F64, this program takes F32, F16 and BF16");
  const auto over_text = run_here(tiny("train", text_, {"--export", text_.path()}));
  EXPECT_EQ(over_text.status, kUsage);
  EXPECT_THAT(over_text.err, HasSubstr("would replace a file that is no safetensors file"));
  EXPECT_EQ(content_of(text_.path()), remat::testing::repetitive_text());
  const auto nowhere = run_here(tiny("train", text_, {"--export", "/no/such/folder/x"}));
  EXPECT_EQ(nowhere.status, kFailed);
}

}  // namespace
}  // namespace remat::cli
