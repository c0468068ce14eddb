#include "tape/records.h"

namespace remat::tape {

ViewIndex StepRecord::add_view(const torch_bridge::StorageView& view) {
  StoredView stored;
  stored.first_number = static_cast<std::int32_t>(numbers_.size());
  stored.dimensions = static_cast<std::int16_t>(view.sizes.size());
  stored.dtype = view.dtype;
  stored.conjugate = view.conjugate;
  stored.negative = view.negative;
  stored.offset = view.offset;
  numbers_.insert(numbers_.end(), view.sizes.begin(), view.sizes.end());
  numbers_.insert(numbers_.end(), view.strides.begin(), view.strides.end());
  return views_.add(stored);
}

torch_bridge::StorageView StepRecord::view(ViewIndex index) const {
  const StoredView& stored = views_[index];
  const auto count = static_cast<std::size_t>(stored.dimensions);
  const std::int64_t* sizes = numbers_.data() + stored.first_number;
  return {{sizes, count}, {sizes + count, count}, stored.offset,
          stored.dtype,   stored.conjugate,       stored.negative};
}

SlotIndex StepRecord::find(const c10::StorageImpl* storage) const {
  const auto found = slot_of_.find(storage);
  return found != slot_of_.end() ? found->second : SlotIndex::kNone;
}

SlotIndex StepRecord::add_slot(const c10::Storage& storage) {
  Slot slot{storage.getWeakStorageImpl(), ValueIndex::kNone, 0, storage.unsafeGetStorageImpl()};
  const SlotIndex index = slots.add(std::move(slot));
  slot_of_[storage.unsafeGetStorageImpl()] = index;
  return index;
}

c10::intrusive_ptr<c10::StorageImpl> StepRecord::alive(SlotIndex slot) const {
  return slots[slot].address.lock();
}

void StepRecord::release_tensors() {
  for (Value& value : values) value.held = c10::Storage();
  for (c10::IValue& constant : constants) constant = c10::IValue();
  for (at::Tensor& other : others) other.reset();
  slot_of_.clear();
  const c10::weak_intrusive_ptr<c10::StorageImpl> nobody{c10::intrusive_ptr<c10::StorageImpl>()};
  for (Slot& slot : slots) slot.address = nobody;
}

}  // namespace remat::tape
