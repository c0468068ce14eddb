// Runs that take a fraction of a second, and what is expected of each.
#pragma once

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "cli/run_options.h"
#include "tests/cli/run_here.h"
#include "tests/cli/run_remat.h"
#include "tests/testing/temporary_file.h"

namespace remat::testing {

inline std::string repetitive_text() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the quick brown fox jumps over the lazy dog. ";
  return text;
}

/// `verb` on `file` with a tiny model of four layers, then `more`.
inline Arguments tiny(const std::string& verb, const TemporaryFile& file,
                      const Arguments& more = {}) {
  Arguments arguments = {verb,      "--text",  file.path(), "--layers",  "4",       "--dim", "16",
                         "--heads", "2",       "--seq",     "24",        "--batch", "2",     "--lr",
                         "0.003",   "--steps", "12",        "--threads", "1"};
  // A flag that is given again replaces the tiny one: CLI11 takes each only once.
  for (std::size_t i = 0; i < more.size(); ++i) {
    for (std::size_t j = 1; j + 1 < arguments.size(); j += 2) {
      if (arguments[j] != more[i]) continue;
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(j),
                      arguments.begin() + static_cast<std::ptrdiff_t>(j) + 2);
    }
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// The flags of every model with every attention.
inline std::vector<Arguments> all_models() {
  return {{"--model", "gpt2"},
          {"--model", "gpt2", "--attention", "efficient", "--dropout", "0"},
          {"--model", "llama", "--heads", "4", "--kv-heads", "2"},
          {"--model", "llama", "--heads", "4", "--kv-heads", "1", "--dropout", "0.2"},
          {"--model", "llama", "--heads", "4", "--kv-heads", "2", "--attention", "efficient"}};
}

inline Arguments joined(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// Flags with which activations are most of what a step takes, and its largest tensors a small part of them.
inline Arguments wide(const Arguments& more) {
  return joined({"--seq", "96", "--batch", "4"}, more);
}

/// What a run with --json printed; null if it failed.
inline nlohmann::json json_of(const ProgramRun& run) {
  EXPECT_EQ(run.status, cli::kDone) << run.err;
  return run.status == cli::kDone ? nlohmann::json::parse(run.out) : nlohmann::json();
}

/// That a run ended with `status` and one line that says this, and printed nothing.
template <class Said>
void expect_refused(const ProgramRun& run, const Said& said, cli::ExitStatus status = cli::kUsage) {
  EXPECT_EQ(run.status, status) << run.err;
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(lines_of(run.err), ::testing::SizeIs(1)) << run.err;
  EXPECT_THAT(run.err, said);
}

/// Tests of small runs on a text of their own.
class SmallRuns : public ::testing::Test {
 protected:
  struct Refused {
    Arguments more;
    const char* said;
  };

  /// Of a model of two layers.
  cli::RunOptions options() const {
    cli::RunOptions options;
    options.text = text_.path();
    options.model.layers = 2;
    options.model.dim = 16;
    options.model.heads = 2;
    options.model.seq = 24;
    options.batch = 2;
    options.threads = 1;
    return options;
  }

  /// What the tiny run with `more`, in this process, says as JSON.
  nlohmann::json result(const std::string& verb, const Arguments& more) const {
    return json_of(run_here(tiny(verb, text_, joined({"--json"}, more))));
  }

  void expect_usage_errors(const std::string& verb, const std::vector<Refused>& cases) const {
    for (const auto& [more, said] : cases) {
      SCOPED_TRACE(::testing::PrintToString(more));
      expect_refused(run_here(tiny(verb, text_, more)), ::testing::HasSubstr(said));
    }
  }

  TemporaryFile text_{repetitive_text()};
};

}  // namespace remat::testing
