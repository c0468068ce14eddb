// What a step changes outside of itself, and how to change it back. (Rules T15 to T17)
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <torch/csrc/autograd/function.h>

#include "torch_bridge/cpu_rng_state.h"
#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/op_traits.h"
#include "torch_bridge/rng_state.h"
#include "torch_bridge/tensor_alias.h"

namespace remat::tape {

/// In which part of a step an operator runs.
enum class StepPart : std::uint8_t {
  kForward,    ///< with gradients, outside of backward
  kBackward,   ///< in a backward pass
  kUnrecorded  ///< without gradients: evaluation, the optimizer
};

/// Whether all that an operator does is to overwrite one tensor, `zero_()`, or to show one, `detach()`. That
/// prepares a step, as zero_grad() does, and is not undone before the forward has begun.
bool only_prepares(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits);

/// Opens with the first operator of the forward, and closes when the optimizer begins. While it is open, the
/// bytes of memory from before are copied before they are overwritten.
class UndoLog {
 public:
  /// Generators are put back to where they are now: what prepares the step may draw, too.
  UndoLog();

  /// An operator is about to run.
  /// Errors: BudgetError where there is no room for a copy.
  /// Cost: for operators that write nothing and draw nothing, two loads.
  void before(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits, StepPart part) {
    const bool may_open = !is_open_ && part != StepPart::kUnrecorded;
    const bool is_looked_at = is_open_ || !is_partial_;
    const bool changes = traits.writes.any() || traits.draws.any();
    if (may_open || (is_looked_at && changes)) look_at(call, traits, part);
  }
  /// A backward pass is about to run.
  void pass_begins(const torch::autograd::edge_list& roots, bool accumulates);
  /// The forward reads a tensor from before the step.
  void met(const at::Tensor& tensor);

  /// A copy of the bytes of a storage, which the present operator is about to overwrite: the log's own if it
  /// has one.
  c10::Storage copy_of(const c10::Storage& storage) const;

  /// Whether an operator changed something that put_back() leaves as it is: the optimizer ran.
  bool is_partial() const { return is_partial_; }

  /// Puts everything back to where it was when the log opened. To be called once, with nothing enforced.
  /// Throws nothing: what cannot be put back stays.
  void put_back() noexcept;

 private:
  using Storages = std::unordered_set<const c10::StorageImpl*>;

  /// What a storage held, and how its tensor lay in it.
  struct Image {
    torch_bridge::StorageAddress storage;
    c10::Storage bytes;  // empty: zeros
    torch_bridge::WeakTensor tensor;
    c10::VariableVersion version;
    std::vector<std::int64_t> sizes, strides;
    const torch_bridge::OpTraits* writer;  // the first one
    std::int64_t operation;
  };
  /// A tensor that was given another storage.
  struct Exchange {
    torch_bridge::WeakTensor tensor;
    c10::Storage storage;
    std::vector<std::int64_t> sizes, strides;
    std::int64_t offset;
  };
  /// A tensor that wants a gradient, and the one that it had.
  struct Trained {
    torch_bridge::WeakTensor leaf;
    at::Tensor gradient;
    at::Tensor content;  // where the gradient has no plain storage: shares what it consists of
    std::int64_t version = 0;
  };

  void look_at(torch_bridge::OpCall& call, const torch_bridge::OpTraits& traits, StepPart part);
  void open();
  void close();
  void note_generator(const torch_bridge::OpTraits& traits, c10::ArrayRef<c10::IValue> arguments);
  void about_to_write(const at::Tensor& tensor, const torch_bridge::OpTraits& traits,
                      StepPart part);
  bool is_from_before(const at::Tensor& tensor) const;
  bool ends_the_step(const at::Tensor& tensor, const torch_bridge::OpTraits& traits) const;
  bool is_trained(const c10::StorageImpl* storage) const;
  bool is_gradient_of_met(const c10::StorageImpl* storage);
  void keep(const at::Tensor& tensor, const torch_bridge::OpTraits& traits);
  void put_back_storages();
  static void undo(Exchange& exchange);
  static void undo(Image& image);
  void put_back_gradients();

  bool is_open_ = false;
  bool is_partial_ = false;
  bool pass_ran_ = false;       // since it opened, one that accumulates
  std::uint64_t since_ = 0;     // the latest allocation when it opened
  std::int64_t operation_ = 0;  // counts those that write

  torch_bridge::CpuRngState default_generator_;
  std::vector<std::pair<at::Generator, torch_bridge::CpuRngState>> generators_;
  torch_bridge::RngSnapshot device_generators_;
  std::unordered_map<const c10::StorageImpl*, Image> images_;
  std::vector<Exchange> exchanges_;
  std::unordered_map<const c10::TensorImpl*, Trained> trained_;
  std::vector<torch_bridge::WeakTensor> met_;  // leaves that want gradients
  std::size_t gradients_looked_at_ = 0;        // of met_
  Storages gradients_of_met_;
  Storages met_elsewhere_;  // on devices whose allocations have no numbers
};

}  // namespace remat::tape
