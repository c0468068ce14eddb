// One policy as a process that makes a training step for each line "step" on its stdin and writes what the
// parts of the step took as JSON: recompute_overhead MODEL POLICY THREADS [--huge-pages] [--no-early-stop]
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ATen/Parallel.h>

#include <remat/memory.h>

#include "recompute_overhead/watch.h"

namespace remat::benchmarks {
namespace {

struct Options {
  std::string model;
  Placement policy = Placement::none();
  int threads = 1;
  bool huge_pages = false;
  CheckpointOptions region;
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
        model_(make_model(options.model)),
        layers_(watched(model_.layers, runs_)),
        optimizer_(model_.parameters, torch::optim::AdamWOptions(1e-4)) {}

  std::string step(MemoryTracker& tracker) {
    tracker.reset_peak();
    runs_.assign(runs_.size(), LayerRuns());
    const Instant begin;
    auto x = run_layers(layers_, options_.policy, model_.input, options_.region);
    const Instant layers;
    Instant head_backward;
    x.register_hook([&](const at::Tensor&) { head_backward = Instant(); });
    auto loss = torch::nn::functional::cross_entropy(model_.head(x), model_.target);
    x.reset();
    const Instant forward;
    loss.backward();
    const Instant backward;
    update();
    const Instant end;
    return fmt::format("{{{}, {}, {}, {}, {}, {}, {}, \"peak_bytes\": {}, \"loss\": {}}}",
                       number("forward", layers - begin), number("head", forward - layers),
                       number("head_backward", head_backward - forward),
                       number("backward", backward - head_backward),
                       number("optimizer", end - backward), number("step", end - begin),
                       layer_lists(), tracker.peak_bytes().count(), loss.item<float>());
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
  Model model_;
  std::vector<LayerRuns> runs_;
  std::vector<remat::Layer> layers_;
  torch::optim::AdamW optimizer_;
};

std::optional<Options> read(int argc, char** argv) {
  if (argc < 4) return std::nullopt;
  Options options{argv[1], Placement::parse(argv[2]), std::stoi(argv[3]), false, {}};
  for (int i = 4; i < argc; ++i) {
    options.huge_pages |= argv[i] == std::string("--huge-pages");
    if (argv[i] == std::string("--no-early-stop")) options.region.early_stop = false;
  }
  return options;
}

int serve(int argc, char** argv) {
  const auto options = read(argc, argv);
  if (!options) {
    std::cerr
        << "usage: recompute_overhead MODEL POLICY THREADS [--huge-pages] [--no-early-stop]\n";
    return 2;
  }
  if (options->huge_pages) use_huge_page_allocator();
  at::set_num_threads(options->threads);
  std::cout << "ready" << std::endl;
  MemoryTracker tracker;
  std::unique_ptr<Trainer> trainer;
  for (std::string line; std::getline(std::cin, line) && line == "step";) {
    if (!trainer) trainer = std::make_unique<Trainer>(*options);
    std::cout << trainer->step(tracker) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::serve(argc, argv); }
