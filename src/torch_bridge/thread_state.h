// What decides how an operator runs, beside its arguments: gradient mode, autocast, thread count.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <vector>

#include <c10/core/DeviceType.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>

namespace remat::torch_bridge {

/// Autocast of the CPU and of CUDA on the calling thread.
class AutocastState {
 public:
  static AutocastState current();

  /// Makes it the calling thread's state.
  void apply() const;

  /// The same state with the cache of cast weights switched off.
  AutocastState without_cache() const;

  /// The same state with autocast off on every device.
  AutocastState disabled() const;

  /// The same state with autocast on in `dtype` on devices of `type`, CPU or CUDA.
  AutocastState enabled(c10::DeviceType type, c10::ScalarType dtype) const;

  friend bool operator==(const AutocastState& a, const AutocastState& b);

 private:
  struct PerDevice {
    c10::DeviceType type;
    bool enabled;
    c10::ScalarType dtype;
  };
  std::vector<PerDevice> devices_;
  bool cache_enabled_ = true;
};

/// The state under which a region's forward ran, as far as threads do not share it by themselves:
/// LibTorch carries "autocast is on" to autograd's threads, but neither its dtype nor its cache flag.
struct ThreadState {
  AutocastState autocast;
  int intra_op_threads = 1;

  static ThreadState current();
};

/// While it lives, this thread recomputes under `state`: gradient mode on, autocast as it was but
/// without its cache, and the same number of threads inside operators (it decides bits of reductions).
class ThreadStateGuard {
 public:
  explicit ThreadStateGuard(const ThreadState& state);
  ~ThreadStateGuard();
  ThreadStateGuard(const ThreadStateGuard&) = delete;
  ThreadStateGuard& operator=(const ThreadStateGuard&) = delete;

 private:
  ThreadState outer_;
  c10::AutoGradMode grad_mode_;
};

/// While it lives, autocast is on in `dtype` on devices of `type`, CPU or CUDA: what torch.autocast is in
/// Python. Weights that were cast are forgotten with the outermost one.
class AutocastGuard {
 public:
  AutocastGuard(c10::DeviceType type, c10::ScalarType dtype);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  AutocastState outer_;
};

/// While it lives, operators on this thread compute in the types that they are given, autocast or not.
class NoAutocastGuard {
 public:
  NoAutocastGuard();
  ~NoAutocastGuard();
  NoAutocastGuard(const NoAutocastGuard&) = delete;
  NoAutocastGuard& operator=(const NoAutocastGuard&) = delete;

 private:
  AutocastState outer_;
};

}  // namespace remat::torch_bridge
