// The stream of a device on which a step runs: where what it let go of is made again.
// Tried on LibTorch 1.13.1, with a device that is made up, and 2.11.0+cu130.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Storage.h>
#include <c10/core/Stream.h>
#include <c10/util/Optional.h>

namespace remat::torch_bridge {

class OpCall;

/// On the CPU there are no streams: nothing here does anything.
class HomeStream {
 public:
  /// The calling thread's current one on `device`.
  explicit HomeStream(c10::Device device);

  c10::Device device() const { return device_; }

  /// Whether the calling thread's operators queue there.
  bool is_current() const { return !stream_ || is_current_there(); }

  /// Returns when all that is queued there has run.
  void wait() const;

  /// What the calling thread queues from now on, on whatever stream, finds `storage` as what is queued at
  /// home up to now leaves it; and the memory is not used again at home before that has run.
  void hand_over(const c10::Storage& storage) const;

  /// The memory of the device's tensors that `call` reads is not used again at home, whoever lets go of it, before
  /// what the calling thread has queued until then has run.
  void lend_arguments(OpCall& call) const;

  /// While it lives, the calling thread's operators queue at home.
  class Visit {
   public:
    explicit Visit(const HomeStream& home);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    c10::optional<c10::Stream> away_;
  };

 private:
  bool is_current_there() const;

  c10::Device device_;
  c10::optional<c10::Stream> stream_;  // none on the CPU
};

}  // namespace remat::torch_bridge
