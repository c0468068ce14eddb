#include "plan/max_flow.h"

#include <algorithm>
#include <cstddef>

namespace remat::plan {
namespace {

std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }

}  // namespace

MaxFlow::MaxFlow(Node nodes, const std::vector<Ends>& edges)
    : arcs_(2 * edges.size()),
      first_(at(nodes) + 1),
      place_of_edge_(edges.size()),
      capacity_(edges.size()),
      level_(at(nodes)),
      next_(at(nodes)),
      queue_(at(nodes)) {
  for (const auto& edge : edges) {
    ++first_[at(edge.from) + 1];
    ++first_[at(edge.to) + 1];
  }
  for (std::size_t node = 1; node < first_.size(); ++node) first_[node] += first_[node - 1];
  auto end = first_;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto forth = end[at(edges[i].from)]++;
    const auto back = end[at(edges[i].to)]++;
    arcs_[at(forth)] = {edges[i].to, back, 0};
    arcs_[at(back)] = {edges[i].from, forth, 0};
    place_of_edge_[i] = forth;
  }
}

void MaxFlow::set(Capacity capacity) { capacity_[at(capacity.edge)] = capacity.most; }

std::int64_t MaxFlow::run(std::int64_t work) {
  work_ = 0;
  work_limit_ = work;
  largest_ = true;
  for (std::size_t i = 0; i < place_of_edge_.size(); ++i) {
    auto& forth = arcs_[at(place_of_edge_[i])];
    forth.left = capacity_[i];
    arcs_[at(forth.back)].left = 0;
  }
  std::int64_t flow = 0;
  while (largest_ && flow < kUnlimited && find_levels()) flow += block_paths();
  return flow;
}

// Distances from the source. False if the sink is out of reach.
bool MaxFlow::find_levels() {
  std::fill(level_.begin(), level_.end(), -1);
  level_[kSource] = 0;
  queue_[0] = kSource;
  std::size_t end = 1;
  for (std::size_t begin = 0; begin < end; ++begin) {
    const auto node = queue_[begin];
    for (auto i = first_[at(node)]; i < first_[at(node) + 1]; ++i) {
      const auto& arc = arcs_[at(i)];
      if (arc.left == 0 || level_[at(arc.to)] >= 0) continue;
      level_[at(arc.to)] = level_[at(node)] + 1;
      queue_[end++] = arc.to;
    }
    work_ += first_[at(node) + 1] - first_[at(node)];
  }
  return level_[kSink] >= 0;
}

// Fills paths that get one step nearer to the sink with each arc, until none is left.
std::int64_t MaxFlow::block_paths() {
  std::copy(first_.begin(), first_.end() - 1, next_.begin());
  path_.clear();
  std::int64_t flow = 0;
  Node node = kSource;
  while (flow < kUnlimited) {
    if (node == kSink) {
      flow += augment();
      node = path_.empty() ? kSource : arcs_[at(path_.back())].to;
    } else if (advance(node)) {
      path_.push_back(next_[at(node)]);
      node = arcs_[at(path_.back())].to;
    } else if (node == kSource) {
      break;
    } else {
      node = arcs_[at(arcs_[at(path_.back())].back)].to;
      path_.pop_back();
      ++next_[at(node)];
    }
    if (work_ > work_limit_) {
      largest_ = false;
      break;
    }
  }
  return flow;
}

// Moves the node's next arc to one that leads on. False if there is none.
bool MaxFlow::advance(Node node) {
  auto& i = next_[at(node)];
  for (; i < first_[at(node) + 1]; ++i) {
    ++work_;
    const auto& arc = arcs_[at(i)];
    if (arc.left > 0 && level_[at(arc.to)] == level_[at(node)] + 1) return true;
  }
  return false;
}

// Fills the path, and shortens it to what is before its first full arc.
std::int64_t MaxFlow::augment() {
  auto most = kUnlimited;
  for (const auto i : path_) most = std::min(most, arcs_[at(i)].left);
  auto full = path_.size();
  for (auto place = path_.size(); place-- > 0;) {
    auto& arc = arcs_[at(path_[place])];
    arc.left -= most;
    arcs_[at(arc.back)].left += most;
    if (arc.left == 0) full = place;
  }
  work_ += static_cast<std::int64_t>(path_.size());
  path_.resize(full);
  return most;
}

}  // namespace remat::plan
