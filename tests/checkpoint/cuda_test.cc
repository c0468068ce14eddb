// Regions on a CUDA device: autograd runs their backward on a thread of the device's own, on the streams of the
// forward, and their random numbers come from the device's generator.
#include "tests/testing/cuda.h"

#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/torch.h>

#include <remat/checkpoint.h>
#include <remat/graph_group.h>
#include <remat/saved_tensor_hooks.h>

#include "tests/testing/torch_versions.h"
#include "torch_bridge/thread_state.h"

namespace remat {
namespace {

using testing::bit_identical;
using testing::Call;
using testing::Calls;
using testing::cuda_leaf;
using testing::expect_same;
using testing::kFirstCuda;
using testing::leaf;
using testing::Leaves;
using testing::Trace;
using testing::trace_call;

// First in this file: it is skipped once another test has used the device.
TEST(CudaFirstUse, InsideOfARegionIsRefusedOrRepeated) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "LibTorch finds no CUDA device here";
  if (at::detail::getCUDAHooks().hasPrimaryContext(0)) {
    GTEST_SKIP() << "the device is in use already: run this test alone";
  }
  const auto draw = [](const at::Tensor& x) { return torch::dropout(x.to(kFirstCuda), 0.5, true); };
  const at::Tensor x = leaf({64}), same = leaf({64});
  torch::manual_seed(1);
  try {
    checkpoint(draw, x).square().sum().backward();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("used for the first time inside the region"));
    return;
  }
  torch::manual_seed(1);
  draw(same).square().sum().backward();
  EXPECT_TRUE(x.grad().equal(same.grad()));
}

class Cuda : public testing::OnCuda<::testing::Test> {
 protected:
  /// Expects a region of `fn`, called by `call`, to do what `fn` does, and `fn` to be called again once.
  static void expect_plain(const Leaves& leaves, const Call& fn,
                           const CheckpointOptions& options = {}) {
    Calls calls;
    const Call counted = [&](const Leaves& l) {
      calls.count();
      return fn(l);
    };
    const Trace plain = trace_call(leaves, counted);
    EXPECT_EQ(calls.recomputed, 0);
    expect_same(plain, trace_call(leaves, [&](const Leaves& l) {
                  return checkpoint(options, counted, l);
                }));
    EXPECT_EQ(calls.forward, 2);
    EXPECT_EQ(calls.recomputed, 1);
  }
};

at::Tensor two_layers(const at::Tensor& x, const at::Tensor& w) {
  return torch::gelu(torch::layer_norm(x.matmul(w), {x.size(-1)})).matmul(w).sin();
}

TEST_F(Cuda, ARegionIsPlain) {
  expect_plain({cuda_leaf({64, 32}), cuda_leaf({32, 32}, 2)},
               [](const Leaves& l) { return two_layers(l[0], l[1]); });
}

TEST_F(Cuda, ARegionIsPlainWithoutEarlyStopAndUnderTheStrictestChecks) {
  CheckpointOptions options;
  options.early_stop = false;
  options.determinism = Determinism::kValues;
  options.debug = true;
  expect_plain(
      {cuda_leaf({64, 32}), cuda_leaf({32, 32}, 2)},
      [](const Leaves& l) { return two_layers(l[0], l[1]); }, options);
}

TEST_F(Cuda, RegionsInARegion) {
  Calls inner, outer;
  const auto layer = [&](const at::Tensor& x, const at::Tensor& w) {
    inner.count();
    return torch::dropout(two_layers(x, w), 0.3, true);
  };
  const auto both = [&](const at::Tensor& x, const at::Tensor& w, bool checkpointed) {
    outer.count();
    return checkpointed ? checkpoint(layer, checkpoint(layer, x, w), w) : layer(layer(x, w), w);
  };
  const Leaves leaves = {cuda_leaf({16, 32}), cuda_leaf({32, 32}, 2)};
  const Trace plain = trace_call(leaves, [&](const Leaves& l) { return both(l[0], l[1], false); });
  expect_same(plain, trace_call(leaves, [&](const Leaves& l) {
                return checkpoint(both, l[0], l[1], true);
              }));
  EXPECT_EQ(outer.recomputed, 1);
  EXPECT_EQ(inner.recomputed, 4);  // each for the outer region, and for itself
}

TEST_F(Cuda, GradientsOfGradients) {
  const auto twice = [](const at::Tensor& x, const at::Tensor& w, bool checkpointed) {
    const at::Tensor y = checkpointed ? checkpoint(two_layers, x, w) : two_layers(x, w);
    const auto first = torch::autograd::grad({y.square().sum()}, {x}, {}, true, true)[0];
    return torch::autograd::grad({first.square().sum()}, {x, w});
  };
  const at::Tensor x = cuda_leaf({8, 16}), w = cuda_leaf({16, 16}, 2);
  const auto plain = twice(x, w, false), checkpointed = twice(x, w, true);
  EXPECT_TRUE(bit_identical(plain[0], checkpointed[0]));
  EXPECT_TRUE(bit_identical(plain[1], checkpointed[1]));
}

// ---- random numbers ------------------------------------------------------------------------------

// Breaks if: a recomputation draws other numbers, or moves the device's stream of them.
TEST_F(Cuda, DropoutIsRepeated) {
  expect_plain({cuda_leaf({64, 64})}, [](const Leaves& l) {
    const at::Tensor y = torch::dropout(l[0].sin(), 0.5, true).sin();
    return torch::dropout(y * torch::rand_like(y), 0.5, true).sin();
  });
}

TEST_F(Cuda, OtherNumbersIfAskedFor) {
  CheckpointOptions options;
  options.preserve_rng_state = false;
  const at::Tensor x = cuda_leaf({64, 64});
  const auto fn = [](const at::Tensor& t) { return torch::dropout(t.sin(), 0.5, true).sin(); };
  torch::manual_seed(2);
  const auto plain = torch::autograd::grad({fn(x).sum()}, {x})[0];
  torch::manual_seed(2);
  const auto found = torch::autograd::grad({checkpoint(options, fn, x).sum()}, {x})[0];
  EXPECT_FALSE(bit_identical(plain, found));
}

TEST_F(Cuda, NumbersOfAGeneratorOfTheUser) {
  const at::Generator start = at::globalContext().defaultGenerator(kFirstCuda).clone();
  const auto gradient = [&](bool checkpointed) {
    const at::Generator generator = start.clone();
    const at::Tensor x = cuda_leaf({64});
    const auto fn = [generator](const at::Tensor& t) {
      const auto options = at::TensorOptions(kFirstCuda);
      const at::Tensor y = (t * torch::rand({64}, generator, options)).sin();
      return (y * torch::rand({64}, generator, options)).sin();
    };
    const at::Tensor y = checkpointed ? checkpoint(fn, x) : fn(x);
    const at::Tensor next = torch::rand({4}, generator, at::TensorOptions(kFirstCuda));
    const auto found = torch::autograd::grad({y.sum()}, {x})[0];
    return std::vector<at::Tensor>{y, found, next,
                                   torch::rand({4}, generator, at::TensorOptions(kFirstCuda))};
  };
  const auto plain = gradient(false), checkpointed = gradient(true);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(bit_identical(plain[i], checkpointed[i])) << i;
  }
}

TEST_F(Cuda, DropoutOnBothDevicesInOneRegion) {
  expect_plain({leaf({32, 64}), cuda_leaf({64, 64}, 2), leaf({64}, 3)}, [](const Leaves& l) {
    const at::Tensor on_cpu = torch::dropout(l[0].sin(), 0.3, true).sin();
    const at::Tensor there = torch::dropout(on_cpu.to(kFirstCuda).matmul(l[1]), 0.3, true).sin();
    return torch::dropout(there.cpu().sin() * l[2], 0.3, true).sin();
  });
}

#if REMAT_TESTING_TORCH_AT_LEAST(2, 2)
// The fused kernels save where the generator stood instead of a mask.
TEST_F(Cuda, FusedAttentionWithDropout) {
  for (const auto type : {at::kHalf, at::kBFloat16, at::kFloat}) {
    expect_plain(
        {cuda_leaf({2, 4, 128, 64}), cuda_leaf({2, 4, 128, 64}, 2), cuda_leaf({2, 4, 128, 64}, 3)},
        [type](const Leaves& l) {
          return at::scaled_dot_product_attention(l[0].to(type), l[1].to(type), l[2].to(type), {},
                                                  0.2, true)
              .sin()
              .to(at::kFloat);
        });
  }
}
#endif

// cuDNN's dropout has a state of its own, which no seed sets: plain cannot be repeated, a forward can.
TEST_F(Cuda, LstmWithDropout) {
  torch::nn::LSTM lstm(torch::nn::LSTMOptions(24, 24).num_layers(2).dropout(0.3));
  lstm->to(kFirstCuda);
  const at::Tensor x = cuda_leaf({6, 8, 24});
  lstm->forward(x);  // makes the state
  std::vector<at::Tensor> outputs;
  const auto y = checkpoint(
      [&](const at::Tensor& t) {
        outputs.push_back(std::get<0>(lstm->forward(t)).detach());
        return std::get<0>(lstm->forward(t)).sin();
      },
      x);
  y.sum().backward();
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_TRUE(bit_identical(outputs[0], outputs[1]));
}

// ---- autocast ------------------------------------------------------------------------------------

// Breaks if: the recomputation, on the device's thread, casts to another type or not at all.
TEST_F(Cuda, Autocast) {
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    Calls calls;
    const auto layer = [&calls](const at::Tensor& x, const at::Tensor& w) {
      calls.count();
      return torch::linear(torch::gelu(torch::linear(x, w)), w).sin();
    };
    const Leaves leaves = {cuda_leaf({64, 32}), cuda_leaf({32, 32}, 2)};
    const auto run = [&](const Leaves& l, bool checkpointed) {
      const torch_bridge::AutocastGuard autocast(at::kCUDA, type);
      const at::Tensor y = checkpointed ? checkpoint(layer, l[0], l[1]) : layer(l[0], l[1]);
      EXPECT_EQ(y.scalar_type(), type);
      return (checkpointed ? checkpoint(layer, y, l[1]) : layer(y, l[1])).to(at::kFloat);
    };
    const Trace plain = trace_call(leaves, [&](const Leaves& l) { return run(l, false); });
    expect_same(plain, trace_call(leaves, [&](const Leaves& l) { return run(l, true); }));
    EXPECT_EQ(calls.recomputed, 2);
  }
}

// ---- streams -------------------------------------------------------------------------------------

c10::Stream another_stream() {
  return c10::impl::VirtualGuardImpl(c10::kCUDA).getStreamFromGlobalPool(kFirstCuda);
}

c10::Stream current_stream() {
  return c10::impl::VirtualGuardImpl(c10::kCUDA).getStream(kFirstCuda);
}

/// What `later` does from now on waits for what `earlier` has been given.
void wait(const c10::Stream& later, const c10::Stream& earlier) {
  c10::Event event(c10::kCUDA);
  event.record(earlier);
  event.block(later);
}

/// Takes a stream about a millisecond, so that whoever does not wait for it reads too early.
at::Tensor slow(const at::Tensor& x, const at::Tensor& w) {
  at::Tensor y = x;
  for (int i = 0; i < 12; ++i) y = y.matmul(w).sin();
  return y;
}

const Leaves& large_leaves() {
  static const Leaves leaves = {cuda_leaf({1024, 1024}), cuda_leaf({1024, 1024}, 2)};
  return leaves;
}

TEST_F(Cuda, ForwardOnAStreamOfItsOwn) {
  for (int repeat = 0; repeat < 10; ++repeat) {
    expect_plain(large_leaves(), [](const Leaves& l) { return slow(l[0], l[1]); });
    const c10::Stream side = another_stream();
    const auto run = [&](const Leaves& l, bool checkpointed) {
      const c10::Stream outer = current_stream();
      wait(side, outer);
      at::Tensor y;
      {
        const c10::StreamGuard guard(side);
        y = checkpointed ? checkpoint(slow, l[0], l[1]) : slow(l[0], l[1]);
      }
      wait(outer, side);
      return y;
    };
    const Trace plain = trace_call(large_leaves(), [&](const Leaves& l) { return run(l, false); });
    expect_same(plain, trace_call(large_leaves(), [&](const Leaves& l) { return run(l, true); }));
  }
}

// The last operators of the region are on the side stream: backward begins there, and so does what it recomputes
// unless the forward's stream is put back.
TEST_F(Cuda, TwoStreamsInARegion) {
  const c10::Stream side = another_stream();
  const auto branches = [side](const at::Tensor& x, const at::Tensor& w) {
    const c10::Stream outer = current_stream();
    const at::Tensor start = x.sin();
    wait(side, outer);
    at::Tensor b;
    const at::Tensor a = slow(start, w);
    {
      const c10::StreamGuard guard(side);
      b = slow(start.cos(), w);
      wait(side, outer);
      b = (a * b).sin();
    }
    wait(outer, side);
    return b;
  };
  CheckpointOptions options;
  for (int repeat = 0; repeat < 10; ++repeat) {
    expect_plain(
        large_leaves(), [&](const Leaves& l) { return branches(l[0], l[1]); }, options);
    options.determinism = Determinism::kValues;  // hashes wait for the stream that writes
  }
}

// Breaks if: the recomputation, which the CPU's part asks for, runs on the stream that is current there.
TEST_F(Cuda, OnTheForwardsStreamWhoeverAsks) {
  const c10::Stream side = another_stream();
  std::vector<c10::Stream> streams;
  const at::Tensor x = leaf({16});
  at::Tensor y;
  {
    const c10::StreamGuard guard(side);
    y = checkpoint(
        [&](const at::Tensor& t) {
          streams.push_back(current_stream());
          return t.to(kFirstCuda).sin().sin().cpu().sin();
        },
        x);
  }
  y.sum().backward();
  ASSERT_EQ(streams.size(), 2U);
  EXPECT_EQ(streams[0], side);
  EXPECT_EQ(streams[1], side);
  EXPECT_NE(current_stream(), side);
}

TEST_F(Cuda, TwoThreadsTrainOnStreamsOfTheirOwn) {
  const auto gradients = [](std::uint64_t seed, bool checkpointed) {
    const c10::StreamGuard guard(another_stream());
    const at::Tensor x = cuda_leaf({128, 128}, seed), w = cuda_leaf({128, 128}, seed + 9);
    at::Tensor y = x;
    for (int i = 0; i < 4; ++i) y = checkpointed ? checkpoint(two_layers, y, w) : two_layers(y, w);
    auto found = torch::autograd::grad({y.sum()}, {x, w});
    return std::make_pair(found[0].cpu(), found[1].cpu());
  };
  std::vector<std::pair<at::Tensor, at::Tensor>> found(2);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < found.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int repeat = 0; repeat < 10; ++repeat) found[t] = gradients(t, true);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < found.size(); ++t) {
    const auto plain = gradients(t, false);
    EXPECT_TRUE(bit_identical(plain.first, found[t].first));
    EXPECT_TRUE(bit_identical(plain.second, found[t].second));
  }
}

// ---- what the caller sees ------------------------------------------------------------------------

TEST_F(Cuda, StopsEarly) {
  Calls after_save, at_end;
  checkpoint(
      [&](const at::Tensor& x) {
        const at::Tensor y = x.cos().tanh();
        after_save.count();
        const at::Tensor z = y + 1;
        at_end.count();
        return z + 2;
      },
      cuda_leaf({4}))
      .sum()
      .backward();
  EXPECT_EQ(after_save.recomputed, 1);
  EXPECT_EQ(at_end.recomputed, 0);
  EXPECT_EQ(at_end.forward, 1);
}

std::string backward_error(const at::Tensor& y) {
  try {
    y.sum().backward();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "none";
}

// Thrown on the device's thread, caught on the caller's.
TEST_F(Cuda, DivergenceIsAnErrorOfTheSameType) {
  const auto fewer = [](const at::Tensor& x) {
    return is_recomputing() ? x.sin() : x.sin().sin().sin();
  };
  EXPECT_THAT(backward_error(checkpoint(fewer, cuda_leaf({4}))),
              ::testing::HasSubstr("different number of tensors"));
  CheckpointOptions options;
  options.determinism = Determinism::kValues;
  const auto other = [](const at::Tensor& x) {
    return (x * (is_recomputing() ? 2 : 1)).sin().sin();
  };
  EXPECT_THAT(backward_error(checkpoint(options, other, cuda_leaf({4}))),
              ::testing::HasSubstr("Recomputed values differ"));
  const at::Tensor x = cuda_leaf({4}), w = cuda_leaf({4}, 2);
  const at::Tensor y = checkpoint([&](const at::Tensor& t) { return (t * w).sin(); }, x);
  {
    const torch::NoGradGuard no_grad;
    w.add_(1);
  }
  EXPECT_THAT(backward_error(y), ::testing::HasSubstr("cuda:0"));
}

TEST_F(Cuda, BatchNormStatisticsAreUpdatedOnce) {
  const auto train = [](bool checkpointed) {
    torch::manual_seed(3);
    torch::nn::BatchNorm2d norm(8);
    norm->to(kFirstCuda);
    const at::Tensor x = cuda_leaf({4, 8, 16, 16});
    const auto fn = [module = norm.ptr()](const at::Tensor& t) {
      return module->forward(t.sin()).sin();
    };
    (checkpointed ? checkpoint(fn, x) : fn(x)).square().sum().backward();
    return Trace{{"gradient of x", x.grad()},
                 {"gradient of weight", norm->weight.grad()},
                 {"mean", norm->running_mean},
                 {"variance", norm->running_var},
                 {"batches", norm->num_batches_tracked}};
  };
  expect_same(train(false), train(true));
}

// A region's input waits on the host for backward.
TEST_F(Cuda, InputsOffloadedByHooks) {
  int packed = 0;
  const auto run = [&](const Leaves& l, bool checkpointed) {
    const SavedTensorHooks offload(
        [&](const at::Tensor& tensor) {
          ++packed;
          return std::any(tensor.cpu());
        },
        [](const std::any& kept) { return std::any_cast<at::Tensor>(kept).to(kFirstCuda); });
    at::Tensor y = l[0];
    for (int i = 0; i < 3; ++i) {
      y = checkpointed ? checkpoint(two_layers, y, l[1]) : two_layers(y, l[1]);
    }
    return y;
  };
  const Leaves leaves = {cuda_leaf({64, 32}), cuda_leaf({32, 32}, 2)};
  const Trace plain = trace_call(leaves, [&](const Leaves& l) { return run(l, false); });
  const int plain_packed = std::exchange(packed, 0);
  expect_same(plain, trace_call(leaves, [&](const Leaves& l) { return run(l, true); }));
  EXPECT_GT(packed, 0);
  EXPECT_LT(packed, plain_packed);
}

TEST_F(Cuda, RecomputedBeforeBackwardAsks) {
  const at::Tensor x = cuda_leaf({64, 32}), w = cuda_leaf({32, 32}, 2);
  const auto plain = torch::autograd::grad({two_layers(x, w).sum()}, {x, w});
  Calls calls;
  RegionHandle handle;
  CheckpointOptions options;
  options.handle = &handle;
  const at::Tensor y = checkpoint(
      options,
      [&](const at::Tensor& a, const at::Tensor& b) {
        calls.count();
        return two_layers(a, b);
      },
      x, w);
  handle.prefetch();
  EXPECT_EQ(calls.recomputed, 1);
  const auto found = torch::autograd::grad({y.sum()}, {x, w});
  EXPECT_EQ(calls.recomputed, 1);
  EXPECT_TRUE(bit_identical(plain[0], found[0]));
  EXPECT_TRUE(bit_identical(plain[1], found[1]));
}

}  // namespace
}  // namespace remat
