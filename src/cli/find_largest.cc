#include "cli/find_largest.h"

#include <algorithm>
#include <iostream>
#include <new>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <c10/util/Exception.h>

#include <remat/error.h>

#include "base/check.h"
#include "cli/choices.h"
#include "cli/largest_fit.h"
#include "cli/progress.h"
#include "cli/workload.h"
#include "report/text_table.h"

namespace remat::cli {
namespace {

struct Row {
  Placement policy;
  LargestFit fit;
};

bool is_out_of_memory(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.find("can't allocate memory") != std::string::npos ||
         text.find("out of memory") != std::string::npos;
}

class Finder {
 public:
  Finder(const FindOptions& options, const RunOptions& run) : options_(options), run_(run) {}

  std::vector<Row> find() {
    std::vector<Row> rows;
    for (const auto& policy : options_.policies) {
      rows.push_back({policy, largest_fit(limit(), options_.memory, [&](std::int64_t size) {
                        return peak_of(policy, size);
                      })});
    }
    return rows;
  }

 private:
  std::int64_t limit() const {
    if (*options_.dimension == Dimension::kBatch) return kMaxBatch;
    auto text = models::ByteText::read(run_.text, /*seq=*/1, run_.seed);
    text.hold_out(run_.step.val_fraction);
    return std::min(text.longest_window(), kMaxLength);
  }

  RunOptions at(std::int64_t size) const {
    auto run = run_;
    (*options_.dimension == Dimension::kBatch ? run.batch : run.model.seq) = size;
    return run;
  }

  // Of the second step that the optimizer takes: the first one makes gradients and optimizer state.
  std::optional<Bytes> peak_of(const Placement& policy, std::int64_t size) {
    try {
      Workload workload(at(size));
      const auto batch = workload.next_batch();
      workload.warm_up([&] { return workload.step(batch, policy); });
      const auto peak = workload.step(batch, policy).peak;
      show(policy, size, peak.to_string());
      return peak;
    } catch (const c10::Error& error) {
      if (!is_out_of_memory(error)) throw;
    } catch (const std::bad_alloc&) {
    }
    show(policy, size, "more than there is");
    return std::nullopt;
  }

  void show(const Placement& policy, std::int64_t size, const std::string& peak) {
    if (!progress_.due()) return;
    progress_.show({fmt::format("{}: {} {}", policy.to_string(),
                                name_of(kDimensions, *options_.dimension), size),
                    fmt::format("takes {}", peak)});
  }

  const FindOptions& options_;
  const RunOptions& run_;
  Progress progress_{Progress::Elsewhere::kPlainLines};
};

nlohmann::json bytes_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? nlohmann::json(bytes->count()) : nlohmann::json();
}

std::string json_report(const FindOptions& options, const std::vector<Row>& rows) {
  nlohmann::ordered_json report = {{"find_largest", name_of(kDimensions, *options.dimension)},
                                   {"memory_bytes", options.memory.count()}};
  report["runs"] = nlohmann::ordered_json::array();
  for (const auto& [policy, fit] : rows) {
    report["runs"].push_back({{"policy", policy.to_string()},
                              {"largest", fit.size},
                              {"peak_bytes", bytes_or_null(fit.peak)},
                              {"next_peak_bytes", bytes_or_null(fit.next_peak)},
                              {"at_limit", fit.at_limit},
                              {"tries", fit.tries}});
  }
  return report.dump(2) + "\n";
}

std::string text_of(const std::optional<Bytes>& bytes) {
  return bytes ? bytes->to_string() : "more than there is";
}

std::string text_report(const FindOptions& options, const RunOptions& run,
                        const std::vector<Row>& rows) {
  const auto right = report::TextTable::Align::kRight;
  const auto dimension = name_of(kDimensions, *options.dimension);
  report::TextTable table(
      {{"policy"}, {"largest " + dimension, right}, {"peak", right}, {"one more", right}});
  for (const auto& [policy, fit] : rows) {
    if (fit.size == 0) {
      table.add_row({policy.to_string(), "none", "", text_of(fit.peak)});
    } else {
      table.add_row({policy.to_string(), std::to_string(fit.size), text_of(fit.peak),
                     fit.at_limit ? "not allowed" : text_of(fit.next_peak)});
    }
  }
  const auto other = *options.dimension == Dimension::kBatch ? fmt::format("seq {}", run.model.seq)
                                                             : fmt::format("batch {}", run.batch);
  return fmt::format("{}, {}, {}\n\n{}\npeak: tracked, of a whole training step; at most {}\n",
                     run.model.to_string(), other, name_of(kPrecisions, run.precision),
                     table.to_string(), options.memory.to_string());
}

// What would do, to the byte.
void say_what_would_fit(const FindOptions& options, const std::vector<Row>& rows) {
  const Row* least = nullptr;
  for (const auto& row : rows) {
    if (row.fit.peak && (least == nullptr || *row.fit.peak < *least->fit.peak)) least = &row;
  }
  const auto dimension = name_of(kDimensions, *options.dimension);
  std::cerr << (least == nullptr
                    ? fmt::format("remat train: not even {} 1 can be had on this machine\n",
                                  dimension)
                    : fmt::format("remat train: --memory {}: not even {} 1 fits; the least is "
                                  "--policy {}: give --memory {} or more\n",
                                  options.memory.to_string(), dimension, least->policy.to_string(),
                                  least->fit.peak->count()));
}

}  // namespace

void add_find_flags(CLI::App& verb, FindOptions& options) {
  const auto dimension = [&options](const std::string& text) {
    options.dimension = value_named(kDimensions, text);
    if (!options.dimension) {
      throw CLI::ValidationError(
          "--find-largest", fmt::format("must be {}, not {}", names_of(kDimensions), quote(text)));
    }
  };
  verb.add_option_function<std::string>(
          "--find-largest", dimension,
          "Instead of training: the largest batch or seq that fits into --memory under --policy, or "
          "under each of several")
      ->type_name("NAME")
      ->group("Finding");
}

ExitStatus find_largest(const FindOptions& options, const RunOptions& run) {
  const auto rows = Finder(options, run).find();
  std::cout << (run.json ? json_report(options, rows) : text_report(options, run, rows));
  const bool any =
      std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.fit.size > 0; });
  if (!any) say_what_would_fit(options, rows);
  return any ? kDone : kNoPlanFits;
}

}  // namespace remat::cli
