#include "tape/plan_file.h"

#include <charconv>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <torch/version.h>

#include <remat/simulator.h>

#include "base/json.h"
#include "base/json_cursor.h"
#include "graph/file_format.h"
#include "graph/json_lines.h"
#include "graph/nested.h"

namespace remat::tape {
namespace {

constexpr std::string_view kFormat = "remat.plans/1";
constexpr std::size_t kSignatureDigits = 16;
constexpr int kHexadecimal = 16;

// Of all plans in a file: far more than steps have, and little memory for what a few digits can ask for.
constexpr std::int64_t kMostValues = std::int64_t{1} << 24;

// ---- writing ------------------------------------------------------------------------------------------------

std::string signature_text(std::uint64_t signature) {
  return fmt::format("\"{:016x}\"", signature);
}

/// [[0, 7], [2, 9]]: those places that stand for something, and what.
template <class Number>
std::string pairs_text(const std::vector<Number>& numbers) {
  std::vector<std::string> pairs;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto number = static_cast<std::int32_t>(numbers[i]);
    if (number >= 0) pairs.push_back(fmt::format("[{}, {}]", i, number));
  }
  return fmt::format("[{}]", fmt::join(pairs, ", "));
}

std::string json_of(const StepPlan& plan) {
  const StepGraph& step = plan.graph;
  std::vector<std::string> signatures;
  for (const std::uint64_t signature : step.signatures) {
    signatures.push_back(signature_text(signature));
  }
  return fmt::format(
      "{{\"asked_bytes\": {}, \"plain_peak_bytes\": {}, \"min_feasible_bytes\": {}, \"at_start_bytes\": {},\n"
      "   \"values\": {}, \"asks\": {},\n   \"signatures\": [{}],\n   \"events\": {},\n"
      "   \"tape_values\": {},\n   \"packed_values\": {},\n   \"graph\": {},\n   \"plan\": {}}}",
      plan.asked.count(), plan.plain_peak.count(), plan.min_feasible.count(), step.at_start.count(),
      step.values, step.last_asked + 1, fmt::join(signatures, ", "), pairs_text(step.event_of_op),
      pairs_text(step.value_of), pairs_text(step.packed_value), to_json(step.graph),
      to_json(plan.plan));
}

// ---- reading ------------------------------------------------------------------------------------------------

std::uint64_t read_signature(const JsonCursor& cursor) {
  const std::string& text = cursor.text();
  std::uint64_t signature = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, signature, kHexadecimal);
  if (text.size() != kSignatureDigits || read.ec != std::errc() || read.ptr != end) {
    cursor.reject("a signature, 16 hexadecimal digits");
  }
  return signature;
}

std::size_t read_place(const JsonCursor& cursor, std::size_t count, const char* of_what) {
  const std::int64_t number = cursor.whole_number();
  if (static_cast<std::uint64_t>(number) >= count) {
    cursor.reject(fmt::format("one of {} {}", count, of_what));
  }
  return static_cast<std::size_t>(number);
}

/// `numbers[place]` for each pair of place and number; the rest stand for nothing.
template <class Number>
std::vector<Number> read_pairs(const JsonCursor& list, std::size_t places, const char* of_what,
                               std::size_t numbers, const char* number_of_what) {
  std::vector<Number> result(places, static_cast<Number>(-1));
  for (const JsonCursor& pair : list.elements()) {
    const auto both = pair.elements();
    if (both.size() != 2) pair.reject("a pair of numbers");
    result[read_place(both[0], places, of_what)] =
        static_cast<Number>(read_place(both[1], numbers, number_of_what));
  }
  return result;
}

/// The tape counts from 0 without gaps.
void check_ids(const OpGraph& graph, const JsonCursor& cursor) {
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    if (graph.ops[i].id != static_cast<OpId>(i)) cursor.reject("ops that are numbered from 0");
  }
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (graph.values[i].id != static_cast<ValueId>(i)) {
      cursor.reject("values that are numbered from 0");
    }
  }
}

/// `left` is how many values the plans that are yet to be read may have.
std::int32_t read_value_count(const JsonCursor& cursor, std::int64_t& left) {
  const std::int64_t count = cursor.whole_number();
  if (count > left) {
    cursor.reject(
        fmt::format("no more values than {} less those of the plans before", kMostValues));
  }
  left -= count;
  return static_cast<std::int32_t>(count);
}

StepGraph read_step(const JsonCursor& plan, const std::string& source, std::int64_t& values_left) {
  StepGraph step;
  step.graph = graph::read_nested_op_graph(plan.at("graph"), source);
  check_ids(step.graph, plan.at("graph"));
  for (const JsonCursor& signature : plan.at("signatures").elements()) {
    step.signatures.push_back(read_signature(signature));
  }
  step.at_start = graph::read_bytes(plan.at("at_start_bytes"));
  step.values = read_value_count(plan.at("values"), values_left);
  const std::size_t events = step.signatures.size();
  const std::size_t ops = step.graph.ops.size();
  const std::size_t values = step.graph.values.size();
  step.last_asked =
      static_cast<std::int32_t>(read_place(plan.at("asks"), events + 1, "events")) - 1;
  step.event_of_op = read_pairs<std::int32_t>(plan.at("events"), ops, "ops", events, "events");
  const auto tape_values = static_cast<std::size_t>(step.values);
  step.value_of = read_pairs<ValueIndex>(plan.at("tape_values"), values, "values", tape_values,
                                         "values on the tape");
  step.packed_value = read_pairs<ValueIndex>(plan.at("packed_values"), values, "values",
                                             tape_values, "values on the tape");
  return step;
}

/// The plan is one for the graph, and does what it says of itself.
void check_plan(const JsonCursor& cursor, const OpGraph& graph, const Plan& plan) {
  const Simulation simulation = simulate(graph, plan);
  if (!simulation.valid()) {
    cursor.reject(fmt::format("a plan for this graph; action {}: {}", simulation.fault->action,
                              simulation.fault->what));
  }
  const auto check = [&](const char* key, std::int64_t said, std::int64_t found) {
    if (said != found) {
      cursor.at(key).reject(fmt::format("{}, which is what the plan comes to", found));
    }
  };
  check("predicted_peak_bytes", plan.predicted_peak.count(), simulation.peak.count());
  check("predicted_time_ns", plan.predicted_time.count(), simulation.time.count());
  check("plain_time_ns", plan.plain_time.count(), simulation.plain_time.count());
}

std::shared_ptr<StepPlan> read_step_plan(const JsonCursor& cursor, const std::string& source,
                                         std::int64_t& values_left) {
  StepGraph step = read_step(cursor, source, values_left);
  Plan plan = graph::read_nested_plan(cursor.at("plan"));
  check_plan(cursor.at("plan"), step.graph, plan);
  const Bytes asked = graph::read_bytes(cursor.at("asked_bytes"));
  if (plan.budget > asked) {
    cursor.at("plan").at("budget_bytes").reject("no more than asked_bytes");
  }
  auto compiled = std::make_shared<StepPlan>(compile(std::move(step), std::move(plan)));
  compiled->plain_peak = graph::read_bytes(cursor.at("plain_peak_bytes"));
  compiled->min_feasible = graph::read_bytes(cursor.at("min_feasible_bytes"));
  compiled->asked = asked;
  compiled->loaded = true;
  return compiled;
}

void check_version(const JsonCursor& root) {
  graph::check_format(root, kFormat);
  const JsonCursor libtorch = root.at("libtorch");
  if (libtorch.text() != TORCH_VERSION) {
    libtorch.reject(
        fmt::format("\"{}\", which is in use: steps of another LibTorch differ, have their plans "
                    "made again",
                    TORCH_VERSION));
  }
}

}  // namespace

std::string to_json(const KnownSteps& known) {
  graph::JsonLines plans;
  graph::JsonLines pinned;
  for (const auto& plan : known.plans) plans.add(json_of(*plan));
  const std::map<std::uint64_t, std::string> sorted(known.pinned.begin(), known.pinned.end());
  for (const auto& [signature, why] : sorted) {
    pinned.add(fmt::format(R"({{"signature": {}, "why": {}}})", signature_text(signature),
                           json_string(why)));
  }
  return fmt::format(
      "{{\"format\": \"{}\", \"libtorch\": \"{}\",\n \"plans\": {},\n \"pinned\": {}}}\n", kFormat,
      TORCH_VERSION, plans.list(), pinned.list());
}

KnownSteps read_known_steps(const std::string& json, const std::string& source) {
  const JsonDocument document(json, source);
  const JsonCursor root(document);
  check_version(root);
  KnownSteps known;
  std::int64_t values_left = kMostValues;
  for (const JsonCursor& plan : root.at("plans").elements()) {
    const auto place = fmt::format("{}: plans[{}].graph", source, known.plans.size());
    known.plans.push_back(read_step_plan(plan, place, values_left));
  }
  for (const JsonCursor& pin : root.at("pinned").elements()) {
    const JsonCursor signature = pin.at("signature");
    const bool is_new =
        known.pinned.emplace(read_signature(signature), pin.at("why").text()).second;
    if (!is_new) signature.reject("each signature once");
  }
  return known;
}

}  // namespace remat::tape
