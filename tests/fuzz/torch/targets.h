// What the fuzzer feeds bytes to that needs LibTorch's headers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace remat::fuzz {

/// The bytes as a budget's plans, "@libtorch@" in them being the version in use: refused with a message, or written
/// so that they are read back, and compiled to what a tape can follow.
void plans_reader(const std::uint8_t* bytes, std::size_t size);

}  // namespace remat::fuzz
