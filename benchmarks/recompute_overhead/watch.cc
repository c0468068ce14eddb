#include "recompute_overhead/watch.h"

namespace remat::benchmarks {
namespace {

// Notes a run when it ends, by an early stop too.
class Run {
 public:
  Run(const Meter& meter, LayerRuns& runs) : meter_(meter), runs_(runs) {}
  ~Run() {
    const Instant end = meter_.now();
    (is_again_ ? runs_.again : runs_.forward) += end - begin_;
    runs_.times_again += is_again_ ? 1 : 0;
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

 private:
  const Meter& meter_;
  LayerRuns& runs_;
  const bool is_again_ = is_recomputing();
  const Instant begin_ = meter_.now();
};

}  // namespace

std::vector<remat::Layer> watched(const std::vector<Layer>& layers, const Meter& meter,
                                  std::vector<LayerRuns>& runs) {
  runs.resize(layers.size());
  std::vector<remat::Layer> all;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    all.push_back([layer = layers[i], &meter, &mine = runs[i]](const at::Tensor& x) {
      const Run run(meter, mine);
      return layer(x);
    });
  }
  return all;
}

}  // namespace remat::benchmarks
