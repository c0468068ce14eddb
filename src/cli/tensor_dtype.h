// Element types by the names that safetensors gives them.
#pragma once

#include <optional>
#include <string_view>

#include <c10/core/ScalarType.h>

namespace remat::cli {

/// "F32" for float. Errors: InvalidArgument for a type that no parameter has.
std::string_view dtype_name(c10::ScalarType dtype);

/// The type of that name, nullopt if it is none of those.
std::optional<c10::ScalarType> dtype_named(std::string_view name);

}  // namespace remat::cli
