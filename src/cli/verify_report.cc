#include "cli/verify_report.h"

#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <torch/version.h>

#include "cli/budget_run.h"
#include "cli/choices.h"
#include "cli/format.h"
#include "report/text_table.h"

namespace remat::cli {
namespace {

using Json = nlohmann::ordered_json;

// The median over the repeats of policy / plain, each pair measured within one repeat: what slows the
// whole machine down for a while slows both.
double paired_ratio(const std::vector<std::int64_t>& policy,
                    const std::vector<std::int64_t>& plain) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < policy.size(); ++i) {
    ratios.push_back(static_cast<double>(policy[i]) / static_cast<double>(plain[i]));
  }
  return median(ratios);
}

std::string resident_text(const Measurement& measured) {
  return measured.resident ? measured.resident->to_string() : "-";
}

Json resident_json(const Measurement& measured) {
  return measured.resident ? Json(measured.resident->count()) : Json();
}

std::string what_was_run(const Verification& verification, const VerifyOptions& options,
                         std::int64_t parameters) {
  const auto& run = options.run;
  return fmt::format(
      "{}\n{:.2f} M parameters; batch {} x {} bytes; {} on {}\n"
      "LibTorch {}, BLAS {}, {} threads, {} interleaved repeats; times are medians\n",
      run.model.to_string(), static_cast<double>(parameters) * 1e-6, run.batch, run.model.seq,
      name_of(kPrecisions, run.precision), run.device.str(), TORCH_VERSION, verification.blas,
      verification.threads, options.repeat);
}

std::vector<std::string> plain_row(const Verification& verification) {
  const auto& plain = verification.plain;
  return {"plain",
          plain.peak.to_string(),
          resident_text(plain),
          (plain.peak - verification.fixed).to_string(),
          "1.00",
          format_duration_ns(median_ns(plain.step_ns)),
          "1.00",
          "1.00",
          "0",
          ""};
}

std::vector<std::string> policy_row(const PolicyRun& run, const Verification& verification) {
  const auto& [plain, measured] = std::tie(run.plain, run.measured);
  const auto activations = measured.peak - verification.fixed;
  const auto plain_activations = verification.plain.peak - verification.fixed;
  return {run.policy.to_string(),
          measured.peak.to_string(),
          resident_text(measured),
          activations.to_string(),
          fmt::format("{:.2f}", static_cast<double>(activations.count()) /
                                    static_cast<double>(plain_activations.count())),
          format_duration_ns(median_ns(measured.step_ns)),
          fmt::format("{:.2f}", paired_ratio(measured.step_ns, plain.step_ns)),
          fmt::format("{:.2f}", paired_ratio(measured.forward_ns, plain.forward_ns)),
          run.budget ? fmt::format("{} ops", run.budget->replays)
                     : std::to_string(measured.recomputed_calls),
          run.identical() ? "yes" : "NO"};
}

// A line for each budget.
std::string plans_text(const Verification& verification) {
  std::string text;
  for (const auto& run : verification.runs) {
    if (!run.budget) continue;
    text += fmt::format(
        "{} is {}: plan of {} at its peak, {:.1f} % slower, no plan less than {:.1f} %\n",
        run.policy.to_string(), run.budget->memory.to_string(),
        run.budget->predicted_peak.to_string(), predicted_overhead_percent(*run.budget),
        lower_bound_overhead_percent(*run.budget));
  }
  return text;
}

std::string verdict(const Verification& verification) {
  std::string text;
  for (const auto& run : verification.runs) {
    if (run.within_budget()) continue;
    text += fmt::format("EXCEEDS its budget of {} bytes: {}, {} at its peak\n",
                        run.budget->memory.count(), run.policy.to_string(),
                        run.budget->tracked_peak.count());
  }
  if (verification.identical()) {
    return text +
           "identical: loss, gradients, buffers and stepped parameters equal plain's, bit for bit\n";
  }
  for (const auto& run : verification.runs) {
    if (run.identical()) continue;
    text +=
        fmt::format("DIFFERS from plain under {}:{}{}{}\n", run.policy.to_string(),
                    run.loss_identical ? "" : " loss", run.gradients_identical ? "" : " gradients",
                    run.buffers_identical ? "" : " buffers");
  }
  return text;
}

Json json_of(const PolicyRun& run) {
  Json json = {{"policy", run.policy.to_string()},
               {"peak_bytes", run.measured.peak.count()},
               {"rss_peak_bytes", resident_json(run.measured)},
               {"step_ns", median_ns(run.measured.step_ns)},
               {"forward_ns", median_ns(run.measured.forward_ns)},
               {"gradients_identical", run.gradients_identical},
               {"buffers_identical", run.buffers_identical},
               {"loss_identical", run.loss_identical},
               {"recomputed_calls", run.measured.recomputed_calls}};
  if (run.budget) {
    json["budget_bytes"] = run.budget->memory.count();
    json["predicted_peak_bytes"] = run.budget->predicted_peak.count();
    json["lower_bound_overhead_percent"] = lower_bound_overhead_percent(*run.budget);
  }
  return json;
}

}  // namespace

std::string json_report(const Verification& verification) {
  const auto& plain = verification.plain;
  Json report;
  report["threads"] = verification.threads;
  report["blas"] = verification.blas;
  report["plain"] = {{"peak_bytes", plain.peak.count()},
                     {"rss_peak_bytes", resident_json(plain)},
                     {"fixed_bytes", verification.fixed.count()},
                     {"step_ns", median_ns(plain.step_ns)},
                     {"forward_ns", median_ns(plain.forward_ns)}};
  report["runs"] = Json::array();
  for (const auto& run : verification.runs) report["runs"].push_back(json_of(run));
  return report.dump(2) + "\n";
}

std::string text_report(const Verification& verification, const VerifyOptions& options,
                        std::int64_t parameters) {
  const auto right = report::TextTable::Align::kRight;
  report::TextTable table({{"policy"},
                           {"peak", right},
                           {"resident", right},
                           {"activations", right},
                           {"ratio", right},
                           {"step", right},
                           {"ratio", right},
                           {"forward", right},
                           {"recomputed", right},
                           {"identical"}});
  table.add_row(plain_row(verification));
  for (const auto& run : verification.runs) table.add_row(policy_row(run, verification));
  return fmt::format(
      "{}\n{}\n"
      "resident: growth of a process of its own, from before the model to its peak\n"
      "activations: peak less the {} live before the forward; ratios are to plain, forward is one\n"
      "of forward times; recomputed: calls of a block in one step; ops: single operators\n{}{}",
      what_was_run(verification, options, parameters), table.to_string(),
      verification.fixed.to_string(), plans_text(verification), verdict(verification));
}

}  // namespace remat::cli
