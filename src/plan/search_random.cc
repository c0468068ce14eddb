#include "plan/search_random.h"

namespace remat::plan {
namespace {

constexpr double kLog2 = 0.693147180559945309417232;

// -ln(x) for 0 < x <= 1 by additions, multiplications and divisions only: IEEE 754 fixes their results,
// but not those of std::log.
double minus_log(double x) {
  double result = 0;
  for (; x < 0.5; x *= 2) result += kLog2;
  const double y = (1 - x) / (1 + x);  // -ln(x) = 2 artanh(y), y <= 1/3
  double power = y;
  for (int n = 1; n < 40; n += 2, power *= y * y) result += 2 * power / n;
  return result;
}

}  // namespace

SearchRandom::SearchRandom(std::uint64_t seed) : state_((seed + 1) * 0x9E3779B97F4A7C15ULL) {
  for (std::size_t i = 0; i < kResolution; ++i) {
    exponentials_[i] = minus_log((static_cast<double>(i) + 0.5) / kResolution);
  }
  for (int i = 0; i < 8; ++i) next();
}

}  // namespace remat::plan
