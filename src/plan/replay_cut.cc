#include "plan/replay_cut.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/wide_sum.h"

namespace remat::plan {
namespace {

std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }

// A little below and above 1: more than three roundings of doubles.
constexpr double kBelow = 1 - 0x1p-50;
constexpr double kAbove = 1 + 0x1p-50;

}  // namespace

ReplayCuts::ReplayCuts(const ReplayProblem& problem, int time_shift)
    : problem_(problem), choices_(problem.ops.size(), OpChoice::kOpen) {
  std::int64_t all = 0;
  for (const auto& op : problem.ops) {
    times_.push_back(time_shift >= 0 ? op.time << time_shift : op.time >> -time_shift);
    all += times_.back();
  }
  dearest_ = all + 1;
  WideSum bytes = 0;
  for (const auto& value : problem.values) bytes += value.bytes;
  while ((bytes >> byte_shift_) >= MaxFlow::kUnlimited / 2) ++byte_shift_;
  build_network();
}

void ReplayCuts::build_network() {
  std::vector<MaxFlow::Ends> edges;
  const auto add = [&edges](MaxFlow::Node from, MaxFlow::Node to) {
    edges.push_back({from, to});
    return static_cast<MaxFlow::Edge>(edges.size()) - 1;
  };
  auto nodes = node_of(static_cast<Place>(problem_.ops.size()));
  for (const auto& value : problem_.values) {
    node_of_value_.push_back(value.needed ? MaxFlow::kSource : nodes++);
    const auto made_by = value.op < 0 ? MaxFlow::kSink : node_of(value.op);
    edge_of_value_.push_back(add(node_of_value_.back(), made_by));
  }
  std::vector<MaxFlow::Edge> unlimited;
  for (Place op = 0; op < ops(); ++op) {
    sink_edge_of_op_.push_back(add(node_of(op), MaxFlow::kSink));
    source_edge_of_op_.push_back(add(MaxFlow::kSource, node_of(op)));
    for (const auto value : problem_.ops[at(op)].reads) {
      // A needed value is at the source anyway.
      if (!problem_.values[at(value)].needed) {
        unlimited.push_back(add(node_of(op), node_of_value_[at(value)]));
      }
    }
  }
  flow_.emplace(nodes, edges);
  for (const auto edge : unlimited) flow_->set({edge, MaxFlow::kUnlimited});
}

void ReplayCuts::set_capacities(double price) {
  for (std::size_t i = 0; i < problem_.values.size(); ++i) {
    const auto& value = problem_.values[i];
    const auto cost = price * static_cast<double>(value.bytes) * kBelow;
    const auto limit =
        cost < static_cast<double>(dearest_) ? static_cast<std::int64_t>(cost) : dearest_;
    flow_->set({edge_of_value_[i], value.gone ? MaxFlow::kUnlimited : limit});
  }
  for (Place op = 0; op < ops(); ++op) {
    const auto choice = choices_[at(op)];
    flow_->set({sink_edge_of_op_[at(op)],
                choice == OpChoice::kNotReplayed ? MaxFlow::kUnlimited : times_[at(op)]});
    flow_->set(
        {source_edge_of_op_[at(op)], choice == OpChoice::kReplayed ? MaxFlow::kUnlimited : 0});
  }
}

void ReplayCuts::set_byte_capacities() {
  set_capacities(0);
  for (std::size_t i = 0; i < problem_.values.size(); ++i) {
    const auto& value = problem_.values[i];
    if (!value.gone) flow_->set({edge_of_value_[i], value.bytes >> byte_shift_});
  }
  for (Place op = 0; op < ops(); ++op) {
    if (choices_[at(op)] != OpChoice::kNotReplayed) flow_->set({sink_edge_of_op_[at(op)], 0});
  }
}

std::int64_t ReplayCuts::run() {
  const auto flow = flow_->run(std::max<std::int64_t>(work_left_, 0));
  work_left_ -= flow_->work();
  return flow;
}

ReplayCut ReplayCuts::what_was_cut() const {
  ReplayCut cut;
  for (Place op = 0; op < ops(); ++op) {
    cut.replayed.push_back(replayed(op));
    if (replayed(op)) cut.time += times_[at(op)];
  }
  for (std::size_t i = 0; i < problem_.values.size(); ++i) {
    const auto& value = problem_.values[i];
    const bool wanted = value.needed || flow_->reached(node_of_value_[i]);
    if (wanted && (value.op < 0 || !replayed(value.op))) cut.bytes += value.bytes;
  }
  return cut;
}

std::optional<ReplayCut> ReplayCuts::at_price(double price) {
  set_capacities(price);
  const auto flow = run();
  if (flow >= MaxFlow::kUnlimited) return std::nullopt;
  auto cut = what_was_cut();
  const auto room = std::ceil(price * static_cast<double>(problem_.room) * kAbove);
  cut.bound = room < static_cast<double>(flow) ? flow - static_cast<std::int64_t>(room) : 0;
  return cut;
}

std::optional<ReplayCut> ReplayCuts::of_least_bytes() {
  set_byte_capacities();
  if (run() >= MaxFlow::kUnlimited) return std::nullopt;
  return what_was_cut();
}

std::int64_t ReplayCuts::least_bytes() {
  set_byte_capacities();
  return run() << byte_shift_;
}

}  // namespace remat::plan
