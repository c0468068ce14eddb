// Tapes of steps on several threads that share the bytes of one budget.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

namespace remat::tape {

class Tape;

/// A mutex that its thread may lock again, and let go of however often it has locked it.
class TapeMutex {
 public:
  void lock() {
    mutex_.lock();
    ++depth_;
  }
  void unlock() {
    --depth_;
    mutex_.unlock();
  }

  /// While it lives, this thread does not hold the mutex, which it holds before and after.
  class Released {
   public:
    explicit Released(TapeMutex& mutex) : mutex_(mutex), depth_(mutex.depth_of_this_thread()) {
      for (int i = 0; i < depth_; ++i) mutex_.unlock();
    }
    ~Released() {
      for (int i = 0; i < depth_; ++i) mutex_.lock();
    }
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;

   private:
    TapeMutex& mutex_;
    int depth_;
  };

 private:
  int depth_of_this_thread() {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    return depth_;
  }

  std::recursive_mutex mutex_;
  int depth_ = 0;
};

/// Locks are taken in this order: the turn, the group's, those of tapes. A thread that waits for the turn holds
/// none; a thread that runs an operator does not hold that of its tape.
class TapeGroup {
 public:
  void join(Tape& tape);
  void leave(Tape& tape);

  /// Held from the question whether an allocation fits until it is counted.
  std::unique_lock<std::mutex> take_turn() { return std::unique_lock<std::mutex>(turn_); }

  /// Has the other tapes let go of values until `is_enough`. The caller has the turn. False if that never is.
  bool make_room(const Tape& asking, const std::function<bool()>& is_enough);

 private:
  std::mutex turn_;
  std::mutex mutex_;
  std::vector<Tape*> tapes_;
};

}  // namespace remat::tape
