#include "plan/repetition.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "graph/op_name.h"

namespace remat::plan {
namespace {

std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }

// Sizes count where the search decides: what cannot be made again (gradients, what else is in memory) grows
// from block to block of a measured backward. Where in the model an op is does not count: each block is elsewhere.
std::uint64_t signature_of(const OpGraph& graph, const graph::IndexedGraph& index, std::size_t op) {
  const auto& what = graph.ops[op];
  auto text = fmt::format("{}|{}|{}|{}", graph::parse_op_name(what.name).kind,
                          static_cast<int>(what.recompute), what.reads.size(),
                          index.ops()[op].writes.size());
  if (what.recompute == Recompute::kNever) return std::hash<std::string>()(text);
  text += fmt::format("|{}", what.workspace.count());
  for (const auto value : index.ops()[op].writes) {
    text += fmt::format("|{}", graph.values[value].bytes.count());
  }
  return std::hash<std::string>()(text);
}

// The ops of one phase, in order, and their periods.
struct PhaseOps {
  std::vector<std::size_t> ops;
  std::optional<Period> period;
};

PhaseOps periods_of(const OpGraph& graph, const graph::IndexedGraph& index, Phase phase,
                    std::int32_t least_blocks) {
  PhaseOps result;
  std::vector<std::uint64_t> signatures;
  for (std::size_t op = 0; op < graph.ops.size(); ++op) {
    if (graph.ops[op].phase != phase) continue;
    result.ops.push_back(op);
    signatures.push_back(signature_of(graph, index, op));
  }
  result.period = find_period(signatures, least_blocks);
  return result;
}

void enter(const PhaseOps& phase, std::vector<BlockPlace>& ops) {
  const auto& period = *phase.period;
  for (std::int32_t i = 0; i < period.period * period.copies; ++i) {
    ops[phase.ops[at(period.begin + i)]] = {i / period.period, i % period.period};
  }
}

// What backward's block j adds up to with the forward block that it reads most.
std::optional<std::int32_t> sum_of_block_pairs(const graph::IndexedGraph& index,
                                               const PhaseOps& backward,
                                               const std::vector<BlockPlace>& ops,
                                               const OpGraph& graph) {
  std::map<std::int32_t, std::int32_t> votes;
  for (const auto op : backward.ops) {
    if (ops[op].block < 0) continue;
    for (const auto value : index.ops()[op].reads) {
      const auto writer = index.writer(value);
      if (!writer || graph.ops[*writer].phase != Phase::kForward) continue;
      if (ops[*writer].block >= 0) ++votes[ops[*writer].block + ops[op].block];
    }
  }
  const auto most = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == votes.end() ? std::nullopt : std::optional(most->first);
}

// Gives backward's blocks the numbers of forward's; those without a partner are outside.
void number_as_forward(const PhaseOps& backward, std::int32_t sum, Repetition& repetition) {
  for (const auto op : backward.ops) {
    auto& place = repetition.ops[op];
    if (place.block < 0) continue;
    place.block = sum - place.block;
    if (place.block < 0 || place.block >= repetition.blocks) place = {};
  }
}

}  // namespace

std::optional<Period> find_period(const std::vector<std::uint64_t>& signatures,
                                  std::int32_t least_copies) {
  const auto count = static_cast<std::int32_t>(signatures.size());
  std::optional<Period> best;
  std::int32_t best_covered = 0;
  for (std::int32_t period = 1; period * least_copies <= count; ++period) {
    std::int32_t run = 0;  // of ops equal to the one a period later
    for (std::int32_t i = 0; i + period <= count; ++i) {
      const bool equal = i + period < count && signatures[at(i)] == signatures[at(i + period)];
      if (equal) {
        ++run;
        continue;
      }
      const auto copies = run / period + 1;
      if (copies >= least_copies && copies * period > best_covered) {
        best = Period{i - run, period, copies};
        best_covered = copies * period;
      }
      run = 0;
    }
  }
  return best;
}

std::optional<Repetition> find_repetition(const OpGraph& graph, const graph::IndexedGraph& index,
                                          std::int32_t least_blocks) {
  const auto forward = periods_of(graph, index, Phase::kForward, least_blocks);
  const auto backward = periods_of(graph, index, Phase::kBackward, least_blocks);
  if (!forward.period || !backward.period) return std::nullopt;
  Repetition repetition{forward.period->copies, std::vector<BlockPlace>(graph.ops.size())};
  enter(forward, repetition.ops);
  enter(backward, repetition.ops);
  const auto sum = sum_of_block_pairs(index, backward, repetition.ops, graph);
  if (!sum) return std::nullopt;
  number_as_forward(backward, *sum, repetition);
  return repetition;
}

}  // namespace remat::plan
