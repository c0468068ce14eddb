// Random number generators, captured and put back: those of devices other than the CPU, which has
// random_draws.h.
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130 (generators of CUDA devices on the last).
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/dispatch/Dispatcher.h>

namespace remat::torch_bridge {

/// Where a generator of another device than the CPU is. The bytes are not in LibTorch's memory, which budgets count.
class DeviceRngState {
 public:
  static DeviceRngState of(const at::Generator& generator);
  void put_into(const at::Generator& generator) const;

  friend bool operator==(const DeviceRngState& a, const DeviceRngState& b) {
    return a.bytes_ == b.bytes_;
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// States of random number generators.
class RngSnapshot {
 public:
  RngSnapshot() = default;

  /// The default generators of the CUDA devices initialised so far.
  /// Cost: a few bytes for each.
  static RngSnapshot of_devices();

  /// Adds `generator` as it is now, unless it is in the snapshot already.
  void add(const at::Generator& generator);

  /// Adds the default generator of a device that `op` draws from, unless it is there or needs not be.
  /// Errors: remat::Error, which names the operator, if LibTorch has no way to it.
  void add_default_of(c10::Device device, const c10::OperatorHandle& op);

  /// Forgets the generators that have not moved since the snapshot.
  /// Errors: remat::Error if a device was initialised since: its state then is not known.
  void keep_moved_only();

  /// Makes the generators continue from these states.
  void put_back() const;

  bool empty() const { return states_.empty(); }

 private:
  friend class RngFork;
  struct State {
    at::Generator generator;
    DeviceRngState state;
  };
  std::vector<State> states_;
  std::size_t defaults_ = 0;  // how many of them are default generators
};

/// While it lives, the generators of `snapshot` continue from its states; then from where they were.
/// The generators are shared by all threads, and so is this.
class RngFork {
 public:
  explicit RngFork(const RngSnapshot& snapshot);
  ~RngFork();
  RngFork(const RngFork&) = delete;
  RngFork& operator=(const RngFork&) = delete;

 private:
  std::vector<RngSnapshot::State> outer_;
};

}  // namespace remat::torch_bridge
