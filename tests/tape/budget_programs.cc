#include "tests/tape/budget_programs.h"

#include <gtest/gtest.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "tests/tape/budget_harness.h"
#include "tests/tape/random_program.h"

namespace remat::testing {
namespace {

constexpr std::int64_t kEffort = 5'000;

}  // namespace

bool trains_to_the_same_bits(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  TrainingOptions options;
  options.steps = 4;
  const double share = seed % 2 == 0 ? 0.7 : 0.45;
  const ZooModel program = random_program(seed);
  const Training plain = train(program, options);
  Budget budget({*live_cpu_bytes() + budget_of(plain, share), kEffort});
  try {
    const Training budgeted = train(program, options, [&](const auto& step) {
      Step scope(budget);
      step();
    });
    expect_equal(plain, budgeted);
    return true;
  } catch (const BudgetError&) {
    return false;
  }
}

}  // namespace remat::testing
