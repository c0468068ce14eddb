#include "recompute_overhead/watch.h"

namespace remat::benchmarks {
namespace {

// Notes a run when it ends, by an early stop too.
class Run {
 public:
  explicit Run(LayerRuns& runs) : runs_(runs) {}
  ~Run() {
    const Instant end;
    (is_again_ ? runs_.again : runs_.forward) += end - begin_;
    runs_.times_again += is_again_ ? 1 : 0;
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

 private:
  LayerRuns& runs_;
  const bool is_again_ = is_recomputing();
  const Instant begin_;
};

}  // namespace

std::vector<remat::Layer> watched(const std::vector<Layer>& layers, std::vector<LayerRuns>& runs) {
  runs.resize(layers.size());
  std::vector<remat::Layer> all;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    all.push_back([layer = layers[i], &mine = runs[i]](const at::Tensor& x) {
      const Run run(mine);
      return layer(x);
    });
  }
  return all;
}

}  // namespace remat::benchmarks
