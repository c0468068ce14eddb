#include "planner_time/measured.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "common/statistics.h"
#include "report/text_table.h"

namespace remat::benchmarks {
namespace {

// A line of /proc/self/status, in KiB; 0 where there is no such file.
double status_kib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double value = 0;
    if (word == key + ":" && status >> value) return value;
  }
  return 0;
}

void reset_resident_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace

Measured measure(Measured what, int runs, const std::function<std::string()>& plan) {
  for (int run = 0; run < runs; ++run) {
    reset_resident_peak();
    const auto before = status_kib("VmRSS");
    const auto start = std::clock();
    what.result = plan();
    what.seconds.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    what.mebibytes = std::max(what.mebibytes, (status_kib("VmHWM") - before) / 1024);
  }
  return what;
}

std::string to_table(const std::vector<Measured>& rows) {
  using report::TextTable;
  constexpr auto kRight = TextTable::Align::kRight;
  TextTable table({{"planner", {}},
                   {"problem", {}},
                   {"size", kRight},
                   {"s", kRight},
                   {"fastest", kRight},
                   {"slowest", kRight},
                   {"MiB", kRight},
                   {"result", {}}});
  for (const auto& row : rows) {
    const auto [fastest, slowest] = std::minmax_element(row.seconds.begin(), row.seconds.end());
    table.add_row({row.planner, row.problem, row.size, fmt::format("{:.3f}", median(row.seconds)),
                   fmt::format("{:.3f}", *fastest), fmt::format("{:.3f}", *slowest),
                   fmt::format("{:.0f}", row.mebibytes), row.result});
  }
  return table.to_string();
}

}  // namespace remat::benchmarks
