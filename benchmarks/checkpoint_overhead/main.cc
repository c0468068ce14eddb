// One C++ contender as a process that makes a step for each line "step" on its stdin and writes what it
// took as JSON: checkpoint_overhead MODEL plain|remat|reentrant THREADS [--huge-pages] [--device cpu|cuda]
// [--dtype f32|bf16]
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include <fmt/format.h>

#include <ATen/Parallel.h>

#include <remat/memory.h>

#include "checkpoint_overhead/contender.h"
#include "common/kind.h"
#include "common/meter.h"

namespace remat::benchmarks {
namespace {

using Call = torch::Tensor (*)(const Layer&, const torch::Tensor&);

const std::map<std::string, Call> kCalls = {
    {"plain", call_plain}, {"remat", call_remat}, {"reentrant", call_reentrant}};

std::string taken(const char* what, const Elapsed& time) {
  return fmt::format(R"("{0}_ns": {1}, "{0}_cpu_ns": {2})", what, time.wall_ns, time.processor_ns);
}

std::string step(const Model& model, Call call, Meter& meter) {
  for (const auto& parameter : model.parameters) {
    if (parameter.grad().defined()) parameter.mutable_grad().zero_();
  }
  if (model.input.grad().defined()) model.input.mutable_grad().zero_();
  meter.reset_peak();
  const Instant begin = meter.now();
  auto x = model.input;
  for (const auto& layer : model.layers) x = call(layer, x);
  auto loss = torch::nn::functional::cross_entropy(model.head(x), model.target);
  x.reset();
  const Instant forward = meter.now();
  loss.backward();
  const Instant end = meter.now();
  return fmt::format(R"({{{}, {}, "peak_bytes": {}, "loss": {}}})",
                     taken("forward", forward - begin), taken("step", end - begin),
                     meter.peak_bytes(), loss.item<float>());
}

struct Options {
  std::string model;
  Call call = nullptr;
  int threads = 1;
  bool huge_pages = false;
  at::TensorOptions kind = at::TensorOptions(at::kCPU).dtype(at::kFloat);
};

std::optional<Options> read(int argc, char** argv) {
  if (argc < 4 || kCalls.count(argv[2]) == 0) return std::nullopt;
  Options options{argv[1], kCalls.at(argv[2]), std::stoi(argv[3])};
  for (int i = 4; i < argc; ++i) {
    if (read_kind(options.kind, argv[i], argv[i + 1])) {
      ++i;
    } else if (argv[i] == std::string("--huge-pages")) {
      options.huge_pages = true;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

int serve(int argc, char** argv) {
  const auto options = read(argc, argv);
  if (!options) {
    std::cerr << "usage: checkpoint_overhead MODEL plain|remat|reentrant THREADS [--huge-pages] "
                 "[--device cpu|cuda] [--dtype f32|bf16]\n";
    return 2;
  }
  if (options->huge_pages) use_huge_page_allocator();
  at::set_num_threads(options->threads);
  // What the first step of any model brings into memory is not the model's.
  const auto ones = torch::ones({64, 64}, options->kind);
  ones.clone().requires_grad_().matmul(ones).sum().backward();
  std::cout << "ready" << std::endl;
  Meter meter(options->kind.device());
  std::optional<Model> model;
  for (std::string line; std::getline(std::cin, line) && line == "step";) {
    if (!model) model = make_model(options->model, options->kind);
    std::cout << step(*model, options->call, meter) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::serve(argc, argv); }
