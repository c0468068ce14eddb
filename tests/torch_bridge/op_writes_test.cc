#include "torch_bridge/op_writes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

c10::OperatorHandle find_op(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

std::vector<std::uint32_t> written(const c10::OperatorHandle& op,
                                   const std::vector<c10::IValue>& arguments) {
  std::vector<std::uint32_t> indices;
  for_each_written_argument(writes_of(op), arguments, [&](auto i) { indices.push_back(i); });
  return indices;
}

std::vector<c10::IValue> batch_norm_arguments(bool training) {
  return {at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(),
          at::Tensor(), training,     0.1,          1e-5};
}

TEST(OpWrites, PureOperatorsWriteNothing) {
  EXPECT_FALSE(writes_of(find_op("aten::add", "Tensor")).any());
  EXPECT_FALSE(writes_of(find_op("aten::mm")).any());
}

TEST(OpWrites, InPlaceOperatorsWriteTheirSelf) {
  EXPECT_THAT(writes_of(find_op("aten::add_", "Tensor")).declared, ElementsAre(0));
}

TEST(OpWrites, OutOperatorsWriteEveryOutArgument) {
  const auto op = find_op("aten::max", "dim_max");
  const auto& arguments = op.schema().arguments();
  const auto last = static_cast<std::uint32_t>(arguments.size() - 1);
  EXPECT_THAT(writes_of(op).declared, ElementsAre(last - 1, last));
}

TEST(OpWrites, ListsOfTensorsAreWritten) {
  EXPECT_THAT(writes_of(find_op("aten::_foreach_add_", "Scalar")).declared, ElementsAre(0));
}

TEST(OpWrites, BatchNormWritesItsStatisticsInTrainingOnly) {
  const auto op = find_op("aten::native_batch_norm");
  EXPECT_THAT(written(op, batch_norm_arguments(true)), ElementsAre(3, 4));
  EXPECT_THAT(written(op, batch_norm_arguments(false)), IsEmpty());
}

TEST(OpWrites, RreluWritesItsNoiseDeclaredOrNot) {
  const auto op = find_op("aten::rrelu_with_noise");
  const OpWrites& writes = writes_of(op);
  EXPECT_EQ(writes.declared.size() + writes.hidden.size(), 1u);
}

// The table speaks of real operators: what BatchNorm writes is really written and not declared.
TEST(OpWrites, BatchNormReallyWritesWithoutMovingTheVersion) {
  auto mean = torch::zeros({2});
  auto variance = torch::ones({2});
  const auto version = mean._version();
  at::native_batch_norm(torch::randn({4, 2}), {}, {}, mean, variance, true, 0.1, 1e-5);
  EXPECT_FALSE(torch::equal(mean, torch::zeros({2})));
  EXPECT_EQ(mean._version(), version);
}

}  // namespace
}  // namespace remat::torch_bridge
