// What a step leaves behind on the tape: values, the operators that made them, and how to make them
// again. Flat arrays, addressed by index: a chain of any length is destroyed without recursion, and
// recording allocates nothing once the arrays have grown: steps hand them on. A step that is like the one
// before finds there what it would write. (tape.md, F18 and section 5)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/ivalue.h>
#include <c10/core/Storage.h>
#include <c10/util/flat_hash_map.h>
#include <c10/util/intrusive_ptr.h>

#include "tape/arena.h"
#include "torch_bridge/draw_state.h"
#include "torch_bridge/op_traits.h"
#include "torch_bridge/repeated_call.h"
#include "torch_bridge/storage_view.h"

namespace remat::tape {

enum class SlotIndex : std::int32_t { kNone = -1 };   ///< a storage
enum class ValueIndex : std::int32_t { kNone = -1 };  ///< the content of a storage at a version
enum class OpIndex : std::int32_t { kNone = -1 };     ///< an operator of the forward, first run
enum class ViewIndex : std::int32_t { kNone = -1 };
enum class MomentIndex : std::int32_t { kNone = -1 };  ///< see StepRecord::moments

/// Where a value comes from.
enum class Origin : std::uint8_t {
  kOutside,  ///< there before the step, or made where the tape does not look: kept by reference
  kFresh,    ///< memory that nobody has written yet
  kMade,     ///< by an operator on the tape
};

/// A storage that the step has met. The weak reference keeps its address from being used again.
struct Slot {
  c10::weak_intrusive_ptr<c10::StorageImpl> address;
  ValueIndex current = ValueIndex::kNone;     ///< the latest version
  std::int32_t hooks = 0;                     ///< saved tensors that wait for it
  ViewIndex view = ViewIndex::kNone;          ///< met last
  const c10::StorageImpl* storage = nullptr;  ///< to be compared only: it may be gone
};

struct Value {
  Origin origin = Origin::kOutside;
  bool sound = false;      ///< its recipe makes the same bits again; leaves are not, they are held
  bool lost = false;       ///< a leaf that was overwritten though recipes may read it
  bool plannable = false;  ///< in the planners' graph: made by a sound recipe, or about to be
  bool written = false;    ///< by an argument of `maker`; otherwise it is a result
  bool saved = false;      ///< by autograd
  bool packed = false;     ///< at some time, while somebody could ask for it
  bool dropped = false;    ///< the same, and not even packed
  SlotIndex slot = SlotIndex::kNone;
  OpIndex maker = OpIndex::kNone;
  std::int32_t output = 0;  ///< which of the maker's outputs
  std::int64_t bytes = 0;   ///< of the storage
  c10::Device device = c10::kCPU;
  std::int32_t readers = 0;
  std::int32_t last_used = 0;  ///< the tape's clock
  c10::Storage held;           ///< the tape's own reference; empty: nobody's, or somebody else's
};

/// A tensor among an operator's arguments.
struct TensorArgument {
  std::int32_t argument = 0;
  std::int32_t element = -1;  ///< of a list
  bool written = false;
  bool overwritten = false;              ///< wholly: the old content is not read
  ValueIndex value = ValueIndex::kNone;  ///< kNone: not plain, `other` holds it
  ViewIndex view = ViewIndex::kNone;
  std::int32_t other = -1;
};

/// A value that an operator made: a storage that its call brought forth, or the new version of one.
struct Output {
  std::int32_t result = -1;    ///< of results; -1 for a written argument
  std::int32_t element = -1;   ///< of a list of results
  std::int32_t argument = -1;  ///< place among the operator's tensor arguments
  ValueIndex value = ValueIndex::kNone;
  ViewIndex view = ViewIndex::kNone;  ///< as the operator gave it
};

struct Range {
  std::int32_t begin = 0, end = 0;
  std::int32_t size() const { return end - begin; }
};

struct Op {
  const torch_bridge::OpTraits* traits = nullptr;
  Range constants;  ///< the argument stack; tensors are left out
  Range arguments;
  Range outputs;
  std::int32_t rng = -1;
  torch_bridge::CallState state;
  bool sound = false;
  const char* unsound_because = nullptr;
  MomentIndex moment = MomentIndex::kNone;
  std::int64_t nanoseconds = 0;
};

/// A piece of the step as the planner sees it: an operator of the forward that made values, or what
/// autograd ran between two occasions on which it asked for saved tensors (in practice one node), or
/// whatever else ran, outside of backward.
struct Moment {
  OpIndex op = OpIndex::kNone;
  Range asked;  ///< in StepRecord::asked: the values that autograd asked for
  std::int64_t nanoseconds = 0;
  std::int64_t live_after = 0;   ///< allocated bytes when it had ended
  std::int64_t alive_after = 0;  ///< bytes of plannable values then, the tape's and others'
  /// Allocated bytes at most while it ran, beside the plannable values that it found alive.
  std::int64_t others_peak = 0;
  std::int64_t came = 0;   ///< bytes of plannable values that came into being in it
  std::int32_t event = 0;  ///< with which it began, see StepRecord::events
  std::int32_t node = -1;  ///< in StepRecord::nodes, where there is no op
  bool in_pass = false;    ///< it began in a backward pass
};

/// What it costs to keep a value packed.
struct PackCost {
  ValueIndex value = ValueIndex::kNone;
  std::int64_t bytes = 0;        ///< of the packed form
  std::int64_t nanoseconds = 0;  ///< for packing it; unpacking takes no longer
};

/// Mixes `word` into a running signature.
inline std::uint64_t mixed(std::uint64_t signature, std::uint64_t word) {
  signature = (signature ^ word) * 0x9E3779B97F4A7C15u;  // 2^64 divided by the golden ratio
  return signature ^ (signature >> 29);
}

/// A view without its arrays.
struct StoredView {
  std::uint64_t signature = 0;
  std::int32_t first_number = 0;
  std::int16_t dimensions = 0;
  c10::ScalarType dtype = c10::kFloat;
  bool conjugate = false, negative = false;
  std::int64_t offset = 0;
};

/// One step.
class StepRecord {
 public:
  Arena<SlotIndex, Slot> slots;
  Arena<ValueIndex, Value> values;
  StandingArena<OpIndex, Op> ops;
  Arena<MomentIndex, Moment> moments;
  StandingArena<std::int32_t, TensorArgument> arguments;
  Arena<std::int32_t, Output> outputs;
  StandingArena<std::int32_t, c10::IValue> constants;
  Arena<std::int32_t, at::Tensor> others;  ///< tensors that are not plain, kept as they are
  Arena<std::int32_t, torch_bridge::DrawState> rng_states;
  Arena<std::int32_t, ValueIndex> asked;
  Arena<std::int32_t, PackCost> packs;  ///< of values that have a packed form
  /// What steps are told apart by: an entry for each operator that began, for each saved tensor with which a
  /// moment began, and for each other beginning; a signature of the step up to there.
  Arena<std::int32_t, std::uint64_t> events;
  Arena<std::int32_t, std::string> nodes;   ///< what autograd calls what it ran as a moment began
  std::map<ValueIndex, std::string> names;  ///< that the user gave values

  /// The index of a view of a slot.
  ViewIndex add_view(SlotIndex slot, const torch_bridge::StorageView& view) {
    ViewIndex& last = slots[slot].view;
    if (!is_stored(last, view)) last = store(view);
    return last;
  }
  /// Whether it has an index, and that is `index`.
  bool is_stored(ViewIndex index, const torch_bridge::StorageView& view) const {
    return index != ViewIndex::kNone && at_place(index) < at_place(views_.next()) &&
           is_same(views_[index], view);
  }
  torch_bridge::StorageView view(ViewIndex index) const {
    const StoredView& stored = views_[index];
    const auto count = static_cast<std::size_t>(stored.dimensions);
    const std::int64_t* const sizes = numbers_.data() + stored.first_number;
    return {{sizes, count}, {sizes + count, count}, stored.offset,
            stored.dtype,   stored.conjugate,       stored.negative};
  }
  /// Of its numbers and its dtype.
  std::uint64_t signature_of(ViewIndex view) const { return views_[view].signature; }

  /// Whether `value` is what `storage` holds now.
  bool is_current(ValueIndex value, const c10::StorageImpl* storage) const {
    if (value == ValueIndex::kNone || at_place(value) >= at_place(values.next())) return false;
    const SlotIndex slot = values[value].slot;
    // Addresses of slots that were released may be others' by now.
    return at_place(slot) >= at_place(released_.slots) && slots[slot].storage == storage &&
           slots[slot].current == value;
  }
  /// The slot of a storage; kNone if the step has not met it.
  SlotIndex find(const c10::StorageImpl* storage) const {
    const auto found = slot_of_.find(storage);
    return found != slot_of_.end() ? found->second : SlotIndex::kNone;
  }
  /// The slot of a storage, and whether it is a new one because the step had not met it.
  std::pair<SlotIndex, bool> find_or_add(const c10::Storage& storage);
  /// The storage of a slot while anybody holds it.
  c10::intrusive_ptr<c10::StorageImpl> alive(SlotIndex slot) const;

  /// Forgets which storages the slots stand for, and lets go of everything held: nobody can ask any more.
  /// Cost: a visit of what came since the last time.
  void release_tensors();
  /// What came before it has been let go of.
  ValueIndex first_not_released() const { return static_cast<ValueIndex>(released_.values); }

  /// For the next step: nothing is left but the room that it took, and, where operators, their arguments and
  /// views stood, what they were.
  void clear();

 private:
  bool is_same(const StoredView& stored, const torch_bridge::StorageView& view) const;
  ViewIndex store(const torch_bridge::StorageView& view);

  // So many of each have been released.
  struct Released {
    std::int32_t values = 0, constants = 0, others = 0, slots = 0;
  };

  Released released_;
  StandingArena<ViewIndex, StoredView> views_;
  StandingArena<std::int32_t, std::int64_t> numbers_;  // sizes, then strides, of each view
  ska::flat_hash_map<const c10::StorageImpl*, SlotIndex> slot_of_;
};

}  // namespace remat::tape
