// What the fuzzer feeds bytes to: `./dev fuzz`, and the corpus in the ordinary tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace remat::fuzz {

/// Each takes any bytes, and throws Broken if what it tries does not keep its promises.
class Broken : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline void require(bool holds, const std::string& promise) {
  if (!holds) throw Broken(promise);
}

/// The bytes as an op graph and as a plan: refused with a message, or written so that they are read back.
void op_graph_reader(const std::uint8_t* bytes, std::size_t size);

/// The bytes as a chain and as a plan for one.
void chain_reader(const std::uint8_t* bytes, std::size_t size);

/// The bytes as choices that make a graph or a chain and a plan for it, which is executed.
void plan_simulator(const std::uint8_t* bytes, std::size_t size);

}  // namespace remat::fuzz
