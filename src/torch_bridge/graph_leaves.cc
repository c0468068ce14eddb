#include "torch_bridge/graph_leaves.h"

#include <c10/util/flat_hash_map.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

namespace remat::torch_bridge {

std::vector<at::Tensor> leaves_below(const torch::autograd::edge_list& roots) {
  using torch::autograd::Node;
  std::vector<at::Tensor> leaves;
  ska::flat_hash_set<Node*> seen;  // of those that more than one edge may lead to
  std::vector<Node*> todo;
  const auto add = [&](const torch::autograd::edge_list& edges) {
    for (const torch::autograd::Edge& edge : edges) {
      Node* const node = edge.function.get();
      if (node == nullptr) continue;
      const bool is_first = edge.function.use_count() == 1 || seen.insert(node).second;
      if (is_first) todo.push_back(node);
    }
  };
  add(roots);
  while (!todo.empty()) {
    Node* const node = todo.back();
    todo.pop_back();
    if (!node->next_edges().empty()) {
      add(node->next_edges());
    } else if (const auto* end = dynamic_cast<torch::autograd::AccumulateGrad*>(node)) {
      leaves.push_back(end->variable);
    }
  }
  return leaves;
}

}  // namespace remat::torch_bridge
