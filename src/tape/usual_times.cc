#include "tape/usual_times.h"

#include <algorithm>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>

#include "tape/moment_meter.h"

namespace remat::tape {
namespace {

// Equal operators differ by caches and where they run: twice is common, four times is not.
constexpr std::int64_t kUnusual = 4;
constexpr std::size_t kFewest = 8;

std::uint64_t kind_of(const StepRecord& record, const Op& op) {
  std::uint64_t kind = op.traits->identity;
  const auto add = [&](ViewIndex index) {
    const torch_bridge::StorageView view = record.view(index);
    kind = mixed(kind, static_cast<std::uint64_t>(view.dtype));
    for (const std::int64_t size : view.sizes) kind = mixed(kind, size);
    for (const std::int64_t stride : view.strides) kind = mixed(kind, stride);
  };
  for (std::int32_t i = op.arguments.begin; i < op.arguments.end; ++i) {
    if (record.arguments[i].value != ValueIndex::kNone) add(record.arguments[i].view);
  }
  for (std::int32_t i = op.outputs.begin; i < op.outputs.end; ++i) add(record.outputs[i].view);
  return kind;
}

std::uint64_t kind_of(const StepRecord& record, const Moment& moment) {
  if (moment.op != OpIndex::kNone) return kind_of(record, record.ops[moment.op]);
  std::uint64_t kind = moment.in_pass ? 1 : 0;
  if (moment.node >= 0) kind = mixed(kind, std::hash<std::string>()(record.nodes[moment.node]));
  for (std::int32_t i = moment.asked.begin; i < moment.asked.end; ++i) {
    kind = mixed(kind, static_cast<std::uint64_t>(record.values[record.asked[i]].bytes));
  }
  return kind;
}

std::int64_t median_of(std::vector<std::int64_t> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

std::vector<std::int64_t> usual_times(const std::vector<std::uint64_t>& kinds,
                                      std::vector<std::int64_t> nanoseconds) {
  std::unordered_map<std::uint64_t, std::vector<std::int64_t>> times;
  for (std::size_t i = 0; i < kinds.size(); ++i) times[kinds[i]].push_back(nanoseconds[i]);
  std::unordered_map<std::uint64_t, std::int64_t> medians;
  for (auto& [kind, of_kind] : times) {
    if (of_kind.size() >= kFewest) medians.emplace(kind, median_of(std::move(of_kind)));
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const auto median = medians.find(kinds[i]);
    if (median != medians.end() && nanoseconds[i] > kUnusual * median->second) {
      nanoseconds[i] = median->second;
    }
  }
  return nanoseconds;
}

std::vector<std::int64_t> usual_times(const StepRecord& record) {
  std::vector<std::uint64_t> kinds;
  std::vector<std::int64_t> nanoseconds;
  for (const Moment& moment : record.moments) {
    kinds.push_back(kind_of(record, moment));
    nanoseconds.push_back(moment.nanoseconds);
  }
  return usual_times(kinds, std::move(nanoseconds));
}

}  // namespace remat::tape
