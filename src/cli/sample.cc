#include "cli/sample.h"

#include <iostream>
#include <limits>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"
#include "cli/numbers.h"
#include "cli/saved_model.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kMaxTokens = 1'000'000;
constexpr std::int64_t kBytes = 256;

std::string json_report(const SampleOptions& options, const std::string& text) {
  const nlohmann::ordered_json report = {{"prompt", options.prompt},
                                         {"text", text},
                                         {"tokens", options.sampling.tokens},
                                         {"seed", options.sampling.seed}};
  return report.dump(2, ' ', /*ensure_ascii=*/false,
                     nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace

std::string printable_lines(const std::string& text) {
  std::string lines;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    lines += printable(rest.substr(0, end)) + "\n";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

std::string for_stdout(const std::string& text) {
  return isatty(STDOUT_FILENO) == 1 ? printable_lines(text) : text;
}

CLI::App* add_sample(CLI::App& program, SampleOptions& options) {
  auto* verb = program.add_subcommand("sample", "Print text that a trained model writes");
  verb->add_option("--load", options.load,
                   "The model, required: a file that train wrote for --save or --export")
      ->type_name("FILE");
  verb->add_option("--prompt", options.prompt,
                   "What the text starts with; nothing: the start of a line")
      ->type_name("TEXT");
  const auto add = [verb](const char* flag, auto& value, const char* help) {
    return verb->add_option(flag, value, help)->capture_default_str()->type_name("N");
  };
  add("--tokens", options.sampling.tokens, "Tokens (bytes) to add")
      ->transform(whole_number(1, kMaxTokens));
  add("--temperature", options.sampling.temperature,
      "Below 1 the likely grow likelier; 0: the likeliest byte, always")
      ->check(number_from_zero())
      ->type_name("T");
  add("--top-k", options.sampling.top_k, "Choose from the K likeliest bytes; 0: from all")
      ->transform(whole_number(0, kBytes))
      ->type_name("K");
  add("--seed", options.sampling.seed, "Seed of the choices")
      ->transform(whole_number(0, std::numeric_limits<std::int64_t>::max()));
  add("--threads", options.threads, "Threads; all cores unless given")
      ->transform(whole_number(1, kMaxThreads));
  add_device_flag(*verb, options.device);
  verb->add_flag("--json", options.json, "Print the result as one JSON object")
      ->disable_flag_override();
  verb->footer(
      "On a terminal, bytes that are no text are shown as \\xNN; into a file or a pipe they go as\n"
      "they are.");
  return verb;
}

ExitStatus sample(const SampleOptions& options) {
  REMAT_CHECK(!options.load.empty(), InvalidArgument,
              "--load is required: name a file that remat train wrote, as in --load run.remat");
  check_device(options.device, Precision::kF32);
  at::set_num_threads(static_cast<int>(options.threads));
  const auto model = load_model("--load", options.load);
  model->to(options.device);
  const auto text = models::sample(*model, options.prompt, options.sampling);
  std::cout << (options.json ? json_report(options, text)
                             : for_stdout(options.prompt + text + "\n"));
  return kDone;
}

}  // namespace remat::cli
