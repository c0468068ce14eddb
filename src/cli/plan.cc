#include "cli/plan.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include <remat/error.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/text.h"
#include "cli/choices.h"
#include "cli/numbers.h"
#include "cli/plan_explain.h"
#include "cli/plan_report.h"
#include "cli/plan_sweep.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kMaxSweep = 10'000;
constexpr double kMaxTimeLimitSeconds = 1e9;  // far from where nanoseconds overflow

// Adds `flag`, whose text `read` takes; what it refuses is a usage error that names the flag.
template <class Read>
CLI::Option* add_text(CLI::App& verb, const std::string& flag, const std::string& help, Read read) {
  return verb.add_option_function<std::string>(
      flag,
      [flag, read](const std::string& text) {
        try {
          read(text);
        } catch (const InvalidArgument& error) {
          throw CLI::ValidationError(flag, error.what());
        }
      },
      help);
}

void add_search_flags(CLI::App& verb, PlanOptions& options) {
  const auto add = [](CLI::Option* option, const char* type) {
    return option->type_name(type)->group("Search (planner graph)");
  };
  add(verb.add_option(
          "--effort", options.limits.effort,
          "Operators that the search simulates at most; about 2 s of them unless given"),
      "N")
      ->transform(whole_number(1, std::numeric_limits<std::int64_t>::max()));
  const auto set_limit = [&options](double seconds) {
    const auto ns = std::llround(std::min(seconds, kMaxTimeLimitSeconds) * 1e9);
    options.limits.time_limit = std::chrono::nanoseconds(ns);
  };
  add(verb.add_option_function<double>(
          "--time-limit", set_limit,
          "Stops the search after S seconds; plans may then differ from run to run"),
      "S")
      ->check(positive_number());
  add(verb.add_option("--warm-start", options.warm_start,
                      "A plan for the same step to begin with: if it fits, the new one takes no "
                      "longer"),
      "PLAN");
}

void check_sweep(const PlanOptions& options) {
  REMAT_CHECK(options.planner.searches(), InvalidArgument,
              "--sweep with --planner {}: it makes the same plan for each budget; give --planner "
              "graph or chain",
              options.planner.to_string());
  REMAT_CHECK(options.warm_start.empty(), InvalidArgument,
              "--sweep with --warm-start: a sweep begins each search with the plan of the budget "
              "below; give one of the two");
  REMAT_CHECK(options.memory || (options.out.empty() && !options.explain), InvalidArgument,
              "{} with --sweep is about the plan for one budget: say which, as in --memory 8GiB",
              options.out.empty() ? "--explain" : "--out");
}

void check(const PlanOptions& options) {
  REMAT_CHECK(!options.file.empty(), InvalidArgument,
              "FILE is required: name an op graph or a chain, as in remat plan net.json --memory 8GiB");
  if (options.sweep > 0) return check_sweep(options);
  REMAT_CHECK(options.memory, InvalidArgument,
              "--memory is required: say what the whole step may use, as in --memory 8GiB, or give --sweep for the whole curve");
  REMAT_CHECK(options.warm_start.empty() || options.planner.searches(), InvalidArgument,
              "--warm-start with --planner {}: it makes one plan by rule and starts from none; give "
              "--planner graph",
              options.planner.to_string());
}

// nullptr: none.
std::unique_ptr<AnyPlan> read_warm_start(const std::string& path, const PlanInput& input) {
  if (path.empty()) return nullptr;
  const auto json = read_file("--warm-start", path);
  const auto source = printable(path);
  if (std::holds_alternative<OpGraph>(input)) {
    return std::make_unique<AnyPlan>(read_plan(json, source));
  }
  return std::make_unique<AnyPlan>(read_chain_plan(json, source));
}

// The file is opened before the search: a search is not to be lost over a folder that is not there.
std::unique_ptr<AtomicFile> open_out(const std::string& path) {
  return path.empty() ? nullptr : std::make_unique<AtomicFile>("--out", path);
}

void write(AtomicFile& file, const AnyPlan& plan) {
  file.write(std::visit([](const auto& it) { return to_json(it); }, plan));
  file.commit();
}

Sweep make_plans(const PlanOptions& options, const StepPlanner& planner,
                 const AnyPlan* warm_start) {
  if (options.sweep > 0) return sweep(planner, options.sweep, options.memory);
  return {{planner.plan(*options.memory, warm_start)}, 0};
}

std::optional<PlanExplanation> explanation(const PlanOptions& options, const PlanInput& input,
                                           const StepPlanner& planner, const Sweep& plans) {
  if (!options.explain || !plans.steps[*plans.asked].feasible) return {};
  return explain(input, planner, plans.steps[*plans.asked]);
}

std::string json_report(const PlanOptions& options, const Sweep& plans,
                        const std::optional<PlanExplanation>& why) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& step : plans.steps) list.push_back(json_of(step));
  if (why) list[*plans.asked]["explanation"] = json_of(*why);
  return (options.sweep > 0 ? list : list[0]).dump(2) + "\n";
}

std::string report(const PlanOptions& options, const PlanInput& input, const StepPlanner& planner,
                   const Sweep& plans) {
  const auto why = explanation(options, input, planner, plans);
  if (options.json) return json_report(options, plans, why);
  auto text =
      options.sweep > 0 ? text_report(plans, input) : text_report(plans.steps.front(), input);
  if (why) text += text_of(*why, plans.steps[*plans.asked]);
  return text;
}

}  // namespace

CLI::App* add_plan(CLI::App& program, PlanOptions& options) {
  auto* verb = program.add_subcommand(
      "plan", "Find out what to keep and what to replay so that a step fits a budget");
  verb->add_option("FILE", options.file,
                   "The step: an op graph (remat.opgraph/1) or a chain (remat.chain/1)");
  add_text(*verb, "--memory", "What the whole step may use, as in 8GiB or 500MB",
           [&options](const std::string& text) { options.memory = Bytes::parse(text); })
      ->type_name("SIZE");
  add_text(*verb, "--planner",
           fmt::format("{} (default auto: graph for op graphs, chain for chains)",
                       PlannerChoice::forms()),
           [&options](const std::string& text) { options.planner = PlannerChoice::parse(text); })
      ->type_name("PLANNER");
  add_search_flags(*verb, options);
  verb->add_option("--sweep", options.sweep,
                   "Plans for N budgets, from the smallest found to the plain step's peak; the one "
                   "nearest to --memory is --memory")
      ->transform(whole_number(1, kMaxSweep))
      ->type_name("N");
  verb->add_option("--out", options.out, "Writes the plan to this file")->type_name("PLAN.json");
  verb->add_flag("--explain", options.explain,
                 "Say what is kept, what is dropped and why, what the next GiB would bring, and "
                 "which moment is the tightest")
      ->disable_flag_override();
  verb->add_flag("--json", options.json, "Print the result as JSON")->disable_flag_override();
  verb->footer(
      "Exit status: 3 if no plan fits; the smallest budget for which one was found is then on stderr "
      "and in the JSON, and no plan is written. docs/formats.md describes the files.");
  return verb;
}

ExitStatus plan(const PlanOptions& options) {
  check(options);
  const auto input = read_plan_input(options.file);
  const auto planner = make_step_planner(input, options.planner, options.limits);
  const auto warm_start = read_warm_start(options.warm_start, input);
  const auto out = open_out(options.out);
  const auto plans = make_plans(options, *planner, warm_start.get());
  const auto* asked = plans.asked ? &plans.steps[*plans.asked] : nullptr;
  if (asked != nullptr && asked->feasible && out) write(*out, asked->plan);
  std::cout << report(options, input, *planner, plans);
  if (asked == nullptr || asked->feasible) return kDone;
  std::cerr << fmt::format("remat plan: {}\n", does_not_fit(*asked, input, planner->floor()));
  return kNoPlanFits;
}

}  // namespace remat::cli
