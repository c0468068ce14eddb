// MemoryTracker: bytes that LibTorch's allocators have handed out.
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include <ATen/Parallel.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/torch.h>

#include <remat/error.h>
#include <remat/memory.h>

#include "tests/testing/torch_versions.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

at::Tensor kibibytes(std::int64_t count) { return torch::empty({count * 1024}, at::kByte); }

constexpr Bytes kKiB(1024);

TEST(MemoryTracker, StartsAtZero) {
  const at::Tensor before = kibibytes(4);
  const MemoryTracker tracker;
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
  EXPECT_EQ(tracker.peak_bytes(), Bytes(0));
}

TEST(MemoryTracker, CountsWhatIsAllocatedAndReleased) {
  const MemoryTracker tracker;
  at::Tensor a = kibibytes(4);
  EXPECT_EQ(tracker.live_bytes(), kKiB * 4);
  at::Tensor b = kibibytes(2);
  EXPECT_EQ(tracker.live_bytes(), kKiB * 6);
  a.reset();
  EXPECT_EQ(tracker.live_bytes(), kKiB * 2);
  b.reset();
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
}

TEST(MemoryTracker, CountsStoragesNotTensors) {
  const MemoryTracker tracker;
  const at::Tensor a = kibibytes(4);
  const at::Tensor view = a.narrow(0, 0, 10), alias = a.detach();
  EXPECT_EQ(tracker.live_bytes(), kKiB * 4);
}

TEST(MemoryTracker, PeakIsTheLargestLiveBytes) {
  const MemoryTracker tracker;
  { const at::Tensor a = kibibytes(8); }
  const at::Tensor b = kibibytes(2);
  EXPECT_EQ(tracker.live_bytes(), kKiB * 2);
  EXPECT_EQ(tracker.peak_bytes(), kKiB * 8);
}

TEST(MemoryTracker, ResetPeakStartsAgainFromWhatIsLive) {
  MemoryTracker tracker;
  const at::Tensor kept = kibibytes(3);
  { const at::Tensor a = kibibytes(8); }
  tracker.reset_peak();
  EXPECT_EQ(tracker.peak_bytes(), kKiB * 3);
  { const at::Tensor a = kibibytes(1); }
  EXPECT_EQ(tracker.peak_bytes(), kKiB * 4);
}

// Breaks if: a release of memory that was there before counts as negative.
TEST(MemoryTracker, IgnoresTheReleaseOfWhatWasThereBefore) {
  at::Tensor before = kibibytes(4);
  const MemoryTracker tracker;
  before.reset();
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
}

TEST(MemoryTracker, OtherDevicesHaveCountsOfTheirOwn) {
  const MemoryTracker tracker;
  const at::Tensor a = kibibytes(4);
  EXPECT_EQ(tracker.live_bytes(c10::Device(c10::kCUDA, 0)), Bytes(0));
  EXPECT_EQ(tracker.live_bytes(c10::Device(c10::kCPU)), kKiB * 4);
}

// ---- several trackers --------------------------------------------------------------------------------

TEST(MemoryTracker, NestedTrackersEachCountTheirLifetime) {
  const MemoryTracker outer;
  const at::Tensor a = kibibytes(1);
  at::Tensor b;
  {
    const MemoryTracker inner;
    b = kibibytes(2);
    EXPECT_EQ(inner.live_bytes(), kKiB * 2);
    EXPECT_EQ(outer.live_bytes(), kKiB * 3);
  }
  const at::Tensor c = kibibytes(4);
  EXPECT_EQ(outer.live_bytes(), kKiB * 7);
}

// Breaks if: trackers are a stack that must end in reverse order.
TEST(MemoryTracker, OverlappingTrackersMayEndInAnyOrder) {
  auto first = std::make_optional<MemoryTracker>();
  const at::Tensor a = kibibytes(1);
  auto second = std::make_optional<MemoryTracker>();
  const at::Tensor b = kibibytes(2);
  EXPECT_EQ(first->live_bytes(), kKiB * 3);
  first.reset();
  const at::Tensor c = kibibytes(4);
  EXPECT_EQ(second->live_bytes(), kKiB * 6);
  second.reset();
  const MemoryTracker third;
  const at::Tensor d = kibibytes(8);
  EXPECT_EQ(third.live_bytes(), kKiB * 8);
}

TEST(MemoryTracker, AnInnerTrackerSeesReleasesOfTheOutersBlocks) {
  const MemoryTracker outer;
  at::Tensor a = kibibytes(4);
  const MemoryTracker inner;
  a.reset();
  EXPECT_EQ(outer.live_bytes(), Bytes(0));
  EXPECT_EQ(inner.live_bytes(), Bytes(0))
      << "the block was not allocated in the inner one's lifetime";
}

TEST(MemoryTracker, ResetPeakIsItsOwn) {
  const MemoryTracker outer;
  MemoryTracker inner;
  { const at::Tensor a = kibibytes(4); }
  inner.reset_peak();
  EXPECT_EQ(inner.peak_bytes(), Bytes(0));
  EXPECT_EQ(outer.peak_bytes(), kKiB * 4);
}

// ---- threads -----------------------------------------------------------------------------------------

TEST(MemoryTracker, DoesNotSeeThreadsOfTheUser) {
  const MemoryTracker tracker;
  at::Tensor a;
  std::thread([&a] { a = kibibytes(4); }).join();
  EXPECT_EQ(tracker.live_bytes(), Bytes(0));
}

TEST(MemoryTracker, SeesThreadsThatLibTorchLaunchesForItsThread) {
  const MemoryTracker tracker;
  std::mutex mutex;
  std::condition_variable done;
  at::Tensor a;
  at::launch([&] {
    at::Tensor made = kibibytes(4);
    std::lock_guard<std::mutex> lock(mutex);
    a = std::move(made);
    done.notify_one();
  });
  std::unique_lock<std::mutex> lock(mutex);
  done.wait(lock, [&] { return a.defined(); });
  EXPECT_EQ(tracker.live_bytes(), kKiB * 4);
}

// LibTorch continues deep re-entrant backward passes on threads of its own.
TEST(MemoryTracker, SeesBackwardPasses) {
  const MemoryTracker tracker;
  const at::Tensor x = testing::leaf({256});
  x.sin().sin().sum().backward();
  EXPECT_EQ(tracker.live_bytes(), kKiB * 2) << "the leaf and its gradient";
}

TEST(MemoryTracker, ReadingsMayBeTakenOnAnyThread) {
  const MemoryTracker tracker;
  const at::Tensor a = kibibytes(4);
  Bytes live, peak;
  std::thread([&] {
    live = tracker.live_bytes();
    peak = tracker.peak_bytes();
  }).join();
  EXPECT_EQ(live, kKiB * 4);
  EXPECT_EQ(peak, kKiB * 4);
}

TEST(MemoryTracker, ThreadsHaveTrackersOfTheirOwn) {
  const MemoryTracker tracker;
  const at::Tensor a = kibibytes(1);
  Bytes other;
  std::thread([&other] {
    const MemoryTracker own;
    const at::Tensor b = kibibytes(2);
    other = own.live_bytes();
  }).join();
  EXPECT_EQ(other, kKiB * 2);
  EXPECT_EQ(tracker.live_bytes(), kKiB);
}

// ---- other users of memory reporting -----------------------------------------------------------------

TEST(MemoryTracker, RefusesToTakeTheProfilersPlace) {
  const c10::DebugInfoGuard profiler(c10::DebugInfoKind::PROFILER_STATE,
                                     std::make_shared<testing::ForeignMemoryReporter>());
  EXPECT_THROW(MemoryTracker(), Error);
}

TEST(MemoryTracker, LeavesTheSlotFree) {
  { const MemoryTracker tracker; }
  EXPECT_EQ(c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE), nullptr);
}

}  // namespace
}  // namespace remat
