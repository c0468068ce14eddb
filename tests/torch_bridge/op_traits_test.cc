#include "torch_bridge/op_traits.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <torch/torch.h>

namespace remat::torch_bridge {
namespace {

c10::OperatorHandle operator_named(const std::string& name, const std::string& overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), overload.c_str());
}

bool only_shows(const std::string& name, const std::string& overload = "") {
  return traits_of(operator_named("aten::" + name, overload)).only_shows;
}

// Breaks if: a record made on one thread refers to what goes when that thread ends.
TEST(OpTraits, AreTheSameForAllThreads) {
  const auto op = operator_named("aten::mul", "Tensor");
  const OpTraits* elsewhere = nullptr;
  std::thread([&] { elsewhere = &traits_of(op); }).join();
  EXPECT_EQ(&traits_of(op), elsewhere);
  EXPECT_EQ(elsewhere->name, "aten::mul.Tensor");
}

// Breaks if: an operator that makes or writes memory is left off the tape.
TEST(OpTraits, TellViewsAndNumbersFromWhatMakesMemory) {
  for (const char* view : {"t", "view", "expand", "detach", "permute", "as_strided", "unsqueeze"}) {
    EXPECT_TRUE(only_shows(view)) << view;
  }
  EXPECT_TRUE(only_shows("split", "Tensor"));
  EXPECT_TRUE(only_shows("_local_scalar_dense"));
  EXPECT_TRUE(only_shows("equal"));
  for (const char* maker :
       {"relu", "relu_", "mm", "clone", "t_", "bernoulli", "resize_", "native_layer_norm"}) {
    EXPECT_FALSE(only_shows(maker)) << maker;
  }
  EXPECT_FALSE(only_shows("add", "out"));
  EXPECT_FALSE(only_shows("set_", "source_Storage"));
}

// Breaks if: what never gives the same bits again is made again.
TEST(OpTraits, SayWhyResultsCannotBeMadeAgain) {
  const auto obstacle = [](const char* name, const char* overload) {
    return traits_of(operator_named(name, overload)).obstacle;
  };
  EXPECT_EQ(obstacle("aten::mul", "Tensor"), nullptr);
  EXPECT_STREQ(obstacle("aten::index_put", ""), "it may give other bits when it runs again");
  EXPECT_STREQ(obstacle("aten::empty", "memory_format"), "its memory is not written yet");
  EXPECT_STREQ(obstacle("aten::resize_", ""), "it exchanges or resizes a storage");
}

}  // namespace
}  // namespace remat::torch_bridge
