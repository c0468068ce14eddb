// How the program writes what it measured, for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/duration.h"

namespace remat::cli {

/// "0:42", "12:05", "3:07:09": rounded to whole seconds.
std::string format_clock_ns(std::int64_t ns);

/// The middle one, the mean of the middle two of an even number. Not of an empty list.
double median(std::vector<double> values);
std::int64_t median_ns(const std::vector<std::int64_t>& values);

}  // namespace remat::cli
