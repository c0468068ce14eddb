// The flags that every verb with a model to run has: `train` and `verify` differ in what they do with
// them, not in what they mean.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <remat/placement.h>

#include "cli/precision.h"
#include "cli/step_options.h"
#include "models/decoder_config.h"

namespace remat::cli {

/// Cores of this machine: LibTorch 1.13 as Debian builds it would start with one thread.
std::int64_t all_cores();

/// Of --batch, --seq and --threads. Low enough that the bytes of a batch, a weight matrix or the seq x seq
/// mask are far from overflowing 63 bits.
inline constexpr std::int64_t kMaxBatch = 1 << 16;
inline constexpr std::int64_t kMaxLength = 1 << 24;
inline constexpr std::int64_t kMaxThreads = 1024;

struct RunOptions {
  std::string text;
  models::DecoderConfig model;
  std::int64_t batch = 8;
  std::int64_t steps = 100;
  double lr = 3e-4;
  StepOptions step;
  Precision precision = Precision::kF32;
  c10::Device device = c10::kCPU;
  std::uint64_t seed = 1;
  std::int64_t threads = all_cores();
  bool json = false;
};

/// Adds the flags of `options` to `verb`; the present values are the defaults and are shown by --help.
void add_run_flags(CLI::App& verb, RunOptions& options);

/// Adds --device.
void add_device_flag(CLI::App& verb, c10::Device& device);

/// The placement that `--policy TEXT` means. Every verb reads policies through it.
/// Errors: CLI::ValidationError, which names the flag, the text and the accepted forms.
Placement parse_policy(const std::string& text);

/// What the flags must fulfil together, checked before anything is loaded.
/// Errors: InvalidArgument that names the flag and says what to do, if no text is named, the model
///         cannot be (DecoderConfig::validate) or a policy cannot place that many layers.
void check(const RunOptions& options, const std::vector<Placement>& policies);

}  // namespace remat::cli
