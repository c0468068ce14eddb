#include "cli/train.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include <remat/budget.h>
#include <remat/bytes.h>
#include <remat/error.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/text.h"
#include "cli/blas.h"
#include "cli/budget_run.h"
#include "cli/choices.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/numbers.h"
#include "cli/progress.h"
#include "cli/safetensors.h"
#include "cli/sample.h"
#include "cli/saved_model.h"
#include "cli/state_file.h"
#include "cli/training_state.h"
#include "cli/workload.h"
#include "models/sampling.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kSampledTokens = 240;  // some three lines
constexpr std::int64_t kMaxSampledTokens = 1'000'000;
constexpr std::int64_t kMaxSaveEvery = 1'000'000'000;
constexpr double kLowestLossScale =
    0x1p-24;  // the smallest float16: what is scaled so is all zeros

// What a training run has come to so far.
struct TrainingRecord {
  std::vector<std::int64_t> step_ns;
  std::int64_t total_ns = 0;
  std::int64_t tokens = 0;
  float first_loss = 0;
  float last_loss = 0;
  double gradient_norm = 0;
  double learning_rate = 0;
  std::int64_t skipped_steps = 0;  // in this run
  std::optional<double> loss_scale;
  std::optional<float> validation_loss;
  Bytes peak;
  std::optional<BudgetReport> budget;
  std::int64_t resumed_at = 0;  // steps done before this run
  bool interrupted = false;

  std::int64_t steps_here() const { return static_cast<std::int64_t>(step_ns.size()); }
  std::int64_t steps() const { return resumed_at + steps_here(); }
  double tokens_per_second() const {
    return static_cast<double>(tokens) / (static_cast<double>(total_ns) * 1e-9);
  }

  void add(const StepRecord& step, std::int64_t tokens_of_step) {
    if (step_ns.empty()) first_loss = step.loss;
    last_loss = step.loss;
    gradient_norm = step.gradient_norm;
    skipped_steps += step.skipped ? 1 : 0;
    step_ns.push_back(step.step_ns);
    total_ns += step.step_ns;
    tokens += tokens_of_step;
    peak = std::max(peak, step.peak);
  }
};

std::vector<std::string> progress_fields(const TrainingRecord& record, const RunOptions& options) {
  const auto left_ns = record.total_ns / record.steps_here() * (options.steps - record.steps());
  std::vector<std::string> fields = {fmt::format("step {}/{}", record.steps(), options.steps),
                                     fmt::format("loss {:.4f}", record.last_loss)};
  if (record.validation_loss) fields.push_back(fmt::format("val {:.4f}", *record.validation_loss));
  fields.insert(fields.end(), {fmt::format("{:.0f} tokens/s", record.tokens_per_second()),
                               fmt::format("peak {}", record.peak.to_string()),
                               fmt::format("{} left", format_clock_ns(left_ns))});
  if (record.learning_rate != options.lr) {
    fields.push_back(fmt::format("lr {:.2e}", record.learning_rate));
  }
  if (options.step.clip > 0) fields.push_back(fmt::format("norm {:.3f}", record.gradient_norm));
  if (record.loss_scale) fields.push_back(fmt::format("scale {:g}", *record.loss_scale));
  return fields;
}

void check_finite(const TrainingRecord& record, double lr) {
  REMAT_CHECK(std::isfinite(record.last_loss), Error,
              "the loss of step {} is not a finite number: training diverged; try a --lr below {}",
              record.steps(), lr);
  REMAT_CHECK(!record.loss_scale || *record.loss_scale >= kLowestLossScale, Error,
              "the gradients of step {} overflow float16 even at a loss scale of {:g}: training "
              "diverged; try a --lr below {}, or --dtype bf16",
              record.steps(), *record.loss_scale, lr);
}

void save(const TrainOptions& options, Workload& workload, const TrainingRecord& record,
          bool last) {
  if (options.save.empty()) return;
  const bool due = options.save_every > 0 && record.steps() % options.save_every == 0;
  if (last || due) save_training_state(options.save, workload, options.run, record.steps());
}

void validate(const TrainOptions& options, Workload& workload, TrainingRecord& record, bool last) {
  if (options.run.step.val_fraction == 0) return;
  const bool due = options.val_every > 0 && record.steps() % options.val_every == 0;
  if (last || due) record.validation_loss = workload.validation_loss();
}

StepRecord run_step(Workload& workload, const TrainOptions& options, Budget* budget) {
  const auto batch = workload.next_batch();
  return budget != nullptr ? workload.step_within(batch, *budget)
                           : workload.step(batch, options.policy);
}

// Within `budget` unless it is nullptr.
TrainingRecord run_steps(Workload& workload, const TrainOptions& options, std::int64_t resumed_at,
                         Budget* budget) {
  const InterruptGuard interrupt;
  Progress progress(Progress::Elsewhere::kPlainLines);
  TrainingRecord record;
  record.resumed_at = resumed_at;
  const auto rate = learning_rate(options.run.step, options.run.lr, options.run.steps);
  for (bool last = false; !last;) {
    record.learning_rate = rate.at(record.steps());
    workload.set_learning_rate(record.learning_rate);
    record.add(run_step(workload, options, budget), workload.tokens_per_step());
    if (const auto& scaler = workload.loss_scaler()) record.loss_scale = scaler->scale();
    check_finite(record, options.run.lr);
    record.interrupted = InterruptGuard::requested();
    last = record.steps() == options.run.steps || record.interrupted;
    validate(options, workload, record, last);
    save(options, workload, record, last);
    if (last || progress.due()) progress.show(progress_fields(record, options.run));
  }
  if (budget != nullptr) record.budget = budget->report();
  return record;
}

// Where the training is to go on. Ends here if nothing is left to do.
std::int64_t resume(const TrainOptions& options, Workload& workload) {
  if (options.resume.empty()) return 0;
  const auto step = load_training_state(options.resume, workload, options.run);
  REMAT_CHECK(step < options.run.steps, InvalidArgument,
              "--resume {}: has {} steps behind it and --steps {} asks for no more; raise --steps, "
              "which counts from the first",
              printable(options.resume), step, options.run.steps);
  return step;
}

void check_saving(const TrainOptions& options) {
  REMAT_CHECK(options.val_every == 0 || options.run.step.val_fraction > 0, InvalidArgument,
              "--val-every {} needs --val-fraction: say how much of the text is held out, as in "
              "--val-fraction 0.1",
              options.val_every);
  REMAT_CHECK(options.save_every == 0 || !options.save.empty(), InvalidArgument,
              "--save-every {} needs --save: name the file, as in --save run.remat",
              options.save_every);
  REMAT_CHECK(options.init.empty() || options.resume.empty(), InvalidArgument,
              "--init {}: both --init and --resume say where the parameters come from; leave one out",
              printable(options.init));
  if (!options.save.empty()) check_save_path(options.save);
  if (!options.export_to.empty()) check_safetensors_path("--export", options.export_to);
}

// Measures, and neither reads nor writes a state.
ExitStatus find(const TrainOptions& options) {
  REMAT_CHECK(options.memory && options.memory->size(), InvalidArgument,
              "--find-largest needs --memory with a size: say what is to fit, as in --find-largest batch --memory 2GiB");
  REMAT_CHECK(options.effort == 0, InvalidArgument,
              "--effort {}: --find-largest searches no plans; leave --effort out", options.effort);
  for (const auto& [flag, value] :
       {std::pair<const char*, const std::string&>{"--save", options.save},
        {"--resume", options.resume},
        {"--init", options.init},
        {"--export", options.export_to}}) {
    REMAT_CHECK(value.empty(), InvalidArgument,
                "{} {}: --find-largest trains nothing that could be saved; leave {} out", flag,
                printable(value), flag);
  }
  auto find = options.find;
  find.memory = *options.memory->size();
  return find_largest(find, options.run);
}

// Not after Ctrl-C: who presses it waits for the end.
std::string sample_at_end(const TrainOptions& options, Workload& workload,
                          const TrainingRecord& record) {
  models::SamplingOptions sampling;
  sampling.tokens = options.sample.value_or(options.run.json ? 0 : kSampledTokens);
  sampling.seed = options.run.seed;
  if (record.interrupted || sampling.tokens == 0) return {};
  const PrecisionScope scope(options.run.device, options.run.precision);
  return models::sample(workload.model(), /*prompt=*/"", sampling);
}

std::string json_summary(const TrainingRecord& record, const Placement& policy,
                         const std::string& sample) {
  nlohmann::ordered_json summary = {{"policy", policy.to_string()},
                                    {"steps", record.steps()},
                                    {"resumed_at", record.resumed_at},
                                    {"interrupted", record.interrupted},
                                    {"first_loss", record.first_loss},
                                    {"final_loss", record.last_loss},
                                    {"tokens_per_s", record.tokens_per_second()},
                                    {"peak_bytes", record.peak.count()},
                                    {"step_ns", median_ns(record.step_ns)},
                                    {"threads", at::get_num_threads()},
                                    {"blas", blas_name()}};
  summary["learning_rate"] = record.learning_rate;
  if (record.loss_scale) {
    summary["loss_scale"] = *record.loss_scale;
    summary["skipped_steps"] = record.skipped_steps;
  }
  if (record.gradient_norm > 0) summary["gradient_norm"] = record.gradient_norm;
  if (record.validation_loss) summary["validation_loss"] = *record.validation_loss;
  if (record.budget) summary["budget"] = json_of(*record.budget);
  if (!sample.empty()) summary["sample"] = sample;
  return summary.dump(2, ' ', /*ensure_ascii=*/false,
                      nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

std::string text_summary(const TrainingRecord& record, const TrainOptions& options,
                         std::int64_t parameters, const std::string& sample) {
  const auto validation =
      record.validation_loss ? fmt::format("validation  {:.4f}\n", *record.validation_loss) : "";
  return fmt::format(
      "policy      {}\n"
      "parameters  {}\n"
      "steps       {} of {}{}\n"
      "loss        {:.4f} -> {:.4f}\n"
      "{}"
      "speed       {:.0f} tokens/s, {} for a step (median)\n"
      "peak        {} tracked\n"
      "{}{}",
      options.policy.to_string(), parameters, record.steps(), options.run.steps,
      record.interrupted ? ", stopped by Ctrl-C" : "", record.first_loss, record.last_loss,
      validation, record.tokens_per_second(), format_duration_ns(median_ns(record.step_ns)),
      record.peak.to_string(), record.budget ? text_of(*record.budget) : "",
      sample.empty() ? "" : "\nThe model writes:\n" + printable_lines(sample));
}

void write_report(AtomicFile& file, const BudgetReport& report) {
  file.write(to_json(report) + "\n");
  file.commit();
}

// Opened before the training: that is not to be lost over a folder that is not there.
std::unique_ptr<AtomicFile> open_report(const TrainOptions& options) {
  if (options.report.empty()) return nullptr;
  REMAT_CHECK(options.memory, InvalidArgument,
              "--report {} needs --memory: it is about the budget, as in --memory 50%",
              printable(options.report));
  return std::make_unique<AtomicFile>("--report", options.report);
}

// nullptr without --memory.
std::unique_ptr<Budget> make_budget(const TrainOptions& options) {
  REMAT_CHECK(options.memory || options.effort == 0, InvalidArgument,
              "--effort {} needs --memory: it is for the search of a plan, as in --memory 50%",
              options.effort);
  if (!options.memory) return nullptr;
  REMAT_CHECK(options.policy.to_string() == Placement::none().to_string(), InvalidArgument,
              "--memory with --policy {}: the budget itself decides what is made again; leave --policy out",
              options.policy.to_string());
  const auto memory = options.memory->bytes([&] { return measure_plain(options.run); });
  return std::make_unique<Budget>(budget_options(options.run, memory, options.effort));
}

void add_saving_flags(CLI::App& verb, TrainOptions& options) {
  const auto add = [&verb](const char* flag, auto& value, const char* help) {
    return verb.add_option(flag, value, help)->type_name("FILE")->group("Saving");
  };
  add("--save", options.save, "Where the state goes at the end and on Ctrl-C; replaced as a whole");
  add("--export", options.export_to,
      "Where the parameters go at the end and on Ctrl-C, as a safetensors file");
  add("--init", options.init, "Start from the parameters of a safetensors file");
  add("--save-every", options.save_every, "Save after every N-th step too")
      ->transform(whole_number(1, kMaxSaveEvery))
      ->type_name("N");
  verb.add_option("--val-every", options.val_every,
                  "Validate after every N-th step too, not only at the end")
      ->transform(whole_number(1, kMaxSaveEvery))
      ->type_name("N")
      ->group("Step");
  add_optional(verb, "--sample", options.sample,
               fmt::format("Tokens (bytes) that the model writes at the end; {} unless --json or "
                           "this is given",
                           kSampledTokens))
      ->transform(whole_number(0, kMaxSampledTokens))
      ->type_name("N");
  add("--resume", options.resume,
      "Go on, bit for bit, from a state that --save wrote; --steps counts from the first step");
}

}  // namespace

CLI::App* add_train(CLI::App& program, TrainOptions& options) {
  auto* verb = program.add_subcommand("train", "Train a language model on a text file");
  add_run_flags(*verb, options.run);
  verb->add_option_function<std::string>(
          "--policy",
          [&options](const std::string& text) {
            options.policy = parse_policy(text);
            options.find.policies = {options.policy};
          },
          std::string("What to recompute instead of keeping: ") + Placement::forms())
      ->default_str(options.policy.to_string())
      ->type_name("POLICY");
  add_saving_flags(*verb, options);
  add_memory_flag(
      *verb, options.memory,
      "What each step may take: a size, all included, as in 1.5GiB, or a share of the plain "
      "step's activations, as in 50%; what does not fit is made again")
      ->group("Memory");
  verb->add_option("--report", options.report,
                   "Where the budget's report goes at the end, as JSON (docs/budget.md)")
      ->type_name("FILE")
      ->group("Memory");
  add_effort_flag(*verb, options.effort)->group("Memory");
  add_find_flags(*verb, options.find);
  verb->footer(
      "Ctrl-C stops after the step it is in, saves if --save is given, prints the summary and exits\n"
      "with 130; a second one stops at once.");
  return verb;
}

ExitStatus train(const TrainOptions& options) {
  const bool finds = options.find.dimension.has_value();
  check(options.run, finds ? options.find.policies : std::vector<Placement>{options.policy});
  if (finds) return find(options);
  check_saving(options);
  const auto report = open_report(options);
  const auto budget = make_budget(options);
  Workload workload(options.run);
  if (!options.init.empty()) import_parameters("--init", options.init, workload.model());
  const auto record = run_steps(workload, options, resume(options, workload), budget.get());
  if (!options.export_to.empty()) {
    export_parameters("--export", options.export_to, workload.model());
  }
  if (report) write_report(*report, *record.budget);
  const auto sample = sample_at_end(options, workload, record);
  std::cout << (options.run.json
                    ? json_summary(record, options.policy, sample)
                    : text_summary(record, options, workload.parameter_count(), sample));
  return record.interrupted ? kInterrupted : kDone;
}

}  // namespace remat::cli
