// Numbers that summarise repeated measurements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace remat::benchmarks {

/// The value below which `fraction` of the values lie, between the two nearest in proportion.
inline double quantile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double position = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
}

inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

/// Half the distance of the quartiles, relative to the median.
inline double spread(const std::vector<double>& values) {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / median(values);
}

}  // namespace remat::benchmarks
