#include "plan/repeated_search.h"

#include <algorithm>

namespace remat::plan {
namespace {

constexpr std::size_t kLeastOps = 1500;    // below, the search over the whole does as well
constexpr std::int32_t kLeastBlocks = 10;  // of fewer, the few to be searched first are almost all
constexpr std::int32_t kOpsOfFew =
    800;  // what a search finishes within the share of the effort below
constexpr std::int32_t kLeastKept = 4;

constexpr std::int64_t kFirstShare = 40;  // percent of the effort; the corrections share the rest
constexpr int kOrders = 2;
constexpr int kCorrections = 3;  // in each order

std::int32_t ops_in_blocks(const Repetition& repetition) {
  return static_cast<std::int32_t>(
      std::count_if(repetition.ops.begin(), repetition.ops.end(),
                    [](const BlockPlace& place) { return place.block >= 0; }));
}

std::int32_t blocks_to_keep(const Repetition& repetition) {
  const auto of_a_block = std::max<std::int32_t>(1, ops_in_blocks(repetition) / repetition.blocks);
  return std::clamp(kOpsOfFew / of_a_block, kLeastKept, repetition.blocks / 2);
}

}  // namespace

std::optional<Repetition> RepeatedSearch::repetition_of(const OpGraph& graph,
                                                        const graph::IndexedGraph& index) {
  if (graph.ops.size() < kLeastOps) return std::nullopt;
  auto repetition = find_repetition(graph, index, kLeastBlocks);
  if (!repetition || ops_in_blocks(*repetition) * 2 < static_cast<std::int32_t>(graph.ops.size())) {
    return std::nullopt;
  }
  return repetition;
}

RepeatedSearch::RepeatedSearch(const OpGraph& graph, const graph::IndexedGraph& index,
                               const RetentionSpace& space, const Repetition& repetition)
    : space_(space),
      kept_(blocks_to_keep(repetition)),
      blocks_(repetition.blocks),
      reduced_(graph, index, repetition, kept_),
      reduced_index_(reduced_.graph(), "a few blocks of " + graph.name),
      reduced_space_(reduced_.graph(), reduced_index_) {}

// What the plain step has above the budget is the few blocks' in proportion.
std::int64_t RepeatedSearch::first_budget(std::int64_t budget) const {
  const auto above = RetentionState(space_, budget).peak() - budget;
  return RetentionState(reduced_space_, budget).peak() - above * kept_ / blocks_;
}

void RepeatedSearch::search(RetentionSearch& whole, std::int64_t effort) const {
  RetentionSearch few(reduced_space_, first_budget(whole.state().budget()));
  few.set_deadline(whole.deadline());
  few.search(effort * kFirstShare / 100);
  const auto& patterns = few.best() ? *few.best() : few.nearest();
  const auto rest = effort * (100 - kFirstShare) / 100 / kOrders;
  adapt(whole, patterns, BlockOrder::kInProportion, rest);
  adapt(whole, patterns, BlockOrder::kInTurn, rest);
}

void RepeatedSearch::adapt(RetentionSearch& whole, Patterns patterns, BlockOrder order,
                           std::int64_t effort) const {
  const auto budget = whole.state().budget();
  auto budget_of_few = first_budget(budget);
  for (int i = 0; i < kCorrections; ++i) {
    whole.offer(reduced_.expand(space_, {reduced_space_, patterns}, order));
    budget_of_few += (budget - whole.state().peak()) * kept_ / blocks_;
    RetentionSearch few(reduced_space_, budget_of_few);
    few.set_deadline(whole.deadline());
    few.offer(patterns);
    few.refine(effort / kCorrections);
    patterns = few.best() ? *few.best() : few.nearest();
  }
  whole.offer(reduced_.expand(space_, {reduced_space_, patterns}, order));
}

}  // namespace remat::plan
