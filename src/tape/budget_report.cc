// What a Budget tells of its last step, for people and for programs.
#include <ostream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <remat/budget.h>

#include "base/duration.h"
#include "base/json.h"
#include "base/text.h"

namespace remat {
namespace {

constexpr std::size_t kShownPlans = 8;

double percent_of(std::chrono::nanoseconds time, std::chrono::nanoseconds plain) {
  if (plain.count() == 0) return 0;
  return 100.0 * static_cast<double>(time.count()) / static_cast<double>(plain.count());
}

// ---- for people -----------------------------------------------------------------------------------------

/// Lines that begin with what they are about.
class Lines {
 public:
  void add(const char* about, const std::string& what) {
    text_ += fmt::format("{:<12}{}\n", about, what);
  }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

std::string values_text(const ValueCount& count) {
  return count.values == 0 ? "none"
                           : fmt::format("{} with {}", count.values, count.bytes.to_string());
}

std::string step_text(const BudgetReport& report) {
  return fmt::format("{}, {}{}", report.steps, report.planned ? "by plan" : "without a plan",
                     report.audited ? ", audited" : "");
}

std::string ran_text(const BudgetReport& report) {
  return fmt::format("{} operators; {} again and {} unpacked in {}; {} evicted", report.operators,
                     report.replays, report.unpacks, format_duration_ns(report.replay_time.count()),
                     report.evictions);
}

std::string peak_text(const BudgetReport& report) {
  const auto tracked = fmt::format("{} tracked", report.tracked_peak.to_string());
  if (!report.planned) return tracked;
  return fmt::format("{}, {} predicted; {} in the plain step", tracked,
                     report.predicted_peak.to_string(), report.plain_peak.to_string());
}

std::string growth_text(const BudgetReport& report) {
  return fmt::format("{} tracked, {}, since the budget was made", report.tracked_growth.to_string(),
                     report.resident_growth ? report.resident_growth->to_string() + " resident"
                                            : std::string("resident not known"));
}

std::string time_text(const BudgetReport& report) {
  return fmt::format("{:+.2f} % measured, {:+.2f} % predicted; no plan has less than {:+.2f} %",
                     report.measured_overhead_percent(), report.predicted_overhead_percent(),
                     report.lower_bound_overhead_percent());
}

std::string plan_text(const PlanHistory& plan) {
  const auto measured =
      plan.followed == 0
          ? std::string("not followed")
          : fmt::format("{} measured in {} steps", plan.measured_peak.to_string(), plan.followed);
  return fmt::format("after step {}, {}:\n{:<12}{} predicted, {}", plan.step, plan.why, "",
                     plan.predicted_peak.to_string(), measured);
}

void add_plans(Lines& lines, const std::vector<PlanHistory>& plans) {
  const auto skipped = plans.size() > kShownPlans ? plans.size() - kShownPlans : 0;
  if (skipped > 0) lines.add("plans", fmt::format("{} earlier", skipped));
  for (auto i = skipped; i < plans.size(); ++i) {
    lines.add(i == 0 ? "plans" : "", plan_text(plans[i]));
  }
}

// ---- for programs ---------------------------------------------------------------------------------------

std::string json_of(const ValueCount& count) {
  return fmt::format(R"({{"values": {}, "bytes": {}}})", count.values, count.bytes.count());
}

std::string json_of(const RefusedValues& refused) {
  return fmt::format(R"({{"why": {}, "values": {}, "bytes": {}}})", json_string(refused.why),
                     refused.values, refused.bytes.count());
}

std::string json_of(const PlanHistory& plan) {
  return fmt::format(
      R"({{"step": {}, "why": {}, "budget_bytes": {}, "predicted_peak_bytes": {}, "measured_peak_bytes": {}, "followed": {}}})",
      plan.step, json_string(plan.why), plan.memory.count(), plan.predicted_peak.count(),
      plan.measured_peak.count(), plan.followed);
}

template <class Element, class JsonOf>
std::string list_of(const std::vector<Element>& elements, JsonOf json_of_element) {
  std::vector<std::string> texts;
  for (const Element& element : elements) texts.push_back(json_of_element(element));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string planned_json(const BudgetReport& report) {
  if (!report.planned) return "";
  return fmt::format(
      R"(, "predicted_peak_bytes": {}, "plain_peak_bytes": {}, "plain_ns": {}, )"
      R"("predicted_overhead_percent": {}, "measured_overhead_percent": {}, "lower_bound_overhead_percent": {})",
      report.predicted_peak.count(), report.plain_peak.count(), report.plain_time.count(),
      report.predicted_overhead_percent(), report.measured_overhead_percent(),
      report.lower_bound_overhead_percent());
}

}  // namespace

double BudgetReport::predicted_overhead_percent() const {
  return plain_time.count() == 0 ? 0 : percent_of(predicted_time - plain_time, plain_time);
}

double BudgetReport::measured_overhead_percent() const {
  return percent_of(replay_time, plain_time);
}

double BudgetReport::lower_bound_overhead_percent() const {
  return plain_time.count() == 0 ? 0 : percent_of(lower_bound_time - plain_time, plain_time);
}

std::string to_string(const BudgetReport& report) {
  Lines lines;
  lines.add("budget", fmt::format("{}, {} of it in use as the step began",
                                  report.memory.to_string(), report.fixed.to_string()));
  lines.add("step", step_text(report));
  lines.add("ran", ran_text(report));
  lines.add("peak", peak_text(report));
  lines.add("growth", growth_text(report));
  if (report.planned) lines.add("overhead", time_text(report));
  lines.add("saved", fmt::format("kept {}, packed {}, dropped {}", values_text(report.kept),
                                 values_text(report.packed), values_text(report.dropped)));
  for (const RefusedValues& refused : report.refused) {
    lines.add("refused", fmt::format("{} with {}: {}", refused.values, refused.bytes.to_string(),
                                     refused.why));
  }
  for (const std::string& pinned : report.pinned) lines.add("pinned", printable(pinned));
  for (const std::string& why : report.retried_because) lines.add("retried", why);
  add_plans(lines, report.plans);
  return lines.text();
}

std::ostream& operator<<(std::ostream& stream, const BudgetReport& report) {
  return stream << to_string(report);
}

std::string to_json(const BudgetReport& report) {
  const auto resident =
      report.resident_growth ? std::to_string(report.resident_growth->count()) : "null";
  return fmt::format(
      R"({{"budget_bytes": {}, "fixed_bytes": {}, "tracked_peak_bytes": {}, "planned": {}, "audited": {}, )"
      R"("steps": {}, "operators": {}, "verified": {}, "recorded": {}, "replays": {}, "packs": {}, "unpacks": {}, "evictions": {}, "retries": {}, "replay_ns": {}{}, )"
      R"("tracked_growth_bytes": {}, "resident_growth_bytes": {}, )"
      R"("kept": {}, "packed": {}, "dropped": {}, "refused": {}, "pinned": {}, "retried_because": {}, "plans_made": {}, "plans": {}}})",
      report.memory.count(), report.fixed.count(), report.tracked_peak.count(), report.planned,
      report.audited, report.steps, report.operators, report.verified, report.recorded,
      report.replays, report.packs, report.unpacks, report.evictions, report.retries,
      report.replay_time.count(), planned_json(report), report.tracked_growth.count(), resident,
      json_of(report.kept), json_of(report.packed), json_of(report.dropped),
      list_of(report.refused, [](const RefusedValues& it) { return json_of(it); }),
      list_of(report.pinned, [](const std::string& it) { return json_string(it); }),
      list_of(report.retried_because, [](const std::string& it) { return json_string(it); }),
      report.plans_made, list_of(report.plans, [](const PlanHistory& it) { return json_of(it); }));
}

}  // namespace remat
