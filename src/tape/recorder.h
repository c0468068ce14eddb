// Writes operators down as they run: what they read and write, by storage and version, and whether they
// can be run again.
#pragma once

#include <vector>

#include <c10/util/SmallVector.h>

#include "tape/records.h"
#include "torch_bridge/home_stream.h"
#include "torch_bridge/op_interceptor.h"

namespace remat::tape {

/// Told of what happens to values while operators are recorded.
class RecorderEvents {
 public:
  virtual ~RecorderEvents() = default;
  /// `value` was made by the operator on the tape; `storage` has it.
  virtual void value_made(ValueIndex value, const c10::Storage& storage) = 0;
  /// `old` was overwritten in place by `written`, which has its storage now.
  virtual void value_overwritten(ValueIndex old, ValueIndex written) = 0;
  /// A leaf is about to be overwritten: whether recipes that somebody may still ask for read it.
  virtual bool is_needed(ValueIndex leaf) = 0;
  /// The tensor is from before the step, or was made where the tape does not look.
  virtual void leaf_met(const at::Tensor& tensor) = 0;
  /// Something that is not recorded is about to overwrite it.
  virtual void overwritten_unrecorded(const at::Tensor& tensor) = 0;
  /// A copy of the bytes of a leaf that the present operator is about to overwrite.
  virtual c10::Storage copy_to_keep(const c10::Storage& storage) = 0;
  /// Whether `value`, about to be read from `storage`, is what its operator made, as far as anybody looks.
  virtual bool is_unchanged(ValueIndex value, const c10::Storage& storage) = 0;
  /// It is not: what is there now is a leaf.
  virtual void changed_unseen(ValueIndex old) = 0;
  /// They are about to be overwritten, and recipes that nobody may ask for yet read them.
  virtual void leaves_lost(const std::vector<ValueIndex>& leaves) = 0;
};

class Recorder {
 public:
  /// Only what was made at `home` is made again.
  Recorder(StepRecord& record, RecorderEvents& events, const torch_bridge::HomeStream& home)
      : record_(record), events_(events), home_(home) {}

  /// Has `proceed` run the call and notes how to make again what it made. `before` is called once the arguments
  /// are noted, with its index and what tells it from others: name, values and shapes; `after`, with its index,
  /// when it has run and before its outputs are. False if the operator made nothing: it is on the tape, but nobody's
  /// recipe.
  template <class Before, class Proceed, class After>
  bool record(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits, Before&& before,
              Proceed&& proceed, After&& after) {
    OpenOp open = begin(call, traits);
    try {
      before(open.index, open.identity);
      proceed();
    } catch (...) {
      forget(open);
      throw;
    }
    after(open.index);
    return end(call, open);
  }

  /// Operators that were as the step before had them, so compared with that and left standing; and those that
  /// were written anew.
  std::int64_t verified() const { return verified_; }
  std::int64_t recorded() const { return recorded_; }

  /// Runs a call whose results are nobody's recipe (no gradients, or backward): only what it overwrites
  /// matters.
  template <class Proceed>
  void watch(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits, Proceed&& proceed) {
    const std::vector<Overwritten> written = begin_unrecorded_writes(call, traits);
    proceed();
    end_unrecorded_writes(written);
  }

  /// The value of a tensor's storage now. One that the step has not met is a leaf, and so is one that has been
  /// written through a pointer.
  ValueIndex value_of(const at::Tensor& tensor) { return value_of(tensor, ValueIndex::kNone); }

  /// Makes `value` a leaf: kept by reference from now on. `storage` has it.
  void make_leaf(ValueIndex value, const c10::Storage& storage);

 private:
  struct Written {
    std::int32_t argument;  // place among the operator's tensor arguments
    at::Tensor tensor;
  };
  struct OpenOp {
    OpIndex index;
    std::int32_t arguments_begin, constants_begin;
    bool repeats = false;  // so far what the step before did here
    std::uint64_t identity = 0;
    c10::SmallVector<Written, 2> written;
  };
  struct Overwritten {
    ValueIndex old;
    at::Tensor tensor;
  };

  OpenOp begin(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits);
  bool end(torch_bridge::OpCall& call, OpenOp& open);

  OpenOp open(const torch_bridge::OpTraits& traits);
  void add_arguments(c10::ArrayRef<c10::IValue> arguments, OpenOp& open);
  void add_argument(const at::Tensor& tensor, const TensorArgument& place, OpenOp& open);
  bool keep_argument(const TensorArgument& place, const at::Tensor& tensor,
                     const torch_bridge::OpTraits& traits);
  TensorArgument argument_at(const TensorArgument& place, const at::Tensor& tensor,
                             const torch_bridge::OpTraits& traits);
  void read(const at::Tensor& tensor, const TensorArgument& argument);
  void add_constants(c10::ArrayRef<c10::IValue> arguments);
  void judge(Op& op, c10::ArrayRef<c10::IValue> arguments);
  const char* obstacle(const Op& op, c10::ArrayRef<c10::IValue> arguments) const;
  void hold_unsound_arguments(const Op& op);
  void save_leaves_from(const Op& op, const c10::SmallVectorImpl<Written>& written);
  void save_leaf(ValueIndex leaf, bool read_by_the_writer, const at::Tensor& tensor);
  void tell_of_lost_leaves();

  void add_written(const OpenOp& open, const Written& written);
  void add_results(c10::ArrayRef<c10::IValue> results, const OpenOp& open);
  void add_result(const at::Tensor& tensor, Output output, const OpenOp& open);
  ValueIndex add_made(const at::Tensor& tensor, Output output, SlotIndex slot, const OpenOp& open);
  // `guess` is what the value may be: then no look-up is needed.
  ValueIndex value_of(const at::Tensor& tensor, ValueIndex guess);
  ValueIndex known_value_of(const at::Tensor& tensor, ValueIndex guess);
  ValueIndex add_leaf(const at::Tensor& tensor, SlotIndex slot);
  void replace(ValueIndex old, ValueIndex by);
  void give_back_reads(const OpenOp& open);
  void forget(const OpenOp& open);

  std::vector<Overwritten> begin_unrecorded_writes(torch_bridge::OpCall& call,
                                                   const torch_bridge::OpTraits& traits);
  void end_unrecorded_writes(const std::vector<Overwritten>& written);

  StepRecord& record_;
  RecorderEvents& events_;
  const torch_bridge::HomeStream& home_;
  std::int64_t verified_ = 0, recorded_ = 0;
  std::vector<ValueIndex> lost_;  // leaves, by the call at hand
};

}  // namespace remat::tape
