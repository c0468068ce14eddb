// One policy as a process that makes a training step for each line "step" on its stdin and writes what the
// parts of the step took as JSON: recompute_overhead MODEL POLICY THREADS [--huge-pages] [--no-early-stop]
// [--device cpu|cuda] [--dtype f32|bf16]
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ATen/Parallel.h>

#include <remat/memory.h>

#include "common/kind.h"
#include "recompute_overhead/watch.h"

namespace remat::benchmarks {
namespace {

struct Options {
  std::string model;
  Placement policy = Placement::none();
  int threads = 1;
  bool huge_pages = false;
  CheckpointOptions region;
  at::TensorOptions kind = at::TensorOptions(at::kCPU).dtype(at::kFloat);
};

std::string number(const char* what, const Elapsed& time) {
  return fmt::format(R"("{0}_ns": {1}, "{0}_cpu_ns": {2})", what, time.wall_ns, time.processor_ns);
}

template <class Number>
std::string list(const char* what, const std::vector<LayerRuns>& runs, Number&& number) {
  std::vector<std::int64_t> numbers;
  for (const LayerRuns& layer : runs) numbers.push_back(number(layer));
  return fmt::format(R"("{}": [{}])", what, fmt::join(numbers, ", "));
}

class Trainer {
 public:
  explicit Trainer(const Options& options)
      : options_(options),
        meter_(options.kind.device()),
        model_(make_model(options.model, options.kind)),
        layers_(watched(model_.layers, meter_, runs_)),
        optimizer_(model_.parameters, torch::optim::AdamWOptions(1e-4)) {}

  std::string step() {
    meter_.reset_peak();
    runs_.assign(runs_.size(), LayerRuns());
    const Instant begin = meter_.now();
    auto x = run_layers(layers_, options_.policy, model_.input, options_.region);
    const Instant layers = meter_.now();
    Instant head_backward;
    x.register_hook([&](const at::Tensor&) { head_backward = meter_.now(); });
    auto loss = torch::nn::functional::cross_entropy(model_.head(x), model_.target);
    x.reset();
    const Instant forward = meter_.now();
    loss.backward();
    const Instant backward = meter_.now();
    update();
    const Instant end = meter_.now();
    return fmt::format("{{{}, {}, {}, {}, {}, {}, {}, \"peak_bytes\": {}, \"loss\": {}}}",
                       number("forward", layers - begin), number("head", forward - layers),
                       number("head_backward", head_backward - forward),
                       number("backward", backward - head_backward),
                       number("optimizer", end - backward), number("step", end - begin),
                       layer_lists(), meter_.peak_bytes(), loss.item<float>());
  }

 private:
  void update() {
    optimizer_.step();
    for (const auto& parameter : model_.parameters) parameter.mutable_grad().zero_();
    model_.input.mutable_grad().zero_();
  }

  std::string layer_lists() const {
    return fmt::format(
        "{}, {}, {}, {}, {}",
        list("times_again", runs_, [](const auto& layer) { return layer.times_again; }),
        list("layers_ns", runs_, [](const auto& layer) { return layer.forward.wall_ns; }),
        list("layers_cpu_ns", runs_, [](const auto& layer) { return layer.forward.processor_ns; }),
        list("again_ns", runs_, [](const auto& layer) { return layer.again.wall_ns; }),
        list("again_cpu_ns", runs_, [](const auto& layer) { return layer.again.processor_ns; }));
  }

  const Options options_;
  Meter meter_;  // before the model: it counts only what is younger
  Model model_;
  std::vector<LayerRuns> runs_;
  std::vector<remat::Layer> layers_;
  torch::optim::AdamW optimizer_;
};

std::optional<Options> read(int argc, char** argv) {
  if (argc < 4) return std::nullopt;
  Options options;
  options.model = argv[1];
  options.policy = Placement::parse(argv[2]);
  options.threads = std::stoi(argv[3]);
  for (int i = 4; i < argc; ++i) {
    if (read_kind(options.kind, argv[i], argv[i + 1])) {
      ++i;
    } else if (argv[i] == std::string("--huge-pages")) {
      options.huge_pages = true;
    } else if (argv[i] == std::string("--no-early-stop")) {
      options.region.early_stop = false;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

int serve(int argc, char** argv) {
  const auto options = read(argc, argv);
  if (!options) {
    std::cerr << "usage: recompute_overhead MODEL POLICY THREADS [--huge-pages] [--no-early-stop] "
                 "[--device cpu|cuda] [--dtype f32|bf16]\n";
    return 2;
  }
  if (options->huge_pages) use_huge_page_allocator();
  at::set_num_threads(options->threads);
  torch::ones({1}, options->kind);
  std::cout << "ready" << std::endl;
  std::unique_ptr<Trainer> trainer;
  for (std::string line; std::getline(std::cin, line) && line == "step";) {
    if (!trainer) trainer = std::make_unique<Trainer>(*options);
    std::cout << trainer->step() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::serve(argc, argv); }
