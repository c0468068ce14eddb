// What the four file formats have in common: a name with a version, sizes, times and ids.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <remat/bytes.h>
#include <remat/graph.h>

#include "base/json_cursor.h"

namespace remat::graph {

constexpr std::string_view kOpGraphFormat = "remat.opgraph/1";
constexpr std::string_view kPlanFormat = "remat.plan/1";
constexpr std::string_view kChainFormat = "remat.chain/1";
constexpr std::string_view kChainPlanFormat = "remat.chain_plan/1";

/// Rejects a document of another format or version.
void check_format(const JsonCursor& root, std::string_view format);

Bytes read_bytes(const JsonCursor& value);
std::chrono::nanoseconds read_time(const JsonCursor& value);

/// ValueId or OpId.
template <class Id>
Id read_id(const JsonCursor& value) {
  return Id{value.whole_number()};
}

/// What `read` makes of the member `key`, if there is one.
template <class Value>
std::optional<Value> read_optional(const JsonCursor& object, std::string_view key,
                                   Value (*read)(const JsonCursor&)) {
  const auto member = object.find(key);
  return member ? std::optional<Value>(read(*member)) : std::nullopt;
}

}  // namespace remat::graph
