// What every reader promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <remat/error.h>
#include <remat/graph.h>

#include "tests/fuzz/targets.h"

namespace remat::fuzz {

/// Text that is refused is refused with a message about its source; what is taken is written, and what
/// was written is read back and written the same.
template <class Value>
void try_reading(const std::string& text, Value (*read)(const std::string&, const std::string&)) {
  try {
    const auto written = to_json(read(text, "input"));
    require(to_json(read(written, "written")) == written,
            "written twice, a value is the same text");
  } catch (const InvalidArgument& error) {
    require(std::string(error.what()).rfind("input: ", 0) == 0,
            std::string("a message names the input, not: ") + error.what());
  }
}

inline std::string text_of(const std::uint8_t* bytes, std::size_t size) {
  return {bytes, bytes + size};
}

}  // namespace remat::fuzz
