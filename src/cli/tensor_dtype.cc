#include "cli/tensor_dtype.h"

#include <remat/error.h>

#include "base/check.h"

namespace remat::cli {
namespace {

struct Dtype {
  c10::ScalarType type;
  std::string_view name;
};

constexpr Dtype kDtypes[] = {{c10::ScalarType::Float, "F32"},
                             {c10::ScalarType::Double, "F64"},
                             {c10::ScalarType::Half, "F16"},
                             {c10::ScalarType::BFloat16, "BF16"},
                             {c10::ScalarType::Byte, "U8"}};

}  // namespace

std::string_view dtype_name(c10::ScalarType dtype) {
  for (const auto& known : kDtypes) {
    if (known.type == dtype) return known.name;
  }
  fail<InvalidArgument>("a tensor of {} cannot be saved; convert it to float",
                        c10::toString(dtype));
}

std::optional<c10::ScalarType> dtype_named(std::string_view name) {
  for (const auto& known : kDtypes) {
    if (known.name == name) return known.type;
  }
  return std::nullopt;
}

}  // namespace remat::cli
