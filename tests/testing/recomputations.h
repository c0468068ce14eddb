// Counts recomputations, whatever the callable of a region is.
#pragma once

#include <cstring>
#include <memory>

#include <ATen/record_function.h>

namespace remat::testing {

/// How many recomputations of regions have begun on this thread since this was made. One at a time.
class Recomputations {
 public:
  Recomputations() : callback_(at::addThreadLocalCallback(at::RecordFunctionCallback(&note))) {
    begun() = 0;
  }
  ~Recomputations() { at::removeCallback(callback_); }
  Recomputations(const Recomputations&) = delete;
  Recomputations& operator=(const Recomputations&) = delete;

  int count() const { return begun(); }

 private:
  static int& begun() {
    thread_local int count = 0;
    return count;
  }
  static std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
    begun() += std::strcmp(function.name(), "remat::recompute") == 0 ? 1 : 0;
    return nullptr;
  }

  at::CallbackHandle callback_;
};

}  // namespace remat::testing
