#include "graph/chain_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/bad_input.h"
#include "base/wide_sum.h"

namespace remat::graph {
namespace {

class ChainCheck {
 public:
  ChainCheck(const Chain& chain, const std::string& source) : chain_(chain), source_(source) {}

  void run() const {
    check_numbers();
    check_sizes();
    check_times();
  }

 private:
  [[noreturn]] void reject_at(std::string path, std::string expected, std::string found) const {
    reject({source_, std::move(path), std::move(expected), std::move(found)});
  }

  // A member that may not be negative.
  struct Number {
    std::string_view key;
    std::int64_t count = 0;
  };

  template <std::size_t N>
  void check_not_negative(const std::string& object, const Number (&numbers)[N]) const {
    for (const auto& [key, count] : numbers) {
      if (count >= 0) continue;
      reject_at(fmt::format("{}.{}", object, key), "a whole number from 0 to 2^63 - 1",
                std::to_string(count));
    }
  }

  void check_numbers() const {
    check_not_negative("", {{"fixed_bytes", chain_.fixed.count()},
                            {"input_bytes", chain_.input.count()},
                            {"input_gradient_bytes", chain_.input_gradient.count()}});
    if (chain_.stages.empty()) reject_at("stages", "at least one stage", "none");
    for (std::size_t i = 0; i < chain_.stages.size(); ++i) check_stage(i);
  }

  void check_stage(std::size_t i) const {
    const auto& stage = chain_.stages[i];
    const auto path = fmt::format("stages[{}]", i);
    check_not_negative(
        path, {{"output_bytes", stage.output.count()},
               {"output_gradient_bytes", stage.output_gradient.value_or(stage.output).count()},
               {"forward_ns", stage.forward_time.count()},
               {"forward_workspace_bytes", stage.forward_workspace.count()}});
    if (stage.options.empty()) reject_at(path + ".options", "at least one option", "none");
    for (std::size_t k = 0; k < stage.options.size(); ++k) {
      const auto& option = stage.options[k];
      check_not_negative(fmt::format("{}.options[{}]", path, k),
                         {{"saved_bytes", option.saved.count()},
                          {"forward_ns", option.forward_time.count()},
                          {"forward_workspace_bytes", option.forward_workspace.count()},
                          {"backward_ns", option.backward_time.count()},
                          {"backward_workspace_bytes", option.backward_workspace.count()}});
    }
  }

  // All activations, all gradients and the largest option of each stage are resident at once at most;
  // an action adds one of them before it frees, and a workspace.
  void check_sizes() const {
    WideSum resident =
        WideSum{chain_.fixed.count()} + chain_.input.count() + chain_.input_gradient.count();
    std::int64_t largest = std::max(chain_.input.count(), chain_.input_gradient.count());
    std::int64_t workspace = 0;
    for (const auto& stage : chain_.stages) {
      const auto gradient = stage.output_gradient.value_or(stage.output).count();
      std::int64_t saved = 0;
      workspace = std::max(workspace, stage.forward_workspace.count());
      for (const auto& option : stage.options) {
        saved = std::max(saved, option.saved.count());
        workspace = std::max(
            {workspace, option.forward_workspace.count(), option.backward_workspace.count()});
      }
      resident += WideSum{stage.output.count()} + gradient + saved;
      largest = std::max({largest, stage.output.count(), gradient, saved});
    }
    if (!fits(resident + largest + workspace)) {
      reject_at("stages", "sizes that add up to at most 2^63 - 1 bytes", "more");
    }
  }

  void check_times() const {
    WideSum total = 0;
    for (const auto& stage : chain_.stages) {
      WideSum slowest = 0;
      for (const auto& option : stage.options) {
        slowest =
            std::max(slowest, WideSum{option.forward_time.count()} + option.backward_time.count());
      }
      total += slowest;
    }
    if (!fits(total)) reject_at("stages", "times that add up to at most 2^63 - 1 ns", "more");
  }

  const Chain& chain_;
  const std::string& source_;
};

}  // namespace

void check_chain(const Chain& chain, const std::string& source) { ChainCheck(chain, source).run(); }

}  // namespace remat::graph
