#include "tape/records.h"

#include "tape/constants.h"

namespace remat::tape {

bool StepRecord::is_same(const StoredView& stored, const torch_bridge::StorageView& view) const {
  const auto count = static_cast<std::size_t>(stored.dimensions);
  if (stored.offset != view.offset || stored.dtype != view.dtype || count != view.sizes.size() ||
      stored.conjugate != view.conjugate || stored.negative != view.negative)
    return false;
  const std::int64_t* const sizes = numbers_.data() + stored.first_number;
  const std::int64_t* const strides = sizes + count;
  bool same = true;
  for (std::size_t i = 0; i < count; ++i) {
    same &= sizes[i] == view.sizes[i] && strides[i] == view.strides[i];
  }
  return same;
}

ViewIndex StepRecord::store(const torch_bridge::StorageView& view) {
  const std::int32_t first = numbers_.size();
  const auto count = static_cast<std::int32_t>(view.sizes.size());
  const StoredView* const before = views_.ahead();
  if (before != nullptr && before->first_number == first && numbers_.has_ahead(2 * count) &&
      is_same(*before, view)) {
    numbers_.keep(2 * count);
    return views_.keep();
  }
  StoredView stored;
  stored.first_number = first;
  stored.dimensions = static_cast<std::int16_t>(count);
  stored.dtype = view.dtype;
  stored.conjugate = view.conjugate;
  stored.negative = view.negative;
  stored.offset = view.offset;
  for (const c10::IntArrayRef numbers : {view.sizes, view.strides}) {
    for (const std::int64_t number : numbers) {
      numbers_.add(number);
      stored.signature = mixed(stored.signature, number);
    }
  }
  stored.signature =
      mixed(stored.signature, view.offset * 64 + static_cast<std::int64_t>(view.dtype));
  return views_.add(stored);
}

std::pair<SlotIndex, bool> StepRecord::find_or_add(const c10::Storage& storage) {
  const c10::StorageImpl* const address = storage.unsafeGetStorageImpl();
  const auto [place, is_new] = slot_of_.emplace(address, slots.next());
  if (is_new) {
    slots.add({storage.getWeakStorageImpl(), ValueIndex::kNone, 0, ViewIndex::kNone, address});
  }
  return {place->second, is_new};
}

c10::intrusive_ptr<c10::StorageImpl> StepRecord::alive(SlotIndex slot) const {
  return slots[slot].address.lock();
}

void StepRecord::release_tensors() {
  for (auto i = released_.values; i < values.size(); ++i) {
    values[static_cast<ValueIndex>(i)].held = c10::Storage();
  }
  for (auto i = released_.constants; i < constants.size(); ++i) {
    if (refers_to_others(constants[i])) constants[i] = c10::IValue();
  }
  for (auto i = released_.others; i < others.size(); ++i) others[i].reset();
  for (auto i = released_.slots; i < slots.size(); ++i) {
    slots[static_cast<SlotIndex>(i)].address.reset();
  }
  slot_of_.clear();
  released_ = {values.size(), constants.size(), others.size(), slots.size()};
}

void StepRecord::clear() {
  release_tensors();
  slots.clear();
  values.clear();
  ops.clear();
  moments.clear();
  arguments.clear();
  outputs.clear();
  constants.clear();
  others.clear();
  rng_states.clear();
  asked.clear();
  packs.clear();
  events.clear();
  nodes.clear();
  names.clear();
  views_.clear();
  numbers_.clear();
  slot_of_.clear();
  released_ = {};
}

}  // namespace remat::tape
