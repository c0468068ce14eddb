#include "checkpoint/op_log.h"

#include <algorithm>

#include <fmt/format.h>

namespace remat {
namespace {

constexpr std::size_t kLinesAround = 20;  // enough to recognise the place, few enough to read

std::string name_of(const std::vector<c10::OperatorHandle>& ops, std::size_t i) {
  return i < ops.size() ? c10::toString(ops[i].operator_name()) : std::string("-");
}

}  // namespace

std::string OpLog::compare(const OpLog& forward, const OpLog& recomputed) {
  const std::size_t shared = std::min(forward.ops_.size(), recomputed.ops_.size());
  std::size_t first = 0;
  while (first < shared && name_of(forward.ops_, first) == name_of(recomputed.ops_, first)) {
    ++first;
  }
  const std::size_t longest = std::max(forward.ops_.size(), recomputed.ops_.size());
  const std::size_t begin = first > kLinesAround ? first - kLinesAround : 0;
  const std::size_t end = std::min(longest, first + kLinesAround + 1);

  std::string text = fmt::format("operators of the forward ({}) and of the recomputation ({}):\n",
                                 forward.ops_.size(), recomputed.ops_.size());
  for (std::size_t i = begin; i < end; ++i) {
    text += fmt::format("{} {:>5}  {:<40} {}\n", i == first ? "->" : "  ", i,
                        name_of(forward.ops_, i), name_of(recomputed.ops_, i));
  }
  return text;
}

}  // namespace remat
