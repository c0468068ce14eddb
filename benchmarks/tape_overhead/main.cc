// What does a step's tape cost for each operator? Steps of tiny operators, plain, seen by an interceptor that does
// nothing, and within a budget that is never short, take turns in one process.
#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <torch/nn/modules/rnn.h>

#include <remat/budget.h>
#include <remat/memory.h>

#include "common/instant.h"
#include "common/machine.h"
#include "common/statistics.h"
#include "report/text_table.h"
#include "torch_bridge/op_interceptor.h"

namespace remat::benchmarks {
namespace {

using report::TextTable;

struct Options {
  int rounds = 101;
  std::string only;
  bool smoke = false;
};

struct Workload {
  std::string name;
  std::function<at::Tensor()> loss;
};

/// As the tape, it does not see what kernels call.
class PassOn final : public torch_bridge::OpInterceptor {
 public:
  void intercept(torch_bridge::OpCall& call) override {
    const torch_bridge::InterceptorPause pause(torch_bridge::OpLevel::kBelowAutograd);
    call.proceed();
  }
};

at::Tensor tiny_parameter() { return at::full({8, 8}, 0.125F).requires_grad_(); }

template <class Op>
Workload chain(const std::string& name, int length, Op op) {
  const auto input = tiny_parameter();
  const auto weight = tiny_parameter();
  return {name, [=] {
            at::Tensor x = input;
            for (int i = 0; i < length; ++i) x = op(x, weight);
            return x.sum();
          }};
}

/// Operators that autograd takes no part in: seen and written down, and nothing is saved of them.
Workload without_graph(int length) {
  const auto trained = tiny_parameter();
  const auto factor = at::full({8, 8}, 0.5F);
  return {"mul, no graph", [=] {
            at::Tensor x = factor;
            for (int i = 0; i < length; ++i) x = at::mul(x, factor);
            return (x * trained).sum();
          }};
}

/// Cells one by one, as a program with control flow of its own runs them.
Workload lstm_cells(int steps) {
  const std::int64_t batch = 4;
  const std::int64_t dim = 32;
  torch::nn::LSTMCell cell(dim, dim);
  const auto inputs = torch::randn({steps, batch, dim});
  return {"LSTMCell", [=]() mutable {
            auto state = std::make_tuple(torch::zeros({batch, dim}), torch::zeros({batch, dim}));
            for (std::int64_t t = 0; t < inputs.size(0); ++t) state = cell(inputs[t], state);
            return std::get<0>(state).sum();
          }};
}

std::vector<Workload> workloads(bool smoke) {
  const int length = smoke ? 8 : 256;
  const auto at_once = [](const auto& x, const auto& w) { return at::linear(x, w); };
  const auto in_place = [](const auto& x, const auto& w) { return (x * 0.5).add_(w); };
  return {chain("add", length, [](const auto& x, const auto& w) { return at::add(x, w); }),
          chain("mul", length, [](const auto& x, const auto& w) { return at::mul(x, w); }),
          chain("linear", length, at_once),
          chain("mul, add_", length, in_place),
          without_graph(length),
          lstm_cells(smoke ? 4 : 100)};
}

double nanoseconds_of(const std::function<void()>& step) {
  const Instant begin;
  step();
  return static_cast<double>((Instant() - begin).processor_ns);
}

struct Times {
  std::vector<double> plain, seen, within;
};

/// Steps in turns; those within the budget once a plan holds.
std::vector<std::string> measure(const Workload& workload, int rounds) {
  Budget budget({Bytes(std::int64_t{1} << 30)});
  const auto plain = [&] { workload.loss().backward(); };
  const auto within = [&] {
    const Step step(budget);
    plain();
  };
  const auto seen = [&] {
    PassOn nothing;
    const torch_bridge::InterceptorScope scope(torch_bridge::OpLevel::kBelowAutograd, nothing);
    plain();
  };
  for (int i = 0; i < 8 && !(budget.report().planned && !budget.report().audited); ++i) within();
  Times times;
  for (int round = 0; round < rounds; ++round) {
    times.plain.push_back(nanoseconds_of(plain));
    times.seen.push_back(nanoseconds_of(seen));
    times.within.push_back(nanoseconds_of(within));
  }
  const auto ops = static_cast<double>(budget.report().operators);
  const auto each = [&](const std::vector<double>& found) { return median(found) / ops; };
  return {workload.name,
          fmt::format("{:.0f}", ops),
          fmt::format("{:.0f}", each(times.plain)),
          fmt::format("{:.0f}", each(times.seen) - each(times.plain)),
          fmt::format("{:.0f}", each(times.within) - each(times.seen)),
          fmt::format("{:.0f}", each(times.within) - each(times.plain)),
          fmt::format("±{:.1f} %", 100 * std::max(spread(times.plain), spread(times.within))),
          budget.report().planned ? "" : "no plan held"};
}

void run(const Options& options) {
  use_huge_page_allocator();
  std::cout << describe_machine() << "\n";
  const auto right = TextTable::Align::kRight;
  TextTable table({{"step of"},
                   {"ops", right},
                   {"plain ns/op", right},
                   {"+ seen", right},
                   {"+ tape", right},
                   {"in all", right},
                   {"spread", right},
                   {""}});
  for (const Workload& workload : workloads(options.smoke)) {
    if (!options.only.empty() && workload.name != options.only) continue;
    table.add_row(measure(workload, options.smoke ? 3 : options.rounds));
  }
  std::cout << table.to_string();
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) {
  remat::benchmarks::Options options;
  CLI::App app("What does the tape of a step cost for each operator?");
  app.add_option("--rounds", options.rounds, "Steps of each contender")->check(CLI::PositiveNumber);
  app.add_option("--only", options.only, "The one row of this name");
  app.add_flag("--smoke", options.smoke, "Short steps, to try this program");
  CLI11_PARSE(app, argc, argv);
  try {
    remat::benchmarks::run(options);
  } catch (const std::exception& error) {
    std::cerr << "tape_overhead: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
