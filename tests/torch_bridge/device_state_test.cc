// Current device and streams: put back around a recomputation. With a device that is made up, so that every
// machine can run them; tests/checkpoint/cuda_test.cc has the real one.
#include "torch_bridge/device_state.h"

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

#include <c10/core/impl/FakeGuardImpl.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/trace.h"

namespace remat::torch_bridge {
namespace {

constexpr auto kKind = c10::DeviceType::PrivateUse1;
using MadeUp = c10::impl::FakeGuardImpl<kKind>;

/// While it lives, there are eight devices of a kind that nobody uses.
class DevicesMadeUp {
 public:
  DevicesMadeUp() {
    testing::leaf({1})
        .sum()
        .backward();  // starts autograd's threads, without any for these devices
    MadeUp::resetStreams();
    MadeUp::setDeviceIndex(0);
    registered().store(&guard_);
  }
  ~DevicesMadeUp() { registered().store(nullptr); }
  DevicesMadeUp(const DevicesMadeUp&) = delete;
  DevicesMadeUp& operator=(const DevicesMadeUp&) = delete;

 private:
  static std::atomic<const c10::impl::DeviceGuardImplInterface*>& registered() {
    return c10::impl::device_guard_impl_registry[static_cast<std::size_t>(kKind)];
  }
  MadeUp guard_;
};

void use(c10::DeviceIndex device, c10::StreamId stream) {
  MadeUp::setDeviceIndex(device);
  MadeUp().exchangeStream(c10::Stream(c10::Stream::UNSAFE, c10::Device(kKind, device), stream));
}

struct Place {
  c10::DeviceIndex device;
  c10::StreamId stream_of_2, stream_of_5;

  static Place current() {
    return {MadeUp::getDeviceIndex(), MadeUp::getCurrentStreamIdFor(2),
            MadeUp::getCurrentStreamIdFor(5)};
  }
  friend bool operator==(const Place& a, const Place& b) {
    return a.device == b.device && a.stream_of_2 == b.stream_of_2 && a.stream_of_5 == b.stream_of_5;
  }
};

TEST(DeviceStateGuard, RunsOnTheDeviceAndStreamsOfTheState) {
  const DevicesMadeUp devices;
  use(5, 17);
  use(2, 11);
  const DeviceState state = DeviceState::current();
  use(5, 0);
  const Place outer = Place::current();
  {
    const DeviceStateGuard guard(state);
    EXPECT_TRUE(Place::current() == (Place{2, 11, 17}));
  }
  EXPECT_TRUE(Place::current() == outer);
}

// Breaks if: a recomputation runs where backward does.
TEST(DeviceState, OfTheForwardIsThatOfItsRecomputation) {
  const DevicesMadeUp devices;
  std::vector<Place> places;
  const at::Tensor x = testing::leaf({3});
  use(2, 11);
  const at::Tensor y = checkpoint(
      [&places](const at::Tensor& t) {
        places.push_back(Place::current());
        use(5, 17);  // as a scope of the function's own would
        const at::Tensor result = t.sin().sin();
        use(5, 0);
        use(2, 11);
        return result;
      },
      x);
  use(2, 0);
  use(5, 3);
  const Place backward = Place::current();
  y.sum().backward();
  ASSERT_EQ(places.size(), 2U);
  EXPECT_TRUE(places[0] == (Place{2, 11, 0}));
  EXPECT_TRUE(places[1] == places[0]);
  EXPECT_TRUE(Place::current() == backward);
}

}  // namespace
}  // namespace remat::torch_bridge
