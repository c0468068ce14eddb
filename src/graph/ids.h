// Ids in messages and files: fmt prints their number.
#pragma once

#include <cstdint>

#include <fmt/format.h>

#include <remat/graph.h>

namespace remat::graph {

template <class Id>
struct IdFormatter : fmt::formatter<std::int64_t> {
  template <class Context>
  auto format(Id id, Context& context) const {
    return fmt::formatter<std::int64_t>::format(static_cast<std::int64_t>(id), context);
  }
};

}  // namespace remat::graph

template <>
struct fmt::formatter<remat::ValueId> : remat::graph::IdFormatter<remat::ValueId> {};

template <>
struct fmt::formatter<remat::OpId> : remat::graph::IdFormatter<remat::OpId> {};
