#include "region_overhead/comparison.h"

#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "common/machine.h"
#include "common/statistics.h"
#include "report/text_table.h"

namespace remat::benchmarks {
namespace {

using report::TextTable;

TextTable empty_table() {
  const auto right = TextTable::Align::kRight;
  return TextTable({{"chain"},
                    {"ops", right},
                    {"saved", right},
                    {"plain ns/op", right},
                    {"region ns/op", right},
                    {"difference", right},
                    {"of minima", right},
                    {"ratio", right},
                    {"spread", right},
                    {"runs", right}});
}

std::vector<std::string> row(const Chain& chain, const std::vector<double>& plain_ns,
                             const std::vector<double>& region_ns) {
  const auto least = [](const auto& values) {
    return *std::min_element(values.begin(), values.end());
  };
  const double plain = median(plain_ns);
  const double region = median(region_ns);
  const auto ops = static_cast<double>(chain.length());
  return {chain.name(),
          fmt::format("{}", chain.length()),
          fmt::format("{}", chain.saved_tensors()),
          fmt::format("{:.0f}", plain / ops),
          fmt::format("{:.0f}", region / ops),
          fmt::format("{:.0f}", (region - plain) / ops),
          fmt::format("{:.0f}", (least(region_ns) - least(plain_ns)) / ops),
          fmt::format("{:.2f}", region / plain),
          fmt::format("±{:.1f} %", 100 * std::max(spread(plain_ns), spread(region_ns))),
          fmt::format("{}", std::min(plain_ns.size(), region_ns.size()))};
}

}  // namespace

bool Comparison::ReportContext(const Context& /*context*/) {
  GetOutputStream() << describe_machine() << "\n\n";
  return true;
}

void Comparison::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type == Run::RT_Iteration) {
      forward_ns_[run.run_name.function_name].push_back(run.GetAdjustedRealTime());
    }
  }
}

void Comparison::Finalize() {
  TextTable table = empty_table();
  for (const Chain& chain : chains_) {
    const auto plain = forward_ns_.find(title("plain", chain));
    const auto region = forward_ns_.find(title("region", chain));
    if (plain != forward_ns_.end() && region != forward_ns_.end()) {  // else filtered out
      table.add_row(row(chain, plain->second, region->second));
    }
  }
  GetOutputStream() << table.to_string();
}

}  // namespace remat::benchmarks
