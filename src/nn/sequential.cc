#include <memory>

#include <remat/sequential.h>

namespace remat {
namespace {

using Layers = std::vector<Layer>;

at::Tensor run_range(const Layers& layers, std::int64_t begin, std::int64_t end, at::Tensor x) {
  for (auto i = begin; i < end; ++i) {
    x = layers[static_cast<std::size_t>(i)](std::move(x));
  }
  return x;
}

}  // namespace

at::Tensor run_layers(const std::vector<Layer>& layers, const Placement& placement, at::Tensor x,
                      const CheckpointOptions& options) {
  const auto segments = placement.segments(static_cast<std::int64_t>(layers.size()));
  const auto kept = std::make_shared<const Layers>(layers);
  for (const Segment segment : segments) {
    const auto run = [kept, segment](at::Tensor input) {
      return run_range(*kept, segment.begin, segment.end, std::move(input));
    };
    x = segment.checkpointed ? checkpoint(options, run, std::move(x)) : run(std::move(x));
  }
  return x;
}

at::Tensor checkpoint_sequential(const torch::nn::Sequential& sequential, std::int64_t segments,
                                 at::Tensor x, const CheckpointOptions& options) {
  Layers layers;
  for (const torch::nn::AnyModule& module : *sequential) {
    layers.push_back([copy = torch::nn::AnyModule(module)](at::Tensor input) mutable {
      return copy.forward(std::move(input));
    });
  }
  return run_layers(layers, Placement::segments_of(segments), std::move(x), options);
}

}  // namespace remat
