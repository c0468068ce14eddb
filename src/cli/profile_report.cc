#include "cli/profile_report.h"

#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/format.h"
#include "plan/step_profile.h"
#include "report/text_table.h"

namespace remat::cli {
namespace {

using Json = nlohmann::ordered_json;
using plan::ProfileGroup;
using plan::StepProfile;
using std::chrono::nanoseconds;

constexpr std::size_t kShownKinds = 12;
constexpr auto kRight = report::TextTable::Align::kRight;

double overhead_percent(const std::vector<std::int64_t>& times,
                        const std::vector<std::int64_t>& plain) {
  return 100.0 *
         (static_cast<double>(median_ns(times)) / static_cast<double>(median_ns(plain)) - 1);
}

std::string layer_name(const std::string& name) { return name.empty() ? "(none)" : name; }

std::vector<std::string> row_of(const ProfileGroup& group, const std::string& name,
                                nanoseconds of) {
  const auto share = of.count() == 0 ? 0
                                     : 100.0 * static_cast<double>(group.time().count()) /
                                           static_cast<double>(of.count());
  return {name,
          std::to_string(group.ops),
          format_duration_ns(group.forward.count()),
          format_duration_ns(group.backward.count()),
          fmt::format("{:.1f} %", share),
          group.kept.to_string(),
          group.workspace.to_string()};
}

report::TextTable table(const std::string& of_what) {
  return report::TextTable({{of_what},
                            {"ops", kRight},
                            {"forward", kRight},
                            {"backward", kRight},
                            {"time", kRight},
                            {"kept", kRight},
                            {"workspace", kRight}},
                           kTerminalWidth);
}

std::string layer_table(const StepProfile& profile) {
  auto layers = table("layer");
  for (const auto& layer : profile.layers) {
    layers.add_row(row_of(layer, layer_name(layer.name), profile.all.time()));
  }
  layers.add_row(row_of(profile.all, "all", profile.all.time()));
  return layers.to_string();
}

std::string kind_table(const StepProfile& profile) {
  auto kinds = table("operator");
  const auto shown = std::min(profile.kinds.size(), kShownKinds);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& kind = profile.kinds[i];
    kinds.add_row(row_of(kind, short_op_name(kind.name), profile.all.time()));
  }
  if (shown == profile.kinds.size()) return kinds.to_string();
  nanoseconds rest{0};
  for (std::size_t i = shown; i < profile.kinds.size(); ++i) rest += profile.kinds[i].time();
  return fmt::format("{}and {} more in {}\n", kinds.to_string(), profile.kinds.size() - shown,
                     format_duration_ns(rest.count()));
}

Json json_of(const std::vector<ProfileGroup>& groups) {
  auto list = Json::array();
  for (const auto& group : groups) {
    list.push_back({{"name", group.name},
                    {"ops", group.ops},
                    {"forward_ns", group.forward.count()},
                    {"backward_ns", group.backward.count()},
                    {"values", group.values},
                    {"kept_bytes", group.kept.count()},
                    {"workspace_bytes", group.workspace.count()}});
  }
  return list;
}

}  // namespace

std::string json_report(const ProfiledStep& step) {
  const auto profile = plan::profile(step.graph);
  const Json report = {
      {"graph", step.graph.name},
      {"ops", step.graph.ops.size()},
      {"values", step.graph.values.size()},
      {"step_ns", median_ns(step.plain_ns)},
      {"ops_ns", profile.all.time().count()},
      {"plain_peak_bytes", profile.peak.count()},
      {"tracked_peak_bytes", step.tracked_peak.count()},
      {"fixed_bytes", step.graph.fixed.count()},
      {"kept_bytes", profile.all.kept.count()},
      {"recorded_overhead_percent", overhead_percent(step.recorded_ns, step.plain_ns)},
      {"followed_overhead_percent", overhead_percent(step.followed_ns, step.plain_ns)},
      {"layers", json_of(profile.layers)},
      {"operators", json_of(profile.kinds)}};
  return report.dump(2) + "\n";
}

std::string text_report(const ProfiledStep& step, const ProfileOptions& options) {
  const auto profile = plan::profile(step.graph);
  const auto next = options.out.empty()
                        ? std::string("--out graph.json writes the step for `remat plan`\n")
                        : fmt::format("{}: for `remat plan`\n", printable(options.out));
  return fmt::format(
      "{}\n"
      "step        {} in the plain step, {} of it in {} operators\n"
      "memory      {} at the peak, {} tracked\n"
      "            {} fixed, {} kept for backward\n"
      "tape        {:+.1f} % for a step that it records, {:+.1f} % for one that it knows\n\n"
      "{}\n{}\n"
      "kept: what forward made and backward finds; workspace: the most that one op\n"
      "takes beside what it reads and writes; no_grad: the optimizer's step\n{}",
      options.run.model.to_string(), format_duration_ns(median_ns(step.plain_ns)),
      format_duration_ns(profile.all.time().count()), step.graph.ops.size(),
      profile.peak.to_string(), step.tracked_peak.to_string(), step.graph.fixed.to_string(),
      profile.all.kept.to_string(), overhead_percent(step.recorded_ns, step.plain_ns),
      overhead_percent(step.followed_ns, step.plain_ns), layer_table(profile), kind_table(profile),
      next);
}

}  // namespace remat::cli
