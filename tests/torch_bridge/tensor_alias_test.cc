#include "torch_bridge/tensor_alias.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

TEST(DetachedAlias, SharesDataAndVersionButNotHistory) {
  const auto x = torch::ones({3}, torch::requires_grad());
  auto y = x * 2;
  const at::Tensor alias = detached_alias(y);
  EXPECT_EQ(alias.data_ptr(), y.data_ptr());
  EXPECT_EQ(alias.grad_fn(), nullptr);
  EXPECT_FALSE(alias.requires_grad());
  y.add_(1);
  EXPECT_EQ(alias._version(), y._version());
}

TEST(StorageOf, IsNullForTensorsWithoutStorage) {
  EXPECT_EQ(storage_of(at::Tensor()), nullptr);
  EXPECT_EQ(storage_of(torch::eye(3).to_sparse()), nullptr);
  const auto x = torch::ones({3});
  EXPECT_EQ(storage_of(x), storage_of(x.view({1, 3})));
}

TEST(CopyOfStorage, CopiesWhatAViewDoesNotShow) {
  const auto whole = torch::arange(6, torch::kFloat);
  const at::Tensor copy = copy_of_storage(whole.narrow(0, 2, 1));
  const at::Tensor view = view_of_bytes(copy, whole, whole.requires_grad());
  whole.zero_();
  EXPECT_TRUE(torch::equal(view, torch::arange(6, torch::kFloat)));
}

TEST(ViewOfBytes, HasTheOtherTensorsGeometry) {
  const auto whole = torch::arange(12, torch::kDouble);
  const auto like = whole.view({3, 4}).t().narrow(0, 1, 2);
  const at::Tensor view = view_of_bytes(copy_of_storage(like), like, like.requires_grad());
  EXPECT_EQ(view.strides(), like.strides());
  EXPECT_EQ(view.storage_offset(), like.storage_offset());
  EXPECT_TRUE(torch::equal(view, like));
}

TEST(ViewOfBytes, KeepsTheConjugateBit) {
  const auto like = torch::randn({3}, torch::kComplexFloat).conj();
  const at::Tensor view = view_of_bytes(copy_of_storage(like), like, like.requires_grad());
  EXPECT_TRUE(view.is_conj());
  EXPECT_TRUE(torch::equal(view.resolve_conj(), like.resolve_conj()));
}

TEST(ViewOfBytes, MayBeWrittenInPlaceWhenTheOtherRequiresGrad) {
  const auto like = torch::ones({3}, torch::requires_grad());
  at::Tensor view = view_of_bytes(copy_of_storage(like), like, like.requires_grad());
  EXPECT_TRUE(view.requires_grad());
  EXPECT_FALSE(view.is_leaf());
  EXPECT_NO_THROW(view.mul_(2));
}

TEST(ViewOfBytes, CountsVersionsWithItsBytes) {
  const auto like = torch::ones({3});
  const at::Tensor bytes = copy_of_storage(like);
  at::Tensor one = view_of_bytes(bytes, like, like.requires_grad());
  const at::Tensor other = view_of_bytes(bytes, like, like.requires_grad());
  one.add_(1);
  EXPECT_EQ(other._version(), one._version());
}

TEST(WeakTensor, IsUndefinedOnceTheTensorHasDied) {
  auto x = torch::ones({3});
  const WeakTensor weak(x);
  EXPECT_TRUE(weak.lock().is_same(x));
  x = at::Tensor();
  EXPECT_FALSE(weak.lock().defined());
  EXPECT_FALSE(WeakTensor().lock().defined());
}

}  // namespace
}  // namespace remat::torch_bridge
