// Marks the calling thread as recomputing: what remat::is_recomputing() tells.
#pragma once

namespace remat {

class RecomputingScope {
 public:
  RecomputingScope();
  ~RecomputingScope();
  RecomputingScope(const RecomputingScope&) = delete;
  RecomputingScope& operator=(const RecomputingScope&) = delete;
};

}  // namespace remat
