// Random programs, trained within a share of their activation peak.
#pragma once

#include <cstdint>

namespace remat::testing {

/// Trains the random program of `seed` plain and within a budget, and expects the same bits. False if it did not
/// fit: small programs may have nothing to let go of.
bool trains_to_the_same_bits(std::uint64_t seed);

}  // namespace remat::testing
