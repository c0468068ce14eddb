#include "cli/config_file.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "models/decoder_config.h"
#include "tests/cli/run_here.h"
#include "tests/cli/small_runs.h"

namespace remat::cli {
namespace {

using ::remat::testing::Arguments;
using ::remat::testing::joined;
using ::remat::testing::lines_of;
using ::remat::testing::ProgramRun;
using ::remat::testing::run_here;
using ::remat::testing::TemporaryFile;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

class Config : public remat::testing::SmallRuns {
 protected:
  ProgramRun run(const std::string& verb, const std::string& config, const Arguments& more = {}) {
    const TemporaryFile file(config);
    last_path_ = file.path();
    return run_here(joined({verb, "--config", file.path(), "--text", text_.path()}, more));
  }

  // The first line of `remat verify`, which says what the model is.
  std::string model_of(const std::string& config, const Arguments& more = {}) {
    const auto result = run("verify", config, joined(more, {"--repeat", "1", "--policy", "full"}));
    EXPECT_EQ(result.status, kDone) << result.err;
    return result.out.substr(0, result.out.find('\n'));
  }

  std::string last_path_;
};

constexpr const char* kTiny =
    "layers = 3\ndim = 16\nheads = 2\nseq = 24\nbatch = 2\nthreads = 1\nsteps = 4\n";

TEST_F(Config, GivesFlagsTheirValues) {
  const auto result = run("train", std::string(kTiny) + "policy = \"every:2\"\njson = true\n");
  ASSERT_EQ(result.status, kDone) << result.err;
  const auto summary = Json::parse(result.out);
  EXPECT_EQ(summary.at("steps"), 4);
  EXPECT_EQ(summary.at("policy"), "every:2");
}

TEST_F(Config, LosesToTheCommandLineAndWinsOverThePreset) {
  EXPECT_THAT(model_of(kTiny), HasSubstr("3 layers, dim 16, 2 heads"));
  EXPECT_THAT(model_of(kTiny, {"--layers", "2"}), HasSubstr("2 layers, dim 16, 2 heads"));
  EXPECT_THAT(model_of("layers = 1\nbatch = 1\nthreads = 1", {"--preset", "tiny"}),
              HasSubstr("1 layers, dim 64, 4 heads"));
  EXPECT_THAT(model_of("preset = tiny\nbatch = 1\nthreads = 1", {"--dim", "8"}),
              HasSubstr("4 layers, dim 8, 4 heads"));
  EXPECT_THAT(model_of("preset = large\nbatch = 1\nthreads = 1", {"--preset", "tiny"}),
              HasSubstr("4 layers, dim 64, 4 heads"));
}

TEST_F(Config, HasSectionsForVerbs) {
  const std::string sections = std::string(kTiny) + "[train]\nlayers = 1\n[verify]\nrepeat = 1\n";
  EXPECT_THAT(model_of(sections), HasSubstr("3 layers"));
  const auto only_verify = run("train", std::string(kTiny) + "[verify]\npolicy = [full, sqrt]\n");
  EXPECT_EQ(only_verify.status, kDone) << only_verify.err;
  EXPECT_THAT(only_verify.out, HasSubstr("policy      none"));
}

TEST_F(Config, TakesListsCommentsAndIniValues) {
  const auto result = run("verify", std::string("# sizes\n; of INI\n\n") + kTiny +
                                        "policy = [\"full\", \"sqrt\"]\nrepeat=1\njson=true\n");
  ASSERT_EQ(result.status, kDone) << result.err;
  const auto runs = Json::parse(result.out).at("runs");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs.at(0).at("policy"), "full");
  EXPECT_EQ(runs.at(1).at("policy"), "sqrt");
  EXPECT_THAT(run("train", std::string(kTiny) + "json = false\n").out, HasSubstr("policy  "));
}

TEST_F(Config, NamesFileAndKeyOfWhatIsWrong) {
  struct Case {
    const char* config;
    const char* said;
  };
  const std::vector<Case> cases = {
      {"laers = 3", "remat train has no key \"laers\""},
      {"repeat = 3", "remat train has no key \"repeat\""},
      {"[train]\nrepeat = 3", "remat train has no key \"repeat\""},
      {"[verify]\nlaers = 3", "remat verify has no key \"laers\""},
      {"[trian]\nlayers = 3", "[trian] is no section"},
      {"[train.model]\nlayers = 3", "[train.model] is no section"},
      {"layers = zero", "--layers: must be a whole number from 1 to 10000, not \"zero\""},
      {"layers = -1", "--layers: must be a whole number"},
      {"layers =", "--layers"},
      {"layers = [1, 2]", "--layers"},
      {"layers = 1\nlayers = 2", "--layers"},
      {"layers = 1\ndim = 4\nlayers = 2", "layers is given twice"},
      {"json = maybe", "json must be true or false, not \"maybe\""},
      {"policy = most", "--policy"},
      {"preset = huge", "there is no \"huge\"; there are tiny"},
      {"config = other.toml", "has no key \"config\""},
      {"help = true", "has no key \"help\""},
      {"save = \"runs/#1.remat\"", "a quote without its end"},
      {"this is no config", "has no key \"this is no config\""},
  };
  for (const auto& bad : cases) {
    SCOPED_TRACE(bad.config);
    const auto result = run("train", bad.config);
    EXPECT_EQ(result.status, kUsage);
    EXPECT_THAT(lines_of(result.err), SizeIs(1)) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("--config " + last_path_), HasSubstr(bad.said)));
  }
  const auto missing = run_here({"train", "--config", "/no/such/file"});
  EXPECT_EQ(missing.status, kUsage);
  EXPECT_THAT(missing.err, HasSubstr("--config /no/such/file: cannot be read"));
}

TEST(Presets, AreNamedInHelpAndCanBe) {
  const auto help = run_here({"train", "--help"}).out;
  for (const auto& preset : kPresets) {
    EXPECT_THAT(help, HasSubstr(preset.name));
    models::DecoderConfig config;
    config.layers = preset.layers;
    config.dim = preset.dim;
    config.heads = preset.heads;
    config.seq = preset.seq;
    EXPECT_NO_THROW(config.validate()) << preset.name;
    config.style = models::DecoderStyle::kLlama;
    EXPECT_NO_THROW(config.validate()) << preset.name;
  }
  const auto unknown = run_here({"train", "--preset", "huge"});
  EXPECT_EQ(unknown.status, kUsage);
  EXPECT_THAT(unknown.err, HasSubstr("--preset"));
}

}  // namespace
}  // namespace remat::cli
