#include "tape/tape_group.h"

#include <chrono>
#include <future>
#include <mutex>
#include <optional>

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::tape {
namespace {

using Lock = std::lock_guard<TapeMutex>;

/// Another thread that wants the mutex.
class Waiter {
 public:
  explicit Waiter(TapeMutex& mutex)
      : has_had_it_(std::async(std::launch::async, [&mutex] { const Lock lock(mutex); })) {}

  bool is_kept_waiting() const {
    return has_had_it_.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout;
  }
  void wait() const { has_had_it_.wait(); }

 private:
  std::future<void> has_had_it_;
};

// Breaks if: another thread gets it before it is unlocked as often as it was locked, or never.
TEST(TapeMutex, IsHeldUntilItIsUnlockedAsOftenAsLocked) {
  TapeMutex mutex;
  mutex.lock();
  mutex.lock();
  const Waiter waiter(mutex);
  EXPECT_TRUE(waiter.is_kept_waiting());
  mutex.unlock();
  EXPECT_TRUE(waiter.is_kept_waiting());
  mutex.unlock();
  waiter.wait();
}

// Breaks if: a thread that runs an operator deep inside holds up others, or does not have the mutex afterwards.
TEST(TapeMutex, IsLetGoOfHoweverOftenItWasLocked) {
  TapeMutex mutex;
  const Lock once(mutex), twice(mutex);
  {
    const TapeMutex::Released released(mutex);
    Waiter(mutex).wait();
  }
  std::optional<Waiter> waiter(std::in_place, mutex);
  EXPECT_TRUE(waiter->is_kept_waiting());
  {
    const TapeMutex::Released released(mutex);
    waiter.reset();
  }
}

// Breaks if: letting go of what one does not hold takes it, or takes it away from who does.
TEST(TapeMutex, StaysWithItsHolderWhenAnotherThreadLetsGo) {
  TapeMutex mutex;
  const Lock lock(mutex);
  std::async(std::launch::async, [&] { const TapeMutex::Released released(mutex); }).wait();
  std::optional<Waiter> waiter(std::in_place, mutex);
  EXPECT_TRUE(waiter->is_kept_waiting());
  const TapeMutex::Released released(mutex);
  waiter.reset();
}

// Breaks if: each step's record grows from nothing, or one finds what another has left.
TEST(TapeGroup, HandsOnTheRoomOfRecords) {
  const at::Tensor tensor = torch::ones({8});
  TapeGroup group;
  StepRecord first = group.empty_record();
  for (int i = 0; i < 100; ++i) first.events.add(1);
  first.find_or_add(tensor.storage());
  const std::uint64_t* const room = &*first.events.begin();
  group.take_back(std::move(first));
  StepRecord second = group.empty_record();
  EXPECT_EQ(second.events.size(), 0);
  EXPECT_EQ(second.find(tensor.storage().unsafeGetStorageImpl()), SlotIndex::kNone);
  second.events.add(1);
  EXPECT_EQ(&*second.events.begin(), room);
  StepRecord third = group.empty_record();
  third.events.add(1);
  EXPECT_NE(&*third.events.begin(), room) << "two steps at once";
}

}  // namespace
}  // namespace remat::tape
