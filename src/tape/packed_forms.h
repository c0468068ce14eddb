// The third form of a kept value, besides resident and dropped: packed, without loss, in a fraction of its
// bytes. Which values have one is found out while a step is measured.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include <c10/core/Storage.h>

#include "tape/packed_value.h"
#include "tape/records.h"
#include "tape/step_graph.h"

namespace remat::tape {

/// The packed values of a step.
class PackedForms {
 public:
  explicit PackedForms(StepRecord& record) : record_(record) {}

  /// Notes in StepRecord::packs whether `value`, whose content is `storage`, can be packed, and what that
  /// costs. Once for each value; small ones are not looked at.
  /// Cost: packs what can be packed three times; reads little of what cannot.
  void probe(ValueIndex value, const c10::Storage& storage);
  /// Whether probe() would look at it.
  bool is_worth_probing(ValueIndex value) const;

  /// False if it has no packed form after all.
  bool pack(ValueIndex value, const c10::Storage& storage);
  bool has(ValueIndex value) const { return packed_.count(static_cast<std::int32_t>(value)) > 0; }
  /// What was packed, in memory of its own; empty if nothing was.
  c10::Storage unpacked(ValueIndex value) const;
  void drop(ValueIndex value) { packed_.erase(static_cast<std::int32_t>(value)); }
  void drop_all() { packed_.clear(); }

 private:
  std::optional<PackedValue> packed(ValueIndex value, const c10::Storage& storage) const;

  StepRecord& record_;
  std::unordered_map<std::int32_t, PackedValue> packed_;
  std::unordered_set<std::int32_t> probed_;
};

/// Gives each value of the graph that can be packed, where that is cheaper than its operator, its packed form
/// as a value that the operator makes, and an operator that unpacks it. A plan then keeps either form, or none.
/// Packing and unpacking are charged when it is unpacked again, and taken off the operator, so that the time
/// of the plain step stays what was measured.
void add_packed_forms(StepGraph& step, const StepRecord& record);

}  // namespace remat::tape
