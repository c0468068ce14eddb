// The operators of one pass through a region, in order: what `CheckpointOptions::debug` shows.
#pragma once

#include <string>
#include <vector>

#include "torch_bridge/op_interceptor.h"

namespace remat {

class OpLog {
 public:
  void add(const c10::OperatorHandle& op) { ops_.push_back(op); }

  /// Both lists side by side around their first difference, which is marked. `recomputed` may end
  /// early (early stop) without that being a difference.
  static std::string compare(const OpLog& forward, const OpLog& recomputed);

 private:
  std::vector<c10::OperatorHandle> ops_;
};

}  // namespace remat
