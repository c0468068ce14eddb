#include "checkpoint/frame.h"

#include <algorithm>
#include <utility>

#include <ATen/record_function.h>

#include "checkpoint/divergence.h"
#include "checkpoint/recomputing_scope.h"
#include "checkpoint/user_state.h"

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

/// Forgets what was recomputed for a pass when that is over, however it ends.
class Frame::PassEnd {
 public:
  PassEnd(std::weak_ptr<Frame> frame, torch_bridge::PassId pass)
      : frame_(std::move(frame)), pass_(pass) {}
  ~PassEnd() {
    if (const auto frame = frame_.lock()) {
      frame->forget(pass_);
    }
  }

 private:
  std::weak_ptr<Frame> frame_;
  torch_bridge::PassId pass_;
};

Frame::Frame(const CheckpointOptions& options, const std::vector<at::Tensor>& inputs,
             Recompute recompute)
    : options_(options),
      recompute_(std::move(recompute)),
      user_state_(options_.state.save ? options_.state.save() : std::any()),
      inputs_(inputs.begin(), inputs.end()),
      thread_state_(torch_bridge::ThreadState::current()),
      device_state_(torch_bridge::DeviceState::current()),
      forward_(options_, torch_bridge::best_level()) {}

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
  prefetched_.drop(index);
  for (auto& [pass, tensors] : recomputed_) {
    tensors.drop(index);
  }
}

at::Tensor Frame::unpack(std::size_t index) {
  const auto self = shared_from_this();
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  const torch_bridge::PassId pass = torch_bridge::current_pass();
  if (pass == nullptr) {
    RecomputedTensors for_this_call;
    return take_or_recompute(for_this_call, index);
  }
  return take_or_recompute(tensors_of(pass), index);
}

void Frame::prefetch() {
  const auto self = shared_from_this();
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  const bool is_wanted = std::find(wanted_.begin(), wanted_.end(), true) != wanted_.end();
  const torch_bridge::PassId pass = torch_bridge::current_pass();
  RecomputedTensors& tensors = pass != nullptr ? tensors_of(pass) : prefetched_;
  if (is_wanted && tensors.empty()) {
    recompute_into(tensors);
  }
}

at::Tensor Frame::take_or_recompute(RecomputedTensors& tensors, std::size_t index) {
  at::Tensor tensor = tensors.take(index, options_);
  if (!tensor.defined()) {
    recompute_into(tensors);
    tensor = tensors.take(index, options_);
  }
  return tensor;
}

RecomputedTensors& Frame::tensors_of(torch_bridge::PassId pass) {
  const auto [entry, is_new] = recomputed_.try_emplace(pass);
  if (is_new) {
    torch_bridge::keep_until_pass_ends(std::make_shared<PassEnd>(weak_from_this(), pass));
    entry->second = std::exchange(prefetched_, RecomputedTensors());
    entry->second.keep_what_is_taken(torch_bridge::nodes_may_ask_again());
  }
  return entry->second;
}

void Frame::forget(torch_bridge::PassId pass) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  recomputed_.erase(pass);
}

void Frame::recompute_into(RecomputedTensors& tensors) {
  const std::vector<at::Tensor> inputs = unpack_inputs();
  check_unchanged(forward_.reads(), forward_.preimages(), region_name(options_));

  RECORD_FUNCTION("remat::recompute", c10::ArrayRef<const c10::IValue>());
  RecomputingScope recomputing;
  try {
    with_user_state(options_.state, user_state_, [&] { run_recomputation(inputs, tensors); });
  } catch (...) {
    tensors.clear();
    throw;
  }
}

void Frame::run_recomputation(const std::vector<at::Tensor>& inputs, RecomputedTensors& tensors) {
  torch_bridge::ThreadStateGuard thread_state(thread_state_);
  torch_bridge::DeviceStateGuard device_state(device_state_);
  torch_bridge::RngFork devices_rng(forward_.devices_rng());
  std::optional<torch_bridge::ReplayDraws> draws;
  if (options_.preserve_rng_state) {
    draws.emplace(forward_.draws());
  }
  const ForwardRecord forward{options_,       forward_.saved(), forward_.preimages(),
                              forward_.ops(), forward_.level(), finished_};
  Recomputation(forward, wanted_, tensors).run([&] { recompute_(inputs); });
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
