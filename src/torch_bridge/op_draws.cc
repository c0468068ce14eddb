#include "torch_bridge/op_draws.h"

#include <memory>
#include <string>

#include <ATen/core/enum_tag.h>
#include <ATen/core/jit_type.h>
#include <c10/util/flat_hash_map.h>

namespace remat::torch_bridge {
namespace {

bool is_of_kind(c10::TypePtr type, c10::TypeKind kind) {
  if (const auto optional = type->cast<c10::OptionalType>()) {
    type = optional->getElementType();
  }
  return type->kind() == kind;
}

std::int32_t index_of_kind(const c10::FunctionSchema& schema, c10::TypeKind kind) {
  const auto& arguments = schema.arguments();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (is_of_kind(arguments[i].type(), kind)) {
      return static_cast<std::int32_t>(i);
    }
  }
  return -1;
}

bool is_of_libtorch(const std::string& name) {
  return name.rfind("aten::", 0) == 0 || name.rfind("prim::", 0) == 0;
}

OpDraws describe(const c10::OperatorHandle& op) {
  const c10::FunctionSchema& schema = op.schema();
  OpDraws draws;
  draws.generator = index_of_kind(schema, c10::TypeKind::GeneratorType);
  draws.device = index_of_kind(schema, c10::TypeKind::DeviceObjType);
  draws.tagged = op.hasTag(at::Tag::nondeterministic_seeded);
  draws.composite = op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd);
  draws.may_draw_unseen = draws.generator < 0 && !is_of_libtorch(schema.name());
  return draws;
}

}  // namespace

const OpDraws& draws_of(const c10::OperatorHandle& op) {
  // As in writes_of: per thread, no lock.
  thread_local ska::flat_hash_map<const c10::FunctionSchema*, std::unique_ptr<const OpDraws>> known;
  auto& draws = known[&op.schema()];
  if (draws == nullptr) {
    draws = std::make_unique<const OpDraws>(describe(op));
  }
  return *draws;
}

c10::Device device_of_draws(const OpDraws& draws, c10::ArrayRef<c10::IValue> arguments) {
  for (const c10::IValue& argument : arguments) {
    if (argument.isTensor() && argument.toTensor().defined()) {
      return argument.toTensor().device();
    }
  }
  if (draws.device >= 0 && arguments[draws.device].isDevice()) {
    return arguments[draws.device].toDevice();
  }
  return c10::Device(c10::kCPU);
}

}  // namespace remat::torch_bridge
