// The measured steps in ../shared/profiles, where they are there.
#pragma once

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <remat/graph.h>

namespace remat::testing {

/// Empty where there is no such file.
inline std::optional<OpGraph> measured_step(const std::string& name) {
  const auto path = REMAT_SHARED "/profiles/" + name + ".opgraph.json";
  const std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return read_op_graph(text.str(), path);
}

}  // namespace remat::testing
