// `remat sample`: text that a trained model writes.
#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include <c10/core/Device.h>

#include "cli/exit_status.h"
#include "cli/run_options.h"
#include "models/sampling.h"

namespace remat::cli {

struct SampleOptions {
  std::string load;
  std::string prompt;
  models::SamplingOptions sampling;
  c10::Device device = c10::kCPU;
  std::int64_t threads = all_cores();
  bool json = false;
};

/// Adds the verb and its flags to `program`.
CLI::App* add_sample(CLI::App& program, SampleOptions& options);

/// Prints the prompt and what the model goes on with.
/// Errors: InvalidArgument for options that cannot be, and as load_model and models::sample.
ExitStatus sample(const SampleOptions& options);

/// `text` for a terminal: its lines, each printable; the last one ends too.
std::string printable_lines(const std::string& text);

/// The same where stdout is a terminal, `text` as it is elsewhere.
std::string for_stdout(const std::string& text);

}  // namespace remat::cli
