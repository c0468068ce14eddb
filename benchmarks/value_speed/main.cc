// How fast are a value's bytes hashed, packed and unpacked, beside a plain copy?
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <remat/memory.h>

#include "common/machine.h"
#include "tape/packed_value.h"
#include "torch_bridge/content_hash.h"

namespace remat::benchmarks {
namespace {

struct Value {
  std::string name;
  at::Tensor tensor;
};

// 16 MiB of float32 and what has as many elements, but for the smallest.
std::vector<Value> all_values() {
  constexpr std::int64_t kCount = std::int64_t{4} << 20;
  const at::Tensor random = at::randn({16, 64, 64, 64});
  const at::Tensor noise = at::empty({kCount}).bernoulli_(0.9).div_(0.9);
  return {
      {"random", random},
      {"random_4_KiB", at::randn({1024})},
      {"random_channels_last", random.contiguous(at::MemoryFormat::ChannelsLast)},
      {"random_transposed", at::randn({2048, 2048}).t()},
      {"noise", noise},
      {"noise_bfloat16", noise.to(at::kBFloat16)},
      {"mask", noise > 0},
      {"four_numbers", at::randint(4, {kCount}, at::kFloat)},
      {"sixteen_numbers", at::randint(16, {kCount}, at::kFloat)},
      {"indices_int64", at::randint(3000, {kCount}, at::kLong)},
  };
}

template <class Work>
void add(const std::string& work, const Value& value, Work run) {
  const auto timed = [tensor = value.tensor, run](benchmark::State& state) {
    for (auto _ : state) run(tensor);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(tensor.nbytes()));
  };
  benchmark::RegisterBenchmark((work + "/" + value.name).c_str(), timed);
}

void add_all(const Value& value) {
  add("copy", value, [copy = at::empty_like(value.tensor)](const at::Tensor& tensor) {
    std::memcpy(copy.data_ptr(), tensor.data_ptr(), tensor.nbytes());
    benchmark::ClobberMemory();
  });
  add("content_hash", value, [](const at::Tensor& tensor) {
    benchmark::DoNotOptimize(torch_bridge::content_hash(tensor));
  });
  add("memory_order_hash", value, [](const at::Tensor& tensor) {
    benchmark::DoNotOptimize(torch_bridge::memory_order_hash(tensor));
  });
  add("pack", value,
      [](const at::Tensor& tensor) { benchmark::DoNotOptimize(tape::pack(tensor)); });
  if (const auto packed = tape::pack(value.tensor)) {
    add("unpack", value,
        [packed](const at::Tensor&) { benchmark::DoNotOptimize(packed->unpack()); });
  }
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  use_huge_page_allocator();
  at::set_num_threads(1);
  benchmark::AddCustomContext("machine", describe_machine());
  for (const Value& value : all_values()) add_all(value);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) { return remat::benchmarks::run(argc, argv); }
