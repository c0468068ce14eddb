// One C++ contender as a process that makes a step for each line "step" on its stdin and writes what it
// took as JSON: checkpoint_overhead MODEL plain|remat|reentrant THREADS [--huge-pages]
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include <fmt/format.h>

#include <ATen/Parallel.h>

#include <remat/memory.h>

#include "checkpoint_overhead/contender.h"
#include "common/instant.h"

namespace remat::benchmarks {
namespace {

using Call = torch::Tensor (*)(const Layer&, const torch::Tensor&);

const std::map<std::string, Call> kCalls = {
    {"plain", call_plain}, {"remat", call_remat}, {"reentrant", call_reentrant}};

std::string taken(const char* what, const Elapsed& time) {
  return fmt::format(R"("{0}_ns": {1}, "{0}_cpu_ns": {2})", what, time.wall_ns, time.processor_ns);
}

std::string step(const Model& model, Call call, MemoryTracker& tracker) {
  for (const auto& parameter : model.parameters) {
    if (parameter.grad().defined()) parameter.mutable_grad().zero_();
  }
  if (model.input.grad().defined()) model.input.mutable_grad().zero_();
  tracker.reset_peak();
  const Instant begin;
  auto x = model.input;
  for (const auto& layer : model.layers) x = call(layer, x);
  auto loss = torch::nn::functional::cross_entropy(model.head(x), model.target);
  x.reset();
  const Instant forward;
  loss.backward();
  const Instant end;
  return fmt::format(R"({{{}, {}, "peak_bytes": {}, "loss": {}}})",
                     taken("forward", forward - begin), taken("step", end - begin),
                     tracker.peak_bytes().count(), loss.item<float>());
}

int serve(int argc, char** argv) {
  if (argc < 4 || kCalls.count(argv[2]) == 0) {
    std::cerr << "usage: checkpoint_overhead MODEL plain|remat|reentrant THREADS [--huge-pages]\n";
    return 2;
  }
  if (argc > 4 && argv[4] == std::string("--huge-pages")) use_huge_page_allocator();
  at::set_num_threads(std::stoi(argv[3]));
  // What the first step of any model brings into memory is not the model's.
  torch::ones({64, 64}, torch::requires_grad()).matmul(torch::ones({64, 64})).sum().backward();
  std::cout << "ready" << std::endl;
  MemoryTracker tracker;
  std::optional<Model> model;
  for (std::string line; std::getline(std::cin, line) && line == "step";) {
    if (!model) model = make_model(argv[1]);
    std::cout << step(*model, kCalls.at(argv[2]), tracker) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::serve(argc, argv); }
