// libFuzzer's entry to one target, REMAT_FUZZ_TARGET. An exception that leaves it is a finding.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"
#include "tests/fuzz/torch/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  remat::fuzz::REMAT_FUZZ_TARGET(bytes, size);
  return 0;
}
