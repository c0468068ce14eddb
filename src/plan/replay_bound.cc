#include "plan/replay_bound.h"

#include <algorithm>
#include <utility>

namespace remat::plan {
namespace {

constexpr int kMostPrices = 40;
constexpr double kNoBetter = 1e-9;

class PriceSearch {
 public:
  PriceSearch(ReplayCuts& cuts, PricedBound& best, std::int64_t enough)
      : cuts_(cuts), best_(best), enough_(enough) {}

  void run() {
    for (int i = 0; i < kMostPrices && best_.over.time < best_.fitting.time; ++i) {
      const auto price = static_cast<double>(best_.fitting.time - best_.over.time) /
                         static_cast<double>(best_.over.bytes - best_.fitting.bytes);
      if (priced(best_.over, price) <= static_cast<double>(enough_)) return;
      if (!try_price(price)) return;
    }
  }

 private:
  // The time of a cut with what it has above the room, or below it, at a price.
  double priced(const ReplayCut& cut, double price) const {
    return static_cast<double>(cut.time) + price * static_cast<double>(cut.bytes - cuts_.room());
  }

  // False if this was the best price.
  bool try_price(double price) {
    const auto most = priced(best_.over, price);
    auto cut = cuts_.at_price(price);
    if (!cut) return false;
    if (cut->bound > best_.bound || best_.price == 0) {
      best_.bound = std::max(best_.bound, cut->bound);
      best_.price = price;
    }
    if (cuts_.out_of_work()) return false;
    const auto gain = most - priced(*cut, price);
    if (gain <= kNoBetter * (1 + most)) return false;
    (cut->bytes > cuts_.room() ? best_.over : best_.fitting) = std::move(*cut);
    return true;
  }

  ReplayCuts& cuts_;
  PricedBound& best_;
  const std::int64_t enough_;
};

class Branching {
 public:
  Branching(ReplayCuts& cuts, const PricedBound& root) : cuts_(cuts), best_(root) {
    open_.push_back({{}, root});
  }

  PricedBound run() {
    best_.bound = search();
    return std::move(best_);
  }

 private:
  using Decision = std::pair<Place, OpChoice>;
  struct Node {
    std::vector<Decision> decisions;
    PricedBound bound;
  };
  static constexpr auto kLater = [](const Node& a, const Node& b) {
    return a.bound.bound > b.bound.bound;
  };

  std::int64_t least() const { return best_.fitting.time; }

  std::int64_t search() {
    while (!open_.empty() && !cuts_.out_of_work()) {
      std::pop_heap(open_.begin(), open_.end(), kLater);
      if (open_.back().bound.bound >= least()) break;
      const auto node = std::move(open_.back());
      open_.pop_back();
      const auto op = op_to_branch_on(node.bound);
      if (op < 0) return node.bound.bound;
      add_child(node, {op, OpChoice::kReplayed});
      add_child(node, {op, OpChoice::kNotReplayed});
    }
    auto bound = least();
    for (const auto& node : open_) bound = std::min(bound, node.bound.bound);
    return bound;
  }

  // The op of most time in which the two cuts differ.
  Place op_to_branch_on(const PricedBound& bound) const {
    Place best = -1;
    for (Place op = 0; op < cuts_.ops(); ++op) {
      const auto place = static_cast<std::size_t>(op);
      if (bound.over.replayed[place] == bound.fitting.replayed[place]) continue;
      if (best < 0 || cuts_.time(op) > cuts_.time(best)) best = op;
    }
    return best;
  }

  void add_child(const Node& parent, Decision decision) {
    auto decisions = parent.decisions;
    decisions.push_back(decision);
    for (const auto& [op, choice] : decisions) cuts_.choose(op, choice);
    auto child = bound_at_best_price(cuts_, 0);
    for (const auto& [op, choice] : decisions) cuts_.choose(op, OpChoice::kOpen);
    if (cuts_.out_of_work()) child = parent.bound;
    if (!child) return;
    child->bound = std::max(child->bound, parent.bound.bound);
    if (child->fitting.time < least()) best_.fitting = child->fitting;
    if (child->bound >= least()) return;
    open_.push_back({std::move(decisions), std::move(*child)});
    std::push_heap(open_.begin(), open_.end(), kLater);
  }

  ReplayCuts& cuts_;
  PricedBound best_;  // the root's, with what fits best of all that was seen
  std::vector<Node> open_;
};

}  // namespace

std::optional<PricedBound> bound_at_best_price(ReplayCuts& cuts, std::int64_t enough) {
  PricedBound best;
  auto over = cuts.at_price(0);
  if (!over) return std::nullopt;
  best.bound = over->bound;
  if (cuts.out_of_work()) return best;
  if (over->bytes <= cuts.room()) {
    best.over = *over;
    best.fitting = std::move(*over);
    return best;
  }
  auto fitting = cuts.of_least_bytes();
  if (cuts.out_of_work()) return best;
  if (!fitting || fitting->bytes > cuts.room()) return std::nullopt;
  best.over = std::move(*over);
  best.fitting = std::move(*fitting);
  PriceSearch(cuts, best, enough).run();
  return best;
}

PricedBound bound_by_branching(ReplayCuts& cuts, const PricedBound& root) {
  if (root.exact()) return root;
  return Branching(cuts, root).run();
}

}  // namespace remat::plan
