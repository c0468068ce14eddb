#include "tests/fuzz/reading.h"
#include "tests/fuzz/targets.h"

namespace remat::fuzz {

void op_graph_reader(const std::uint8_t* bytes, std::size_t size) {
  const auto text = text_of(bytes, size);
  try_reading(text, read_op_graph);
  try_reading(text, read_plan);
}

}  // namespace remat::fuzz
