#include "cli/largest_fit.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace remat::cli {
namespace {

using Peak = std::function<std::int64_t(std::int64_t)>;

struct Found {
  LargestFit fit;
  Bytes largest_tried;
};

Found fit_of(std::int64_t limit, std::int64_t memory, const Peak& peak) {
  Found found;
  found.fit = largest_fit(limit, Bytes(memory), [&](std::int64_t size) -> std::optional<Bytes> {
    EXPECT_GE(size, 1);
    EXPECT_LE(size, limit);
    const Bytes bytes(peak(size));
    found.largest_tried = std::max(found.largest_tried, bytes);
    return bytes;
  });
  return found;
}

std::int64_t brute_force(std::int64_t limit, std::int64_t memory, const Peak& peak) {
  std::int64_t size = 0;
  while (size < limit && peak(size + 1) <= memory) ++size;
  return size;
}

const std::vector<std::pair<const char*, Peak>>& shapes() {
  static const std::vector<std::pair<const char*, Peak>> all = {
      {"linear", [](std::int64_t n) { return 1000 + 37 * n; }},
      {"square", [](std::int64_t n) { return 1000 + 10 * n + 3 * n * n; }},
      {"pure square", [](std::int64_t n) { return n * n; }},
      {"root", [](std::int64_t n) { return static_cast<std::int64_t>(100 * std::sqrt(n)); }},
      {"steps", [](std::int64_t n) { return 64 * ((n + 6) / 7); }},
      {"flat, then steep", [](std::int64_t n) { return n < 90 ? 500 : 500 + 1000 * (n - 89); }},
      {"constant", [](std::int64_t) { return 1500; }}};
  return all;
}

TEST(LargestFit, IsWhatTryingEverySizeFinds) {
  std::mt19937 random(1);
  for (const auto& [name, peak] : shapes()) {
    for (int i = 0; i < 300; ++i) {
      const std::int64_t limit = 1 + random() % 700;
      const std::int64_t memory = random() % 30'000;
      SCOPED_TRACE(testing::Message() << name << ", limit " << limit << ", memory " << memory);
      const auto [fit, tried] = fit_of(limit, memory, peak);
      ASSERT_EQ(fit.size, brute_force(limit, memory, peak));
      ASSERT_EQ(fit.at_limit, fit.size == limit);
      ASSERT_EQ(*fit.peak, Bytes(peak(std::max<std::int64_t>(fit.size, 1))));
      const bool has_next = fit.size > 0 && fit.size < limit;
      ASSERT_EQ(fit.next_peak.has_value(), has_next);
      if (has_next) {
        ASSERT_EQ(*fit.next_peak, Bytes(peak(fit.size + 1)));
      }
      // Each halving may take two tries.
      ASSERT_LE(fit.tries, 3 + 2 * std::log2(limit) + 2 * std::log2(limit));
    }
  }
}

TEST(LargestFit, TriesLittleMoreThanTheMemory) {
  for (const std::int64_t memory : {5'000, 100'000, 77'777'777}) {
    EXPECT_LE(fit_of(1 << 30, memory, shapes()[0].second).largest_tried, Bytes(memory * 11 / 10));
    for (const int square : {1, 2}) {
      const auto tried = fit_of(1 << 30, memory, shapes()[square].second).largest_tried;
      EXPECT_LE(tried, Bytes(memory * 8 / 5)) << square;
    }
  }
}

TEST(LargestFit, NeedsFewTriesWherePeaksAreLinear) {
  const auto [fit, tried] = fit_of(1 << 30, 1'000'000, shapes()[0].second);
  EXPECT_EQ(fit.size, (1'000'000 - 1000) / 37);  // about 2^14.7
  EXPECT_LE(fit.tries, 20);
}

TEST(LargestFit, TakesWhatCannotBeHadForTooLarge) {
  const auto fit = largest_fit(1000, Bytes(1 << 20), [](std::int64_t size) {
    return size > 77 ? std::nullopt : std::optional(Bytes(size));
  });
  EXPECT_EQ(fit.size, 77);
  EXPECT_FALSE(fit.next_peak.has_value());
  EXPECT_FALSE(fit.at_limit);
  const auto none = largest_fit(10, Bytes(1), [](std::int64_t) { return std::optional<Bytes>(); });
  EXPECT_EQ(none.size, 0);
  EXPECT_FALSE(none.peak.has_value());
}

}  // namespace
}  // namespace remat::cli
