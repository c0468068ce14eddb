// A device that is made up: it computes on the host, with LibTorch's CPU kernels, in memory that LibTorch takes for
// another device's. For tests, on any machine, of what may not assume the CPU.
#pragma once

#include <cstdint>

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

namespace remat::testing {

inline const c10::Device kHostDevice(c10::DeviceType::PrivateUse1, 0);

/// Whether LibTorch has a device besides the CPU and this one. Since 2.11 it then asks that one for the streams of
/// any backward pass, and finds none for kHostDevice's nodes.
bool has_another_accelerator();

/// What was asked of the device's streams since the process began.
struct StreamCounts {
  std::int64_t waits = 0;        ///< for a stream, by the host
  std::int64_t blocks = 0;       ///< of a stream, for an event
  std::int64_t handed_over = 0;  ///< memory of one stream, to another
};
StreamCounts stream_counts();

/// While it lives, the calling thread's current stream of kHostDevice is number `id`; 0 is the default one.
class OnHostStream {
 public:
  explicit OnHostStream(c10::StreamId id);
  ~OnHostStream();
  OnHostStream(const OnHostStream&) = delete;
  OnHostStream& operator=(const OnHostStream&) = delete;

 private:
  c10::StreamId before_;
};

/// The streams on which operators ran, since the last call.
std::int64_t operators_on_stream(c10::StreamId id);

}  // namespace remat::testing
