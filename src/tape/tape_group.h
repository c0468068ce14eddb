// Tapes of steps on several threads that share the bytes of one budget.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "tape/records.h"

namespace remat::tape {

class Tape;

/// A mutex that its thread may lock again, and let go of however often it has locked it. Locking it again costs
/// no atomic operation.
class TapeMutex {
 public:
  void lock() {
    if (!is_mine()) take();
    ++depth_;
  }
  void unlock() {
    if (--depth_ == 0) let_go();
  }

  /// While it lives, this thread does not hold the mutex, if it holds it before and after.
  class Released {
   public:
    explicit Released(TapeMutex& mutex) : mutex_(mutex), depth_(mutex.leave()) {}
    ~Released() { mutex_.come_back(depth_); }
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;

   private:
    TapeMutex& mutex_;
    int depth_;
  };

 private:
  /// An address that no other thread has meanwhile.
  static const char* this_thread() {
    static thread_local const char mark = 0;
    return &mark;
  }
  /// What another thread writes there meanwhile is not this one's address either.
  bool is_mine() const { return owner_.load(std::memory_order_relaxed) == this_thread(); }

  void take() {
    mutex_.lock();
    owner_.store(this_thread(), std::memory_order_relaxed);
  }
  void let_go() {
    owner_.store(nullptr, std::memory_order_relaxed);
    mutex_.unlock();
  }
  int leave() {
    if (!is_mine()) return 0;
    const int depth = std::exchange(depth_, 0);
    let_go();
    return depth;
  }
  void come_back(int depth) {
    if (depth == 0) return;
    take();
    depth_ = depth;
  }

  std::mutex mutex_;
  std::atomic<const char*> owner_{nullptr};
  int depth_ = 0;  // of the owner
};

/// Locks are taken in this order: the turn, the group's, those of tapes. A thread that waits for the turn holds
/// none; a thread that runs an operator does not hold that of its tape.
class TapeGroup {
 public:
  TapeGroup();

  void join(Tape& tape);
  void leave(Tape& tape);

  /// Held from the question whether an allocation fits until it is counted.
  std::unique_lock<std::mutex> take_turn() { return std::unique_lock<std::mutex>(turn_); }
  /// The same without waiting; nothing if another thread has it.
  std::unique_lock<std::mutex> turn_if_free() {
    return std::unique_lock<std::mutex>(turn_, std::try_to_lock);
  }

  /// Has the other tapes let go of values until `is_enough`. The caller has the turn. False if that never is.
  bool make_room(const Tape& asking, const std::function<bool()>& is_enough);

  /// To write a step into: with the room that an earlier one took, if there is one.
  StepRecord empty_record();
  /// On any thread, whatever it has locked.
  void take_back(StepRecord record) noexcept;

 private:
  std::mutex turn_;
  std::mutex mutex_;
  std::vector<Tape*> tapes_;
  std::mutex spare_mutex_;  // under which nobody waits for another
  std::vector<StepRecord> spare_;
};

}  // namespace remat::tape
