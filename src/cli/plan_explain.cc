#include "cli/plan_explain.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/format.h"
#include "plan/time_bound.h"
#include "report/text_table.h"

namespace remat::cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

constexpr Bytes kGiB(std::int64_t{1} << 30);
constexpr std::int64_t kStepsToPlain = 4;
constexpr std::size_t kShownGroups = 8;
constexpr std::size_t kNameWidth = 60;  // in a sentence
constexpr auto kRight = report::TextTable::Align::kRight;

// "180 ms/GiB"
std::string price(nanoseconds time, Bytes bytes) {
  if (bytes <= Bytes()) return "-";
  const auto per_gib = static_cast<double>(time.count()) * static_cast<double>(kGiB.count()) /
                       static_cast<double>(bytes.count());
  if (per_gib >= 1e18) return "-";
  return format_duration_ns(std::llround(per_gib)) + "/GiB";
}

std::string in_percent(nanoseconds time, nanoseconds of) {
  const auto share =
      of.count() == 0 ? 0 : static_cast<double>(time.count()) / static_cast<double>(of.count());
  return fmt::format("{:.2f} %", 100 * share);
}

std::string in_sentence(const std::string& op) {
  return shortened(printable(short_op_name(op)), kNameWidth);
}

// The first groups by `row`, and how many more there are.
template <class Group, class Row>
std::string table_of(const std::vector<report::TextTable::Column>& columns,
                     const std::vector<Group>& groups, Row row) {
  report::TextTable table(columns, kTerminalWidth);
  const auto shown = std::min(groups.size(), kShownGroups);
  for (std::size_t i = 0; i < shown; ++i) table.add_row(row(groups[i]));
  if (shown == groups.size()) return table.to_string();
  Bytes rest;
  for (std::size_t i = shown; i < groups.size(); ++i) rest += groups[i].bytes;
  return fmt::format("{}and {} more with {}\n", table.to_string(), groups.size() - shown,
                     rest.to_string());
}

std::string kept_text(const plan::Explanation& plan) {
  Bytes bytes;
  for (const auto& group : plan.kept) bytes += group.bytes;
  if (plan.kept.empty()) return "kept for backward: nothing\n";
  const auto row = [](const plan::KeptGroup& group) -> std::vector<std::string> {
    const auto droppable = group.bytes - group.pinned;
    return {short_op_name(group.made_by), std::to_string(group.values), group.bytes.to_string(),
            droppable == Bytes() ? "cannot be" : price(group.replay_time, droppable)};
  };
  return fmt::format(
      "kept for backward: {}\n\n{}", bytes.to_string(),
      table_of({{"made by"}, {"values", kRight}, {"bytes", kRight}, {"if replayed", kRight}},
               plan.kept, row));
}

std::string replayed_text(const plan::Explanation& plan) {
  if (plan.replayed.empty()) return "dropped and replayed: nothing\n";
  Bytes bytes;
  nanoseconds time{0};
  for (const auto& group : plan.replayed) {
    bytes += group.bytes;
    time += group.time;
  }
  const auto row = [](const plan::ReplayedGroup& group) -> std::vector<std::string> {
    return {short_op_name(group.made_by),
            std::to_string(group.values),
            group.bytes.to_string(),
            std::to_string(group.replays),
            format_duration_ns(group.time.count()),
            price(group.time, group.bytes)};
  };
  return fmt::format("dropped and replayed: {} in {}\n\n{}", bytes.to_string(),
                     format_duration_ns(time.count()),
                     table_of({{"made by"},
                               {"values", kRight},
                               {"bytes", kRight},
                               {"replays", kRight},
                               {"time", kRight},
                               {"price", kRight}},
                              plan.replayed, row));
}

std::string binding_text(const plan::BindingMoment& moment, Bytes budget) {
  const auto when = moment.op.empty() ? std::string("before the first op")
                                      : fmt::format("as {} runs in {}{}", in_sentence(moment.op),
                                                    moment.backward ? "backward" : "forward",
                                                    moment.replay ? ", again" : "");
  const auto row = [](const plan::LiveGroup& group) -> std::vector<std::string> {
    return {short_op_name(group.what), group.values == 0 ? "" : std::to_string(group.values),
            group.bytes.to_string()};
  };
  return fmt::format(
      "{}\n\n{}",
      wrapped(fmt::format("binding moment: {}, with {} of {}", when, moment.live.to_string(),
                          budget.to_string())),
      table_of({{"live then"}, {"values", kRight}, {"bytes", kRight}}, moment.groups, row));
}

std::string bound_text(const std::optional<BoundMoment>& bound, const PlannedStep& step) {
  if (!bound) return "";
  return wrapped(fmt::format(
             "why no plan has less than {} overhead: as {} (op {}) first runs, the plain step has {}, "
             "of which every plan has {}",
             in_percent(step.lower_bound_time - step.plain_time, step.plain_time),
             in_sentence(bound->op), bound->op_id, bound->plain.to_string(),
             bound->in_every_plan.to_string())) +
         "\n";
}

std::string next_text(const std::optional<NextBytes>& next, nanoseconds plain_time) {
  if (!next) return "";
  return wrapped(fmt::format("the next {}: {} less overhead, {} (a search from this plan on)",
                             next->bytes.to_string(), in_percent(next->saved, plain_time),
                             price(next->saved, next->bytes))) +
         "\n";
}

Json json_of(const plan::BindingMoment& moment) {
  Json live = Json::array();
  for (const auto& group : moment.groups) {
    live.push_back(
        {{"what", group.what}, {"values", group.values}, {"bytes", group.bytes.count()}});
  }
  return {{"op", moment.op},
          {"phase", moment.backward ? "backward" : "forward"},
          {"replay", moment.replay},
          {"live_bytes", moment.live.count()},
          {"live", live}};
}

std::optional<BoundMoment> bound_moment(const OpGraph& graph, Bytes budget) {
  const auto bound = plan::time_bound(graph, budget);
  if (!bound.binding_op) return std::nullopt;
  const auto is_it = [&](const GraphOp& op) { return op.id == *bound.binding_op; };
  const auto op = std::find_if(graph.ops.begin(), graph.ops.end(), is_it);
  return BoundMoment{static_cast<std::int64_t>(op->id), op->name, bound.plain, bound.in_use};
}

}  // namespace

std::optional<NextBytes> price_of_next_bytes(const StepPlanner& planner, const PlannedStep& step) {
  const auto gap = step.plain_peak - step.budget;
  if (gap <= Bytes() || !planner.searches()) return std::nullopt;
  NextBytes next;
  next.bytes = gap >= kGiB ? kGiB : std::max(gap / kStepsToPlain, Bytes(1));
  const auto then = planner.plan(step.budget + next.bytes, &step.plan);
  next.saved = step.predicted_time - then.predicted_time;
  return next;
}

PlanExplanation explain(const PlanInput& input, const StepPlanner& planner,
                        const PlannedStep& step) {
  PlanExplanation explanation;
  if (const auto* graph = std::get_if<OpGraph>(&input)) {
    explanation.plan = plan::explain(*graph, std::get<Plan>(step.plan));
    explanation.bound = bound_moment(*graph, step.budget);
  } else {
    explanation.plan = plan::explain(std::get<Chain>(input), std::get<ChainPlan>(step.plan));
  }
  explanation.next = price_of_next_bytes(planner, step);
  return explanation;
}

Json json_of(const PlanExplanation& explanation) {
  Json kept = Json::array();
  for (const auto& group : explanation.plan.kept) {
    kept.push_back({{"made_by", group.made_by},
                    {"values", group.values},
                    {"bytes", group.bytes.count()},
                    {"pinned_bytes", group.pinned.count()},
                    {"replay_ns", group.replay_time.count()}});
  }
  Json replayed = Json::array();
  for (const auto& group : explanation.plan.replayed) {
    replayed.push_back({{"made_by", group.made_by},
                        {"values", group.values},
                        {"bytes", group.bytes.count()},
                        {"replays", group.replays},
                        {"time_ns", group.time.count()}});
  }
  Json json = {{"kept", kept},
               {"replayed", replayed},
               {"binding_moment", json_of(explanation.plan.binding)}};
  if (explanation.bound) {
    json["bound"] = {{"op_id", explanation.bound->op_id},
                     {"plain_bytes", explanation.bound->plain.count()},
                     {"in_every_plan_bytes", explanation.bound->in_every_plan.count()}};
  }
  if (explanation.next) {
    json["next"] = {{"bytes", explanation.next->bytes.count()},
                    {"saved_ns", explanation.next->saved.count()}};
  }
  return json;
}

std::string text_of(const PlanExplanation& explanation, const PlannedStep& step) {
  return fmt::format(
      "\n{}\n{}\n"
      "price: the time that dropping a GiB of these costs; if replayed: would cost, one\n"
      "more run of each op counted, and not what that needs made again\n\n{}\n{}{}",
      kept_text(explanation.plan), replayed_text(explanation.plan),
      binding_text(explanation.plan.binding, step.budget), bound_text(explanation.bound, step),
      next_text(explanation.next, step.plain_time));
}

}  // namespace remat::cli
