#include "cli/run_options.h"

#include <algorithm>
#include <limits>
#include <thread>

#include <fmt/format.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/choices.h"
#include "cli/config_file.h"
#include "cli/numbers.h"

namespace remat::cli {
namespace {

// Above what anybody runs, and low enough as kMaxBatch is. Where a batch and the matrices fit in memory,
// the activations' sizes do not overflow either.
constexpr std::int64_t kMaxLayers = 10'000;
constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr std::int64_t kMaxSteps = 1'000'000'000;

void add_model_flags(CLI::App& verb, models::DecoderConfig& model) {
  const auto add = [&verb](const char* flag, auto& value, const char* help) {
    return verb.add_option(flag, value, help)
        ->capture_default_str()
        ->type_name("N")
        ->group("Model");
  };
  add_choice(verb, "--model", model.style, models::kDecoderStyles, "Style of the decoder")
      ->group("Model");
  add("--layers", model.layers, "Transformer blocks")->transform(whole_number(1, kMaxLayers));
  add("--dim", model.dim, "Channels; a multiple of --heads")->transform(whole_number(1, kMaxWidth));
  add("--heads", model.heads, "Attention heads")->transform(whole_number(1, kMaxWidth));
  add_optional(verb, "--kv-heads", model.kv_heads,
               "Heads of keys and values; as many as --heads unless given, fewer only in llama")
      ->transform(whole_number(1, kMaxWidth))
      ->type_name("N")
      ->group("Model");
  add("--seq", model.seq, "Tokens (bytes) of a sequence")->transform(whole_number(1, kMaxLength));
  add_optional(verb, "--dropout", model.dropout,
               "Probability of dropping, at least 0 and below 1 (default 0.1, llama 0)")
      ->check(finite_number())
      ->type_name("P")
      ->group("Model");
  add_choice(verb, "--attention", model.attention, models::kAttentionKinds,
             "Attention with its seq x seq weights in memory, or block by block, recomputed in "
             "backward; the latter without dropout")
      ->group("Model");
}

}  // namespace

std::int64_t all_cores() { return std::max<std::int64_t>(1, std::thread::hardware_concurrency()); }

void add_device_flag(CLI::App& verb, c10::Device& device) {
  verb.add_option_function<std::string>(
          "--device", [&device](const std::string& text) { device = parse_device(text); },
          "Where to compute: cpu, cuda or cuda:N")
      ->default_str(device.str())
      ->type_name("NAME")
      ->group("Run");
}

void add_run_flags(CLI::App& verb, RunOptions& options) {
  verb.add_option("--text", options.text,
                  "The text to train on, required: any file, its bytes are the tokens")
      ->type_name("FILE");
  add_config_flags(verb);
  add_model_flags(verb, options.model);
  const auto add = [&verb](const char* flag, auto& value, const char* help) {
    return verb.add_option(flag, value, help)->capture_default_str()->type_name("N")->group("Run");
  };
  add("--batch", options.batch, "Sequences of a step")->transform(whole_number(1, kMaxBatch));
  add("--steps", options.steps, "Training steps")->transform(whole_number(1, kMaxSteps));
  add("--lr", options.lr, "Learning rate of AdamW")->check(positive_number())->type_name("RATE");
  add("--seed", options.seed, "Seed of weights, batches and dropout")
      ->transform(whole_number(0, std::numeric_limits<std::int64_t>::max()));
  add("--threads", options.threads, "Threads; all cores unless given")
      ->transform(whole_number(1, kMaxThreads));
  add_choice(
      verb, "--dtype", options.precision, kPrecisions,
      "What matrices are multiplied in (autocast; parameters stay f32; fp16 scales the loss)")
      ->group("Run");
  add_device_flag(verb, options.device);
  add_step_flags(verb, options.step);
  verb.add_flag("--json", options.json, "Print the result as one JSON object")
      ->disable_flag_override();
}

Placement parse_policy(const std::string& text) {
  try {
    return Placement::parse(text);
  } catch (const InvalidArgument& error) {
    throw CLI::ValidationError(
        "--policy", fmt::format("{}; a budget is given by --memory, as in 50%", error.what()));
  }
}

void check(const RunOptions& options, const std::vector<Placement>& policies) {
  REMAT_CHECK(!options.text.empty(), InvalidArgument,
              "--text is required: name a text file to train on, as in --text notes.txt");
  options.model.validate();
  learning_rate(options.step, options.lr, options.steps);
  check_device(options.device, options.precision);
  try {
    for (const auto& policy : policies) policy.segments(options.model.layers);
  } catch (const InvalidArgument& error) {
    fail<InvalidArgument>("--policy: {}", error.what());
  }
}

}  // namespace remat::cli
