// Steps on several threads that share a budget.
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/budget.h>
#include <remat/memory.h>

namespace remat {
namespace {

constexpr std::int64_t kEffort = 100'000;
constexpr int kSteps = 6;
constexpr int kThreads = 3;

/// Lets nobody go on until all have come.
class Meeting {
 public:
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const int round = round_;
    if (++here_ == kThreads) {
      here_ = 0;
      ++round_;
      all_here_.notify_all();
    }
    all_here_.wait(lock, [&] { return round_ != round; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  int here_ = 0, round_ = 0;
};

/// A net of its own for each thread, without random numbers: the default generator is everybody's.
struct Training {
  explicit Training(int seed) {
    torch::manual_seed(seed);
    for (int i = 0; i < 16; ++i) {
      net->push_back(torch::nn::Linear(64, 64));
      net->push_back(torch::nn::Tanh());
    }
    input = torch::randn({512, 64});
  }

  at::Tensor loss() { return net->forward(input).square().mean(); }

  void step() { step(loss()); }

  void step(const at::Tensor& loss) {
    loss.backward();
    for (at::Tensor& parameter : net->parameters()) {
      const torch::NoGradGuard no_grad;
      parameter.sub_(parameter.grad(), 0.1);
      parameter.mutable_grad() = at::Tensor();
      bits.emplace_back(parameter.nbytes());
      std::memcpy(bits.back().data(), parameter.data_ptr(), bits.back().size());
    }
  }

  torch::nn::Sequential net;
  at::Tensor input;
  std::vector<std::vector<char>> bits;
};

std::vector<std::vector<char>> plain_bits(int seed) {
  Training training(seed);
  for (int i = 0; i < kSteps; ++i) training.step();
  return training.bits;
}

Bytes activations() {
  Training training(1);
  training.step();
  MemoryTracker tracker;
  training.step();
  return tracker.peak_bytes();
}

// Breaks if: threads share more than the bytes, or one allocates what another was promised.
TEST(BudgetThreads, ShareTheBytes) {
  use_huge_page_allocator();
  std::vector<Training> trainings;
  std::vector<std::vector<std::vector<char>>> expected;
  for (int seed = 0; seed < kThreads; ++seed) {
    expected.push_back(plain_bits(seed));
    trainings.emplace_back(seed);
  }
  const Bytes memory = *live_cpu_bytes() + activations() * kThreads * 2 / 3;
  Budget budget({memory, kEffort});
  std::vector<std::int64_t> evictions(kThreads, 0);
  const Bytes before = *live_cpu_bytes();
  MemoryTracker tracker;
  Meeting meeting;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < kSteps; ++k) {
        meeting.wait();
        const Step step(budget);
        trainings[i].step();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(before + tracker.peak_bytes(), memory);
  EXPECT_GT(before + tracker.peak_bytes(), memory - activations() / 2)
      << "they ran at the same time";
  for (int i = 0; i < kThreads; ++i) EXPECT_EQ(trainings[i].bits, expected[i]) << i;
  EXPECT_EQ(budget.report().steps, kThreads * kSteps);
  EXPECT_EQ(budget.report().plans_made, 0) << "a measurement of three steps at once is none";
}

// Breaks if: what a step keeps, and could make again, is in the way of another's.
TEST(BudgetThreads, LetGoForEachOther) {
  use_huge_page_allocator();
  Training waits(1), works(2);
  const auto expected_waits = plain_bits(1), expected_works = plain_bits(2);
  Budget budget({*live_cpu_bytes() + activations(), kEffort});
  for (int k = 0; k < kSteps; ++k) {
    const Step step(budget);
    const at::Tensor loss = waits.loss();
    std::thread([&] {
      const Step beside(budget);
      works.step();
    }).join();
    waits.step(loss);
  }
  EXPECT_EQ(waits.bits, expected_waits);
  EXPECT_EQ(works.bits, expected_works);
}

// Breaks if: what is known of operators goes with the thread that ran them first.
TEST(BudgetThreads, ValuesAreMadeAgainAfterTheirThreadHasEnded) {
  use_huge_page_allocator();
  Training training(1);
  const auto expected = plain_bits(1);
  const Bytes memory = *live_cpu_bytes() + activations() * 2 / 3;
  Budget budget({memory, kEffort});
  at::Tensor loss;
  std::thread([&] {
    const Step step(budget);
    loss = training.loss();
  }).join();
  ASSERT_GT(budget.report().evictions, 0);
  training.step(loss);
  EXPECT_EQ(training.bits.front(), expected.front());
}

// Breaks if: a step that runs beside another does not follow the plan that it has, or spoils it.
TEST(BudgetThreads, FollowThePlansThatThereAre) {
  use_huge_page_allocator();
  Training first(1), second(2);
  const auto expected_first = plain_bits(1), expected_second = plain_bits(2);
  const Bytes memory = *live_cpu_bytes() + activations() * 3 / 2;
  Budget budget({memory, kEffort});
  for (int k = 0; k < 3; ++k) {
    const Step step(budget);
    first.step();
  }
  ASSERT_TRUE(budget.report().planned);
  std::thread other([&] {
    for (int k = 0; k < kSteps; ++k) {
      const Step step(budget);
      second.step();
    }
  });
  for (int k = 3; k < kSteps; ++k) {
    const Step step(budget);
    first.step();
  }
  other.join();
  EXPECT_EQ(first.bits, expected_first);
  EXPECT_EQ(second.bits, expected_second);
}

}  // namespace
}  // namespace remat
