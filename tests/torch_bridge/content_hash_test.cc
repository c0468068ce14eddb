// Hashes of bytes and of what tensors show.
#include "torch_bridge/content_hash.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <torch/torch.h>

#include <remat/memory.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {
namespace {

using Pair = std::pair<std::uint64_t, std::uint64_t>;

Pair of_bytes(const std::string& bytes) {
  const Hash128 hash = hash_of_bytes(bytes.data(), bytes.size());
  return {hash.low, hash.high};
}

std::string some_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::uint32_t random = 1;
  for (char& byte : bytes) byte = static_cast<char>((random = random * 1664525 + 1013904223) >> 24);
  return bytes;
}

TEST(ByteHash, DoesNotDependOnWhereTheBytesLie) {
  const std::string bytes = some_bytes(700);
  const Hash128 expected = hash_of_bytes(bytes.data(), bytes.size());
  for (std::size_t offset = 1; offset < 70; ++offset) {
    const std::string moved = std::string(offset, 'x') + bytes;
    EXPECT_EQ(hash_of_bytes(moved.data() + offset, bytes.size()), expected) << offset;
  }
}

TEST(ByteHash, DoesNotDependOnThePieces) {
  const std::string bytes = some_bytes(700);
  const Hash128 expected = hash_of_bytes(bytes.data(), bytes.size());
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    ByteHasher hasher;
    hasher.add(bytes.data(), first);
    for (std::size_t at = first; at < bytes.size(); at += 7) {
      hasher.add(bytes.data() + at, std::min<std::size_t>(7, bytes.size() - at));
    }
    EXPECT_EQ(hasher.finish(), expected) << first;
  }
}

TEST(ByteHash, TellsLengthsApart) {
  std::set<std::uint64_t> lows, highs;
  for (std::size_t count = 0; count < 600; ++count) {
    const Pair hash = of_bytes(std::string(count, '\0'));
    lows.insert(hash.first);
    highs.insert(hash.second);
  }
  EXPECT_EQ(lows.size(), 600U) << "zeros of different lengths";
  EXPECT_EQ(highs.size(), 600U);
}

// Every single bit flipped, every pair of neighbouring ones, and every pair of signs of floats: each half of the hash
// tells all of them apart.
TEST(ByteHash, TellsSmallChangesApart) {
  for (const std::size_t count : {1, 7, 8, 9, 31, 64, 255, 256, 257, 511, 512, 600}) {
    const std::string bytes = some_bytes(count);
    std::set<std::uint64_t> lows, highs;
    std::size_t strings = 0;
    const auto note = [&](const std::string& changed) {
      const Pair hash = of_bytes(changed);
      lows.insert(hash.first);
      highs.insert(hash.second);
      ++strings;
    };
    note(bytes);
    for (std::size_t bit = 0; bit < 8 * count; ++bit) {
      std::string changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
      note(changed);
      if (bit + 1 == 8 * count) break;
      changed[(bit + 1) / 8] = static_cast<char>(changed[(bit + 1) / 8] ^ 1 << (bit + 1) % 8);
      note(changed);
    }
    for (std::size_t a = 3; a < count; a += 4) {
      for (std::size_t b = a + 4; b < count; b += 4) {
        std::string changed = bytes;
        changed[a] = static_cast<char>(changed[a] ^ 0x80);
        changed[b] = static_cast<char>(changed[b] ^ 0x80);
        note(changed);
      }
    }
    EXPECT_EQ(lows.size(), strings) << count;
    EXPECT_EQ(highs.size(), strings) << count;
  }
}

TEST(ByteHash, TellsWordsInAnotherOrderApart) {
  std::set<Pair> hashes;
  std::size_t strings = 0;
  const std::string bytes = some_bytes(600);
  for (std::size_t a = 0; a < 75; ++a) {
    for (std::size_t b = a + 1; b < 75; ++b, ++strings) {
      std::string swapped = bytes;
      std::swap_ranges(swapped.begin() + static_cast<std::ptrdiff_t>(8 * a),
                       swapped.begin() + static_cast<std::ptrdiff_t>(8 * a + 8),
                       swapped.begin() + static_cast<std::ptrdiff_t>(8 * b));
      hashes.insert(of_bytes(swapped));
    }
  }
  EXPECT_EQ(hashes.size(), strings);
}

// A flipped bit changes each of the 128 about half of the time, those of one half regardless of the other's.
TEST(ByteHash, SpreadsEveryBit) {
  std::array<int, 192> changes{};
  constexpr int kFlips = 8 * 64;
  const std::string bytes = some_bytes(64);
  const Hash128 before = hash_of_bytes(bytes.data(), bytes.size());
  for (int bit = 0; bit < kFlips; ++bit) {
    std::string changed = bytes;
    const auto at = static_cast<std::size_t>(bit / 8);
    changed[at] = static_cast<char>(changed[at] ^ 1 << bit % 8);
    const Hash128 after = hash_of_bytes(changed.data(), changed.size());
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint64_t low = before.low ^ after.low, high = before.high ^ after.high;
      changes[i] += static_cast<int>(low >> i & 1);
      changes[64 + i] += static_cast<int>(high >> i & 1);
      changes[128 + i] += static_cast<int>((low ^ high) >> i & 1);
    }
  }
  for (const int changed : changes) {
    EXPECT_GT(changed, kFlips / 3);
    EXPECT_LT(changed, kFlips * 2 / 3);
  }
}

// ---- tensors ------------------------------------------------------------------------------------

std::vector<at::ScalarType> dtypes() {
  return {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16,     at::kByte,          at::kChar,
          at::kShort, at::kInt,    at::kLong, at::kComplexFloat, at::kComplexDouble, at::kBool};
}

at::Tensor numbers(at::IntArrayRef sizes, at::ScalarType dtype) {
  at::Tensor tensor = torch::empty(sizes, dtype);
  auto* const data = static_cast<char*>(tensor.data_ptr());
  const std::string bytes = some_bytes(tensor.nbytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    data[i] = dtype == at::kBool ? static_cast<char>(bytes[i] & 1) : bytes[i];
  }
  return tensor;
}

Hash128 of_copy(const at::Tensor& tensor) {
  const at::Tensor copy = tensor.contiguous();
  return hash_of_bytes(copy.data_ptr(), copy.nbytes());
}

TEST(ContentHash, IsThatOfTheElementsInRowMajorOrder) {
  for (const auto dtype : dtypes()) {
    SCOPED_TRACE(c10::toString(dtype));
    const at::Tensor x = numbers({6, 5, 7, 9}, dtype);
    const std::vector<at::Tensor> views = {
        x,
        x.transpose(0, 3),
        x.permute({2, 0, 3, 1}),
        x.to(at::MemoryFormat::ChannelsLast),
        x.narrow(1, 1, 3),
        x.narrow(3, 2, 5),
        x.slice(3, 0, 9, 2),
        x.slice(0, 1, 6, 3),
        x.select(2, 4),
        x.select(3, 8),
        x[0][0][0][0],
        x.narrow(0, 0, 1).expand({4, 5, 7, 9}),
        x.select(3, 1).unsqueeze(3).expand({6, 5, 7, 8}),
        x.view({-1}).as_strided({20, 12}, {3, 2}, 5),
        numbers({70, 1100}, dtype).t(),
    };
    for (const at::Tensor& view : views) {
      EXPECT_EQ(content_hash(view), of_copy(view)) << view.sizes() << view.strides();
    }
  }
}

TEST(ContentHash, TellsContentsApart) {
  at::Tensor x = numbers({40, 50}, at::kFloat);
  const Hash128 before = content_hash(x);
  EXPECT_NE(content_hash(x.t()), before);
  EXPECT_NE(content_hash(x.narrow(0, 1, 39)), before);
  EXPECT_EQ(content_hash(x.narrow(0, 1, 39)), content_hash(x.narrow(0, 1, 39).clone()));
  auto* const bits = static_cast<std::uint32_t*>(x.data_ptr());
  for (const std::size_t i : {0, 999, 1999}) {
    bits[i] ^= 1U << 31;
    EXPECT_NE(content_hash(x), before) << "the sign of element " << i;
    EXPECT_NE(content_hash(x.t()), content_hash(numbers({40, 50}, at::kFloat).t())) << i;
    bits[i] ^= 1U << 31;
  }
  EXPECT_EQ(content_hash(x), before);
}

TEST(ContentHash, ComparesBitsNotNumbers) {
  EXPECT_NE(content_hash(torch::tensor({0.0F})), content_hash(torch::tensor({-0.0F})));
  at::Tensor nan = torch::tensor({0.0F}), other = torch::tensor({0.0F});
  *static_cast<std::uint32_t*>(nan.data_ptr()) = 0x7FC00001;
  *static_cast<std::uint32_t*>(other.data_ptr()) = 0x7FC00002;
  EXPECT_EQ(content_hash(nan), content_hash(nan.clone()));
  EXPECT_NE(content_hash(nan), content_hash(other));
}

TEST(ContentHash, ConjugateAndNegativeViewsCountAsWhatTheyStandFor) {
  const at::Tensor z = numbers({5, 6}, at::kComplexFloat), conjugate = z.conj();
  ASSERT_TRUE(conjugate.is_conj());
  EXPECT_EQ(content_hash(conjugate), content_hash(conjugate.resolve_conj()));
  EXPECT_NE(content_hash(conjugate), content_hash(z));
  const at::Tensor negative = at::imag(conjugate);
  ASSERT_TRUE(negative.is_neg());
  EXPECT_EQ(content_hash(negative), content_hash(negative.resolve_neg()));
}

TEST(ContentHash, OfNoElementsIsThatOfNoBytes) {
  EXPECT_EQ(content_hash(torch::empty({0})), ByteHasher().finish());
  EXPECT_EQ(content_hash(torch::empty({3, 0, 5})), ByteHasher().finish());
  EXPECT_NE(ByteHasher().finish(), Hash128());
}

TEST(ContentHash, IsNothingWithoutPlainData) {
  EXPECT_EQ(content_hash(at::Tensor()), Hash128());
  EXPECT_EQ(content_hash(torch::ones({2, 2}).to_sparse()), Hash128());
  EXPECT_EQ(content_hash(torch::empty({2, 2}, at::kMeta)), Hash128());
  EXPECT_EQ(content_hash(at::_efficientzerotensor({2, 2})), Hash128());
  EXPECT_EQ(storage_hash(torch::empty({2, 2}, at::kMeta)), Hash128());
}

TEST(ContentHash, InMemoryOrderIsThatOfTheBytesWithoutGaps) {
  const at::Tensor x = numbers({4, 3, 5, 7}, at::kFloat),
                   by_channel = x.to(at::MemoryFormat::ChannelsLast);
  EXPECT_EQ(memory_order_hash(x), content_hash(x));
  EXPECT_EQ(memory_order_hash(by_channel), content_hash(by_channel.permute({0, 2, 3, 1})));
  EXPECT_EQ(memory_order_hash(x.permute({3, 1, 0, 2})), content_hash(x));
  const at::Tensor gaps = x.slice(3, 0, 7, 2), overlaps = x.select(3, 0).unsqueeze(3).expand_as(x);
  EXPECT_EQ(memory_order_hash(gaps), content_hash(gaps));
  EXPECT_EQ(memory_order_hash(overlaps), content_hash(overlaps));
  EXPECT_EQ(memory_order_hash(torch::empty({2, 2}, at::kMeta)), Hash128());
}

TEST(ContentHash, OfTheStorageIsOfAllItsBytes) {
  const at::Tensor x = numbers({10, 10}, at::kFloat);
  EXPECT_EQ(storage_hash(x.select(1, 3)), content_hash(x));
  EXPECT_EQ(storage_hash(x.t()), content_hash(x));
  EXPECT_EQ(storage_hash(torch::empty({0})), ByteHasher().finish());
}

struct CountingInterceptor : OpInterceptor {
  int seen = 0;
  void intercept(OpCall& call) override {
    ++seen;
    call.proceed();
  }
};

TEST(ContentHash, IsUnseenAndAllocatesNothing) {
  const at::Tensor x = numbers({30, 40}, at::kComplexFloat).set_requires_grad(true);
  const at::Tensor view = x.t().slice(1, 0, 30, 2), conjugate = x.conj();
  CountingInterceptor interceptor;
  const InterceptorScope below(OpLevel::kBelowAutograd, interceptor),
      above(OpLevel::kAboveAutograd, interceptor);
  const MemoryTracker tracker;
  content_hash(x);
  content_hash(view);
  storage_hash(view);
  EXPECT_EQ(tracker.peak_bytes(), Bytes(0));
  content_hash(conjugate);
  EXPECT_EQ(tracker.peak_bytes(), Bytes(static_cast<std::int64_t>(x.nbytes())));
  EXPECT_EQ(interceptor.seen, 0);
}

}  // namespace
}  // namespace remat::torch_bridge
