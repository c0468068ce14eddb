// Regions on several threads. tsan runs these too.
#include <atomic>
#include <thread>

#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/saved_tensor_hooks.h>

#include "tests/testing/recomputations.h"
#include "tests/testing/trace.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::expect_same;
using testing::leaf;
using testing::Trace;
using testing::values;

at::Tensor many_ops(const at::Tensor& x, const at::Tensor& w) {
  return (x * w).sin().matmul(w.sin()).tanh().cos();
}

/// Gradients of a chain of regions on data of the thread's own.
std::vector<at::Tensor> gradients_of_a_model(std::uint64_t seed, bool checkpointed) {
  const at::Tensor x = leaf({8, 8}, seed), w = leaf({8, 8}, seed + 50);
  at::Tensor y = x;
  for (int i = 0; i < 5; ++i) {
    y = checkpointed ? checkpoint(many_ops, y, w) : many_ops(y, w);
  }
  return torch::autograd::grad({y.sum()}, {x, w});
}

TEST(Threads, TrainModelsOfTheirOwnAtOnce) {
  constexpr int kThreads = 4;
  std::vector<std::vector<at::Tensor>> found(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t, &found] {
      for (int repeat = 0; repeat < 10; ++repeat) {
        found[t] = gradients_of_a_model(t, /*checkpointed=*/true);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (int t = 0; t < kThreads; ++t) {
    const auto expected = gradients_of_a_model(t, /*checkpointed=*/false);
    EXPECT_TRUE(bit_identical(found[t][0], expected[0])) << t;
    EXPECT_TRUE(bit_identical(found[t][1], expected[1])) << t;
  }
}

// Breaks if: state of the call lives in thread-locals of the thread that made it.
TEST(Threads, BackwardMayRunOnAnotherThread) {
  const at::Tensor x = leaf({100});
  const auto fn = [](const at::Tensor& t) { return torch::dropout(t.sin(), 0.5, true).sin(); };
  torch::manual_seed(3);
  const at::Tensor y = checkpoint([&](const at::Tensor& t) { return checkpoint(fn, t).sin(); }, x);
  at::Tensor found;
  std::thread([&] { found = torch::autograd::grad({y.sum()}, {x})[0]; }).join();
  torch::manual_seed(3);
  EXPECT_TRUE(bit_identical(found, torch::autograd::grad({fn(x).sin().sum()}, {x})[0]));
}

// Two passes over one region: both ask it for the same tensors.
TEST(Threads, BackwardMayRunOnTwoThreadsAtOnce) {
  const at::Tensor x = leaf({8, 8}), w = leaf({8, 8}, 2);
  const auto expected = torch::autograd::grad({many_ops(x, w).sum()}, {x, w});
  for (int repeat = 0; repeat < 20; ++repeat) {
    const at::Tensor y = checkpoint(many_ops, x, w);
    std::vector<std::vector<at::Tensor>> found(2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        found[t] = torch::autograd::grad({y.sum()}, {x, w}, {}, /*retain_graph=*/true);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    for (const auto& gradients : found) {
      EXPECT_TRUE(bit_identical(gradients[0], expected[0]));
      EXPECT_TRUE(bit_identical(gradients[1], expected[1]));
    }
  }
}

// ---- data parallelism ----------------------------------------------------------------------------------

/// A replica of a model: layers that are called as regions or plainly. Copies share the parameters.
struct ReplicaImpl : torch::nn::Cloneable<ReplicaImpl> {
  ReplicaImpl() { reset(); }
  void reset() override {
    first = register_module("first", torch::nn::Linear(6, 6));
    second = register_module("second", torch::nn::Linear(6, 6));
  }
  at::Tensor forward(const at::Tensor& x) {
    const auto block = [this](const at::Tensor& t) { return second(first(t).tanh()).sin(); };
    return checkpointed ? checkpoint(block, checkpoint(block, x)) : block(block(x));
  }
  torch::nn::Linear first = nullptr, second = nullptr;
  bool checkpointed = false;
};
TORCH_MODULE(Replica);

Replica make_replica(bool checkpointed) {
  torch::manual_seed(3);
  Replica model;
  model->checkpointed = checkpointed;
  return model;
}

Trace gradients_by_name(const Replica& model) {
  Trace trace;
  for (const auto& parameter : model->named_parameters()) {
    trace.emplace_back("gradient of " + parameter.key(), parameter.value().grad());
  }
  return trace;
}

// Each thread its part of the batch, forward and backward, into the same leaves. Two threads: the sum of two
// is the same in either order.
// Breaks if: a region locks or changes what the threads share.
TEST(Threads, AccumulateIntoTheSameLeavesAtOnce) {
  const auto train = [](bool checkpointed) {
    const Replica model = make_replica(checkpointed);
    std::vector<std::thread> threads;
    for (const std::uint64_t part : {1, 2}) {
      threads.emplace_back([part, replica = model]() mutable {
        const at::Tensor loss = replica(values({5, 6}, part)).square().sum();
        const testing::Recomputations recomputations;
        loss.backward();
        EXPECT_EQ(recomputations.count(), replica->checkpointed ? 2 : 0);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    return gradients_by_name(model);
  };
  for (int repeat = 0; repeat < 20; ++repeat) {
    expect_same(train(false), train(true));
  }
}

/// A module of its own whose parameters are results of `model`'s, as torch::nn::parallel::replicate makes it.
Replica replicate(const Replica& model) {
  Replica replica(std::dynamic_pointer_cast<ReplicaImpl>(model->clone()));
  const auto share = [](torch::nn::Linear& to, const torch::nn::Linear& from) {
    to->weight = from->weight.view_as(from->weight);
    to->bias = from->bias.view_as(from->bias);
  };
  share(replica->first, model->first);
  share(replica->second, model->second);
  return replica;
}

// As torch::nn::parallel::data_parallel does: the forwards of all replicas at once, then one backward.
TEST(Threads, ReplicasAtOnceThenOneBackward) {
  const auto train = [](bool checkpointed) {
    const Replica model = make_replica(checkpointed);
    std::vector<Replica> replicas;
    for (int part = 0; part < 4; ++part) {
      replicas.push_back(replicate(model));
    }
    std::vector<at::Tensor> outputs(replicas.size());
    std::vector<std::thread> threads;
    for (std::size_t part = 0; part < replicas.size(); ++part) {
      threads.emplace_back([&, part] { outputs[part] = replicas[part](values({5, 6}, part)); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    const testing::Recomputations recomputations;
    at::cat(outputs).square().sum().backward();
    EXPECT_EQ(recomputations.count(), checkpointed ? 8 : 0);
    return gradients_by_name(model);
  };
  for (int repeat = 0; repeat < 10; ++repeat) {
    expect_same(train(false), train(true));
  }
}

// Breaks if: what a thread does inside a region applies to all.
TEST(Threads, ARegionIsItsThreadsOwn) {
  at::Tensor other;
  const at::Tensor x = leaf({3});
  bool other_recomputing = false;
  const at::Tensor y = checkpoint(
      [&](const at::Tensor& t) {
        std::thread([&] {
          other_recomputing = other_recomputing || is_recomputing();
          other = leaf({3}, 2).sin().sin();
        }).join();
        return t.sin().sin();
      },
      x);
  y.sum().backward();
  EXPECT_FALSE(other_recomputing);
  EXPECT_TRUE(x.grad().defined());
  other.sum().backward();
}

// Which numbers a thread gets from the shared generator depends on the others, plainly as well. So each
// forward notes its own: its gradient must fit them, whoever draws in between and meanwhile.
TEST(Threads, DropoutOfRegionsThatRunAtOnceIsRepeated) {
  constexpr int kThreads = 4, kRepeats = 25;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t, &wrong] {
      for (int repeat = 0; repeat < kRepeats; ++repeat) {
        const at::Tensor x = leaf({500}, t);
        std::vector<at::Tensor> masks;
        const at::Tensor y = checkpoint(
            [&masks](at::Tensor z) {
              for (int i = 0; i < 4; ++i) {
                const at::Tensor mask = torch::dropout(torch::ones_like(z), 0.5, true);
                if (!is_recomputing()) {
                  masks.push_back(mask.detach());
                }
                z = (z * mask).sin();
              }
              return z;
            },
            x);
        torch::dropout(x, 0.5, true);  // outside of any region: moves the generator as well
        const at::Tensor found = torch::autograd::grad({y.sum()}, {x})[0];
        at::Tensor z = x;
        for (const at::Tensor& mask : masks) {
          z = (z * mask).sin();
        }
        wrong += !bit_identical(found, torch::autograd::grad({z.sum()}, {x})[0]);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0) << "of " << kThreads * kRepeats;
}

// The other thread stands for any that draws, in remat or not, while a region is recomputed.
TEST(Threads, ARecomputationDoesNotDisturbTheNumbersOfOthers) {
  const at::Tensor x = leaf({100});
  at::Tensor drawn_meanwhile;
  const auto fn = [&](const at::Tensor& t) {
    const at::Tensor y = torch::dropout(t.sin(), 0.5, true).sin();
    if (is_recomputing()) {
      std::thread([&] { drawn_meanwhile = torch::rand({5}); }).join();
    }
    return torch::dropout(y, 0.5, true).sin();
  };
  torch::manual_seed(3);
  const at::Tensor y = checkpoint(fn, x);
  torch::autograd::grad({y.sum()}, {x});
  const at::Tensor drawn_after = torch::rand({5});

  torch::manual_seed(3);
  fn(x);
  EXPECT_TRUE(bit_identical(drawn_meanwhile, torch::rand({5})));
  EXPECT_TRUE(bit_identical(drawn_after, torch::rand({5})));
}

}  // namespace
}  // namespace remat
