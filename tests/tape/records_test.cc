#include "tape/records.h"

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::tape {
namespace {

using torch_bridge::StorageView;

class ViewsOfASlot : public ::testing::Test {
 protected:
  ViewIndex add(const StorageView& met) { return record.add_view(slot, met); }

  const at::Tensor tensor = torch::ones({8});
  StepRecord record;
  const SlotIndex slot = record.find_or_add(tensor.storage()).first;
  const std::vector<std::int64_t> sizes = {2, 3}, strides = {4, 1};
  const StorageView view = {sizes, strides, 1, c10::kFloat, false, false};
};

bool is_same(const StorageView& a, const StorageView& b) {
  return a.sizes == b.sizes && a.strides == b.strides && a.offset == b.offset &&
         a.dtype == b.dtype && a.conjugate == b.conjugate && a.negative == b.negative;
}

// Breaks if: a view that differs in anything is taken for the one met before on its storage.
TEST_F(ViewsOfASlot, AreToldApartByAllThatTheyAre) {
  const std::vector<std::int64_t> other = {2, 2}, longer = {2, 3, 1};
  std::vector<StorageView> others(8, view);
  others[0].sizes = other;
  others[1].strides = other;
  others[2].offset = 0;
  others[3].dtype = c10::kInt;
  others[4].conjugate = true;
  others[5].negative = true;
  others[6].sizes = others[6].strides = longer;
  others[7].sizes = others[7].strides = c10::IntArrayRef();
  for (const StorageView& changed : others) {
    const ViewIndex first = add(view), second = add(changed);
    EXPECT_TRUE(is_same(record.view(first), view));
    EXPECT_TRUE(is_same(record.view(second), changed));
  }
}

// Breaks if: signatures, and with them plans, do not tell sizes, strides, places or dtypes apart.
TEST_F(ViewsOfASlot, HaveSignaturesOfTheirNumbers) {
  const std::vector<std::int64_t> swapped = {3, 2}, wider = {5, 1};
  std::vector<StorageView> others(4, view);
  others[0].sizes = swapped;
  others[1].strides = wider;
  others[2].offset = 0;
  others[3].dtype = c10::kInt;
  const std::uint64_t signature = record.signature_of(add(view));
  for (const StorageView& changed : others) {
    EXPECT_NE(record.signature_of(add(changed)), signature);
  }
  EXPECT_EQ(record.signature_of(add(view)), signature);
}

// Breaks if: the one that is met most is written down each time.
TEST_F(ViewsOfASlot, AreStoredOnce) { EXPECT_EQ(add(view), add(view)); }

// Breaks if: a step finds something in the record that another has left.
TEST(StepRecord, IsAsNewOnceCleared) {
  const at::Tensor tensor = torch::ones({8});
  StepRecord record;
  const SlotIndex slot = record.find_or_add(tensor.storage()).first;
  record.add_view(slot, torch_bridge::view_of(tensor));
  record.values[record.values.add({})].held = tensor.storage();
  record.ops.add({});
  record.constants.add(c10::IValue(1));
  record.events.add(1);
  record.clear();
  EXPECT_EQ(record.slots.size() + record.values.size() + record.ops.size(), 0);
  EXPECT_EQ(record.constants.size() + record.events.size(), 0);
  EXPECT_EQ(record.find(tensor.storage().unsafeGetStorageImpl()), SlotIndex::kNone);
  EXPECT_EQ(tensor.storage().use_count(), 1);
  const auto [again, is_new] = record.find_or_add(tensor.storage());
  EXPECT_TRUE(is_new);
  EXPECT_EQ(record.add_view(again, torch_bridge::view_of(tensor)), static_cast<ViewIndex>(0));
}

}  // namespace
}  // namespace remat::tape
