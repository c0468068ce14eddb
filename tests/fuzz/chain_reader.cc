#include "tests/fuzz/reading.h"
#include "tests/fuzz/targets.h"

namespace remat::fuzz {

void chain_reader(const std::uint8_t* bytes, std::size_t size) {
  const auto text = text_of(bytes, size);
  try_reading(text, read_chain);
  try_reading(text, read_chain_plan);
}

}  // namespace remat::fuzz
