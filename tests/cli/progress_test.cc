#include "cli/progress.h"

#include <gtest/gtest.h>

namespace remat::cli {
namespace {

TEST(Progress, DropsTheLastFieldsWhereTheLineIsNarrow) {
  const std::vector<std::string> fields = {"step 1/9", "loss 2.5", "0:42 left"};
  EXPECT_EQ(fit(fields, 80), "step 1/9  loss 2.5  0:42 left");
  EXPECT_EQ(fit(fields, 29), "step 1/9  loss 2.5  0:42 left");
  EXPECT_EQ(fit(fields, 28), "step 1/9  loss 2.5");
  EXPECT_EQ(fit(fields, 17), "step 1/9");
  EXPECT_EQ(fit(fields, 4), "step");
}

}  // namespace
}  // namespace remat::cli
