// Packing values without loss.
#include "tape/packed_value.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/memory.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::tape {
namespace {

const std::vector<at::ScalarType>& dtypes() {
  static const std::vector<at::ScalarType> all = {
      at::kFloat, at::kDouble, at::kHalf, at::kBFloat16,     at::kByte,          at::kChar,
      at::kShort, at::kInt,    at::kLong, at::kComplexFloat, at::kComplexDouble, at::kBool};
  return all;
}

/// `count` elements that take turns, not in a row, at `patterns` different patterns of all their bits.
at::Tensor of_patterns(at::ScalarType dtype, std::int64_t count, int patterns) {
  at::Tensor value = torch::empty({count}, dtype);
  auto* const bytes = static_cast<unsigned char*>(value.data_ptr());
  const std::size_t size = value.itemsize();
  std::uint32_t random = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    random = random * 1664525 + 1013904223;
    const auto pattern = i < static_cast<std::size_t>(patterns)
                             ? i
                             : (random >> 16) % static_cast<unsigned>(patterns);
    for (std::size_t byte = 0; byte < size; ++byte) {
      const auto any = static_cast<unsigned char>((pattern * 37 + 11) * (2 * byte + 1));
      bytes[i * size + byte] = dtype == at::kBool ? static_cast<unsigned char>(pattern) : any;
    }
  }
  return value;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0;
}

/// Of dense tensors: bits in the order of memory, sizes, strides and dtype.
void expect_exactly(const at::Tensor& unpacked, const at::Tensor& value) {
  EXPECT_EQ(unpacked.sizes(), value.sizes());
  EXPECT_EQ(unpacked.strides(), value.strides());
  EXPECT_EQ(unpacked.scalar_type(), value.scalar_type());
  EXPECT_FALSE(unpacked.requires_grad());
  EXPECT_TRUE(same_bits(unpacked, value));
}

void expect_packed(const at::Tensor& value, std::int64_t bytes) {
  const auto packed = pack(value);
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ(packed->bytes(), bytes);
  expect_exactly(packed->unpack(), value);
}

const std::vector<std::int64_t>& counts() {
  static const std::vector<std::int64_t> all = {1,  2,   3,    7,    8,    9,    63,   64,   65,
                                                79, 512, 1023, 1025, 2047, 2048, 2049, 10001};
  return all;
}

TEST(PackedValue, HoldsTwoPatternsInABitOfEveryDtype) {
  for (const auto dtype : dtypes()) {
    for (const std::int64_t count : counts()) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + " " + std::to_string(count));
      expect_packed(of_patterns(dtype, count, 2), (count + 7) / 8);
      expect_packed(of_patterns(dtype, count, 1), (count + 7) / 8);
    }
  }
}

TEST(PackedValue, HoldsUpToSixteenPatternsInFourBits) {
  for (const auto dtype : dtypes()) {
    if (dtype == at::kBool) continue;
    for (const std::int64_t count : counts()) {
      for (const int patterns : {3, 4, 5, 15, 16}) {
        if (count < patterns) continue;
        SCOPED_TRACE(std::string(c10::toString(dtype)) + " " + std::to_string(count) + " of " +
                     std::to_string(patterns));
        const int bits = patterns <= 4 ? 2 : 4;
        expect_packed(of_patterns(dtype, count, patterns), (count * bits + 7) / 8);
      }
    }
  }
}

// Breaks if: patterns are compared as numbers.
TEST(PackedValue, KeepsPayloadsOfNanAndTheSignOfZero) {
  at::Tensor value = torch::zeros({100});
  auto* const bits = static_cast<std::uint32_t*>(value.data_ptr());
  bits[50] = 0x80000000;
  expect_packed(value, 13);
  bits[51] = 0x7FC00001;
  bits[52] = 0xFFC00002;
  expect_packed(value, 25);
  bits[53] = 0x7F800001;
  expect_packed(value, 50);
}

TEST(PackedValue, HoldsDropoutNoise) {
  torch::manual_seed(1);
  expect_packed(torch::empty({64, 300}).bernoulli_(0.9).div_(0.9), 64 * 300 / 8);
  expect_packed(torch::randn({64, 300}) > 0, 64 * 300 / 8);
}

// Breaks if: the codes of patterns that come late are lost when a wider code begins again.
TEST(PackedValue, FindsPatternsThatComeLate) {
  for (const std::int64_t place : {1500, 2047, 2048, 9999}) {
    SCOPED_TRACE(place);
    at::Tensor value = torch::zeros({10'000});
    value[place] = 1;
    expect_packed(value, 1250);
    value[place - 1200] = 2;
    expect_packed(value, 2500);
    value[place - 1] = 3;
    expect_packed(value, 2500);
    value[0] = 4;
    expect_packed(value, 5000);
  }
}

TEST(PackedValue, RefusesSeventeenPatternsWhereverTheLastIs) {
  for (const std::int64_t place : {16, 1023, 1024, 2048, 9999}) {
    at::Tensor value = of_patterns(at::kFloat, 10'000, 16);
    EXPECT_TRUE(pack(value).has_value());
    value[place] = -77;
    EXPECT_FALSE(pack(value).has_value()) << place;
  }
}

TEST(PackedValue, RefusesRandomNumbers) {
  torch::manual_seed(1);
  for (const auto dtype : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kComplexFloat}) {
    EXPECT_FALSE(pack(torch::randn({1000}, dtype)).has_value());
  }
  EXPECT_FALSE(pack(torch::randint(0, 256, {1000}, at::kByte)).has_value());
}

TEST(PackedValue, RefusesWithoutAllocating) {
  const at::Tensor value = torch::randn({1000});
  const MemoryTracker tracker;
  EXPECT_FALSE(pack(value).has_value());
  EXPECT_EQ(tracker.peak_bytes(), Bytes(0));
}

// Four bits of eight are half.
TEST(PackedValue, SavesHalfAtLeast) {
  expect_packed(of_patterns(at::kByte, 1000, 16), 500);
  EXPECT_FALSE(pack(of_patterns(at::kByte, 1000, 17)).has_value());
  expect_packed(torch::arange(1000, at::kLong) * 4'000'000, 4000);
  EXPECT_FALSE(pack(torch::arange(1000, at::kLong) * 5'000'000).has_value());
}

TEST(PackedValue, HoldsIntegersByTheirRange) {
  const at::Tensor steps = torch::arange(256, at::kLong);
  for (const std::int64_t base : {std::int64_t{0}, std::int64_t{-100}, std::int64_t{1} << 40,
                                  std::numeric_limits<std::int64_t>::min(),
                                  std::numeric_limits<std::int64_t>::max() - 0xFFFFFFFF}) {
    SCOPED_TRACE(base);
    at::Tensor value = steps + base;
    expect_packed(value, 256);
    value[200] = base + 0x100;
    expect_packed(value, 512);
    value[200] = base + 0xFFFF;
    expect_packed(value, 512);
    value[200] = base + 0x10000;
    expect_packed(value, 1024);
    value[200] = base + 0xFFFFFFFF;
    expect_packed(value, 1024);
  }
}

TEST(PackedValue, RefusesIntegersOfAWiderRange) {
  at::Tensor value = torch::arange(5000, at::kLong);
  value[4999] = 0x100000000;
  EXPECT_FALSE(pack(value).has_value());
  value[4999] = std::numeric_limits<std::int64_t>::max();
  value[0] = std::numeric_limits<std::int64_t>::min();
  EXPECT_FALSE(pack(value).has_value()) << "the difference overflows";
}

TEST(PackedValue, HoldsNarrowerIntegersByTheirRange) {
  expect_packed(torch::arange(-100, 156, at::kInt), 256);
  expect_packed(torch::arange(-100, 157, at::kInt), 514);
  expect_packed(torch::arange(-100, 156, at::kShort), 256);
  EXPECT_FALSE(pack(torch::arange(-100, 157, at::kShort)).has_value());
  EXPECT_FALSE(pack(torch::arange(0, 256, at::kInt).to(at::kByte)).has_value());
}

TEST(PackedValue, HoldsIndicesOfPooling) {
  const auto [pooled, indices] =
      torch::max_pool2d_with_indices(torch::randn({2, 3, 64, 64}), {2, 2});
  expect_packed(indices, indices.numel() * 2);
}

TEST(PackedValue, KeepsDenseStrides) {
  const at::Tensor value = torch::randn({2, 3, 5, 7}).gt(0).to(at::kFloat);
  expect_packed(value.to(at::MemoryFormat::ChannelsLast), (210 + 7) / 8);
  expect_packed(value.permute({3, 1, 0, 2}), (210 + 7) / 8);
  expect_packed(value[1], (105 + 7) / 8);
  expect_packed(value[0][0][0][0], 1);
}

TEST(PackedValue, RefusesWhatIsNotDenseAndPlain) {
  const at::Tensor ones = torch::ones({4, 6});
  EXPECT_TRUE(pack(ones).has_value());
  EXPECT_FALSE(pack(at::Tensor()).has_value());
  EXPECT_FALSE(pack(torch::ones({0})).has_value());
  EXPECT_FALSE(pack(ones.slice(1, 0, 6, 2)).has_value());
  EXPECT_FALSE(pack(ones.select(0, 0).expand({3, 6})).has_value());
  EXPECT_FALSE(pack(ones.to(at::kMeta)).has_value());
  EXPECT_FALSE(pack(ones.to_sparse()).has_value());
  EXPECT_FALSE(pack(torch::ones({4}, at::kComplexFloat).conj()).has_value());
  EXPECT_FALSE(pack(at::_efficientzerotensor({4})).has_value());
  EXPECT_FALSE(pack(at::quantize_per_tensor(ones, 0.1, 0, at::kQInt8)).has_value());
}

TEST(PackedValue, TakesItsBytesAndNoMore) {
  const at::Tensor value = torch::ones({1'000'000});
  const MemoryTracker tracker;
  const auto packed = pack(value);
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ(tracker.live_bytes(), Bytes(125'000));
  EXPECT_EQ(tracker.peak_bytes(), Bytes(125'000));
  const at::Tensor again = packed->unpack();
  EXPECT_EQ(tracker.live_bytes(), Bytes(4'125'000));
  EXPECT_EQ(tracker.peak_bytes(), Bytes(4'125'000));
}

TEST(PackedValue, IsUnpackedAnewEachTime) {
  const auto packed = pack(torch::ones({100}));
  at::Tensor first = packed->unpack();
  first.zero_();
  expect_exactly(packed->unpack(), torch::ones({100}));
}

struct CountingInterceptor : torch_bridge::OpInterceptor {
  int seen = 0;
  void intercept(torch_bridge::OpCall& call) override {
    ++seen;
    call.proceed();
  }
};

TEST(PackedValue, IsUnseenByInterceptors) {
  const at::Tensor value = torch::ones({100}, torch::requires_grad());
  CountingInterceptor interceptor;
  const torch_bridge::InterceptorScope below(torch_bridge::OpLevel::kBelowAutograd, interceptor),
      above(torch_bridge::OpLevel::kAboveAutograd, interceptor);
  const at::Tensor again = pack(value)->unpack();
  EXPECT_EQ(interceptor.seen, 0);
  EXPECT_FALSE(again.requires_grad());
}

}  // namespace
}  // namespace remat::tape
