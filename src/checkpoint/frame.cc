#include "checkpoint/frame.h"

#include <ATen/record_function.h>

#include "checkpoint/divergence.h"
#include "checkpoint/recomputing_scope.h"

namespace remat {

/// The hooks of one tensor saved in the region: its place in the frame instead of its data.
class Frame::Hooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit Hooks(std::shared_ptr<Frame> frame) : frame_(std::move(frame)) {}
  ~Hooks() override {
    if (packed_) {
      frame_->release(index_);
    }
  }
  void call_pack_hook(const at::Tensor& tensor) override {
    index_ = frame_->note_saved(tensor);
    packed_ = true;
  }
  at::Tensor call_unpack_hook() override { return frame_->unpack(index_); }

 private:
  std::shared_ptr<Frame> frame_;
  std::size_t index_ = 0;
  bool packed_ = false;
};

/// Forgets what was recomputed for a backward pass when that pass is over, however it ends.
class Frame::TaskEnd {
 public:
  TaskEnd(std::weak_ptr<Frame> frame, torch_bridge::GraphTaskId task)
      : frame_(std::move(frame)), task_(task) {}
  ~TaskEnd() {
    if (const auto frame = frame_.lock()) {
      frame->forget(task_);
    }
  }

 private:
  std::weak_ptr<Frame> frame_;
  torch_bridge::GraphTaskId task_;
};

Frame::Frame(const CheckpointOptions& options, const std::vector<at::Tensor>& inputs,
             Recompute recompute)
    : options_(options),
      recompute_(std::move(recompute)),
      inputs_(inputs.begin(), inputs.end()),
      thread_state_(torch_bridge::ThreadState::current()),
      forward_(options_) {}

std::unique_ptr<torch::autograd::SavedVariableHooks> Frame::make_hooks() {
  return std::make_unique<Hooks>(shared_from_this());
}

void Frame::finish_forward() {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  forward_.finish();
  for (SavedInput& input : inputs_) {
    input.forget_history_if_written(forward_.preimages());
  }
  finished_ = true;
}

std::size_t Frame::note_saved(const at::Tensor& tensor) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  forward_.note_saved(tensor);
  wanted_.push_back(true);
  return wanted_.size() - 1;
}

void Frame::release(std::size_t index) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  wanted_[index] = false;
  for (auto& [task, tensors] : recomputed_) {
    tensors.drop(index);
  }
}

at::Tensor Frame::unpack(std::size_t index) {
  const auto self = shared_from_this();
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  const torch_bridge::GraphTaskId task = torch_bridge::current_graph_task();
  if (task == nullptr) {
    RecomputedTensors for_this_call;
    return take_or_recompute(for_this_call, index);
  }
  return take_or_recompute(tensors_of(task), index);
}

at::Tensor Frame::take_or_recompute(RecomputedTensors& tensors, std::size_t index) {
  const std::string region = region_name(options_);
  at::Tensor tensor = tensors.take(index, region);
  if (!tensor.defined()) {
    recompute_into(tensors);
    tensor = tensors.take(index, region);
  }
  return tensor;
}

RecomputedTensors& Frame::tensors_of(torch_bridge::GraphTaskId task) {
  const auto [entry, is_new] = recomputed_.try_emplace(task);
  if (is_new) {
    torch_bridge::keep_until_graph_task_ends(std::make_shared<TaskEnd>(weak_from_this(), task));
  }
  return entry->second;
}

void Frame::forget(torch_bridge::GraphTaskId task) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  recomputed_.erase(task);
}

void Frame::recompute_into(RecomputedTensors& tensors) {
  const std::vector<at::Tensor> inputs = unpack_inputs();
  check_unchanged(forward_.reads(), forward_.preimages(), region_name(options_));

  RECORD_FUNCTION("remat::recompute", c10::ArrayRef<const c10::IValue>());
  RecomputingScope recomputing;
  torch_bridge::ThreadStateGuard thread_state(thread_state_);
  torch_bridge::RngFork rng(forward_.rng());
  const ForwardRecord forward{options_, forward_.saved(), forward_.preimages(), forward_.ops(),
                              finished_};
  try {
    Recomputation(forward, wanted_, tensors).run([&] { recompute_(inputs); });
  } catch (...) {
    tensors = RecomputedTensors();
    throw;
  }
}

std::vector<at::Tensor> Frame::unpack_inputs() const {
  std::vector<at::Tensor> inputs;
  inputs.reserve(inputs_.size());
  for (const SavedInput& input : inputs_) {
    inputs.push_back(input.unpack(forward_.preimages(), region_name(options_), inputs.size()));
  }
  return inputs;
}

}  // namespace remat
